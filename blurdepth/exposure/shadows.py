"""The shadows that moving objects cast on the ground: found, taken off the world, and moved along with them.

A shadow is a share of light that is left, which lies on the ground and travels over it with its object. It is found
as what adjoins the object and is darker than the ground of the same row (and so of the same distance) farther aside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion
from blurdepth.exposure.cutouts import Cutout, surrounding
from blurdepth.ground import Ground, fit_ground
from blurdepth.images import object_numbers

F32 = NDArray[np.float32]
Ids = NDArray[np.uint8]
Mask = NDArray[np.bool_]

DARK, LIT = 0.5, 0.7
"""Shares of the ground's light below which it lies in shadow, and above which it doesn't."""
DARKEST = 0.08
REACH = 1.6
"""How far a shadow may reach beyond its object, in heights of the object."""
TOUCH_PX = 4
GROUND_ROOM = 0.12
MIN_SHARE = 0.03
AROUND = (15, 5)
MIN_PART_PX = 40
MAX_RESTORED = 1.1
MIN_SEEN_PX, USUAL, SMOOTH_ROWS, MIN_ROWS = 8, 0.7, 7, 8


def find_shadows(linear: F32, inverse_depth: F32, ids: Ids, motion: Motion) -> tuple[list[Cutout], F32, Ground | None]:
    """Find what shadow each moving object casts on the ground.

    Args:
        linear: (H, W, 3) linear light.
        inverse_depth: (H, W) 1/m.
        ids: (H, W) moving objects, 0 = static world.
        motion: what moves over the world.

    Returns:
        The shadows, the light without them, and the ground that they lie on (None: there is none, and no shadow).
    """
    numbers = [number for number in object_numbers(ids) if any(motion.objects[number])]
    ground = fit_ground(inverse_depth) if numbers else None
    if ground is None:
        return [], linear, None
    ground = _refine(ground, inverse_depth)
    level = ground.inverse_depth(len(inverse_depth))
    on_ground = (np.abs(inverse_depth - level) < GROUND_ROOM * level) & (ids == 0)
    shadows = []
    for number in numbers:
        found = _find(linear, inverse_depth, on_ground, level, ids == number, number)
        if found is not None:
            shadow, linear = found
            shadows.append(shadow)
    return shadows, linear, ground


def _refine(ground: Ground, inverse_depth: F32) -> Ground:
    """The ground once more through the pixels that fit it, ever closer: shadows need it finer than weather does."""
    height = len(inverse_depth)
    for room in (0.25, 0.15, 0.08):
        level = ground.inverse_depth(height)
        fits = (np.abs(inverse_depth - level) < room * level) & (level > 0)
        count = fits.sum(axis=1)
        rows = np.flatnonzero(count > MIN_SHARE * inverse_depth.shape[1])
        if len(rows) < MIN_ROWS:
            return ground
        means = np.where(fits, inverse_depth, 0).sum(axis=1)[rows] / count[rows]
        slope, offset = np.polyfit(rows, means, 1, w=count[rows])
        if slope <= 0:
            return ground
        ground = Ground(float(slope), float(-offset / slope))
    return ground


def _find(
    linear: F32, inverse_depth: F32, on_ground: Mask, level: F32, own: Mask, number: int
) -> tuple[Cutout, F32] | None:
    """The shadow of the object `own`, and the light without it."""
    box = _zone(inverse_depth, level, own)
    if box is None:
        return None
    own = own[box]
    # Shadows are lit by the blue sky only: they are darkest in red.
    red = np.ascontiguousarray(linear[box][..., 0])
    light = cv2.blur(red, (3, 3))
    known = cv2.erode(on_ground[box].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    usual = _usual_light(light, known, own)
    share = np.where(known & (usual > 0), light / np.maximum(usual, 1e-6), 1).astype(np.float32)
    near = cv2.dilate(own.astype(np.uint8), np.ones((2 * TOUCH_PX + 1,) * 2, np.uint8)) > 0
    dark = _touching(share < LIT, near & (share < DARK))
    if dark.sum() < MIN_SHARE * own.sum():
        return None
    left = _smooth(share, _matte(red, dark, known), known, own)
    brighter = np.minimum(1 / left, np.maximum(MAX_RESTORED * usual / np.maximum(red, 1e-6), 1))
    linear = linear.copy()
    linear[box] *= np.where(on_ground[box], brighter, 1)[..., None]
    rows, columns = surrounding(left < 1, 0)
    corner = box[1].start + columns.start, box[0].start + rows.start
    height, width = left[rows, columns].shape
    depth = np.repeat(level[corner[1] : corner[1] + height], width, axis=1)
    return Cutout(number, corner, left[rows, columns, None], depth, float(np.median(depth))), linear


def _zone(inverse_depth: F32, level: F32, own: Mask) -> tuple[slice, slice] | None:
    """Rows and columns where the shadow of an object may lie; None where it doesn't stand on the ground."""
    height, width = own.shape
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    reach = int(REACH * (rows[-1] - rows[0] + 1))
    lowest = float(level[rows[-1], 0])
    if lowest <= 0 or abs(lowest - float(np.median(inverse_depth[own]))) > 0.5 * lowest:
        return None
    # Beyond the object the ground is seen in few rows; towards the camera the shadow may come down the frame.
    return (
        slice(int(np.searchsorted(level.ravel(), 0.6 * lowest)), min(int(rows[-1]) + reach, height)),
        slice(max(int(columns[0]) - reach, 0), min(int(columns[-1]) + 1 + reach, width)),
    )


def _usual_light(light: F32, known: Mask, own: Mask) -> F32:
    """The light of the ground in each row: on either side of the object the brighter parts, a line in between."""
    columns = np.flatnonzero(own.any(axis=0))
    # At the frame's border there must be a column on either side still.
    middle = int(np.clip(columns.mean(), 1, light.shape[1] - 1))
    seen = np.where(known, light, np.inf)
    ends = []
    for part in (seen[:, :middle], seen[:, middle:]):
        count = np.isfinite(part).sum(axis=1)
        enough = count >= MIN_SEEN_PX
        place = (USUAL * count).astype(np.int64)[:, None]
        bright = np.take_along_axis(np.sort(part, axis=1), place, axis=1)[:, 0]
        end = np.where(enough, bright, 0).astype(np.float32)
        weight = cv2.blur(enough.astype(np.float32)[:, None], (1, SMOOTH_ROWS))
        ends.append(cv2.blur(end[:, None], (1, SMOOTH_ROWS)) / np.maximum(weight, 1e-6))
    ends = [np.where(end > 0, end, other) for end, other in zip(ends, ends[::-1], strict=True)]
    share = (np.arange(light.shape[1], dtype=np.float32)[None] - columns[0]) / max(int(columns[-1] - columns[0]), 1)
    share = np.clip(share, 0, 1)
    return np.asarray(ends[0] * (1 - share) + ends[1] * share, np.float32)


def _touching(dark: Mask, seeds: Mask) -> Mask:
    """The connected parts of `dark` that meet `seeds`, without specks."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8))
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= MIN_PART_PX) + 1
    return np.isin(labels, np.intersect1d(labels[seeds & dark], large))


def _matte(light: F32, dark: Mask, known: Mask) -> F32:
    """How much of each pixel the shadow covers, [0, 1]: at its outline by how far its light is from dark to lit."""
    around = np.ones((3, 3), np.uint8)
    inner = cv2.erode((dark | ~known).astype(np.uint8), around) & dark
    outer = cv2.dilate(dark.astype(np.uint8), around)
    in_shade, lit = (_local_mean(light, part) for part in (inner > 0, known & (outer == 0)))
    soft = np.clip((lit - light) / np.maximum(lit - in_shade, 1e-6), 0, 1)
    return np.asarray(np.where((outer > inner) & (in_shade > 0) & (lit > 0), soft, dark), np.float32)


def _local_mean(values: F32, where: Mask) -> F32:
    """Mean of the values around each pixel that count; 0 where there are none."""
    weight = where.astype(np.float32)
    return np.asarray(cv2.blur(values * weight, AROUND) / np.maximum(cv2.blur(weight, AROUND), 1e-6), np.float32)


def _smooth(share: F32, matte: F32, known: Mask, own: Mask) -> F32:
    """The light left by a shadow: without the ground's own texture, and going on behind the object."""
    core = cv2.erode(matte, np.ones((3, 3), np.uint8)) == 1
    mean = _local_mean(share, core)
    mean = np.where(mean > 0, mean, share)
    left = 1 - matte * (1 - np.clip(mean, DARKEST, 1))
    hidden = ~known & (cv2.dilate(own.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    for row in np.flatnonzero(hidden.any(axis=1)):
        holes, ends = np.flatnonzero(hidden[row]), np.flatnonzero(known[row])
        if ends.size:
            left[row, holes] = np.interp(holes, ends, left[row, ends])
    return np.asarray(left, np.float32)
