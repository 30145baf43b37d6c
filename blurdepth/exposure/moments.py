"""When to look: how far things move, how many sub-frames that takes in each tile, and their weights."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import SHUTTERS, ZERO, Motion, Pinhole, Vector
from blurdepth.exposure.arrays import NEAREST, TILE_PX, Moments

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_SUBFRAMES, MAX_SUBFRAMES = 8, 96
WORLD_STEP_PX, MOVER_STEP_PX = 2.0, 1.5
EDGE_MOMENTS = 16
STILL_PX = 0.02


def against(motion: Motion, number: int) -> Vector:
    """How the camera travels against layer `number` (0 is the static world), metres over the exposure."""
    own = motion.objects.get(number, ZERO) if number else ZERO
    x, y, z = (camera - mine for camera, mine in zip(motion.translation_m, own, strict=True))
    return x, y, z


def project(camera: Pinhole, points: tuple[F32, ...], travel: Vector, turn_deg: Vector, t: float) -> tuple[F32, F32]:
    """Where points of the middle of the exposure are at time `t`.

    Args:
        camera: of the size of the frame.
        points: x and y in pixels, and inverse depth in 1/m, of one shape.
        travel: of the camera against the points, metres over the exposure.
        turn_deg: the camera's rotation vector over the exposure, degrees.
        t: in exposures, 0 in the middle.

    Returns:
        x and y in pixels. What would pass through the camera stops a little before it.

    Source: X' = R(t)^T (X - T t).
    """
    x, y, inverse_depth = points
    (cx, cy), focal = camera.centre_px, camera.focal_px
    right, down, forward = (np.float32(component * t) for component in travel)
    u = (x - np.float32(cx)) / np.float32(focal) - right * inverse_depth
    v = (y - np.float32(cy)) / np.float32(focal) - down * inverse_depth
    w = np.maximum(1 - forward * inverse_depth, np.float32(NEAREST))
    if any(turn_deg):
        turn = cv2.Rodrigues(np.radians(np.array(turn_deg, np.float64)) * t)[0].astype(np.float32)
        u, v, w = (turn[0, i] * u + turn[1, i] * v + turn[2, i] * w for i in range(3))
        w = np.maximum(w, np.float32(NEAREST))
    return np.float32(focal) * u / w + np.float32(cx), np.float32(focal) * v / w + np.float32(cy)


def motion_flow(camera: Pinhole, inverse_depth: F32, motion: Motion, ids: NDArray[np.uint8]) -> F32:
    """Motion, from the shutter's opening to its closing, of what each pixel shows in the middle: (H, W, 2) x, y in px.

    Args:
        camera: of the size of the frame.
        inverse_depth: (H, W) 1/m.
        motion: over the whole exposure.
        ids: (H, W) uint8 moving objects, 0 = static world.
    """
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (camera.width, camera.height)))

    def flow_of(travel: Vector, *points: F32) -> F32:
        start, end = (project(camera, points, travel, motion.rotation_deg, t) for t in (-0.5, 0.5))
        return np.stack([end[0] - start[0], end[1] - start[1]], axis=-1)

    turns = any(motion.rotation_deg)
    moves = turns or any(motion.translation_m)
    flow = flow_of(motion.translation_m, x, y, inverse_depth) if moves else np.zeros((*x.shape, 2), np.float32)
    for number in np.unique(ids[ids > 0]):
        here, travel = ids == number, against(motion, number)
        flow[here] = flow_of(travel, x[here], y[here], inverse_depth[here]) if turns or any(travel) else 0
    return flow


def tile_moments(world_px: F32, movers_px: F32, edges: Mask, motion: Motion, subframes: int | None) -> Moments:
    """The moments of each tile: one for each `WORLD_STEP_PX` and each `MOVER_STEP_PX` of motion.

    Args:
        world_px: (H, W) the longest motion of the world that may be seen at the pixel, pixels.
        movers_px: (H, W) the longest motion of objects and shadows there, 0 where there are none.
        edges: (H, W) where edges of the world may pass: their depth takes more moments than smooth light.
        motion: whose shutter and readout count.
        subframes: the same number everywhere, or None to choose.
    """
    longest = _tile_max(world_px)
    if subframes:
        looks, repeats = np.full((2, *longest.shape), subframes)
        repeats[:] = 1
    else:
        least = np.where(_tile_max(edges.astype(np.float32)) > 0, EDGE_MOMENTS, MIN_SUBFRAMES)
        looks = np.clip(np.ceil(longest / WORLD_STEP_PX), least, MAX_SUBFRAMES).astype(np.int64)
        looks[longest <= STILL_PX] = 1
        wanted = np.minimum(_tile_max(movers_px) / MOVER_STEP_PX, MAX_SUBFRAMES)
        wanted = np.where(wanted > 0, np.maximum(wanted, MIN_SUBFRAMES), 1)
        repeats = np.ceil(wanted / looks).astype(np.int64)
    counts = looks * repeats
    time, weight = np.zeros((2, int(counts.max()) + 1, int(counts.max())))
    for n in np.union1d(counts, looks):
        moments = (np.arange(n) + 0.5) / n - 0.5
        shares = SHUTTERS[motion.shutter](moments)
        time[n, :n], weight[n, :n] = moments, shares / shares.sum()
    return Moments(counts, repeats, time, weight, np.radians(np.array(motion.rotation_deg)), motion.readout)


def _tile_max(values: F32) -> F32:
    """The largest value of each tile."""
    height, width = values.shape
    rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
    padded = np.zeros((rows * TILE_PX, columns * TILE_PX), np.float32)
    padded[:height, :width] = values
    return padded.reshape(rows, TILE_PX, columns, TILE_PX).max(axis=(1, 3))
