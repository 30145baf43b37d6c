"""A frame cut into layers that can move apart: the static world, what it hides, and each moving object."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.exposure.arrays import WorldPart
from blurdepth.exposure.cutouts import MARGIN_PX, Cutout, surrounding
from blurdepth.exposure.edges import find_splits
from blurdepth.exposure.fill import SIDE_PX, fill_colour, fill_rows
from blurdepth.images import object_numbers

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ids = NDArray[np.uint8]

EDGE_PX = 0.1
MAX_BAND_PX = 64


def take_out_movers(linear: F32, inverse_depth: F32, ids: Ids) -> tuple[list[Cutout], F32, F32]:
    """Take the moving objects out of a frame, the nearest first, so that each is filled in behind those before it.

    Args:
        linear: (H, W, 3) linear light.
        inverse_depth: (H, W) 1/m.
        ids: (H, W) moving objects, 0 = static world.

    Returns:
        The movers from far to near; light and inverse depth of the world without them.
    """
    middles = {number: float(np.median(inverse_depth[ids == number])) for number in object_numbers(ids)}
    movers = []
    if middles:
        linear, inverse_depth, ids = linear.copy(), inverse_depth.copy(), ids.copy()
    for number in sorted(middles, key=lambda n: -middles[n]):
        mask = ids == number
        if not mask.any():
            continue  # All that was seen of it lay on the outline of a nearer one.
        movers.append(_cut_mover(linear, inverse_depth, mask, number))
        box = surrounding(mask, SIDE_PX + 1)
        linear[box], inverse_depth[box], ids[box] = _without(linear[box], inverse_depth[box], ids[box], mask[box])
    return movers[::-1], linear, inverse_depth


def _without(linear: F32, depth: F32, ids: Ids, mask: Mask) -> tuple[F32, F32, Ids]:
    """The frame without one object. The hole is a pixel wider than it, as its outline mixes with what is around."""
    kernel = np.ones((3, 3), np.uint8)
    hole = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    own = cv2.dilate(np.where(mask, depth, 0).astype(np.float32), kernel)
    return fill_rows(linear, np.where(hole, own, depth).astype(np.float32), ids, hole)


def cut_world(linear: F32, depth: F32, shift_px: F32 | None) -> WorldPart:
    """The static world of a frame, ready to be seen from elsewhere.

    Args:
        linear: (H, W, 3) linear light.
        depth: (H, W) inverse depth, 1/m.
        shift_px: (H, W) pixel metres: how far a point of inverse depth 1 shifts against one at infinity until the
            shutter closes; None if the camera doesn't travel. (Where it only turns, nothing is uncovered.)
    """
    if shift_px is not None:
        near, far, reach = _find_edges(depth, shift_px)
        if reach.any():
            nearest, farthest, zone = _spread_edges(depth, near, far, reach)
            hidden = zone & ((depth - farthest) * shift_px > EDGE_PX)
            behind = np.dstack([fill_colour(linear, hidden), np.where(hidden, farthest, depth)])
            nearest, farthest = np.where(zone, nearest, depth), np.where(zone, farthest, depth)
            return WorldPart(np.dstack([linear, depth, nearest, farthest, find_splits(linear, reach > 0)]), behind)
    front = np.empty((*depth.shape, 8), np.float32)
    front[..., :3], front[..., 3:6], front[..., 6:] = linear, depth[..., None], 0
    return WorldPart(front, front)


def _find_edges(depth: F32, shift_px: F32) -> tuple[F32, F32, F32]:
    """Nearest and farthest inverse depth of each pixel's neighbourhood, and how far they part, in pixels.

    An edge is where the depth jumps off the straight line of its neighbours; a slope, such as the ground, is none.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    near, far = cv2.dilate(depth, cross), cv2.erode(depth, cross)
    bend = cv2.max(*(cv2.absdiff(depth, cv2.blur(depth, size)) for size in ((3, 1), (1, 3)))) * 3
    return near, far, np.where(bend * shift_px > EDGE_PX, (near - far) * shift_px, 0).astype(np.float32)


def _spread_edges(depth: F32, near: F32, far: F32, reach: F32) -> tuple[F32, F32, Mask]:
    """What edges may bring to the pixels around: nearest and farthest inverse depth, and which pixels."""
    nearest, farthest = depth.copy(), depth.copy()
    zone = np.zeros(depth.shape, bool)
    for low, high in ((0, 3), (3, 10), (10, 30), (30, np.inf)):
        edge = (reach > low) & (reach <= high)
        if not edge.any():
            continue
        radius = int(min(np.ceil(reach[edge].max()), MAX_BAND_PX)) + 1
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        np.maximum(nearest, cv2.dilate(np.where(edge, near, 0).astype(np.float32), kernel), out=nearest)
        np.minimum(farthest, cv2.erode(np.where(edge, far, np.inf).astype(np.float32), kernel), out=farthest)
        zone |= cv2.dilate(edge.astype(np.uint8), kernel) > 0
    return nearest, farthest, zone


def _cut_mover(linear: F32, inverse_depth: F32, mask: Mask, number: int) -> Cutout:
    """The moving object at `mask`, (H, W) with at least one pixel; around it, its nearest pixels go on."""
    rows, columns = surrounding(mask, MARGIN_PX)
    inside = mask[rows, columns]
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = np.flatnonzero(inside)
    source = np.zeros(labels.max() + 1, np.intp)
    source[labels.ravel()[flat]] = flat
    body = np.dstack([linear[rows, columns], inverse_depth[rows, columns]]).reshape(-1, 4)[source[labels]]
    return Cutout(
        number,
        (columns.start, rows.start),
        np.dstack([body, inside.astype(np.float32)]),
        np.ascontiguousarray(body[..., 3]),
        float(np.median(inverse_depth[mask])),
    )
