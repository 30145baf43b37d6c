"""The way of a frame to SDXL and back: its control map, the size it is painted at, and what came out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import Map
from blurdepth.errors import InputError
from blurdepth.images import Rgb

MULTIPLE_PX = 16
"""The adapter folds 16 x 16 pixels into one, the VAE 8 x 8."""
NATIVE_ASPECT = 3.0
"""Widest picture at a short side of 576 px among the sizes that SDXL was trained on: 1728 x 576."""
MAX_ASPECT = 4.0
"""Wider frames would be squeezed by more than a quarter."""

# Latent channels to red, green and blue, 0 to 255. Source: T. A. Vass, "Explaining the SDXL latent space" (2023).
_LATENT_TO_RGB = np.array([[60, 60, 60], [-60, -5, 10], [25, 15, -5], [-70, -50, -35]], np.float32)
_LATENT_SHIFT = np.array([150, 140, 130], np.float32)


@dataclass(frozen=True)
class Fit:
    """A frame's size and the one it is painted at, (width, height) in pixels; nothing is cropped.

    >>> paint_size(1242, 375, 576).size
    (1728, 576)
    """

    frame: tuple[int, int]
    size: tuple[int, int]

    def to_paint(self, rgb: Rgb) -> Rgb:
        """A picture of the frame's size at the size that is painted."""
        return _resized(rgb, self.size)

    def to_frame(self, rgb: Rgb) -> Rgb:
        """A painted picture at the frame's size: every pixel lies where it lay in the frame."""
        return _resized(rgb, self.frame)


def paint_size(width: int, height: int, short_side_px: int) -> Fit:
    """The size that SDXL paints a frame at, and the way back.

    The short side becomes `short_side_px`, the long one what keeps the aspect, both rounded to `MULTIPLE_PX`. A
    frame wider than `NATIVE_ASPECT` is squeezed to it, as SDXL repeats objects in pictures wider than it was
    trained on: KITTI's frames by a tenth.

    Raises:
        InputError: one side is more than `MAX_ASPECT` times the other, or a side is not positive.

    >>> paint_size(1920, 1080, 576).size, paint_size(600, 800, 512).size
    ((1024, 576), (512, 688))
    """
    if min(width, height) < 1:
        raise InputError(f"The frame is {width} x {height} pixels: give one that has pixels.")
    aspect = max(width, height) / min(width, height)
    if aspect > MAX_ASPECT:
        raise InputError(
            f"The frame is {width} x {height} pixels: SDXL paints up to {MAX_ASPECT:g} times as wide as high; "
            "crop it, or use the exposure simulator."
        )
    short = _rounded(short_side_px)
    long = _rounded(short_side_px * min(aspect, NATIVE_ASPECT))
    return Fit((width, height), (long, short) if width >= height else (short, long))


def control_map(affine_inverse_depth: Map) -> Rgb:
    """What the adapter sees of a depth map: near = white, from the least to the greatest value, 8 bits.

    Args:
        affine_inverse_depth: (H, W) float32, larger = nearer. Values that are not finite count as farthest.

    Returns:
        (H, W, 3) uint8; black where the map is constant, as no shape is known.

    Raises:
        InputError: it is not an (H, W) map.

    >>> control_map(np.float32([[1.0, 3.0, np.nan]]))[0, :, 0].tolist()
    [0, 255, 0]
    """
    if affine_inverse_depth.ndim != 2 or affine_inverse_depth.size == 0:
        raise InputError(f"The depth map has the shape {affine_inverse_depth.shape}: give one of (height, width).")
    values = affine_inverse_depth.astype(np.float64)
    finite = np.isfinite(values)
    far, near = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    spread = near - far
    # Spread below the rounding of float32 is noise around a constant.
    if spread <= max(abs(near), abs(far)) * np.finfo(np.float32).eps:
        return np.zeros((*values.shape, 3), np.uint8)
    scaled = np.where(finite, (values - far) / spread, 0.0)
    return np.repeat((scaled * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=2)


def latent_picture(latents: NDArray[np.float32]) -> Rgb:
    """A small, rough picture of latents, without the VAE.

    Args:
        latents: (4, h, w) float32, as SDXL has them.

    Returns:
        (h, w, 3) uint8 sRGB.
    """
    rgb = np.tensordot(np.nan_to_num(latents), _LATENT_TO_RGB, (0, 0)) + _LATENT_SHIFT
    return np.clip(rgb, 0, 255).astype(np.uint8)


def _rounded(side: float) -> int:
    return max(1, round(side / MULTIPLE_PX)) * MULTIPLE_PX


def _resized(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    if rgb.shape[1::-1] == size:
        return rgb
    shrinks = size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC).astype(np.uint8)
