"""What a camera with an open shutter sees: the image, and the inverse depth that belongs to it.

The frame is cut into layers: the static world, what its depth edges and moving objects hide (filled in from
the far side), and each moving object. For each sub-frame every layer is fetched by a backward warp, the
nearest one wins, and light and inverse depth are summed by the same weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import ZERO, Motion, Pinhole, Vector
from blurdepth.depth import BLURRED, INVALID, MIXED, STATIC
from blurdepth.errors import InputError
from blurdepth.layers import F32, NEAREST, Mask, Mover, Warp, cut_mover, cut_world, fetch, make_grid, make_warp

MIXED_SPREAD = 0.05
MIN_SUBFRAMES, MAX_SUBFRAMES, STEP_PX = 8, 96, 2.0
MIN_IN_VIEW = 0.9
IN_FRONT = 0.95
HIGHLIGHT, HIGHLIGHT_GAIN = np.float32(0.956), np.float32(4.0)
DARK = np.float32(0.35)


@dataclass(frozen=True)
class Exposure:
    """An exposure's image and what was in front of each pixel while the shutter was open; all (H, W).

    Attributes:
        linear: (H, W, 3) float32 linear light, blurred; highlights may be above 1.
        mean_inverse_depth: mean over the exposure, 1/m; 0 is infinitely far.
        nearest_inverse_depth: the largest inverse depth over the exposure, 1/m.
        farthest_inverse_depth: the smallest, 1/m.
        moving_fraction: share of the exposure during which a moving object was in front, [0, 1].
        spread: standard deviation of the inverse depth over the exposure, over its mean; 0 where that is 0.
        flow_px: length of the motion, over the exposure, of what the sharp frame shows at the pixel.
        valid: what was seen came from inside the frame for at least 90 % of the exposure, and never from a surface
            that passes through the camera, whose inverse depth has no mean.
        subframes: how many moments were summed.
    """

    linear: F32
    mean_inverse_depth: F32
    nearest_inverse_depth: F32
    farthest_inverse_depth: F32
    moving_fraction: F32
    spread: F32
    flow_px: F32
    valid: Mask
    subframes: int


def expose(
    linear: F32,
    inverse_depth: F32,
    motion: Motion,
    object_ids: NDArray[np.uint8] | None = None,
    subframes: int | None = None,
) -> Exposure:
    """Open the shutter on a sharp frame whose inverse depth and motion are known.

    Args:
        linear: (H, W, 3) float32 linear light in [0, 1], the frame at mid exposure.
        inverse_depth: (H, W) float32 1/m at mid exposure, 0 = infinitely far.
        motion: over the whole exposure. An object whose id is nowhere in `object_ids` is out of view.
        object_ids: (H, W) uint8, 0 = static world; ids that `motion` doesn't move are static too.
        subframes: how many moments to sum; by default one for every 2 px of the longest motion, 8 to 96.

    Raises:
        InputError: the inputs don't fit together, the inverse depth is negative, not finite or all 0, objects
            move but there is no mask, or so much moves out of view or through the camera that nothing is left.
    """
    ids = _check(linear, inverse_depth, motion, object_ids)
    height, width = inverse_depth.shape
    camera = Pinhole(width, height, motion.fov_x_deg)
    flow = motion_flow(camera, inverse_depth, motion, ids)
    count = subframes or choose_subframes(flow, ids)
    scene = _Scene(linear, inverse_depth, motion, ids, camera)
    total = _Sum((height, width))
    for k in range(count):
        scene.add(total, (k + 0.5) / count - 0.5)
    exposure = _finish(total, flow, count)
    if not exposure.valid.any():
        raise InputError("The motion is so long or comes so near that nothing stays in view: make it shorter.")
    return exposure


def _finish(total: _Sum, flow: F32, count: int) -> Exposure:
    mean = total.look / np.float32(count)
    depth = np.ascontiguousarray(mean[..., 3])
    variance = np.maximum(total.squares / np.float32(count) - depth * depth, 0)
    spread = np.sqrt(variance) / np.maximum(depth, np.float32(1e-6))
    return Exposure(
        linear=np.ascontiguousarray(mean[..., :3]),
        mean_inverse_depth=depth,
        nearest_inverse_depth=total.nearest,
        farthest_inverse_depth=total.farthest,
        moving_fraction=total.moving / np.float32(count),
        spread=spread,
        flow_px=flow,
        valid=(total.inside >= MIN_IN_VIEW * count) & ~total.passed,
        subframes=count,
    )


def choose_subframes(flow_px: F32, layer_ids: NDArray[np.uint8]) -> int:
    """Sub-frames that keep steps at about 2 px in the layer that moves most.

    >>> choose_subframes(np.full((4, 4), 40, np.float32), np.zeros((4, 4), np.uint8))
    20
    """
    longest = max(float(np.percentile(flow_px[layer_ids == n], 99)) for n in np.unique(layer_ids))
    return int(np.clip(math.ceil(longest / STEP_PX), MIN_SUBFRAMES, MAX_SUBFRAMES))


def regions(exposure: Exposure) -> NDArray[np.uint8]:
    """(H, W): which pixels are STATIC, BLURRED (moved by 1 px or more), MIXED (spread over 5 %), INVALID."""
    kinds = np.where(exposure.flow_px >= 1, BLURRED, STATIC).astype(np.uint8)
    kinds[exposure.moving_fraction > 0] = BLURRED
    kinds[exposure.spread > MIXED_SPREAD] = MIXED
    kinds[~exposure.valid] = INVALID
    return kinds


def _check(linear: F32, inverse_depth: F32, motion: Motion, object_ids: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The ids of what moves by itself, or the InputError of `expose`."""
    shape = inverse_depth.shape
    if linear.shape != (*shape, 3):
        raise InputError(f"The frame is {linear.shape[:2]} but its depth is {shape}: make them the same size.")
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
    moving = [number for number, travel in motion.objects.items() if any(travel)]
    return np.where(np.isin(object_ids, moving), object_ids, 0).astype(np.uint8)


def _against(motion: Motion, number: int) -> Vector:
    """How the camera travels against layer `number`, metres."""
    own = motion.objects.get(number, ZERO) if number else ZERO
    x, y, z = (camera - mine for camera, mine in zip(motion.translation_m, own, strict=True))
    return x, y, z


def motion_flow(camera: Pinhole, inverse_depth: F32, motion: Motion, ids: NDArray[np.uint8]) -> F32:
    """Length of the motion, over the exposure, of what each pixel shows at its middle: (H, W) pixels.

    Args:
        camera: of the size of the frame.
        inverse_depth: (H, W) 1/m.
        motion: over the whole exposure.
        ids: (H, W) uint8 moving objects, 0 = static world.
    """
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (camera.width, camera.height)))
    flow = np.zeros(inverse_depth.shape, np.float32)
    for number in np.unique(ids):
        here = ids == number
        points, travel = (x[here], y[here]), _against(motion, number)
        start, end = (
            make_warp(camera, points, travel, motion.rotation_deg, t).source(inverse_depth[here]) for t in (-0.5, 0.5)
        )
        flow[here] = np.hypot(end[0] - start[0], end[1] - start[1])
    return flow


class _Sum:
    """The running sums of one exposure over a rectangle."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.look = np.zeros((*shape, 4), np.float32)
        self.squares, self.nearest, self.moving, self.inside = (np.zeros(shape, np.float32) for _ in range(4))
        self.farthest = np.full(shape, np.inf, np.float32)
        self.passed = np.zeros(shape, bool)

    def add(self, look: F32, covered: F32, inside: Mask, passed: Mask) -> None:
        """Add one moment: (H, W, 4) light and inverse depth, share of movers, what is inside, what passes."""
        depth = np.ascontiguousarray(look[..., 3])
        cv2.accumulate(look, self.look)
        cv2.accumulateSquare(depth, self.squares)
        cv2.accumulate(covered, self.moving)
        self.inside += inside
        self.passed |= passed
        cv2.max(self.nearest, depth, self.nearest)
        cv2.min(self.farthest, depth, self.farthest)


class _Scene:
    """The layers of a frame, ready to be seen at any moment of the exposure."""

    def __init__(
        self, linear: F32, inverse_depth: F32, motion: Motion, ids: NDArray[np.uint8], camera: Pinhole
    ) -> None:
        self.camera, self.motion = camera, motion
        self.still = not any(motion.translation_m) and not any(motion.rotation_deg)
        bright = boost_highlights(linear)
        numbers = [int(n) for n in np.unique(ids) if n]
        movers = [cut_mover(bright, inverse_depth, ids == n, _against(motion, n)) for n in numbers]
        self.movers = sorted(movers, key=lambda mover: mover.inverse_depth)
        self.passing = [self._passes(mover.travel, mover.depth).any() for mover in self.movers]
        self.boxes = [self._swept(mover) for mover in self.movers]
        grid = make_grid(slice(0, camera.height), slice(0, camera.width))
        at_end = make_warp(camera, grid, motion.translation_m, ZERO, 0.5)
        shift_px = np.hypot(at_end.shift_x, at_end.shift_y)
        self.world = cut_world(linear if self.still else bright, inverse_depth, ids > 0, shift_px)
        self.world_passes = self._passes(motion.translation_m, self.world.depth)
        self.grid = grid

    def _passes(self, travel: Vector, inverse_depth: F32) -> Mask:
        """Which surfaces come so near while the shutter is open that they pass through the camera."""
        closest = np.float32(abs(travel[2]) / 2) * inverse_depth
        return np.asarray(1 - closest < NEAREST)

    def _swept(self, mover: Mover) -> tuple[slice, slice]:
        """Rows and columns of the frame that the mover may reach while the shutter is open."""
        (left, top), (height, width) = mover.corner, mover.body.shape[:2]
        x, y = make_grid(slice(top, top + height), slice(left, left + width))
        margin = 0.0
        for t in (-0.5, 0.5):
            warp = make_warp(self.camera, (x, y), mover.travel, self.motion.rotation_deg, t)
            at_x, at_y = warp.source(mover.depth)
            # The way back to mid exposure is as much shorter than the way there as the mover was farther away.
            growth = 1 / float(np.clip(warp.left(mover.depth).min(), NEAREST, 1))
            margin = max(margin, growth * float(np.abs(at_x - x).max()), growth * float(np.abs(at_y - y).max()))
        reach = int(min(margin * 1.3 + 2, self.camera.width))
        return (
            slice(max(top - reach, 0), min(top + height + reach, self.camera.height)),
            slice(max(left - reach, 0), min(left + width + reach, self.camera.width)),
        )

    def add(self, total: _Sum, t: float) -> None:
        """Add what is seen at time `t` (-0.5 to 0.5) to `total`."""
        look, inside, passed = self._world(t)
        covered = np.zeros(inside.shape, np.float32)
        for mover, box, passing in zip(self.movers, self.boxes, self.passing, strict=True):
            warp = make_warp(self.camera, make_grid(*box), mover.travel, self.motion.rotation_deg, t)
            body, coverage, body_inside = self._mover(mover, warp)
            below = np.ascontiguousarray(look[box])
            share = coverage * (body[..., 3] >= below[..., 3] * IN_FRONT)
            look[box] = cv2.blendLinear(body, below, share, 1 - share)
            covered[box] += (1 - covered[box]) * share
            np.copyto(inside[box], body_inside, where=share > 0.5)
            if passing:
                passed[box] |= share > 0
        total.add(look, covered, inside, passed)

    def _world(self, t: float) -> tuple[F32, Mask, Mask]:
        """The world's light and inverse depth, what comes from inside the frame, and what passes the camera."""
        if self.still:
            return self.world.front.copy(), np.ones_like(self.world_passes), np.zeros_like(self.world_passes)
        warp = make_warp(self.camera, self.grid, self.motion.translation_m, self.motion.rotation_deg, t)
        look, x, y = self.world.seen(warp, t)
        passed = self.world_passes | (warp.left(look[..., 3]) < NEAREST)
        look[..., 3] = warp.seen(look[..., 3])
        return look, self._inside(x, y), passed

    def _mover(self, mover: Mover, warp: Warp) -> tuple[F32, F32, Mask]:
        """A mover's light and inverse depth, its coverage, and whether that comes from inside the frame."""
        left, top = mover.corner
        x, y = warp.source(np.full((1, 1), mover.inverse_depth, np.float32))
        x, y = (np.ascontiguousarray(part) for part in np.broadcast_arrays(x, y))
        for _ in range(2):
            x, y = warp.source(fetch(mover.depth, x - left, y - top))
        body, coverage = fetch(mover.body, x - left, y - top), fetch(mover.coverage, x - left, y - top)
        coverage *= warp.left(body[..., 3]) > 0
        body[..., 3] = warp.seen(body[..., 3])
        return body, coverage, self._inside(x, y)

    def _inside(self, x: F32, y: F32) -> Mask:
        return (x > -1) & (y > -1) & (x < self.camera.width) & (y < self.camera.height)


def boost_highlights(linear: F32) -> F32:
    """Give small highlights back some of the light that clipping took, or they smear grey.

    What is at 250 of 255 or above and in the dark (lamps and glints; not a sunlit wall or the sky) shone up
    to four times brighter.
    """
    peak = linear.max(axis=2)
    share = np.clip((peak - HIGHLIGHT) / (1 - HIGHLIGHT), 0, 1)
    if not share.any():
        return linear
    side = max(3, linear.shape[1] // 16) | 1
    dark = np.clip(1 - cv2.blur(peak, (side, side)) / DARK, 0, 1)
    gain = 1 + (HIGHLIGHT_GAIN - 1) * share * dark
    return np.asarray(linear * gain[..., None], np.float32)
