"""The ground in a frame's inverse depth: a plane below the camera, which is linear in the row."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

ROUNDS = 12
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

    Each row's low quantile is taken, as things that stand on the ground are nearer than it, and a line fitted
    to these by reweighted least squares.

    Args:
        inverse_depth: (H, W) 1/m, may be noisy.
    """
    height = len(inverse_depth)
    rows = np.arange(round(height * 0.45), height, dtype=np.float64)
    levels = np.percentile(inverse_depth[round(height * 0.45) :], 30, axis=1)
    top = float(levels.max())
    if top <= 0:
        return None
    weights = np.ones(len(rows))
    slope = horizon = 0.0
    for _ in range(ROUNDS):
        slope, offset = np.polyfit(rows, levels, 1, w=np.sqrt(weights))
        residual = np.abs(levels - slope * rows - offset)
        weights = 1 / np.maximum(residual, 0.01 * top)
        horizon = -offset / slope if slope else np.inf
    if slope * height < MIN_SLOPE_SHARE * top or horizon < -height or horizon > 0.9 * height:
        return None
    return Ground(float(slope), float(horizon))
