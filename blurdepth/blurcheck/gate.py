"""The gate: whether a variant shows the blur that was asked of it, where, and which way; and if not, why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.blurcheck.energy import (
    BLURRED_SHARE,
    DIRECTIONS_DEG,
    FINER_PX,
    gradient_energies,
    is_blank,
    is_one_way,
    scale_ratios,
)
from blurdepth.errors import InputError
from blurdepth.images import Rgb

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Ids = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MOVES_PX, STILL_PX = 4.0, 0.5
"""Motion over the exposure from which a pixel should look blurred, and below which it should not."""
MAX_TURN_DEG = 20.0
"""How far the blur may be off the direction that was asked for."""
MIN_REGION_PX = 150
TEXTURED = 5e-6
DARK = 0.12
"""Median light, as a share of white in sRGB, below which noise hides blur."""
ORDER_KEPT, ORDER_PAIRS, ORDER_STEP = 0.65, 4000, 0.05

WORDS: Mapping[str, str] = {
    "blank": "the picture is empty or black",
    "sharp": "what should move is still sharp",
    "defocus": "what should move is out of focus instead of blurred by motion",
    "direction": "the blur goes another way than the motion",
    "background": "what should stand still is blurred too",
    "structure": "the scene is no longer that of the frame",
    "dark": "too dark to tell whether it is blurred",
    "plain": "what should move has nothing in it that could be blurred",
    "soft": "too soft before the exposure to tell whether it is blurred",
}
"""What can be said of a variant. The last three are no failure: nobody can tell."""
SHORT: Mapping[str, str] = {
    "blank": "empty",
    "sharp": "still sharp",
    "defocus": "out of focus",
    "direction": "blurred the wrong way",
    "background": "background blurred",
    "structure": "another scene",
}
_UNSURE = ("dark", "plain", "soft")
SOFT = 1 / BLURRED_SHARE
"""Ratio of the sharp picture below which no blur could take the share that counts: a ratio is hardly ever below 1."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a variant.

    Attributes:
        passed: the blur that was asked for is there, or nothing can be told against it.
        reasons: keys of `WORDS`, why it failed or can't be judged; none if all is well.
        readings: "moving_change" and "still_change" (ratio of gradients over the sharp frame's: 1 is as sharp, below
            0.8 is blurred), "across_change", "turn_deg" (0 to 90, of the blur against the motion), "order_kept" (share
            of pixel pairs that the scene and the frame have in the same order of depth); those that were measured.
    """

    passed: bool
    reasons: tuple[str, ...]
    readings: dict[str, float]

    @property
    def words(self) -> str:
        """For people.

        >>> Verdict(False, ("sharp", "background"), {}).words
        'what should move is still sharp; what should stand still is blurred too'
        """
        return "; ".join(WORDS[reason] for reason in self.reasons) or "blur found"

    @property
    def short(self) -> str:
        """A word or two: the first reason.

        >>> Verdict(False, ("sharp", "background"), {}).short
        'still sharp'
        """
        return SHORT.get(self.reasons[0], "can't tell") if self.reasons else "blur found"


def check_variant(
    rgb: Rgb, source: Rgb, flow: F32, ids: Ids | None = None, inverse_depths: tuple[F32, F32] | None = None
) -> Verdict:
    """Hold a variant against the motion that it should show.

    Args:
        rgb: (H, W, 3) uint8 sRGB, the variant.
        source: (H, W, 3) uint8 sRGB, the sharp frame.
        flow: (H, W, 2) px, the motion over the exposure that was asked for.
        ids: (H, W) uint8, the moving objects; where there are any, only they are looked at for blur.
        inverse_depths: (H, W) of the frame and as seen in the variant, larger = nearer, in any unit.

    Raises:
        InputError: the sizes differ.
    """
    if not rgb.shape[:2] == source.shape[:2] == flow.shape[:2]:
        raise InputError(
            f"Variant {rgb.shape[:2]}, frame {source.shape[:2]} and motion {flow.shape[:2]} differ in size: give one."
        )
    if is_blank(rgb):
        return Verdict(False, ("blank",), {})
    length = np.hypot(flow[..., 0], flow[..., 1])
    moving = (length >= MOVES_PX) & (ids > 0 if ids is not None and ids.any() else True)
    still = (length < STILL_PX) & (cv2.dilate((length >= STILL_PX).astype(np.uint8), np.ones((9, 9))) == 0)
    reasons, readings = _moving_part(rgb, source, flow, moving)
    before, after = (_ratios(picture, None, still) for picture in (source, rgb))
    if before is not None and after is not None:
        readings["still_change"] = float((after / before).max())
        if readings["still_change"] < BLURRED_SHARE:
            reasons.append("background")
    if inverse_depths is not None:
        readings["order_kept"] = order_kept(*inverse_depths)
        if readings["order_kept"] < ORDER_KEPT:
            reasons.append("structure")
    readings = {name: round(value, 4) for name, value in readings.items()}
    return Verdict(not set(reasons) - set(_UNSURE), tuple(reasons), readings)


def order_kept(one: F32, other: F32) -> float:
    """The share of pixel pairs that clearly differ in depth in one map, which are in the same order in the other.

    Pairs of one row: that the road is nearer below, any two street scenes have in common.

    Args:
        one: (H, W), larger = nearer.
        other: (H, W) likewise, in any unit.

    >>> ramp = np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(9, 0)
    >>> order_kept(ramp, ramp * 3 + 1), order_kept(ramp, -ramp)
    (1.0, 0.0)
    """
    chance = np.random.default_rng(0)
    rows, columns = chance.integers(0, one.shape[0], ORDER_PAIRS), chance.integers(0, one.shape[1], (2, ORDER_PAIRS))
    step = np.subtract(*one[rows, columns])
    clear = np.abs(step) > ORDER_STEP * np.ptp(one)
    if not clear.any():
        return 1.0
    return float((np.sign(np.subtract(*other[rows, columns]))[clear] == np.sign(step)[clear]).mean())


def _moving_part(rgb: Rgb, source: Rgb, flow: F32, moving: Mask) -> tuple[list[str], dict[str, float]]:
    """Reasons and readings of what should be blurred."""
    before, after = (_ratios(picture, flow, moving) for picture in (source, rgb))
    if before is None or after is None:
        return (["plain"] if moving.any() else []), {}
    change = after / before
    along, across = float(change[0]), float(change[len(change) // 2])
    readings = {"moving_change": along, "across_change": across}
    if float(np.median(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[moving])) / 255 < DARK:
        return ["dark"], readings
    if before[0] < SOFT:
        return ["soft"], readings
    if min(along, across) >= BLURRED_SHARE:
        return ["sharp"], readings
    if not is_one_way(after, before, 0):
        return ["defocus"], readings
    turn = float(DIRECTIONS_DEG[change.argmin()])
    readings["turn_deg"] = min(turn, 180 - turn)
    return (["direction"] if readings["turn_deg"] > MAX_TURN_DEG else []), readings


def _ratios(rgb: Rgb, flow: F32 | None, where: Mask) -> F64 | None:
    """(36,) ratios of a region, along directions from that of `flow`; None: nothing there that could be blurred."""
    if where.sum() < MIN_REGION_PX:
        return None
    fine, coarse = (each[where].mean(axis=0) for each in gradient_energies(rgb, flow, FINER_PX))
    return None if coarse[:2].sum() < TEXTURED else scale_ratios(fine, coarse)
