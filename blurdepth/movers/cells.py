"""Outlines as numbers: in cells of 6 x 6 pixels, how strong the edges of each direction are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import Rgb

F32 = NDArray[np.float32]

CELL = 6
DIRECTIONS = 18
CHANNELS = DIRECTIONS + 1
_CLIP = 0.2


def edge_cells(rgb: Rgb) -> F32:
    """Histograms of gradient direction in cells, set against the contrast around each.

    Dark-to-light and light-to-dark edges count apart, as the shade below a car is always darker than the road.

    Args:
        rgb: (H, W, 3) uint8 sRGB, both sides at least `CELL`.

    Returns:
        (H // 6, W // 6, 19) float32: the directions, then how much contrast there is at all.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (CVPR 2005), sections 6.2-6.4.
    """
    rows, columns = rgb.shape[0] // CELL, rgb.shape[1] // CELL
    # Square roots even out light and shade, as in the source.
    light = cv2.LUT(rgb[: rows * CELL, : columns * CELL], np.sqrt(np.arange(256) / 255).astype(np.float32))
    strength, turn = _gradient(light)
    low = np.floor(turn).astype(np.int32)
    share = turn - low
    cell = np.arange(rows).repeat(CELL)[:, None] * columns + np.arange(columns).repeat(CELL)
    sums = np.zeros(rows * columns * DIRECTIONS)
    for direction, weight in ((low, strength * (1 - share)), (low + 1, strength * share)):
        place = cell * DIRECTIONS + direction % DIRECTIONS
        sums += np.bincount(place.ravel(), weight.ravel(), sums.size)
    return _against_contrast(sums.reshape(rows, columns, DIRECTIONS).astype(np.float32))


def _gradient(light: F32) -> tuple[F32, F32]:
    """Strength and direction (0 to `DIRECTIONS`) of the steepest channel's gradient."""
    across = cv2.Sobel(light, cv2.CV_32F, 1, 0, ksize=1)
    down = cv2.Sobel(light, cv2.CV_32F, 0, 1, ksize=1)
    power = across * across + down * down
    steepest = power[..., 0] >= np.maximum(power[..., 1], power[..., 2])
    second = power[..., 1] >= power[..., 2]
    across, down = (
        np.where(steepest, each[..., 0], np.where(second, each[..., 1], each[..., 2])) for each in (across, down)
    )
    strength, angle = cv2.cartToPolar(across, down)
    return strength, angle * np.float32(DIRECTIONS / (2 * np.pi))


def _against_contrast(sums: F32) -> F32:
    energy = np.square(sums).sum(axis=2)
    around = cv2.blur(energy, (3, 3), borderType=cv2.BORDER_REFLECT) * 4
    values = np.minimum(sums / np.sqrt(around + 1e-2)[..., None], _CLIP)
    contrast = np.minimum(np.sqrt(energy) / CELL, 1) * _CLIP
    return np.concatenate([values, contrast[..., None]], axis=2).astype(np.float32)
