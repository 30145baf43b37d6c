"""The ground in a frame's inverse depth: a plane below the camera, which is linear in the row."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

MAX_ROWS, MIN_ROWS = 64, 5
FARTHEST_PERCENTILE = 10
AGREES = 0.006
"""How far a row may be off a line that it agrees with, as a share of the nearest row's inverse depth."""
MIN_SLOPE_SHARE = 0.2


@dataclass(frozen=True)
class Ground:
    """Inverse depth of a level ground without roll: `slope * (row - horizon)` below the horizon.

    Attributes:
        slope: 1/m per row, above 0.
        horizon: the row, in pixels from the top, where it is infinitely far; may lie outside the frame.
    """

    slope: float
    horizon: float

    def inverse_depth(self, height: int) -> F32:
        """(height, 1) 1/m, 0 at and above the horizon.

        >>> Ground(0.01, 1.0).inverse_depth(4).ravel().round(2).tolist()
        [0.0, 0.0, 0.009999999776482582, 0.019999999552965164]
        """
        rows = np.arange(height, dtype=np.float32)[:, None]
        return np.asarray(np.maximum(rows - self.horizon, 0) * self.slope, np.float32)

    def share(self, inverse_depth: F32, tolerance: float = 0.12) -> F32:
        """How surely each pixel of an (H, W) inverse depth shows the ground, [0, 1], with soft borders."""
        height = len(inverse_depth)
        expected = self.inverse_depth(height)
        room = tolerance * expected + np.float32(2 * self.slope)
        fits = np.clip(2 - np.abs(inverse_depth - expected) / room, 0, 1)
        below = np.clip((expected / np.float32(self.slope)) / (0.06 * height), 0, 1)
        radius = max(1, height // 150)
        soft: F32 = cv2.GaussianBlur((fits * below).astype(np.float32), (0, 0), radius)
        return soft


def fit_ground(inverse_depth: F32) -> Ground | None:
    """The ground that most of the lower frame shows, or None where there is none (a wall, a view from above).

    Nothing lies below the ground, so in each row it is what is farthest: a low quantile is taken, and of all lines
    through two rows the one that the most rows agree with. Rows above the horizon then simply don't agree.

    Args:
        inverse_depth: (H, W) 1/m, may be noisy. If it is off by a constant, the horizon is by as many rows as
            that is on the line, and the two still fit each other.
    """
    height = len(inverse_depth)
    start = round(height * 0.45)
    rows = np.unique(np.linspace(start, height - 1, MAX_ROWS).round().astype(int))
    levels = np.percentile(inverse_depth[rows], FARTHEST_PERCENTILE, axis=1)
    top = float(levels.max())
    if top <= 0 or len(rows) < MIN_ROWS:
        return None
    one, two = np.triu_indices(len(rows), max(1, len(rows) // 5))
    slopes = (levels[two] - levels[one]) / (rows[two] - rows[one])
    usable = slopes * height > MIN_SLOPE_SHARE * top
    slopes, one = slopes[usable], one[usable]
    horizons = rows[one] - levels[one] / slopes
    usable = (horizons > -height) & (horizons < 0.9 * height)
    if not usable.any():
        return None
    slopes, horizons = slopes[usable], horizons[usable]
    beyond = rows - horizons[:, None]
    agreement = np.exp(-(((levels - slopes[:, None] * beyond) / (AGREES * top)) ** 2)) * (beyond > 0)
    best = int(agreement.sum(axis=1).argmax())
    weights = np.sqrt(agreement[best])
    slope, offset = np.polyfit(rows, levels, 1, w=weights)
    return Ground(float(slope), float(-offset / slope))
