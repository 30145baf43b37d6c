"""Kinds of depth maps, and the ways between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError

DepthKind = Literal["affine_inverse_depth", "inverse_depth", "depth_m"]
"""`affine_inverse_depth` has an unknown scale and shift, larger = nearer; `inverse_depth` is in 1/m."""

CAP_M = 80.0
"""Farthest depth that is told apart, in metres: the cap of the KITTI benchmark."""
FLOOR_M = 1e-3
"""Nearest depth, in metres."""
SCALE_PERCENTILES = (0.5, 99.5)

STATIC, BLURRED, MIXED, INVALID = 0, 1, 2, 255
"""Values of a region map (uint8): at rest; moved, of one depth; several depths in one pixel; no target."""

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Affine:
    """The straight line `scale * value + shift`."""

    scale: float
    shift: float

    def apply(self, values: Map) -> Map:
        """The line at `values`, of any shape, as float32.

        >>> Affine(2.0, 1.0).apply(np.float32([0, 3])).tolist()
        [1.0, 7.0]
        """
        return (self.scale * values.astype(np.float64) + self.shift).astype(np.float32)


def fit_affine(prediction: Map, target: Map, mask: Mask | None = None) -> Affine:
    """The line that takes `prediction` closest to `target`, by least squares over the mask.

    A prediction that is constant there tells nothing: it goes to the target's mean, with scale 0. Pixels
    where either is not finite don't count. The scale may come out negative: that prediction is mirrored, and
    the metrics should say so rather than have it mended.

    Args:
        prediction: any shape, affine inverse depth.
        target: the same shape, inverse depth in 1/m.
        mask: the same shape; all pixels if not given.

    Raises:
        InputError: the shapes differ, or no pixel counts.

    Source: Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2022), equation 4.

    >>> fit_affine(np.float32([0, 1, 2]), np.float32([1, 3, 5]))
    Affine(scale=2.0, shift=1.0)
    >>> fit_affine(np.float32([4, 4]), np.float32([1, 3]))
    Affine(scale=0.0, shift=2.0)
    """
    check_same_shape(prediction, target)
    counts = np.isfinite(prediction) & np.isfinite(target)
    if mask is not None:
        check_same_shape(mask, target)
        counts &= mask
    if not counts.any():
        raise InputError("No pixel has both a prediction and a target: there is nothing to align.")
    given, wanted = prediction[counts].astype(np.float64), target[counts].astype(np.float64)
    mean_given, mean_wanted = given.mean(), wanted.mean()
    given -= mean_given
    variance = given @ given
    # Spread below the rounding of float32 is noise around a constant, not structure to be scaled up.
    if variance <= len(given) * (mean_given * np.finfo(np.float32).eps) ** 2:
        return Affine(0.0, float(mean_wanted))
    scale = float(given @ (wanted - mean_wanted) / variance)
    return Affine(scale, float(mean_wanted - scale * mean_given))


def inverse_to_depth_m(inverse_depth: Map, cap_m: float = CAP_M, floor_m: float = FLOOR_M) -> Map:
    """Metres from inverse depth (1/m), between `floor_m` and `cap_m`; 0 and less (sky) lie at the cap.

    >>> inverse_to_depth_m(np.float32([0.5, 0.0, -1.0, 1e6])).round(3).tolist()
    [2.0, 80.0, 80.0, 0.0010000000474974513]
    """
    depth_m: Map = (1 / np.clip(inverse_depth, 1 / cap_m, 1 / floor_m)).astype(np.float32)
    return depth_m


def to_inverse_depth(values: Map, kind: DepthKind) -> Map:
    """A prediction of any kind as inverse depth: metres are inverted, the others are so already.

    The scale stays what it is: 1/m for `inverse_depth` and `depth_m`, unknown for `affine_inverse_depth`.

    >>> to_inverse_depth(np.float32([4.0, np.inf]), "depth_m").tolist()
    [0.25, 0.0]
    """
    if kind == "depth_m":
        return (1 / np.maximum(values, FLOOR_M)).astype(np.float32)
    return values


def metres_from_affine(affine_inverse_depth: Map, near_m: float, far_m: float) -> Map:
    """Inverse depth in 1/m from a relative prediction, by an assumed range.

    A relative model doesn't tell metres. Here is the whole assumption: the 0.5th percentile of the frame
    lies `far_m` away and the 99.5th `near_m`, inverse depth is a straight line between and on the near side
    beyond, and nothing is farther than `far_m`. Percentiles, as single pixels at the ends are unreliable. So
    the scale is a guess: the result is right up to one affine map of inverse depth, and absolute distances
    are only as good as `near_m` and `far_m`.

    Args:
        affine_inverse_depth: (H, W) float32, larger = nearer.
        near_m: metres to what is nearest.
        far_m: metres to what is farthest, above `near_m`.

    Returns:
        The same shape, float32 in 1/m, at least 1/far_m. A constant map lies at `far_m` everywhere.

    Raises:
        InputError: the range is empty, or the map has values that are not finite.

    >>> metres_from_affine(np.float32([[3.0, 5.0]]), near_m=2, far_m=50).round(2).tolist()
    [[0.019999999552965164, 0.5]]
    """
    if not 0 < near_m < far_m < np.inf:
        raise InputError(f"near {near_m} m, far {far_m} m: near must be above 0 and below far.")
    if affine_inverse_depth.size == 0 or not np.isfinite(affine_inverse_depth).all():
        raise InputError("The depth map is empty or has values that are not finite: estimate it again.")
    values = affine_inverse_depth.astype(np.float64)
    far_value, near_value = np.percentile(values, SCALE_PERCENTILES)
    spread = near_value - far_value
    if spread <= abs(near_value) * np.finfo(np.float32).eps:
        return np.full(values.shape, 1 / far_m, np.float32)
    nearness = np.maximum((values - far_value) / spread, 0)
    inverse_depth: Map = (1 / far_m + nearness * (1 / near_m - 1 / far_m)).astype(np.float32)
    return inverse_depth


def check_same_shape(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    """Refuse maps that don't belong together.

    Raises:
        InputError: the shapes differ.
    """
    if first.shape != second.shape:
        raise InputError(f"Maps of {first.shape} and {second.shape} don't fit: resize one to the other.")
