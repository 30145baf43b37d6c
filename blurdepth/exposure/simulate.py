"""From a sharp frame with inverse depth and motion to its exposure: layers, moments, sum."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion, Pinhole
from blurdepth.errors import InputError
from blurdepth.exposure.arrays import (
    NEAREST,
    Cutouts,
    Ground,
    Lens,
    Shot,
    WorldPart,
)
from blurdepth.exposure.cutouts import Cutout, pool
from blurdepth.exposure.highlights import boost_highlights
from blurdepth.exposure.layers import cut_world, take_out_movers
from blurdepth.exposure.moments import tile_moments
from blurdepth.exposure.motion import against, motion_flow
from blurdepth.exposure.result import MIN_IN_VIEW, Exposure
from blurdepth.exposure.shadows import find_shadows
from blurdepth.images import object_numbers

F32 = NDArray[np.float32]
Ids = NDArray[np.uint8]

MAX_THREADS = 8
MAX_REACH_PX = 96
"""How far from a surface it is looked out for that it may pass: farther off it would be seen in few moments only."""


def expose(
    linear: F32,
    inverse_depth: F32,
    motion: Motion,
    object_ids: Ids | None = None,
    subframes: int | None = None,
    threads: int | None = None,
) -> Exposure:
    """Open the shutter on a sharp frame whose inverse depth and motion are known.

    Args:
        linear: (H, W, 3) float32 linear light, the frame at mid exposure; at 1 it may have been clipped, not above.
        inverse_depth: (H, W) float32 1/m at mid exposure, 0 = infinitely far.
        motion: over the whole exposure.
        object_ids: (H, W) uint8, 0 = static world; ids that `motion` doesn't move are static too.
        subframes: how many moments to sum everywhere; by default each tile gets what its own motion takes.
        threads: how many share the work, by default one a core up to 8; the result doesn't depend on it.

    Raises:
        InputError: the inputs don't fit together, the inverse depth is negative, not finite or all 0, objects
            move but there is no mask, it isn't uint8 or doesn't hold them, there are no subframes, or so much moves
            out of view or through the camera that nothing is left.
    """
    from blurdepth.exposure.kernel import sum_exposure

    ids = _check(linear, inverse_depth, motion, object_ids)
    if subframes is not None and subframes < 1:
        raise InputError(f"subframes = {subframes}: sum 1 or more moments, or leave it out.")
    # Another type would compile the kernel anew.
    linear, inverse_depth = (np.asarray(each, np.float32) for each in (linear, inverse_depth))
    camera = Pinhole(inverse_depth.shape[1], inverse_depth.shape[0], motion.fov_x_deg)
    still = not any(motion.translation_m) and not any(motion.rotation_deg)
    bright = boost_highlights(linear)
    shadows, lit, ground = find_shadows(bright, inverse_depth, ids, motion)
    movers, light, depth = take_out_movers(lit, inverse_depth, ids)
    if still:
        # What nothing smears keeps the light that it was seen with.
        light = np.where(light == bright, linear, light)
    world = cut_world(light, depth, _shift(camera, motion) if any(motion.translation_m) else None)
    bodies = pool(movers, 5, partial(against, motion), camera, motion)
    shades = pool(shadows, 1, motion.objects.__getitem__, camera, motion)
    flow = motion_flow(camera, inverse_depth, motion, ids)
    longest = _longest(flow, ids, motion.latest, [(movers, bodies), (shadows, shades)])
    edges = world.front[..., 4] > world.front[..., 5]
    moments = tile_moments(*longest, edges, motion, subframes)
    x, y, z = map(float, motion.translation_m)
    lens = Lens(camera.focal_px, *camera.centre_px, x, y, z, not still)
    plane = Ground(ground.slope, ground.horizon) if ground else Ground(0.0, 0.0)
    shot = Shot(lens, moments, world, bodies, shades, plane)
    sums = sum_exposure(shot, threads or min(os.cpu_count() or 1, MAX_THREADS))
    exposure = _finish(sums, world, motion, flow, int(moments.counts.max()))
    if not exposure.valid.any():
        raise InputError("The motion is so long or comes so near that nothing stays in view: make it shorter.")
    return exposure


def warm_up() -> None:
    """Load the kernel, or compile it where it is used for the first time: call it before the first frame waits.

    Compiling takes some 10 s; the result is kept in the user's cache folder.
    """
    ids = np.zeros((8, 8), np.uint8)
    ids[2:6, 2:6] = 1
    frame = np.full((8, 8, 3), 0.5, np.float32)
    expose(frame, np.full((8, 8), 0.1, np.float32), Motion(80.0, objects={1: (0.1, 0.0, 0.0)}), ids)


def _finish(sums: F32, world: WorldPart, motion: Motion, flow: F32, count: int) -> Exposure:
    red, green, blue, mean, square, depth_m, nearest, farthest, moving, inside, passed = sums
    passes = 1 - abs(motion.translation_m[2]) / 2 * world.front[..., 3] < NEAREST
    return Exposure(
        linear=np.dstack([red, green, blue]),
        mean_inverse_depth=mean,
        mean_depth_m=depth_m,
        nearest_inverse_depth=nearest,
        farthest_inverse_depth=farthest,
        variance=np.maximum(square - mean * mean, 0),
        moving_fraction=moving,
        flow=flow,
        valid=(inside >= MIN_IN_VIEW) & (passed == 0) & ~passes,
        subframes=count,
    )


def _check(linear: F32, inverse_depth: F32, motion: Motion, object_ids: Ids | None) -> Ids:
    """The ids of what moves by itself, or the InputError of `expose`."""
    shape = inverse_depth.shape
    if linear.shape != (*shape, 3):
        raise InputError(
            f"The frame is {linear.shape} but its depth is {shape}: make them the same size, and the frame RGB."
        )
    if not np.isfinite(linear).all():
        raise InputError("The frame has values that are not finite: replace them.")
    if not np.isfinite(inverse_depth).all() or inverse_depth.min() < 0:
        raise InputError("The depth has values that are negative or not numbers: use metres above 0, inf for sky.")
    if not inverse_depth.any():
        raise InputError("The depth is infinite everywhere: give a depth with something in it.")
    if object_ids is None:
        if motion.objects:
            raise InputError(f"Objects {sorted(motion.objects)} move but no mask says where they are: add one.")
        return np.zeros(shape, np.uint8)
    if object_ids.shape != shape:
        raise InputError(f"The mask is {object_ids.shape} but the frame is {shape}: make them the same size.")
    if object_ids.dtype != np.uint8:
        raise InputError(f"The mask holds {object_ids.dtype}: give the object ids as uint8, 0 for the static world.")
    missing = sorted(set(motion.objects) - set(object_numbers(object_ids)))
    if missing:
        raise InputError(f"The motion moves object {missing[0]}, which the mask doesn't hold: take it out, or mark it.")
    moving = np.zeros(256, np.uint8)
    for number, travel in motion.objects.items():
        moving[number] = number if any(travel) else 0
    return moving[object_ids]


def _shift(camera: Pinhole, motion: Motion) -> F32:
    """(H, W) how far a point of inverse depth 1 shifts until the shutter of the last row closes, pixel metres."""
    right, down, forward = (abs(part) * motion.latest for part in motion.translation_m)
    cx, cy = camera.centre_px
    x = np.abs(np.arange(camera.width, dtype=np.float32)[None] - np.float32(cx))
    y = np.abs(np.arange(camera.height, dtype=np.float32)[:, None] - np.float32(cy))
    focal = camera.focal_px
    return np.hypot(
        np.float32(focal * right) + np.float32(forward) * x, np.float32(focal * down) + np.float32(forward) * y
    )


def _longest(flow: F32, ids: Ids, latest: float, layers: Sequence[tuple[Sequence[Cutout], Cutouts]]) -> tuple[F32, F32]:
    """(H, W) the longest motion of the world, and of cut-outs, that may be seen at each pixel, pixels."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    world = np.where(ids == 0, length, 0).astype(np.float32)
    reach = math.ceil(min(float(world.max()) * latest, MAX_REACH_PX))
    world = cv2.dilate(world, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    movers = np.zeros_like(world)
    for parts, pooled in layers:
        for part, (top, bottom, left, right) in zip(parts, pooled.swept, strict=True):
            box = movers[top:bottom, left:right]
            np.maximum(box, np.percentile(length[ids == part.number], 99), out=box)
    return world, movers
