"""Where things go: the camera's travel against each layer, points at any time, and the flow from opening to closing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import ZERO, Motion, Pinhole, Vector
from blurdepth.exposure.arrays import NEAREST
from blurdepth.images import object_numbers

F32 = NDArray[np.float32]


def against(motion: Motion, number: int) -> Vector:
    """How the camera travels against layer `number` (0 is the static world), metres over the exposure."""
    own = motion.objects.get(number, ZERO) if number else ZERO
    x, y, z = (camera - mine for camera, mine in zip(motion.translation_m, own, strict=True))
    return x, y, z


def project(camera: Pinhole, points: tuple[F32, ...], travel: Vector, turn_deg: Vector, t: float) -> tuple[F32, F32]:
    """Where points of the middle of the exposure are at time `t`.

    Args:
        camera: of the size of the frame.
        points: x and y in pixels, and inverse depth in 1/m, of shapes that broadcast.
        travel: of the camera against the points, metres over the exposure.
        turn_deg: the camera's rotation vector over the exposure, degrees.
        t: in exposures, 0 in the middle.

    Returns:
        x and y in pixels, of shapes that broadcast. What would pass through the camera stops a little before it.

    Source: X' = R(t)^T (X - T t).
    """
    x, y, inverse_depth = points
    (cx, cy), focal = camera.centre_px, camera.focal_px
    right, down, forward = (np.float32(component * t) for component in travel)
    u, v, w = (
        (x - np.float32(cx)) / np.float32(focal),
        (y - np.float32(cy)) / np.float32(focal),
        np.ones((), np.float32),
    )
    if any(travel):
        u, v = u - right * inverse_depth, v - down * inverse_depth
        w = np.maximum(w - forward * inverse_depth, np.float32(NEAREST))
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
    x, y = np.arange(camera.width, dtype=np.float32)[None], np.arange(camera.height, dtype=np.float32)[:, None]

    def flow_of(travel: Vector, *points: F32) -> F32:
        start, end = (project(camera, points, travel, motion.rotation_deg, t) for t in (-0.5, 0.5))
        return np.stack(np.broadcast_arrays(end[0] - start[0], end[1] - start[1]), axis=-1)

    turns = any(motion.rotation_deg)
    moves = turns or any(motion.translation_m)
    flow = flow_of(motion.translation_m, x, y, inverse_depth) if moves else np.zeros((*ids.shape, 2), np.float32)
    for number in object_numbers(ids):
        rows, columns = np.nonzero(ids == number)
        travel, here = against(motion, number), (x[0, columns], y[rows, 0], inverse_depth[rows, columns])
        flow[rows, columns] = flow_of(travel, *here) if turns or any(travel) else 0
    return flow
