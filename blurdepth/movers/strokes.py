"""The brush: masks painted and mended by hand, exactly as drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blurdepth.errors import InputError
from blurdepth.movers.proposal import Mask

_MAX_COORDINATE = 1e5


@dataclass(frozen=True)
class Stroke:
    """One pull of the brush.

    Attributes:
        points: (x, y) in pixels, (0, 0) the middle of the first; one is a dab.
        radius_px: of the brush, above 0.
        erase: takes away rather than adds.
    """

    points: tuple[tuple[float, float], ...]
    radius_px: float
    erase: bool = False


def mend_mask(mask: Mask, strokes: Sequence[Stroke]) -> Mask:
    """The mask with strokes added and erased in their order; the one given stays as it is.

    A pixel is painted if its middle is no farther from the line than the radius; parts outside the frame don't count.

    >>> int(mend_mask(np.zeros((5, 5), bool), [Stroke(((2, 2),), 1)]).sum())
    5

    Args:
        mask: (H, W).
        strokes: in pixels of the mask.

    Raises:
        InputError: a stroke has no points, a point that is no number or absurdly far out, or no radius.
    """
    mended = mask.copy()
    for stroke in strokes:
        _check(stroke)
        _draw(mended, stroke)
    return mended


def _check(stroke: Stroke) -> None:
    numbers = [number for point in stroke.points for number in point]
    if not stroke.points:
        raise InputError("A stroke of the brush has no points: draw it again.")
    if not all(math.isfinite(number) and abs(number) < _MAX_COORDINATE for number in numbers):
        raise InputError(f"A stroke goes to {stroke.points[-1]}, which is nowhere near the frame: draw it again.")
    if not 0 < stroke.radius_px < _MAX_COORDINATE:
        raise InputError(f"The brush has a radius of {stroke.radius_px} pixels: make it larger than 0.")


def _draw(mask: Mask, stroke: Stroke) -> None:
    """Set every pixel whose middle lies within the radius of a segment."""
    ends = stroke.points[1:] or stroke.points
    height, width = mask.shape
    for (x0, y0), (x1, y1) in zip(stroke.points, ends, strict=False):
        reach = stroke.radius_px
        left, right = max(math.ceil(min(x0, x1) - reach), 0), min(math.floor(max(x0, x1) + reach), width - 1)
        top, bottom = max(math.ceil(min(y0, y1) - reach), 0), min(math.floor(max(y0, y1) + reach), height - 1)
        if left > right or top > bottom:
            continue
        x, y = np.arange(left, right + 1) - x0, np.arange(top, bottom + 1)[:, None] - y0
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        along = np.clip((x * dx + y * dy) / length, 0, 1) if length else 0.0
        near = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= reach * reach
        mask[top : bottom + 1, left : right + 1][near] = not stroke.erase
