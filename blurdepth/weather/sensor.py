"""What sensor and camera make of the light."""

from __future__ import annotations

import cv2
import numpy as np

from blurdepth.weather.strengths import Weather
from blurdepth.weather.view import F32, power

FULL_WELL, READ_NOISE = 15000.0, 1.6
"""Electrons of a pixel at white and ISO 100, and the noise of reading it, of a small modern sensor."""
MAX_STOPS = {"noise": 7.0, "low_light": 6.0, "night": 3.5, "dusk": 1.5}
"""Gain above ISO 100 at strength 1, in stops."""
UNDEREXPOSED_STOPS = 1.6
"""What of low light the camera doesn't make up for by gain, at strength 1."""
GRAIN_SIGMA_PX, GREY_SHARE = 0.6, 0.64
MIDDLE_GREY, CURVE_WHITE, CURVE_CONTRAST = 0.18, 1.6, 1.25


def noise_variance(linear: F32, weather: Weather) -> F32:
    """Variance of the noise at each value of linear light: a x + b, a photon's share plus the reading's.

    With gain g over ISO 100, a = g / full well, and b = (g * read noise / full well)^2, both in electrons.

    Source: Foi et al. 2008, Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data.
    """
    stops = max(most * getattr(weather, name) for name, most in MAX_STOPS.items())
    if not stops:
        return np.zeros_like(linear)
    gain = 2.0**stops
    read = (gain * READ_NOISE / FULL_WELL) ** 2
    return np.asarray(np.float32(gain / FULL_WELL) * np.maximum(linear, 0) + np.float32(read), np.float32)


def camera_curve(linear: F32, strength: float) -> F32:
    """The tone curve of a camera's own pictures: middle grey stays, contrast around it rises, highlights roll off.

    Args:
        linear: linear light, any shape, 0 or more.
        strength: 0 changes nothing; between, the two are mixed.

    Source: Reinhard et al. 2002, Photographic Tone Reproduction for Digital Images, equation 4, for the shoulder.
    """
    if not strength:
        return linear
    bent = np.float32(MIDDLE_GREY) * power(np.maximum(linear, 0) * np.float32(1 / MIDDLE_GREY), CURVE_CONTRAST)
    white = MIDDLE_GREY * (CURVE_WHITE / MIDDLE_GREY) ** CURVE_CONTRAST
    # The gain at which middle grey is mapped onto itself while `white` becomes 1.
    gain = (1 - MIDDLE_GREY / white**2) / (1 - MIDDLE_GREY)
    scaled = np.float32(gain) * bent
    curved = np.minimum(scaled * (1 + scaled / np.float32((gain * white) ** 2)) / (1 + scaled), 1)
    return np.asarray(linear + (curved - linear) * np.float32(strength), np.float32)


def apply_sensor(linear: F32, weather: Weather, rng: np.random.Generator) -> F32:
    """Too little light, noise of the gain against it, and the camera's curve, in this order.

    Args:
        linear: (H, W, 3) linear light after the exposure.
        weather: the strengths; night and dusk need gain, too.
        rng: where chance comes from.
    """
    if weather.low_light:
        linear = linear * np.float32(2.0 ** (-UNDEREXPOSED_STOPS * weather.low_light))
    variance = noise_variance(linear, weather)
    if variance.any():
        linear = np.maximum(linear + _grain(linear.shape[:2], rng) * cv2.sqrt(variance), 0)
    return camera_curve(linear, weather.camera_curve)


def _grain(shape: tuple[int, int], rng: np.random.Generator) -> F32:
    """(H, W, 3) noise of variance 1, a little soft and mostly grey, as after demosaicing."""
    grain = rng.standard_normal((*shape, 3), np.float32)
    kernel = cv2.getGaussianKernel(3, GRAIN_SIGMA_PX)
    grain = cv2.sepFilter2D(grain, -1, kernel, kernel)
    own = (1 - GREY_SHARE) ** 0.5
    shared = ((1 + 2 * GREY_SHARE) ** 0.5 - own) / 3
    mix = (np.eye(3) * own + shared) / (kernel**2).sum()
    return np.asarray(cv2.transform(grain, mix.astype(np.float32)))
