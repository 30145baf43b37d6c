"""How steep a picture is along each direction, at two scales: blur takes the fine one first, and only along itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import Rgb

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Energies = NDArray[np.floating[Any]]

FINE_PX, COARSE_PX = 1.0, 2.0
"""Standard deviations of the Gaussians before the gradient."""
FINER_PX = 0.7
"""Of the fine scale where there is a sharp frame to hold against; without one, noise would be seen there."""
BLURRED_SHARE = 0.73
"""Share of the sharp frame's ratio below which a region is blurred."""
ONE_WAY = 0.17
"""By how much more of a sharp picture's detail motion leaves across itself than along; a lens out of focus takes as
much either way. This and the share above are those that told best between 200 exposures and as many pictures out of
focus (`benchmarks/gate.py`)."""
BLANK_SPREAD = 6
"""Grey levels between the darkest and the brightest hundredth, below which a picture shows nothing."""
LEAST = 1e-9
NORMAL_MEDIAN = 0.6745
"""Of the absolute value of a normal variable of standard deviation 1."""
DIRECTIONS_DEG = np.arange(0.0, 180.0, 5.0)
MAX_SIDE_PX = 1280
"""Larger pictures are measured at this size: the pixels of large photographs are soft even where nothing moved."""

_ANGLES = np.radians(DIRECTIONS_DEG)
_ALONG = np.stack([np.cos(_ANGLES) ** 2, np.sin(_ANGLES) ** 2, 2 * np.cos(_ANGLES) * np.sin(_ANGLES)])


def measured_size(height: int, width: int) -> tuple[int, int]:
    """Width and height at which a picture is measured.

    >>> measured_size(375, 1242), measured_size(3000, 4000)
    ((1242, 375), (1280, 960))
    """
    scale = min(MAX_SIDE_PX / max(height, width), 1.0)
    return round(width * scale), round(height * scale)


def is_blank(rgb: Rgb) -> bool:
    """Whether a picture shows nothing: all but a few pixels of one colour, as black is where a VAE overflowed.

    >>> is_blank(np.zeros((8, 8, 3), np.uint8))
    True
    """
    low, high = np.percentile(rgb.reshape(-1, 3), (1, 99), axis=0)
    return bool((high - low).max() < BLANK_SPREAD)


def gradient_energies(rgb: Rgb, flow: F32 | None = None, fine_px: float = FINE_PX) -> tuple[F32, F32]:
    """The squared gradients of a picture's light at the fine and at the coarse scale, without those of its noise.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        flow: (H, W, 2) x and y; then the first axis of each gradient is along it, else along x.
        fine_px: standard deviation of the Gaussian of the fine scale.

    Returns:
        Two (H, W, 3) float32: first axis squared, second axis squared, their product. Single pixels may be below 0.
    """
    light = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    variance = noise_level(light) ** 2
    fine, coarse = (_energies(light, sigma, flow) for sigma in (fine_px, COARSE_PX))
    for energies, sigma in ((fine, fine_px), (coarse, COARSE_PX)):
        energies[..., :2] -= np.float32(variance * _noise_gain(sigma))
    return fine, coarse


def noise_level(light: F32) -> float:
    """Standard deviation of white noise in (H, W) light, in its unit.

    Source: the median of the absolute response to a mask that no straight edge or slope answers to.

    >>> round(noise_level(np.random.default_rng(0).normal(0, 0.1, (200, 200)).astype(np.float32)), 2)
    0.1
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    return float(np.median(np.abs(cv2.filter2D(light, -1, mask)))) / NORMAL_MEDIAN


def _gradients(light: F32, sigma: float) -> tuple[F32, F32]:
    smooth = cv2.GaussianBlur(light, (0, 0), sigma)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1)))
    return x, y


@cache
def _noise_gain(sigma: float) -> float:
    """The squared gradient that white noise of variance 1 has at a scale: what a single point spreads to."""
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    return float((_gradients(point, sigma)[0] ** 2).sum())


def _energies(light: F32, sigma: float, flow: F32 | None) -> F32:
    x, y = _gradients(light, sigma)
    if flow is not None:
        length = np.maximum(np.hypot(flow[..., 0], flow[..., 1]), np.float32(1e-6))
        c, s = flow[..., 0] / length, flow[..., 1] / length
        x, y = np.asarray(c * x + s * y), np.asarray(c * y - s * x)
    return np.dstack([x * x, y * y, x * y])


def scale_ratios(fine: Energies, coarse: Energies) -> F64:
    """By what gradients grow from the coarse to the fine scale, along `DIRECTIONS_DEG`; 1 is as blurred as can be.

    The mean of any number of pixels' energies goes in, (..., 3); (..., 36) comes out.

    Source: the directional scale ratio R(theta) = E_fine(theta) / E_coarse(theta), E the gradient energy along theta.
    """
    # Below 1 it would be noise that was taken off once too often.
    return np.maximum(np.maximum(fine @ _ALONG, LEAST) / np.maximum(coarse @ _ALONG, LEAST), 1.0).astype(np.float64)


def is_one_way(blurred: F64, sharp: F64, along: int) -> bool:
    """Whether one of two directions that cross has lost so much more detail that it is motion's blur, and not a lens's.

    Args:
        blurred: (36,) ratios, see `scale_ratios`.
        sharp: (36,) those of the sharp picture.
        along: index of one of the two directions.
    """
    # All that a ratio is above 1 is detail of the fine scale.
    kept = (blurred - 1) / np.maximum(sharp - 1, LEAST)
    return bool(abs(kept[(along + len(kept) // 2) % len(kept)] - kept[along]) >= ONE_WAY)


def anisotropy(ratios: F64) -> float:
    """How much one direction is more blurred than another, 0 to 1: 1 - min / max."""
    return float(1 - ratios.min() / max(float(ratios.max()), 1e-12))
