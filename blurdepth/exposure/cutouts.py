"""Cut-outs of a frame that move as one piece (objects and their shadows), and the way into the kernel's arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion, Pinhole, Vector
from blurdepth.exposure.arrays import NEAREST, Cutouts
from blurdepth.exposure.motion import against, project

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
MARGIN_PX = 2


@dataclass(frozen=True)
class Cutout:
    """One piece of a frame.

    Attributes:
        number: id of the object that it is, or belongs to.
        corner: x and y of its top left pixel in the frame.
        pixels: (h, w, C): of an object linear light, inverse depth and coverage; of a shadow the light that it leaves.
        inverse_depth: (h, w) 1/m.
        middle: the inverse depth of most of it, 1/m.
    """

    number: int
    corner: tuple[int, int]
    pixels: F32
    inverse_depth: F32
    middle: float


def surrounding(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the frame that hold all of `mask`, with a margin.

    >>> surrounding(np.eye(9, dtype=bool)[:, 3:5], 1)
    (slice(2, 6, None), slice(0, 3, None))
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def pool(
    parts: Sequence[Cutout], channels: int, travel: Callable[[int], Vector], camera: Pinhole, motion: Motion
) -> Cutouts:
    """Cut-outs in the arrays of the kernel.

    Args:
        parts: from far to near, with `channels` channels each.
        channels: how many.
        travel: of the part of an object's id, as the kernel wants it, metres over the exposure.
        camera: of the size of the frame.
        motion: over the whole exposure.
    """
    pixels = [part.pixels.reshape(-1, channels) for part in parts]
    starts = np.cumsum([0, *(len(each) for each in pixels)])
    place = [(*p.corner, *p.inverse_depth.shape[::-1], start) for p, start in zip(parts, starts, strict=False)]
    return Cutouts(
        np.concatenate([np.zeros((0, channels), np.float32), *pixels]),
        np.array(place, np.int64).reshape(-1, 5),
        np.array([_swept(part, camera, motion) for part in parts], np.int64).reshape(-1, 4),
        np.array([travel(part.number) for part in parts], np.float64).reshape(-1, 3),
        np.array([part.middle for part in parts], np.float64),
    )


def _swept(part: Cutout, camera: Pinhole, motion: Motion) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what a cut-out may reach while the shutter is open."""
    (left, top), (height, width) = part.corner, part.inverse_depth.shape
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (width, height)))
    points = x + left, y + top, part.inverse_depth
    travel, last = against(motion, part.number), motion.latest
    if (1 - abs(travel[2]) * last * points[2]).min() < NEAREST:
        return 0, camera.height, 0, camera.width
    at = [project(camera, points, travel, motion.rotation_deg, t) for t in (-last, 0.0, last)]
    low_x, low_y = (math.floor(min(float(place[axis].min()) for place in at)) - MARGIN_PX for axis in (0, 1))
    high_x, high_y = (math.ceil(max(float(place[axis].max()) for place in at)) + MARGIN_PX + 1 for axis in (0, 1))
    return max(low_y, 0), min(high_y, camera.height), max(low_x, 0), min(high_x, camera.width)
