"""Rain and snow on their way down, smeared by their own motion over the exposure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion, Pinhole
from blurdepth.weather.strengths import Weather
from blurdepth.weather.view import F32, luminance

SHELLS_M = (24.0, 12.0, 6.0, 3.0, 1.5)
"""Distances at which things fall, the farthest first."""
SHADES = 6
MAX_LENGTH_SHARE = 0.5
"""Streaks longer than this share of the frame's height are cut, or one drop would cross the whole frame."""


@dataclass(frozen=True)
class Falling:
    """A kind of thing that falls: speed and its spread, m/s; width, m; how many per shell; how much it hides.

    Something of width w that moves by L hides a pixel for w / (w + L) of the exposure; `fades` is that share's
    exponent, below 1 as a camera sees the brightest drops only, which are larger than the mean.
    """

    speed_mps: float
    drift_mps: float
    flutter_mps: float
    width_m: float
    number: float
    hides: float
    fades: float
    brightness: float


RAIN = Falling(7.0, 0.8, 0.15, 0.003, 60.0, 1.0, 0.25, 1.0)
SNOW = Falling(1.2, 0.6, 0.4, 0.014, 70.0, 1.0, 0.7, 1.2)


def apply_falling(
    linear: F32,
    inverse_depth: F32,
    weather: Weather,
    exposure_s: float,
    motion: Motion,
    rng: np.random.Generator,
) -> F32:
    """Rain streaks and snow flakes in front of a blurred frame.

    What falls at distance z leaves a streak of speed x exposure x f / z pixels, to which the camera's own motion
    adds; far ones are many and faint, near ones few and out of focus.

    Args:
        linear: (H, W, 3) linear light after the exposure.
        inverse_depth: (H, W) mean inverse depth, 1/m, which hides what falls behind it.
        weather: the strengths.
        exposure_s: for how long the shutter is open, seconds.
        motion: of the camera over the exposure, and its field of view.
        rng: where chance comes from.
    """
    if not (weather.rain or weather.snow):
        return linear
    light = np.float32(0.95 * np.percentile(luminance(linear)[::4, ::4], 90) + 0.03)
    wind = float(rng.normal())
    for what, strength in ((RAIN, weather.rain), (SNOW, weather.snow)):
        for distance_m in SHELLS_M if strength else ():
            share = _shell(linear.shape[:2], what, strength, distance_m, exposure_s, motion, wind, rng)
            in_front = np.clip(2 - inverse_depth * np.float32(2 * distance_m), 0, 1)
            share = share * in_front * np.float32(what.hides)
            linear = linear + np.maximum(light * np.float32(what.brightness) - linear, 0) * share[..., None]
    return np.asarray(linear, np.float32)


def _shell(
    shape: tuple[int, int],
    what: Falling,
    strength: float,
    distance_m: float,
    exposure_s: float,
    motion: Motion,
    wind: float,
    rng: np.random.Generator,
) -> F32:
    """How much of each pixel is hidden by what falls at one distance, (H, W) in [0, 1]."""
    height, width = shape
    focal = Pinhole(width, height, motion.fov_x_deg).focal_px
    number = int(rng.poisson(what.number * strength * distance_m**1.2))
    starts = rng.uniform((-0.2, -0.3), (1.2, 1.1), (number, 2)) * (width, height)
    velocity = np.array([what.drift_mps * wind, what.speed_mps, 0.0]) + rng.normal(0, what.flutter_mps, (number, 3))
    ends = _after(starts, velocity * exposure_s, distance_m, focal, shape, motion)
    path = ends - starts
    length = np.maximum(np.hypot(*path.T), 1e-6)[:, None]
    ends = starts + path * np.minimum(1, MAX_LENGTH_SHARE * height / length)
    wide = what.width_m * focal / distance_m
    shown = (wide / (wide + float(np.median(length)))) ** what.fades * min(1.0, wide) if number else 0.0
    canvas = np.zeros(shape, np.uint8)
    groups = rng.integers(SHADES, size=number)
    lines = np.round(np.stack([starts, ends], axis=1) * 16).astype(np.int32)
    for group in range(SHADES):
        shade = 0.3 + 0.7 * (group + 1) / SHADES
        cv2.polylines(
            canvas, list(lines[groups == group]), False, round(255 * shade), max(1, round(wide)), cv2.LINE_AA, 4
        )
    defocus = 0.3 + 0.0022 * focal / distance_m
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) * np.float32(shown / 255), (0, 0), defocus))


def _after(
    starts: NDArray[np.float64],
    fall_m: NDArray[np.float64],
    distance_m: float,
    focal_px: float,
    shape: tuple[int, int],
    motion: Motion,
) -> NDArray[np.float64]:
    """Where in the frame the things end up that are at `starts` when the shutter opens."""
    height, width = shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = fall_m - np.array(motion.translation_m)
    z = np.maximum(distance_m + moved[:, 2:], 0.25 * distance_m)
    pitch, yaw, _ = np.radians(motion.rotation_deg)
    turn = focal_px * np.array([-yaw, pitch])
    return np.asarray(((starts - middle) * distance_m + moved[:, :2] * focal_px) / z + middle + turn)
