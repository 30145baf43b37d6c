"""Weather, light and sensor, in linear light, with the depth of the scene.

A variant is made in this order: `apply_scene` on the sharp frame (air, wet and white ground, light), the
exposure, `apply_falling` (rain and snow are smeared by their own speed, not by the scene's), `apply_sensor`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError
from blurdepth.ground import Ground, fit_ground

F32 = NDArray[np.float32]
Colour = tuple[float, float, float]

EXTINCTION_PER_M = {"fog": 0.09, "smog": 0.06, "haze": 0.022, "rain": 0.012, "snow": 0.03}
"""Extinction at strength 1; it grows with strength^1.5. Fog of 0.09 hides what is beyond about 35 m."""
AIR_COLOUR: dict[str, Colour] = {
    "fog": (0.95, 0.97, 1.0),
    "smog": (1.0, 0.84, 0.60),
    "haze": (0.93, 0.96, 1.0),
    "rain": (0.88, 0.93, 1.0),
    "snow": (0.96, 0.98, 1.0),
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
RAIN_MPS, SNOW_MPS, DROP_M, FLAKE_M = 7.0, 1.2, 0.004, 0.010


@dataclass(frozen=True)
class Weather:
    """Strengths of weather, light and sensor, each in [0, 1]; 0 is absent.

    Raises:
        InputError: a strength is outside [0, 1].
    """

    fog: float = 0.0
    smog: float = 0.0
    haze: float = 0.0
    rain: float = 0.0
    snow: float = 0.0
    wet: float = 0.0
    dusk: float = 0.0
    night: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name, strength in asdict(self).items():
            if not 0 <= strength <= 1:
                raise InputError(f"The strength of {name} is {strength}: use a number from 0 to 1.")


KINDS = tuple(field.name for field in fields(Weather))


def fog(linear: F32, inverse_depth: F32, extinction_per_m: float, airlight: F32) -> F32:
    """Light through air that scatters: c = t c + (1 - t) A with t = exp(-extinction * depth).

    Args:
        linear: (H, W, 3) linear light.
        inverse_depth: (H, W) 1/m; at 0 nothing but airlight is left.
        extinction_per_m: 0 or more.
        airlight: (3,) linear light of the air itself.

    Source: Koschmieder's law.
    """
    if extinction_per_m <= 0:
        return linear
    passed = np.exp(np.float32(-extinction_per_m) / np.maximum(inverse_depth, np.float32(1e-6)))[..., None]
    return np.asarray(airlight + (linear - airlight) * passed, np.float32)


def apply_scene(linear: F32, inverse_depth: F32, weather: Weather, rng: np.random.Generator) -> F32:
    """The sharp scene in its weather and light: (H, W, 3) linear light of the same shape.

    Args:
        linear: (H, W, 3) linear light of the frame.
        inverse_depth: (H, W) 1/m, 0 = sky.
        weather: the strengths.
        rng: where chance comes from; the same state gives the same bytes.
    """
    ground = fit_ground(inverse_depth)
    overcast = max(weather.rain, weather.snow, 0.7 * weather.fog)
    light = _overcast(linear, overcast)
    if ground is not None:
        light = _snow_cover(light, inverse_depth, ground, weather.snow, rng)
        light = _wet(light, inverse_depth, ground, max(weather.wet, 0.8 * weather.rain))
    extinction, airlight = _air(linear, weather)
    light = fog(light, inverse_depth, extinction, airlight)
    light = _dusk(light, weather.dusk)
    return _night(light, inverse_depth, _lamps(linear, inverse_depth, ground), weather.night, rng)


def apply_falling(
    linear: F32,
    inverse_depth: F32,
    weather: Weather,
    exposure_s: float,
    focal_px: float,
    rng: np.random.Generator,
) -> F32:
    """Rain streaks and snow flakes in front of a blurred frame, smeared by their own fall.

    Args:
        linear: (H, W, 3) linear light after the exposure.
        inverse_depth: (H, W) mean inverse depth, 1/m, which hides what falls behind it.
        weather: the strengths.
        exposure_s: for how long the shutter is open, seconds.
        focal_px: focal length, pixels.
        rng: where chance comes from.
    """
    glow = np.float32(0.9 * np.percentile(linear @ LUMINANCE, 90) + 0.02)
    tilt = rng.normal(0, 0.15)
    light = linear
    for distance_m in (25.0, 12.0, 6.0, 3.0):
        seen = (inverse_depth < 1 / distance_m).astype(np.float32)
        if weather.rain:
            count = weather.rain * 30 * distance_m
            length = min(RAIN_MPS * exposure_s * focal_px / distance_m, 0.35 * len(linear))
            drops = _streaks(seen.shape, count, length, DROP_M * focal_px / distance_m, tilt, rng)
            light = _veil(light, drops * seen * np.float32(0.5), glow)
        if weather.snow:
            count = weather.snow * 45 * distance_m
            length = SNOW_MPS * exposure_s * focal_px / distance_m
            flakes = _streaks(seen.shape, count, length, FLAKE_M * focal_px / distance_m, tilt * 3, rng)
            light = _veil(light, flakes * seen * np.float32(0.85), np.float32(1.15) * glow)
    return light


def apply_sensor(linear: F32, weather: Weather, rng: np.random.Generator) -> F32:
    """What the sensor and the camera make of the light: Poisson-Gaussian noise, then a soft shoulder.

    Night needs a high gain, and so has more noise. Without noise and night only highlights above 0.8 change.

    Source: Foi et al. 2008, Practical Poissonian-Gaussian noise modelling: variance = a x + b.
    """
    noise = max(weather.noise, 0.7 * weather.night, 0.25 * weather.dusk)
    if noise:
        variance = 0.003 * noise * np.maximum(linear, 0) + (0.004 * noise) ** 2
        grain = rng.standard_normal((*linear.shape[:2], 4), np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.9)
        grain = np.float32(0.8) * grain[..., 3:] + np.float32(0.6) * grain[..., :3]
        linear = linear + grain * np.sqrt(variance)
    return _shoulder(linear)


def _shoulder(linear: F32, start: float = 0.8) -> F32:
    """Identity up to `start`, then bending so that light without end reaches 1."""
    over = np.maximum(linear - start, 0) / (1 - start)
    bent = start + (1 - start) * (1 - np.exp(-over))
    white = start + (1 - start) * (1 - np.exp(-1.0))
    lifted = start + (bent - start) * (1 - start) / (white - start)
    return np.where(linear > start, lifted, np.maximum(linear, 0)).astype(np.float32)


def _air(linear: F32, weather: Weather) -> tuple[float, F32]:
    """Extinction of all that is in the air together, 1/m, and its light."""
    parts = {name: most * getattr(weather, name) ** 1.5 for name, most in EXTINCTION_PER_M.items()}
    total = sum(parts.values())
    if not total:
        return 0.0, np.zeros(3, np.float32)
    colour = sum(np.array(AIR_COLOUR[name]) * part for name, part in parts.items()) / total
    level = np.clip(0.85 * np.percentile(linear @ LUMINANCE, 97), 0.2, 0.7)
    return total, np.asarray(colour * level, np.float32)


def _overcast(linear: F32, strength: float) -> F32:
    """Under cloud: less colour, less contrast, no sun."""
    if not strength:
        return linear
    grey = (linear @ LUMINANCE)[..., None]
    flat = grey + (linear - grey) * np.float32(1 - 0.35 * strength)
    middle = np.float32(np.median(grey))
    return np.asarray(flat * (1 - 0.25 * strength * flat / (flat + 2 * middle + 1e-3)), np.float32)


def _wet(linear: F32, inverse_depth: F32, ground: Ground, strength: float) -> F32:
    """Dark ground that mirrors what is above the horizon, the more the flatter it is seen."""
    if not strength:
        return linear
    height, width = inverse_depth.shape
    share = ground.share(inverse_depth) * np.float32(strength)
    rows = np.clip(2 * ground.horizon - np.arange(height), 0, height - 1).astype(np.float32)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    mirrored = cv2.remap(
        linear, columns, np.repeat(rows[:, None], width, 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    mirrored = cv2.GaussianBlur(mirrored, (0, 0), sigmaX=height / 45, sigmaY=height / 18)
    steep = np.clip((np.arange(height) - ground.horizon) / height, 0.02, 1)[:, None]
    mirror = 0.10 + 0.45 * np.exp(-steep / 0.15)
    puddles = 0.75 + 0.25 * np.sin(np.cumsum(np.ones(height)) / height * 9)[:, None]
    weight = (share * mirror * puddles).astype(np.float32)[..., None]
    darkened = linear * (1 - np.float32(0.45) * share[..., None])
    return np.asarray(darkened + (mirrored - darkened) * weight, np.float32)


def _snow_cover(linear: F32, inverse_depth: F32, ground: Ground, strength: float, rng: np.random.Generator) -> F32:
    """Snow in patches on the ground, denser the stronger it snows."""
    if not strength:
        return linear
    patches = _clouds(inverse_depth.shape, rng)
    share = ground.share(inverse_depth) * np.clip(strength * 1.5 - patches, 0, 1) * np.float32(0.75)
    white = np.clip(1.3 * np.percentile(linear @ LUMINANCE, 80), 0.25, 0.75)
    snow = np.array([0.95, 0.98, 1.0], np.float32) * np.float32(white)
    return np.asarray(linear + (snow - linear) * share[..., None], np.float32)


def _clouds(shape: tuple[int, int], rng: np.random.Generator) -> F32:
    """Smooth noise in [0, 1] with detail on four scales, wider than high as the ground is seen."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(4):
        cells = 3 * 2**octave
        coarse = rng.random((cells * 2, cells), np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _lamps(linear: F32, inverse_depth: F32, ground: Ground | None) -> F32:
    """(H, W) in [0, 1]: lamps, which are small, bright, alone and above the ground; not sky between leaves."""
    peak = linear.max(axis=2)
    bright = np.clip((peak - 0.7) / 0.25, 0, 1)
    side = max(3, linear.shape[1] // 12) | 1
    alone = np.clip(1.5 - cv2.blur(bright, (side, side)) / 0.02, 0, 1)
    dark = np.clip(1.5 - 3 * cv2.blur(peak, (side, side)), 0, 1)
    above = 1 - ground.share(inverse_depth) if ground is not None else np.float32(1)
    return np.asarray(bright * alone * dark * above, np.float32)


def _dusk(linear: F32, strength: float) -> F32:
    """Less light, warm below and violet above."""
    if not strength:
        return linear
    down = np.linspace(0, 1, len(linear), dtype=np.float32)[:, None, None]
    tint = (1 - down) * np.array([0.95, 0.72, 0.85], np.float32) + down * np.array([1.1, 0.8, 0.62], np.float32)
    keep = 1 - np.float32(strength) * (1 - np.float32(0.42) * tint)
    return np.asarray(linear * keep, np.float32)


def _night(linear: F32, inverse_depth: F32, lamps: F32, strength: float, rng: np.random.Generator) -> F32:
    """Little light under a sky without light, the camera's own headlights, and lamps that stay bright."""
    if not strength:
        return linear
    height, width = inverse_depth.shape
    sodium = np.array([1.15, 0.88, 0.58], np.float32)
    moon = np.array([0.72, 0.88, 1.2], np.float32)
    tint = moon + (sodium - moon) * np.float32(rng.uniform(0, 0.8))
    near = np.clip(inverse_depth * 9, 0, 1)
    beam = np.exp(-(((np.arange(width) / width - rng.uniform(0.45, 0.55)) / 0.32) ** 2))[None]
    low = np.clip(np.arange(height) / height * 3 - 1, 0, 1)[:, None]
    ambient = np.float32(0.10) * np.clip(0.25 + inverse_depth * 40, 0.25, 1)
    light = ambient[..., None] * tint + (0.3 * near * beam * low)[..., None] * np.array([1.0, 0.95, 0.82])
    dark = linear * light
    spots = np.clip(lamps, 0, 1)[..., None]
    glow = cv2.GaussianBlur(lamps, (0, 0), width / 80)[..., None] * np.array([1.0, 0.85, 0.6])
    lit = dark * (1 - spots) + linear * spots * np.float32(1.5) + glow * np.float32(0.25)
    return np.asarray(linear + (lit - linear) * np.float32(strength), np.float32)


def _streaks(
    shape: tuple[int, int],
    count: float,
    length_px: float,
    width_px: float,
    tilt: float,
    rng: np.random.Generator,
) -> F32:
    """`count` soft streaks of about that length and width, (H, W) in [0, 1].

    A streak narrower than a pixel is drawn one pixel wide and fainter by as much.
    """
    height, width = shape
    number = int(rng.poisson(count))
    starts = rng.uniform((-0.1 * width, -length_px), (1.1 * width, height), (number, 2))
    lengths = length_px * rng.uniform(0.7, 1.3, number)
    angles = tilt + rng.normal(0, 0.03, number)
    shades = rng.uniform(0.35, 1.0, number) * min(1.0, width_px)
    thickness = max(1, round(width_px))
    canvas = np.zeros((height, width), np.uint8)
    for (x, y), length, angle, shade in zip(starts, lengths, angles, shades, strict=True):
        ends = ((x, y), (x + length * np.sin(angle), y + length * np.cos(angle)))
        first, second = (tuple(round(value * 16) for value in end) for end in ends)
        cv2.line(canvas, first, second, int(255 * shade), thickness, cv2.LINE_AA, 4)
    soft: F32 = cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.4 + 0.12 * thickness)
    return soft


def _veil(linear: F32, share: F32, light: np.float32) -> F32:
    return np.asarray(linear + (light - linear) * share[..., None], np.float32)
