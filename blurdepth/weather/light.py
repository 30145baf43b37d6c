"""The light of the day: overcast, dusk and night with its lamps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import channel_range
from blurdepth.weather.view import F32, View, follow_edges, luminance, power, soften

SODIUM, LED = np.array([1.0, 0.60, 0.26], np.float32), np.array([1.0, 0.86, 0.68], np.float32)
HEADLIGHT = np.array([1.0, 0.95, 0.85], np.float32)
SKYGLOW = np.array([0.75, 0.85, 1.15], np.float32)
AMBIENT, LAMP_HEIGHT, LAMP_SPACING, LAMPS = 0.016, 4.5, 18.0, 9
"""Light of the sky by night, and street lamps: height and spacing in heights of the camera, number on each side."""
GLARE = ((0.004, 0.45), (0.016, 0.35), (0.06, 0.2))
"""Sigma of the veil around a lamp in widths of the frame, and the share of its light."""


def without_sun(linear: F32, strength: float) -> F32:
    """Less difference between sun and shade, and less colour, as under cloud or at night."""
    if not strength:
        return linear
    light = luminance(linear)
    tone = np.log(np.maximum(light, np.float32(0.004)))
    base = follow_edges(tone, tone, linear.shape[1] // 40, 0.25)
    flat = np.exp(np.float32(-0.45 * strength) * (base - np.float32(np.percentile(base[::4, ::4], 40))))
    grey = light[..., None]
    return np.asarray((grey + (linear - grey) * np.float32(1 - 0.3 * strength)) * flat[..., None], np.float32)


def dusk(linear: F32, view: View, strength: float) -> F32:
    """Little, cool light from all sides, under a sky that is warm near the horizon and blue above."""
    if not strength:
        return linear
    scene = linear * np.power(np.array([0.30, 0.255, 0.29], np.float32), np.float32(strength))
    up = np.clip(-view.rows_below() / np.float32(0.35 * view.focal_px), 0, 1)[..., None]
    warm, violet = np.array([0.95, 0.42, 0.17], np.float32), np.array([0.16, 0.17, 0.32], np.float32)
    above = (violet + (warm - violet) * np.exp(-up / np.float32(0.22))) * np.float32(0.62)
    return _with_sky(scene, linear, above, view.sky, strength)


@dataclass(frozen=True)
class Lights:
    """Light by night: (H, W, 3) on what is there, and (H, W, 3) from lamps that are seen."""

    falling: F32
    shining: F32


def night(
    linear: F32, view: View, strength: float, extinction_per_m: float, rng: np.random.Generator
) -> tuple[F32, F32]:
    """The scene by night, and what shines in it through air of that extinction: two of (H, W, 3).

    Between day and night, light falls by equal factors for equal steps of the strength, as it does in nature.
    """
    lamps = _lamps_in_picture(linear, view)
    lights = _night_lights(view, strength, extinction_per_m, rng)
    scene = linear * lights.falling
    up = np.clip(-view.rows_below() / np.float32(0.35 * view.focal_px), 0, 1)[..., None]
    above = SKYGLOW * np.float32(0.006) + np.array([0.034, 0.024, 0.017], np.float32) * np.exp(-up / np.float32(0.25))
    scene = _with_sky(scene, linear, np.asarray(above, np.float32), view.sky, strength)
    return scene, (lamps * np.float32(6) + lights.shining) * np.float32(strength**2)


def glare(linear: F32, shining: F32, thickness: float) -> F32:
    """The veil that lens and air lay around lamps; `thickness` of the air in [0, 1] widens it."""
    if not shining.any():
        return linear
    width, light = linear.shape[1], linear
    for sigma, share in GLARE:
        wide = sigma * width * (1 + 1.5 * thickness)
        veil = soften(shining, wide, 8) if wide > 16 else soften(shining, wide, 2)
        light = light + veil * np.float32(share * (1 + thickness))
    return np.asarray(light, np.float32)


def _with_sky(scene: F32, day: F32, above: F32, sky: F32, strength: float) -> F32:
    """Replace the sky by (H, 1, 3) `above`, by equal factors for equal steps, where there is any."""
    rows = np.flatnonzero(sky.any(axis=1))
    if not len(rows):
        return scene
    part = np.s_[: rows[-1] + 1]
    kept = power(np.maximum(day[part], np.float32(1e-4)), 1 - strength)
    new = kept * power(np.maximum(above[part], np.float32(1e-4)), strength)
    scene = scene.copy()
    scene[part] += (new - scene[part]) * sky[part][..., None]
    return scene


def _lamps_in_picture(linear: F32, view: View) -> F32:
    """(H, W, 3) lamps of the frame: small, red or green, in a dusky frame also white; not on the ground."""
    height, width = view.shape
    size = (width // 2, height // 2)
    small, floor, sky = (
        cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (linear, view.floor, view.sky)
    )
    red, green, blue = cv2.split(small)
    stop = np.minimum(red / np.maximum(green, blue).clip(0.02) - 4.5, 4 * red - 1)
    bluish = 6 * blue / green.clip(0.02) - 3
    go = np.minimum(np.minimum(green / np.maximum(red, 0.6 * blue).clip(0.02) - 1.8, bluish), 4 * green - 1)
    dusky = np.float32(np.clip((0.10 - np.median(green)) / 0.05, 0, 1))
    dullest, _ = channel_range(small)
    bright = np.clip(np.maximum(np.maximum(stop, go), dusky * (10 * dullest - 9)), 0, 1)
    side, wide = max(7, width // 60) | 1, max(15, width // 16) | 1
    alone = np.clip(1.5 - cv2.blur(bright, (side, side)) / 0.05, 0, 1)
    alone = alone * np.clip(1.5 - cv2.blur(bright, (wide, wide)) / 0.006, 0, 1)
    share = bright * alone * (1 - floor) * np.clip(1 - 4 * cv2.blur(sky, (side, side)), 0, 1)
    return np.asarray(cv2.resize(small * share[..., None], (width, height)), np.float32)


def _night_lights(view: View, strength: float, extinction_per_m: float, rng: np.random.Generator) -> Lights:
    """Skyglow, street lamps in two rows along the road, and the camera's own headlights, to the power of `strength`."""
    colour = SODIUM + (LED - SODIUM) * np.float32(rng.random())
    first, aside = rng.uniform(4, 14), rng.uniform(3.5, 6.0, 2)
    height, width = view.shape
    shining = np.zeros((height, width, 3), np.float32)
    if view.ground is None:
        return Lights(
            np.broadcast_to((np.float32(4 * AMBIENT) * colour) ** np.float32(strength), shining.shape), shining
        )
    small = (max(1, width // 2), max(1, height // 2))
    inverse = cv2.resize(view.inverse_depth, small, interpolation=cv2.INTER_AREA)
    away = 1 / np.maximum(inverse * np.float32(view.height_m), np.float32(1 / 300))
    columns, rows = (
        cv2.resize(np.broadcast_to(each, view.shape), small) for each in (view.columns(), view.rows_below())
    )
    across, down = columns * away / np.float32(view.focal_px), rows * away / np.float32(view.focal_px)
    street = np.zeros_like(away)
    for place in _lamp_places(first, aside):
        street += _from_above(across - place[0], away - place[1], down + np.float32(LAMP_HEIGHT - 1))
        passed = np.float32(np.exp(-extinction_per_m * place[1] * view.height_m))
        _draw_lamp(shining, view, place, colour * passed)
    ahead = _headlights(columns / np.float32(view.focal_px), rows / np.float32(view.focal_px), away)
    light = street[..., None] * np.float32(0.40) * colour + ahead[..., None] * HEADLIGHT
    light = power(np.asarray(light + np.float32(AMBIENT) * SKYGLOW, np.float32), strength)
    return Lights(np.asarray(cv2.resize(light, (width, height))), shining)


def _lamp_places(first: float, aside: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Across and away from the camera, in its heights; the two rows alternate."""
    return [
        (side * float(out), first + LAMP_SPACING * (index + 0.5 * turn))
        for index in range(LAMPS)
        for turn, (side, out) in enumerate(zip((-1, 1), aside, strict=True))
    ]


def _from_above(across: F32, away: F32, below: F32) -> F32:
    """Light of a street lamp that shines downwards, 1 right under it on the ground. Source: inverse square law."""
    squared = np.maximum(across * across + away * away + below * below, 9.0)
    return np.asarray(np.float32(LAMP_HEIGHT**2) / squared * np.maximum(below, 0) / np.sqrt(squared), np.float32)


def _headlights(right: F32, below: F32, away: F32) -> F32:
    """A dipped beam: wide, bright below the horizon, weak above, falling with the square of the distance."""
    beam = np.exp(-((right / np.float32(0.42)) ** 2)) * (0.08 + 0.92 / (1 + np.exp(-below / np.float32(0.012))))
    return np.asarray(np.float32(0.9) * beam / (1 + (away / np.float32(7.0)) ** 2), np.float32)


def _draw_lamp(shining: F32, view: View, place: tuple[float, float], colour: F32) -> None:
    """A far street lamp as a bright spot, unless something stands in front of it."""
    across, away = place
    x = (view.shape[1] - 1) / 2 + view.focal_px * across / away
    y = view.horizon - view.focal_px * (LAMP_HEIGHT - 1) / away
    column, row = round(x), round(y)
    if away < 18 or not (0 <= column < view.shape[1] and 0 <= row < view.shape[0]):
        return
    if view.inverse_depth[row, column] * view.height_m * away > 1:
        return
    spot = np.zeros(view.shape, np.uint8)
    radius = max(0.9, 0.09 * view.focal_px / away)
    cv2.circle(spot, (round(x * 16), round(y * 16)), round(radius * 16), 255, -1, cv2.LINE_AA, 4)
    box = np.s_[max(row - 30, 0) : row + 31, max(column - 30, 0) : column + 31]
    shining[box] += spot[box][..., None].astype(np.float32) * (colour * np.float32(8 / 255))
