"""From a dataset version to what a training reads: files, and who is trained on and who is held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blurdepth.errors import InputError
from blurdepth.images import content_hash

Split = Literal["train", "val"]
SplitRule = Literal["by_frame", "random"]


@dataclass(frozen=True)
class TrainingSample:
    """One sample as files.

    Attributes:
        image: PNG of the variant, (H, W, 3) sRGB.
        target: .npy of its mean inverse depth, (H, W) float32, 1/m.
        regions: PNG, (H, W) uint8: 0 static, 1 blurred but pure, 2 mixed, 255 invalid.
        sharp_image: PNG of the sharp frame.
        sharp_target: .npy of the sharp frame's inverse depth, (H, W) float32, 1/m.
    """

    id: str
    frame_id: str
    split: Split
    image: Path
    target: Path
    regions: Path
    sharp_image: Path
    sharp_target: Path


def split_samples(samples: Sequence[tuple[str, str]], rule: SplitRule, val_share: float, seed: int) -> dict[str, Split]:
    """Decide which samples are held out, the same way for the same seed.

    With "by_frame" all variants of a frame land on the same side, so that no held-out picture has a sister in the
    training set. Where there is only one frame that can't be done, and single samples are held out.

    Args:
        samples: (sample id, frame id) pairs, at least two, or one if none is to be held out.
        rule: "by_frame", or "random" by sample as in the paper.
        val_share: share to hold out, below 1. 0 holds none out; else at least one sample (or frame) lands on each
            side.
        seed: other seeds give other splits.

    Raises:
        InputError: there are too few samples.

    >>> split_samples([("a", "f"), ("b", "f"), ("c", "g")], "by_frame", 0.3, seed=0)["c"]
    'val'
    """
    if samples and val_share == 0:
        return {sample: "train" for sample, _ in samples}
    if len(samples) < 2:
        raise InputError(f"{len(samples)} sample is too few to train and to hold one out: accept at least 2.")
    by_frame = rule == "by_frame" and len({frame for _, frame in samples}) > 1
    group_of: Callable[[tuple[str, str]], str] = (lambda pair: pair[1]) if by_frame else (lambda pair: pair[0])
    groups = sorted({group_of(pair) for pair in samples}, key=lambda name: content_hash(f"{seed}/{name}".encode()))
    held_out = set(groups[: min(max(1, round(val_share * len(groups))), len(groups) - 1)])
    return {pair[0]: "val" if group_of(pair) in held_out else "train" for pair in samples}
