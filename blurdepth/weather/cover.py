"""What weather leaves on the ground: water that darkens and mirrors, and snow."""

from __future__ import annotations

import cv2
import numpy as np

from blurdepth.weather.view import F32, View, follow_edges, luminance, power

WET_ALBEDO = 0.55
"""Wet asphalt reflects about half the diffuse light of dry asphalt. Source: Lekner and Dorf 1988."""
WATER_F0 = 0.02
"""Reflectance of water seen from straight above."""


def darken_wet(linear: F32, view: View, strength: float) -> F32:
    """Ground darkened by the water in it."""
    if not strength or view.ground is None:
        return linear
    return np.asarray(linear * (1 - np.float32((1 - WET_ALBEDO) * strength) * view.floor[..., None]), np.float32)


def mirror_wet(linear: F32, shown: F32, view: View, strength: float, rng: np.random.Generator) -> F32:
    """Ground that mirrors what is `shown` above it and the sky, the more the flatter it is seen and the wetter it is.

    Source: Schlick 1994 for the share of mirrored light.
    """
    if not strength or view.ground is None:
        return linear
    below = np.maximum(view.rows_below(), 0)
    down = below / np.sqrt(below * below + np.float32(view.focal_px) ** 2)
    share = np.float32(WATER_F0) + np.float32(1 - WATER_F0) * (1 - down) ** 5
    puddles = np.clip((ground_noise(view, 3.0, rng) - np.float32(0.5)) * 5 + np.float32(2.2 * strength - 1.2), 0, 1)
    rough = np.float32(0.35 + 0.25 * strength)
    weight = view.floor * share * np.float32(strength) * (rough + (1 - rough) * puddles)
    return np.asarray(linear + (_mirrored(shown, view) - linear) * weight[..., None], np.float32)


def snow_cover(linear: F32, view: View, strength: float, rng: np.random.Generator) -> F32:
    """Snow that lies on the ground, in patches that close as it gets more."""
    if not strength or view.ground is None:
        return linear
    noise = ground_noise(view, 1.4, rng)
    share = np.clip((np.float32(1.35 * strength) - noise) / np.float32(0.24), 0, 1) * view.floor * np.float32(0.88)
    light = luminance(linear)
    tone = power(light + np.float32(0.01), 0.5)
    base = follow_edges(tone, tone, linear.shape[1] // 30, 0.1)
    shade = np.clip(base / np.float32(np.percentile(base[::4, ::4], 60)), 0.5, 1.2)
    white = np.float32(np.clip(1.2 * np.percentile(light[::4, ::4], 85), 0.55, 0.8)) * shade
    snow = white[..., None] * np.array([0.94, 0.97, 1.0], np.float32)
    return np.asarray(linear + (snow - linear) * share[..., None], np.float32)


def ground_noise(view: View, scale: float, rng: np.random.Generator) -> F32:
    """(H, W) noise that lies flat on the ground, [0, 1] with mean 0.5; `scale` in heights of the camera.

    Where a pixel spans more than a cell, it fades to its mean.
    """
    height, width = view.shape
    size = (max(1, width // 2), max(1, height // 2))
    total, weights = np.zeros(size[::-1], np.float32), 0.0
    below = np.maximum(cv2.resize(view.rows_below(), (1, size[1])), np.float32(0.5))
    columns = cv2.resize(view.columns(), (size[0], 1))
    for octave in range(3):
        cell, weight = scale / 2**octave, 0.55**octave
        grid = np.pad(rng.random((64, 64), np.float32), ((0, 1), (0, 1)), mode="wrap")
        away = np.float32(view.focal_px / cell) / below
        x = columns * (1 / (np.float32(cell) * below))
        x -= np.float32(64) * np.floor(x * np.float32(1 / 64))
        y = np.ascontiguousarray(np.broadcast_to(np.mod(away, 64), x.shape), np.float32)
        fade = np.clip(0.7 * below / away, 0, 1)
        value = cv2.remap(grid, x, y, cv2.INTER_LINEAR) - np.float32(0.5)
        total += value * np.float32(weight) * fade
        weights += weight
    total = np.clip(np.float32(0.5) + total * np.float32(1.6 / weights), 0, 1)
    return np.asarray(cv2.resize(total, (width, height)))


def _mirrored(linear: F32, view: View, step: int = 4) -> F32:
    """What a level mirror in place of the ground would show, smeared as by a rough one.

    A point of inverse depth w is mirrored about the row in which it would touch the ground, horizon + w / slope.
    """
    assert view.ground is not None
    height, width = view.shape
    size = (max(1, width // step), max(1, height // step))
    light = cv2.resize(np.minimum(linear, np.float32(4)), size, interpolation=cv2.INTER_AREA)
    inverse = cv2.resize(view.inverse_depth, size, interpolation=cv2.INTER_AREA)
    stands = cv2.resize(view.floor, size, interpolation=cv2.INTER_AREA) < 0.5
    rows = (np.arange(size[1], dtype=np.float32)[:, None] + 0.5) * height / size[1]
    landing = 2 * (view.ground.horizon + inverse / view.ground.slope) - rows
    target = np.floor(landing * size[1] / height).astype(np.int64)
    from_row, column = np.nonzero(stands & (target >= 0) & (target < size[1]))
    order = np.argsort(inverse[from_row, column], kind="stable")
    from_row, column = from_row[order], column[order]
    seen = np.zeros((size[1], size[0], 4), np.float32)
    seen[target[from_row, column], column, :3] = light[from_row, column]
    seen[target[from_row, column], column, 3] = 1
    smear = max(size[1] / 22, 0.6)
    narrow = cv2.GaussianBlur(seen, (0, 0), sigmaX=max(smear / 4, 0.5), sigmaY=smear)
    wide = cv2.GaussianBlur(seen, (0, 0), sigmaX=size[0] / 12, sigmaY=size[1] / 6)
    total = narrow + np.float32(0.03) * wide + np.float32(1e-6)
    whole = total[..., :3] / total[..., 3:]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR))
