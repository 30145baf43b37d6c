"""What comes out of an exposure: the image, and what was in front of each pixel while the shutter was open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import BLURRED, INVALID, MIXED, STATIC

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_IN_VIEW = 0.9
"""Share of the exposure for which what a pixel sees must come from inside the frame."""
BLURRED_PX = 1.0
"""Motion over the exposure from which a pixel is blurred."""
MIXED_SPREAD = 0.05
"""Spread of the inverse depth, as a share of its mean, above which a pixel holds several depths."""


@dataclass(frozen=True)
class Exposure:
    """An exposure's image and its depths; all (H, W) unless told otherwise, weighted by the shutter.

    Attributes:
        linear: (H, W, 3) float32 linear light, blurred; highlights may be above 1.
        mean_inverse_depth: mean over the exposure, 1/m; 0 is infinitely far.
        mean_depth_m: mean over the exposure, metres; what is farther than `depth.CAP_M`, and the sky, counts as
            `depth.CAP_M`.
        nearest_inverse_depth: the largest inverse depth over the exposure, 1/m.
        farthest_inverse_depth: the smallest, 1/m.
        variance: of the inverse depth over the exposure, 1/m^2.
        moving_fraction: share of the exposure during which a moving object was in front, [0, 1].
        flow: (H, W, 2) motion, from the shutter's opening to its closing, of what the sharp frame shows at the pixel,
            x and y in pixels.
        valid: what was seen came from inside the frame for at least 90 % of the exposure, and never from a surface
            that passes through the camera, whose inverse depth has no mean.
        subframes: the most moments that were summed anywhere.
    """

    linear: F32
    mean_inverse_depth: F32
    mean_depth_m: F32
    nearest_inverse_depth: F32
    farthest_inverse_depth: F32
    variance: F32
    moving_fraction: F32
    flow: F32
    valid: Mask
    subframes: int

    @property
    def flow_px(self) -> F32:
        """(H, W) length of `flow`, pixels."""
        return np.hypot(self.flow[..., 0], self.flow[..., 1])

    @property
    def spread(self) -> F32:
        """(H, W) standard deviation of the inverse depth over its mean; 0 where that is 0."""
        return np.asarray(np.sqrt(self.variance) / np.maximum(self.mean_inverse_depth, np.float32(1e-6)))


def regions(exposure: Exposure) -> NDArray[np.uint8]:
    """(H, W): which pixels are STATIC, BLURRED (moved by 1 px or more), MIXED (spread over 5 %), INVALID."""
    blurred = (exposure.flow_px >= BLURRED_PX) | (exposure.moving_fraction > 0)
    return label_regions(blurred, exposure.spread > MIXED_SPREAD, exposure.valid)


def label_regions(blurred: Mask, mixed: Mask, valid: Mask) -> NDArray[np.uint8]:
    """Three (H, W) masks as one map: INVALID goes before MIXED, MIXED before BLURRED, and the rest is STATIC."""
    kinds = np.where(mixed, MIXED, np.where(blurred, BLURRED, STATIC))
    return np.where(valid, kinds, INVALID).astype(np.uint8)
