"""Weather, light and sensor, in linear light, with the depth of the scene.

A variant is made in this order: `apply_scene` on the sharp frame (ground, light, air), the exposure,
`apply_falling` (rain and snow are smeared by their own speed, not by the scene's), `apply_sensor`.
"""

from __future__ import annotations

import numpy as np

from blurdepth.weather import cover, light
from blurdepth.weather.air import EXTINCTION_PER_M, fog, inverse_distance, mix_air
from blurdepth.weather.falling import apply_falling
from blurdepth.weather.sensor import apply_sensor, camera_curve, noise_variance
from blurdepth.weather.strengths import KINDS, Weather
from blurdepth.weather.view import F32, View, look

__all__ = [
    "EXTINCTION_PER_M",
    "KINDS",
    "View",
    "Weather",
    "apply_falling",
    "apply_scene",
    "apply_sensor",
    "camera_curve",
    "fog",
    "look",
    "noise_variance",
]

NIGHT_AIR = 0.02
"""How bright the air is by night, over by day."""
DUSK_AIR = np.array([0.34, 0.26, 0.27], np.float32)


def apply_scene(linear: F32, view: View, weather: Weather, rng: np.random.Generator) -> F32:
    """The sharp scene in its weather and light: (H, W, 3) linear light of the same shape.

    Args:
        linear: (H, W, 3) linear light of the frame.
        view: of that frame, by `look`.
        weather: the strengths.
        rng: where chance comes from; the same state gives the same bytes.
    """
    wet = max(weather.wet, 0.8 * weather.rain)
    made = light.without_sun(
        linear,
        max(weather.rain, weather.snow, 0.7 * weather.fog, 0.5 * weather.smog, 0.6 * weather.dusk, weather.night),
    )
    made = cover.snow_cover(made, view, weather.snow, rng)
    made = cover.darken_wet(made, view, wet)
    extinction, airlight = mix_air(linear, weather)
    made = light.dusk(made, view, weather.dusk)
    airlight = airlight * np.power(DUSK_AIR, np.float32(weather.dusk))
    shining = np.zeros_like(linear)
    if weather.night:
        made, shining = light.night(made, view, weather.night, extinction, rng)
        airlight = airlight * np.float32(NIGHT_AIR**weather.night)
    made = cover.mirror_wet(made, made + shining, view, wet, rng)
    made = fog(made, inverse_distance(view), extinction, np.asarray(airlight, np.float32)) + shining
    return light.glare(made, shining, min(extinction / 0.05, 1.0))
