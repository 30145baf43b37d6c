"""What light comes from a point of the street, or from the sky, compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

from blurdepth.compiling import clamp, compiled, inlined, mix
from blurdepth.streets.noise import fractal2
from blurdepth.streets.scene import Light
from blurdepth.streets.solids import Solids
from blurdepth.streets.surfaces import Skin

Point = tuple[float, float, float]
Rgb3 = tuple[float, float, float]
LAMP_RGB = (1.0, 0.72, 0.42)
_CAR_SHADE_M = 0.5


class Air(NamedTuple):
    """Sun, sky and haze for the kernel; see `Light`."""

    sun: Point
    sun_rgb: Rgb3
    zenith: Rgb3
    horizon: Rgb3
    clouds: float
    haze: float
    lamps: float
    gain: float
    seed: float


def air_of(light: Light) -> Air:
    """A light for the kernel."""
    vectors = (light.sun, light.sun_rgb, light.zenith_rgb, light.horizon_rgb)
    sun, sun_rgb, zenith, horizon = ((float(a), float(b), float(c)) for a, b, c in vectors)
    numbers = (light.clouds, light.haze_per_m, light.lamps, light.gain, light.seed)
    return Air(sun, sun_rgb, zenith, horizon, *map(float, numbers))


@inlined
def _dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
def sky(air: Air, d: Point) -> Rgb3:
    """Light that comes from far away along the unit direction `d`."""
    rise = clamp(-d[1], 0.0, 1.0)
    blend = clamp(rise * 2.2, 0.0, 1.0) ** 0.6
    share, shade = 0.0, 1.0
    if rise > 0:
        flat = 1 / (rise + 0.12)
        cloud = fractal2(d[0] * flat * 1.3 + air.seed, d[2] * flat * 1.3, 5)
        share = 0.85 * clamp((cloud - 1 + air.clouds) * 4, 0.0, 1.0) * clamp(rise * 8, 0.0, 1.0)
        shade = 1.05 * (0.75 + 0.5 * (cloud - 0.5))
    towards = clamp(_dot(air.sun, d), 0.0, 1.0)
    glow = 0.35 * (0.35 * towards**6 + 1.2 * towards**80)
    red = mix(mix(air.horizon[0], air.zenith[0], blend), air.horizon[0] * shade, share) + glow * air.sun_rgb[0]
    green = mix(mix(air.horizon[1], air.zenith[1], blend), air.horizon[1] * shade, share) + glow * air.sun_rgb[1]
    blue = mix(mix(air.horizon[2], air.zenith[2], blend), air.horizon[2] * shade, share) + glow * air.sun_rgb[2]
    return red, green, blue


@inlined
def beneath_cars(solids: Solids, time: float, x: float, z: float) -> float:
    """Share of the sky's light that reaches the ground around and under cars."""
    left = 1.0
    for entry in range(len(solids.cars)):
        i = solids.cars[entry]
        dx = x - solids.place[i, 0] - solids.move[i, 0] * time
        dz = z - solids.place[i, 2] - solids.move[i, 2] * time
        reach = solids.high[i, 2] + 1.0
        if abs(dx) > reach or abs(dz) > reach:
            continue
        cos, sin = solids.turn[i, 0], solids.turn[i, 1]
        out = max(abs(cos * dx - sin * dz) - solids.high[i, 0], abs(sin * dx + cos * dz) - solids.high[i, 2])
        left *= 1 - 0.85 * math.exp(-((max(out + 0.25, 0.0) / _CAR_SHADE_M) ** 2))
    return left


@inlined
def _channel(
    air: Air, c: int, albedo: float, skin: Skin, sunlit: float, open_sky: float, up: float, seen: float
) -> float:
    """Light of one colour: sun, sky and the ground's bounce on the albedo, mirrored sky, and what glows itself."""
    ambient = 0.5 * air.zenith[c] + 0.3 * air.horizon[c]
    received = air.sun_rgb[c] * (sunlit + 0.12 * (1 - up)) + ambient * (0.3 + 0.7 * up) * open_sky
    mirrored = skin[3] * seen * air.horizon[c]
    return albedo * received * (1 - skin[3]) + mirrored + skin[4] * LAMP_RGB[c] * air.lamps


@compiled
def lit(air: Air, skin: Skin, n: Point, d: Point, sunlit: float, open_sky: float) -> Rgb3:
    """Light from a point.

    Args:
        air: of the street.
        skin: what the point looks like.
        n: its unit normal, in the world's axes.
        d: unit direction from the camera to it.
        sunlit: share of the sun's light that it gets.
        open_sky: share of the sky's light that it gets.
    """
    up = 0.5 - 0.5 * n[1]
    mirrored = d[1] - 2 * _dot(n, d) * n[1]
    above = clamp(0.5 - 4 * mirrored, 0.0, 1.0)
    seen = 0.18 * (1 - above) + (0.75 - 0.35 * clamp(-mirrored, 0.0, 1.0)) * above
    return (
        _channel(air, 0, skin[0], skin, sunlit, open_sky, up, seen),
        _channel(air, 1, skin[1], skin, sunlit, open_sky, up, seen),
        _channel(air, 2, skin[2], skin, sunlit, open_sky, up, seen),
    )
