"""Depth as pictures: one colour map for depth, one for differences, everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import Rgb

Map = NDArray[np.float32]

# Anchors of a diverging map with equal lightness on both sides: nearer is orange, farther is blue.
_DIVERGING = np.array([(18, 66, 140), (104, 160, 212), (246, 246, 244), (240, 160, 80), (150, 62, 4)], np.float32)


@dataclass(frozen=True)
class Range:
    """The values that the two ends of a colour map stand for."""

    low: float
    high: float


def depth_range(*maps: Map) -> Range:
    """One range for several maps: their 1st and 99th percentile, never empty.

    >>> depth_range(np.linspace(0, 1, 101, dtype=np.float32).reshape(1, -1))
    Range(low=0.01, high=0.99)
    """
    values = np.concatenate([each[np.isfinite(each)].ravel() for each in maps])
    if values.size == 0:
        return Range(0.0, 1.0)
    low, high = (round(float(value), 6) for value in np.percentile(values, (1, 99)))
    return Range(low, high if high > low else low + 1e-6)


def depth_picture(inverse_depth: Map, span: Range) -> Rgb:
    """Inverse depth of any kind in the depth colour map, near = bright: (H, W, 3) uint8.

    Values outside `span` take the colour of its ends; values that are not numbers are black.
    """
    share = (np.nan_to_num(inverse_depth, nan=span.low) - span.low) / (span.high - span.low)
    levels = (np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])


def difference_picture(difference: Map, reach: float) -> Rgb:
    """A signed difference: blue below, white at zero, orange above, full colour at ±`reach`: (H, W, 3) uint8."""
    place = np.clip(np.nan_to_num(difference) / max(reach, 1e-9), -1, 1) * 2 + 2
    levels = np.arange(5)
    channels = [np.interp(place, levels, _DIVERGING[:, channel]) for channel in range(3)]
    return (np.stack(channels, axis=-1) + 0.5).astype(np.uint8)


def css_gradient(kind: str) -> str:
    """The colour map as a CSS gradient from low to high, for a scale bar; `kind` is "depth" or "difference"."""
    ramp = np.linspace(0, 1, 9, dtype=np.float32)[None]
    picture = depth_picture(ramp, Range(0, 1)) if kind == "depth" else difference_picture(ramp * 2 - 1, 1.0)
    return "linear-gradient(90deg, " + ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in picture[0]) + ")"


def thumbnail(rgb: Rgb, side: int = 320) -> Rgb:
    """`rgb` reduced so that its longer side is at most `side` pixels."""
    height, width = rgb.shape[:2]
    return shrink(rgb, side / max(height, width))


def shrink(rgb: Rgb, factor: float) -> Rgb:
    """`rgb` reduced by `factor` (1 or more leaves it as it is), by the mean over areas."""
    if factor >= 1:
        return rgb
    height, width = rgb.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
