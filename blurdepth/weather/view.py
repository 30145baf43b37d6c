"""What weather needs to know of a frame: where the sky and the ground are, and how far the rest is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.ground import Ground, fit_ground
from blurdepth.images import channel_range

F32 = NDArray[np.float32]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
DARKER_THAN_SKY = (0.35, 0.65)
"""What is darker than the sky around it by less than the second is sky, by more than the first is not."""


BINS = 16


@dataclass(frozen=True)
class View:
    """One frame as the weather sees it; arrays are (H, W) float32.

    Attributes:
        inverse_depth: 1/m, 0 where there is sky, with the edges that the picture has.
        sky: how surely a pixel shows sky, [0, 1].
        floor: how surely it shows the ground, [0, 1].
        ground: the plane of it, or None.
        horizon: its row; the middle of the frame without ground.
        focal_px: focal length, pixels.
    """

    inverse_depth: F32
    sky: F32
    floor: F32
    ground: Ground | None
    horizon: float
    focal_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.sky.shape
        return height, width

    @property
    def height_m(self) -> float:
        """Of the camera above the ground, by the scale that the depth is in; 1.5 m without ground."""
        return 1 / (self.ground.slope * self.focal_px) if self.ground else 1.5

    def rows_below(self) -> F32:
        """(H, 1) rows below the horizon, negative above it."""
        return (np.arange(self.shape[0], dtype=np.float32) - np.float32(self.horizon))[:, None]

    def columns(self) -> F32:
        """(1, W) columns to the right of the middle."""
        width = self.shape[1]
        return (np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2))[None]


def luminance(linear: F32) -> F32:
    """(H, W) relative luminance of (H, W, 3) linear light. Source: ITU-R BT.709."""
    return np.asarray(cv2.transform(linear, LUMINANCE[None]))


def power(values: F32, exponent: float) -> F32:
    """`values`, above 0, to a power."""
    return np.asarray(cv2.pow(values, exponent))


def look(linear: F32, inverse_depth: F32, focal_px: float) -> View:
    """Find sky and ground.

    Args:
        linear: (H, W, 3) linear light.
        inverse_depth: (H, W) 1/m, 0 = sky; may be smooth and noisy, as a small model's is.
        focal_px: focal length, pixels.
    """
    light = luminance(linear)
    sky = _find_sky(linear, light, inverse_depth)
    solid = _solid_depth(inverse_depth, sky)
    ground = fit_ground(solid)
    floor = np.zeros_like(sky) if ground is None else _find_floor(linear, light, solid, ground)
    horizon = ground.horizon if ground else len(sky) / 2
    return View(solid, sky, floor, ground, horizon, focal_px)


def soften(values: F32, sigma: float, step: int = 8) -> F32:
    """A wide Gaussian blur, computed on every `step`-th pixel."""
    height, width = values.shape[:2]
    small = cv2.resize(values, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(sigma / step, 0.5))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def follow_edges(values: F32, guide: F32, radius: int, tolerance: float, step: int = 4) -> F32:
    """Smooth (H, W) values within what looks alike in an (H, W) guide, so that they change at its edges.

    Source: He and Sun 2015, Fast Guided Filter.
    """
    height, width = values.shape
    size = (max(1, width // step), max(1, height // step))
    box = (2 * max(1, radius // step) + 1,) * 2
    p, i = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (values, guide))
    mean_p, mean_i = cv2.blur(p, box), cv2.blur(i, box)
    slope = (cv2.blur(p * i, box) - mean_p * mean_i) / (cv2.blur(i * i, box) - mean_i * mean_i + tolerance**2)
    offset = mean_p - slope * mean_i
    slope, offset = (cv2.resize(cv2.blur(each, box), (width, height)) for each in (slope, offset))
    return np.asarray(slope * guide + offset, np.float32)


def _find_sky(linear: F32, light: F32, inverse_depth: F32) -> F32:
    """Sky by depth, with edges by colour: not what is dark or green there, but also what shows between leaves."""
    if inverse_depth.min() > 0:
        return np.zeros_like(light)
    bound = np.float32(np.percentile(inverse_depth[::4, ::4], 90) / 500)
    seed = (inverse_depth <= bound).astype(np.float32)
    width, reach = light.shape[1], round(light.shape[1] / 25)
    part = np.s_[: int(np.flatnonzero(seed.any(axis=1)).max(initial=0)) + reach]
    light, linear, inside = light[part], linear[part], seed[part]
    # What is bright counts more, as what stands before the sky is darker.
    weight = inside * light * light
    around = soften(np.dstack([linear * weight[..., None], weight]), reach)
    colour = np.asarray(around[..., :3] / np.maximum(around[..., 3:], np.float32(1e-4)), np.float32)
    dark, bright = DARKER_THAN_SKY
    lit = np.clip((light / np.maximum(luminance(colour), np.float32(1e-3)) - dark) / (bright - dark), 0, 1)
    red, green, blue = cv2.split(linear)
    lit *= np.clip(3 - 2 * green / np.maximum(np.maximum(red, blue), np.float32(1e-3)), 0, 1)
    # The error of a square root, without the root: between two shades next to each other they are the same.
    unlike = np.abs(linear - colour) / np.float32(2) / cv2.sqrt(np.maximum(colour, np.float32(1e-3)))
    alike = np.clip(2 - np.maximum(np.maximum(unlike[..., 0], unlike[..., 1]), unlike[..., 2]) / np.float32(0.05), 0, 1)
    near = np.clip(soften(inside, width / 40) * 8, 0, 1)
    sky = np.zeros_like(seed)
    sky[part] = np.float32(_differs(linear, inside)) * lit * (inside + (1 - inside) * alike * near)
    return sky


def _differs(linear: F32, seed: F32) -> float:
    """How surely what depth calls sky is another thing than what is below it, [0, 1]: a wall goes on, sky does not."""
    step = np.s_[::4, ::4]
    tone, inside = np.sqrt(np.maximum(linear[step], 0)), seed[step]
    ring = np.clip(cv2.dilate(inside, np.ones((9, 9), np.uint8)) - inside, 0, 1)
    if not ring.any():
        return 1.0
    means = [(tone * share[..., None]).sum((0, 1)) / max(share.sum(), 1) for share in (inside, ring)]
    return float(np.clip((np.abs(means[0] - means[1]).max() - 0.02) / 0.04, 0, 1))


def _solid_depth(inverse_depth: F32, sky: F32) -> F32:
    """Inverse depth without the sky, which is 0, and without the slope that a model puts between the two.

    What stands before the sky or beside it gets the largest inverse depth around: its own, not a mean with the sky.
    """
    if inverse_depth.min() > 0:
        return inverse_depth
    around = np.ones((max(3, sky.shape[1] // 35) | 1,) * 2, np.uint8)
    beside = cv2.GaussianBlur(cv2.dilate((inverse_depth <= 0).astype(np.float32), around), (0, 0), 2)
    solid = inverse_depth + (cv2.dilate(inverse_depth, around) - inverse_depth) * beside
    far = np.percentile(inverse_depth[inverse_depth > 0], 2) if inverse_depth.any() else 0
    return np.asarray(np.maximum(solid, np.float32(far)) * (1 - sky), np.float32)


def _find_floor(linear: F32, light: F32, inverse_depth: F32, ground: Ground) -> F32:
    """Ground is where the plane is, and where inverse depth grows downwards as it does on the plane."""
    height = len(light)
    reach = max(1, height // 50)
    smooth = cv2.blur(inverse_depth, (2 * reach + 1, reach))
    rise = np.zeros_like(light)
    rise[reach:-reach] = (smooth[2 * reach :] - smooth[: -2 * reach]) / np.float32(2 * reach * ground.slope)
    rise[-reach:], rise[:reach] = rise[-reach - 1], rise[reach]
    level = np.clip((rise - np.float32(0.25)) / np.float32(0.4), 0, 1)
    share = ground.share(inverse_depth) * cv2.blur(level, (reach | 1, reach | 1))
    share = share * np.clip(cv2.blur(_coloured_as(linear, share), (height // 14 | 1,) * 2) * 2 - np.float32(0.7), 0, 1)
    tone = np.sqrt(np.maximum(light, 0))
    return np.clip(follow_edges(share, tone, height // 12, 0.04) * np.float32(1.3) - np.float32(0.15), 0, 1)


def _coloured_as(linear: F32, share: F32) -> F32:
    """How likely each pixel's colour is the ground's rather than the rest's, [0, 1], by two histograms."""
    tone = np.sqrt(np.clip(linear, 0, 1))
    cell = np.minimum((tone * BINS).astype(np.int32), BINS - 1)
    index = (cell[..., 0] * BINS + cell[..., 1]) * BINS + cell[..., 2]
    counts = []
    for each in (share, 1 - share):
        weight = each[::2, ::2].ravel()
        count = np.bincount(index[::2, ::2].ravel(), weight, BINS**3).reshape((BINS,) * 3)
        for axis in range(3):
            padded = np.concatenate([count.take([0], axis), count, count.take([-1], axis)], axis)
            count = padded.take(range(BINS), axis) + 2 * count + padded.take(range(2, BINS + 2), axis)
        counts.append(count / max(weight.sum(), 1))
    likely = counts[0] / (counts[0] + counts[1] + 1e-5)
    # A car that depth doesn't know counts as ground in the histogram, but ground is never as colourful as paint.
    dullest, brightest = channel_range(tone)
    purity = 1 - dullest / np.maximum(brightest, np.float32(0.05))
    return np.asarray(likely.astype(np.float32).ravel()[index] * np.clip((0.7 - purity) / 0.15, 0, 1), np.float32)
