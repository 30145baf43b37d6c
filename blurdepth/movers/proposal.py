"""What could move, as a mask with a score and a name; and several of them as one map of ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ids = NDArray[np.uint8]

SAME = 0.5
MAX_IDS = 255


@dataclass(frozen=True, eq=False)
class Proposal:
    """One thing that could move.

    Attributes:
        mask: (H, W) where it is seen.
        score: how sure it is, [0, 1].
        name: person or vehicle, or what a segmentation model calls it.
    """

    mask: Mask
    score: float
    name: str


def distinct(found: Iterable[Proposal], limit: int) -> list[Proposal]:
    """Proposals without doubles that share no pixel, the largest first; of two for one thing the surer stays."""
    kept: list[Proposal] = []
    for proposal in sorted(found, key=lambda each: -each.score):
        area = np.count_nonzero(proposal.mask)
        shared = [np.count_nonzero(proposal.mask & other.mask) for other in kept]
        doubled = any(
            part > SAME * min(area, np.count_nonzero(other.mask)) for part, other in zip(shared, kept, strict=True)
        )
        if doubled or not area:
            continue
        free = ~np.logical_or.reduce([other.mask for other in kept]) if kept else True
        # Two that each cover half of it leave nothing.
        if (proposal.mask & free).any():
            kept.append(replace(proposal, mask=proposal.mask & free))
    kept = kept[: min(limit, MAX_IDS)]
    return sorted(kept, key=lambda each: -np.count_nonzero(each.mask))


def to_ids(proposals: Sequence[Proposal], size: tuple[int, int]) -> Ids:
    """(H, W) ids: the first proposal is 1, 0 is everything else.

    Args:
        proposals: of frames of `size`; a later one covers an earlier.
        size: (height, width).
    """
    ids = np.zeros(size, np.uint8)
    for number, proposal in enumerate(proposals, start=1):
        ids[proposal.mask] = number
    return ids
