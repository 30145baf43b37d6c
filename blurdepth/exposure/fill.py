"""What is hidden: the world behind moving objects, and what lies behind the edges of standing things."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ids = NDArray[np.uint8]

SAME_SURFACE = 0.1
IN_FRONT = 1.03
SIDE_PX = 7


def fill_rows(linear: F32, depth: F32, ids: Ids, hole: Mask) -> tuple[F32, F32, Ids]:
    """Fill `hole` row by row: surfaces go on behind what hides them.

    Where both ends of a gap are one surface (the ground), it is a straight line between them. Else each end goes on
    to the middle, except that what stands in front of the hole's own object ends where it is seen to end. A row that is
    hidden from end to end is as the nearest that is not; where all are, nothing is known of what is behind, and all
    stays.

    Args:
        linear: (H, W, 3) linear light.
        depth: (H, W) inverse depth, 1/m; in the hole, of the object that hides.
        ids: (H, W) moving objects.
        hole: (H, W) where to fill.

    Returns:
        Light, inverse depth and ids, filled.

    >>> light, hole = np.zeros((1, 4, 3), np.float32), np.array([[False, True, True, False]])
    >>> fill_rows(light, np.array([[1, 9, 9, 4]], np.float32), hole.astype(np.uint8), hole)[1].tolist()
    [[1.0, 1.0, 4.0, 4.0]]
    """
    height, width = depth.shape
    hidden = hole.all(axis=1)
    if hidden.all():
        return linear, depth, ids
    columns = np.broadcast_to(np.arange(width), (height, width))
    left = np.maximum.accumulate(np.where(hole, -1, columns), axis=1)[hole]
    right = np.minimum.accumulate(np.where(hole, width, columns)[:, ::-1], axis=1)[:, ::-1][hole]
    rows, column = np.nonzero(hole)
    ends, usable = [], []
    for at in (left, right):
        inside = (at >= 0) & (at < width)
        ends.append(np.where(inside, depth[rows, np.clip(at, 0, width - 1)], 0))
        usable.append(np.where(inside, np.where(ends[-1] <= depth[hole] * IN_FRONT, 2, 1), 0))
    share = ((column - left) / (right - left)).astype(np.float32)
    left, right = np.maximum(left, 0), np.minimum(right, width - 1)
    same = (np.minimum(*usable) > 0) & (np.maximum(*ends) <= np.minimum(*ends) * (1 + SAME_SURFACE) + 1e-6)
    to_right = np.where(usable[0] == usable[1], share >= 0.5, usable[1] > usable[0])
    share = np.where(same, share, to_right).astype(np.float32)
    light = _side_light(linear, hole)
    linear, depth, ids = linear.copy(), depth.copy(), ids.copy()
    linear[hole] = light[rows, left] * (1 - share[:, None]) + light[rows, right] * share[:, None]
    depth[hole] = ends[0] * (1 - share) + ends[1] * share
    ids[hole] = ids[rows, np.where(to_right, right, left)]
    seen = np.flatnonzero(~hidden)
    nearest = seen[np.abs(np.flatnonzero(hidden)[:, None] - seen).argmin(axis=1)]
    linear[hidden], depth[hidden], ids[hidden] = linear[nearest], depth[nearest], ids[nearest]
    return linear, depth, ids


def _side_light(linear: F32, hole: Mask) -> F32:
    """The light around each pixel, from outside of the hole only."""
    known = (~hole).astype(np.float32)
    size = (SIDE_PX, 3)
    weight = cv2.blur(known, size, borderType=cv2.BORDER_ISOLATED)
    mean = cv2.blur(linear * known[..., None], size, borderType=cv2.BORDER_ISOLATED)
    return np.asarray(mean / np.maximum(weight, 1e-6)[..., None], np.float32)


def fill_colour(linear: F32, hole: Mask) -> F32:
    """Fill `hole` with what is around it: (H, W, 3) linear light."""
    if not hole.any():
        return linear
    small = 0.5
    stored = np.sqrt(np.clip(linear, 0, 1)) * 255
    size = (max(1, round(linear.shape[1] * small)), max(1, round(linear.shape[0] * small)))
    thumb = cv2.resize(stored, size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
    mask = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    painted = cv2.inpaint(thumb, mask, 3, cv2.INPAINT_TELEA)
    back = cv2.resize(painted.astype(np.float32) / 255, linear.shape[1::-1], interpolation=cv2.INTER_LINEAR) ** 2
    return np.where(hole[..., None], back, linear).astype(np.float32)
