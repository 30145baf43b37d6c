"""From a street to light, inverse depth and object ids, at one moment or over an exposure; and to a photograph."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import SHUTTERS, Pinhole
from blurdepth.errors import InputError
from blurdepth.images import Linear, Rgb, linear_to_srgb
from blurdepth.streets.scene import Street

F64 = NDArray[np.float64]
_BAND_ROWS = 16


@dataclass(frozen=True)
class Rendering:
    """What the camera sees at one moment, or over an exposure.

    Attributes:
        linear: (H, W, 3) float32 linear light, 0 to about 1, before the camera's curve and noise; the mean.
        inverse_depth: (H, W) float32, 1/m, 0 for the sky; the mean.
        depth_m: (H, W) float32 metres, the mean; what is farther than `depth.CAP_M`, and the sky, counts as that.
        variance: (H, W) float32 of the inverse depth, 1/m^2.
        near, far: (H, W) float32 inverse depth of the nearest and the farthest of what is seen, 1/m.
        moving_share: (H, W) float32, share of the light that comes from objects that move, 0 to 1.
        object_ids: (H, W) uint8 of the nearest, 0 for the static world.
    """

    linear: Linear
    inverse_depth: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    variance: NDArray[np.float32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    moving_share: NDArray[np.float32]
    object_ids: NDArray[np.uint8]


def render(street: Street, width: int, height: int, time: float = 0.0, samples: int = 1) -> Rendering:
    """Cast the rays of one frame.

    Args:
        street: from `make_street`.
        width: of the frame, pixels.
        height: of the frame, pixels.
        time: -0.5 to 0.5, in exposures; moves the camera and the objects by the street's motion.
        samples: rays a side of each pixel; light and inverse depth are their means, the id is the nearest's.

    Returns:
        See `Rendering`; inverse depth is of the depth z, not of the ray's length.

    Raises:
        InputError: the frame has no pixels, or `samples` is below 1.
    """
    if samples < 1:
        raise InputError(f"A pixel of {samples} samples can't be rendered: give 1 or more.")
    places = (np.arange(samples) + 0.5) / samples - 0.5
    down, across = (grid.ravel() for grid in np.meshgrid(places, places, indexing="ij"))
    return _cast(street, width, height, np.full(samples**2, time), np.ones(samples**2), across, down)


def render_exposure(street: Street, width: int, height: int, times: int = 16) -> Rendering:
    """Cast the rays of one frame at `times` moments in the middle of equal parts of the exposure.

    Each ray goes through the middle of its pixel, so that what nothing moves is seen as in `render`.

    Args:
        street: from `make_street`.
        width: of the frame, pixels.
        height: of the frame, pixels.
        times: how many moments.

    Raises:
        InputError: the frame has no pixels, or `times` is below 1.
    """
    if times < 1:
        raise InputError(f"An exposure of {times} moments can't be rendered: give 1 or more.")
    moments = (np.arange(times) + 0.5) / times - 0.5
    middle = np.zeros(times)
    return _cast(street, width, height, moments, SHUTTERS[street.motion.shutter](moments), middle, middle)


def _cast(street: Street, width: int, height: int, times: F64, weights: F64, across: F64, down: F64) -> Rendering:
    """Fill a frame, on all cores."""
    from blurdepth.streets import kernel
    from blurdepth.streets.ground import plan_of
    from blurdepth.streets.shading import air_of
    from blurdepth.streets.solids import seen_lists, shadow_lists, solids_of, sun_of

    if min(width, height) < 1:
        raise InputError(f"A frame of {width} x {height} can't be rendered: give 1 or more pixels a side.")
    pinhole, solids, sun = Pinhole(width, height, street.motion.fov_x_deg), solids_of(street), sun_of(street)
    ends = sorted({float(times.min()), 0.0, float(times.max())} if times.min() < times.max() else {float(times[0])})
    cameras = [(time, *_camera(street, time)) for time in ends]
    scene = kernel.Scene(
        solids,
        (solids.move != 0).any(axis=1),
        plan_of(street.road),
        air_of(street.light),
        sun,
        seen_lists(solids, pinhole, cameras),
        shadow_lists(solids, sun, ends),
    )
    position, rotation = (np.stack(parts) for parts in zip(*(_camera(street, time) for time in times), strict=True))
    weights = np.asarray(weights / weights.sum(), np.float64)
    looks = kernel.Looks(times, weights, across, down, position, rotation, pinhole.focal_px, *pinhole.centre_px)
    linear, maps = np.empty((height, width, 3), np.float32), np.empty((6, height, width), np.float32)
    inverse, depth_m, variance, near, far, moving = maps
    ids = np.empty((height, width), np.uint8)
    sums = kernel.Sums(linear, inverse, depth_m, variance, near, far, moving, ids)

    def fill(first: int) -> None:
        kernel.fill_rows(scene, looks, sums, first, min(first + _BAND_ROWS, height))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, height, _BAND_ROWS)))
    return Rendering(*sums)


def _camera(street: Street, time: float) -> tuple[F64, F64]:
    """Position (3,) and rotation (3, 3) to world axes at `time`."""
    turn = street.pose.rotation()
    start = np.array([0.0, -street.pose.height_m, 0.0])
    position = start + turn @ np.array(street.motion.translation_m) * time
    return position, turn @ rotation_matrix(np.array(street.motion.rotation_deg) * time)


def rotation_matrix(vector_deg: F64) -> F64:
    """(3, 3) turn by a rotation vector in degrees.

    Source: Rodrigues' formula.
    """
    angle = math.radians(float(np.linalg.norm(vector_deg)))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = np.radians(vector_deg) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: F64 = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return turn


def photograph(street: Street, linear: Linear, seed: int = 0) -> Rgb:
    """What a camera makes of the light: a curve, slightly darker corners, noise of shot and sensor.

    Args:
        street: whose light and camera it is.
        linear: (H, W, 3) float32 linear light from `render` or `render_exposure`.
        seed: of the noise, on top of the street's own.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    height, width = linear.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = linear * (1 - 0.12 * (x * x + y * y) / 2)[..., None].astype(np.float32)
    rng = np.random.default_rng((street.seed, seed))
    spread = street.light.noise * np.sqrt(np.clip(light, 0.002, 1))
    light = light + spread * rng.standard_normal(light.shape, dtype=np.float32)
    # A filmic shoulder keeps bright walls from clipping at once; the power below is the camera's contrast.
    light = np.clip(light, 0, None)
    shoulder = light * (1 + light / 4.0) / (1 + light * 0.45)
    middle = np.float32(0.18)
    return linear_to_srgb(middle * (shoulder / middle) ** np.float32(street.light.contrast))
