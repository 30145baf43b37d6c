"""Connected surfaces that stand on the ground, from inverse depth alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.ground import Ground
from blurdepth.movers.proposal import Mask

F32 = NDArray[np.float32]

FOOT, TOP = 0.10, 1.15
MAX_STANDING_FOOT = 0.45
MAX_WIDTH = 5.0
MIN_AREA_SHARE, MAX_AREA_SHARE = 6e-4, 0.2
JUMP = 0.05
MAX_GOES_ON = 0.35
FAR = 0.06


@dataclass(frozen=True)
class _Surface:
    """Inverse depth at working size, with the height of each pixel above the ground in camera heights."""

    inverse_depth: F32
    height: F32
    ground: Ground


def standing_surfaces(inverse_depth: F32, ground: Ground) -> list[Mask]:
    """Surfaces the size of people and vehicles that stand on the ground, seen by depth alone.

    Everything is measured in camera heights, which needs no scale: the ground's inverse depth grows linearly
    with the row, and a pixel nearer than the ground of its row stands above it.

    Args:
        inverse_depth: (H, W) 1/m (any scale will do), may be a model's prediction.
        ground: fitted to it.
    """
    return _standing(_measure(cv2.medianBlur(inverse_depth, 3), ground))


def _measure(inverse_depth: F32, ground: Ground) -> _Surface:
    rows = np.arange(len(inverse_depth), dtype=np.float32)[:, None]
    depth_rows = np.maximum(inverse_depth, 1e-6) / np.float32(ground.slope)
    height = 1 - (rows - np.float32(ground.horizon)) / depth_rows
    return _Surface(inverse_depth, height.astype(np.float32), ground)


def _standing(surface: _Surface) -> list[Mask]:
    """The surfaces that pass every test of size, shape and standing."""
    near = surface.inverse_depth > FAR * surface.ground.slope * len(surface.height)
    smooth = _steepness(surface.inverse_depth) < JUMP
    solid = near & smooth & (surface.height > FOOT)
    count, labels, stats, _centroids = cv2.connectedComponentsWithStats(
        (solid & (surface.height < TOP)).astype(np.uint8), connectivity=4
    )
    above = solid & (surface.height >= TOP)
    found = []
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        if not MIN_AREA_SHARE <= area / labels.size <= MAX_AREA_SHARE:
            continue
        box = (slice(max(y - 2, 0), y + height), slice(x, x + width))
        if _could_move(labels[box] == label, above[box], surface, box):
            found.append(_complete(labels == label, surface))
    return found


def _steepness(inverse_depth: F32) -> F32:
    """Largest relative step to a neighbouring pixel, (H, W)."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    span = cv2.morphologyEx(inverse_depth, cv2.MORPH_GRADIENT, cross)
    return np.asarray(span / 2 / np.maximum(inverse_depth, 1e-6), np.float32)


def _could_move(mask: Mask, above: Mask, surface: _Surface, box: tuple[slice, slice]) -> bool:
    """Whether one component has the size of a vehicle or a person, stands, and doesn't go on upwards."""
    heights, depths = surface.height[box][mask], surface.inverse_depth[box][mask]
    foot, top = (float(level) for level in np.percentile(heights, (3, 97)))
    columns = max(int(np.count_nonzero(mask.any(axis=0))), 1)
    width = columns * surface.ground.slope / float(np.median(depths))
    bulky = width <= MAX_WIDTH and top - foot > 0.25 and width > 0.12
    goes_on = cv2.dilate(mask.astype(np.uint8), np.ones((5, 1), np.uint8)) & above
    walls = int(np.count_nonzero(goes_on.any(axis=0))) / columns
    filled = np.count_nonzero(mask) / mask.size
    level = float(np.std(depths) / np.mean(depths))
    return bool(bulky and foot < MAX_STANDING_FOOT and walls < MAX_GOES_ON and filled > 0.3 and level < 0.3)


def _complete(mask: Mask, surface: _Surface) -> Mask:
    """Give back what the tests took: the soft outline, small holes, and the foot down to the ground."""
    depth = float(np.median(surface.inverse_depth[mask]))
    alike = np.abs(surface.inverse_depth - depth) < 0.3 * depth
    pixels = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    grown = cv2.dilate(pixels, np.ones((3, 3), np.uint8)) & alike
    drop = int(min(np.ceil(0.9 * FOOT * depth / surface.ground.slope), 40))
    below = np.zeros((2 * drop + 1, 1), np.uint8)
    below[: drop + 1] = 1
    foot = cv2.dilate(grown, below, anchor=(0, drop)) & alike
    return np.asarray(cv2.medianBlur(grown | foot, 5) > 0)
