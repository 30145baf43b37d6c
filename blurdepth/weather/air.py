"""What is in the air between the camera and the scene."""

from __future__ import annotations

import numpy as np

from blurdepth.weather.strengths import Weather
from blurdepth.weather.view import F32, View, luminance

Colour = tuple[float, float, float]

EXTINCTION_PER_M = {"fog": 0.09, "smog": 0.06, "haze": 0.022, "rain": 0.012, "snow": 0.025}
"""Extinction at strength 1; it grows with strength^1.5. Fog of 0.09 hides what is beyond about 35 m."""
AIR_COLOUR: dict[str, Colour] = {
    "fog": (0.95, 0.97, 1.0),
    "smog": (1.0, 0.84, 0.60),
    "haze": (0.93, 0.96, 1.0),
    "rain": (0.88, 0.93, 1.0),
    "snow": (0.96, 0.98, 1.0),
}
LAYER_M = 120.0
"""Height of the air that scatters: above it the sky is clear, so that some of it is seen through thin air."""


def fog(linear: F32, inverse_distance: F32, extinction_per_m: float, airlight: F32) -> F32:
    """Light through air that scatters: c = t c + (1 - t) A with t = exp(-extinction * distance).

    Args:
        linear: (H, W, 3) linear light.
        inverse_distance: (H, W) 1/m; at 0 nothing but airlight is left.
        extinction_per_m: 0 or more.
        airlight: linear light of the air itself, (3,) or (H, W, 3).

    Source: Koschmieder's law.
    """
    if extinction_per_m <= 0:
        return linear
    passed = np.exp(np.float32(-extinction_per_m) / np.maximum(inverse_distance, np.float32(1e-6)))[..., None]
    return np.asarray(airlight + (linear - airlight) * passed, np.float32)


def inverse_distance(view: View) -> F32:
    """(H, W) 1/m along each ray through the air: to what is seen, or to where the ray leaves the layer of air."""
    rows, columns = view.rows_below(), view.columns()
    focal = np.float32(view.focal_px)
    away = np.arange(view.shape[0], dtype=np.float32)[:, None] - np.float32((view.shape[0] - 1) / 2)
    ray = np.sqrt(1 + (columns * columns + away * away) / focal**2)
    climb = np.maximum(-rows, 0) / np.sqrt(focal**2 + rows * rows + columns * columns)
    return np.asarray(np.maximum(view.inverse_depth / ray, climb / np.float32(LAYER_M)), np.float32)


def mix_air(linear: F32, weather: Weather) -> tuple[float, F32]:
    """Extinction of all that is in the air together, 1/m, and its light by day, (3,)."""
    parts = {name: most * getattr(weather, name) ** 1.5 for name, most in EXTINCTION_PER_M.items()}
    total = sum(parts.values())
    if not total:
        return 0.0, np.zeros(3, np.float32)
    colour = sum(np.array(AIR_COLOUR[name]) * part for name, part in parts.items()) / total
    level = np.clip(0.85 * np.percentile(luminance(linear)[::4, ::4], 97), 0.5, 0.72)
    return total, np.asarray(colour * level, np.float32)
