"""The metrics of monocular depth, whole and by region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import (
    BLURRED,
    CAP_M,
    INVALID,
    MIXED,
    STATIC,
    Map,
    Mask,
    check_same_shape,
    fit_affine,
    inverse_to_depth_m,
)
from blurdepth.errors import InputError

MIN_REGION_PIXELS = 16
RING_PX = (3, 10)
"""How far the ring around mixed pixels lies from them."""

Regions = NDArray[np.uint8]


@dataclass(frozen=True)
class MetricInfo:
    """What a page says about one metric."""

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher"]


METRICS = (
    MetricInfo("abs_rel", "AbsRel", "", "lower"),
    MetricInfo("sq_rel", "SqRel", "m", "lower"),
    MetricInfo("rmse", "RMSE", "m", "lower"),
    MetricInfo("rmse_log", "RMSE log", "", "lower"),
    MetricInfo("log10", "log10", "", "lower"),
    MetricInfo("silog", "SILog (λ = 0.5)", "", "lower"),
    MetricInfo("silog_100", "SILog × 100 (λ = 1)", "", "lower"),
    MetricInfo("delta_1", "δ < 1.25", "", "higher"),
    MetricInfo("delta_2", "δ < 1.25²", "", "higher"),
    MetricInfo("delta_3", "δ < 1.25³", "", "higher"),
)
"""All metrics in the order in which they are shown."""


def depth_metrics(prediction_m: Map, target_m: Map, mask: Mask) -> dict[str, float]:
    """All of `METRICS` over the mask.

    With p the prediction, t the target and g = ln p - ln t: abs_rel = mean(|p - t| / t); sq_rel =
    mean((p - t)^2 / t); rmse = sqrt(mean((p - t)^2)); rmse_log = sqrt(mean(g^2)); log10 = mean(|g|) / ln 10;
    silog = sqrt(mean(g^2) - 0.5 mean(g)^2), the training loss; silog_100 = 100 sqrt(mean(g^2) - mean(g)^2),
    the KITTI benchmark's; delta_k = share of max(p / t, t / p) < 1.25^k.

    Args:
        prediction_m: any shape, metres, > 0 where the mask is set.
        target_m: the same shape, metres, > 0 where the mask is set.
        mask: the same shape, bool.

    Raises:
        InputError: the shapes differ, the mask is empty, or a value in it is not finite and above 0.

    Source: Eigen et al., "Depth Map Prediction from a Single Image" (NeurIPS 2014), section 4.3; the KITTI
    depth benchmark for silog_100.

    >>> two = depth_metrics(np.float32([2.0]), np.float32([1.0]), np.array([True]))
    >>> two["abs_rel"], two["rmse"], two["delta_3"], round(two["log10"], 3), two["silog_100"]
    (1.0, 1.0, 0.0, 0.301, 0.0)
    """
    check_same_shape(prediction_m, target_m)
    check_same_shape(mask, target_m)
    given, wanted = prediction_m[mask].astype(np.float64), target_m[mask].astype(np.float64)
    _check_metres(given, "prediction")
    _check_metres(wanted, "target")
    error = given - wanted
    gap = np.log(given) - np.log(wanted)
    mean_square, square_mean = np.mean(gap**2), np.mean(gap) ** 2
    ratio = np.exp(np.abs(gap))
    values = {
        "abs_rel": np.mean(np.abs(error) / wanted),
        "sq_rel": np.mean(error**2 / wanted),
        "rmse": np.sqrt(np.mean(error**2)),
        "rmse_log": np.sqrt(mean_square),
        "log10": np.mean(np.abs(gap)) / np.log(10),
        "silog": np.sqrt(max(mean_square - 0.5 * square_mean, 0.0)),
        "silog_100": 100 * np.sqrt(max(mean_square - square_mean, 0.0)),
        **{f"delta_{power}": np.mean(ratio < 1.25**power) for power in (1, 2, 3)},
    }
    return {metric.key: float(values[metric.key]) for metric in METRICS}


def relative_metrics(
    affine_prediction: Map, inverse_depth_target: Map, mask: Mask, cap_m: float = CAP_M
) -> dict[str, float]:
    """Metrics of a relative prediction: aligned by least squares in inverse depth, then in metres.

    Pixels count where the mask is set and the target is nearer than `cap_m`; both the fit and the metrics see
    only those. The aligned prediction lies between 1 mm and `cap_m`.

    Args:
        affine_prediction: (H, W) float32, larger = nearer.
        inverse_depth_target: (H, W) float32, 1/m; sky is 0.
        mask: (H, W) bool.
        cap_m: metres.

    Raises:
        InputError: the shapes differ, or no pixel counts.
    """
    regions = np.where(mask, STATIC, INVALID).astype(np.uint8)
    return metrics_by_region(affine_prediction, inverse_depth_target, regions, cap_m)["all"]


def metrics_by_region(
    affine_prediction: Map, inverse_depth_target: Map, regions: Regions, cap_m: float = CAP_M
) -> dict[str, dict[str, float]]:
    """`relative_metrics` whole and by region, under one alignment fitted on the whole frame.

    Args:
        affine_prediction: (H, W) float32, larger = nearer.
        inverse_depth_target: (H, W) float32, 1/m; sky is 0.
        regions: (H, W) uint8: 0 static, 1 blurred, 2 mixed depths, 255 no target.
        cap_m: metres.

    Returns:
        Metrics by "all", "static", "blurred" (1 and 2), "pure" (1), "mixed" (2) and "ring" (of `RING_PX` around what is
        mixed, where models drag their outlines to); a region with fewer than 16 pixels is left out.

    Raises:
        InputError: the shapes differ, or no pixel counts.
    """
    counts = _within_cap(inverse_depth_target, regions != INVALID, cap_m)
    aligned_m = inverse_to_depth_m(align(affine_prediction, inverse_depth_target, regions, cap_m), cap_m)
    target_m = inverse_to_depth_m(inverse_depth_target, cap_m)
    masks = {name: counts & mask for name, mask in region_masks(regions).items()}
    return {
        name: depth_metrics(aligned_m, target_m, mask)
        for name, mask in masks.items()
        if name == "all" or mask.sum() >= MIN_REGION_PIXELS
    }


def region_masks(regions: Regions) -> dict[str, Mask]:
    """(H, W) bool masks of "all" that has a target, "static", "blurred", "pure", "mixed" and "ring".

    Args:
        regions: (H, W) uint8, see `metrics_by_region`.
    """
    pure, mixed = regions == BLURRED, regions == MIXED
    return {
        "all": regions != INVALID,
        "static": regions == STATIC,
        "blurred": pure | mixed,
        "pure": pure,
        "mixed": mixed,
        "ring": ring_around(mixed),
    }


def ring_around(mask: Mask) -> Mask:
    """(H, W) bool: what lies outside the mask, `RING_PX` from it.

    >>> ring_around(np.arange(12)[None] == 0).astype(int).tolist()
    [[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0]]
    """
    if not mask.any():
        return np.zeros_like(mask)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray((away >= RING_PX[0]) & (away <= RING_PX[1]))


def inverse_error(affine_prediction: Map, inverse_depth_target: Map, mask: Mask | None = None) -> float:
    """Mean absolute error of inverse depth over the target's own mean deviation; 1 is a flat guess.

    It counts the whole frame, the sky too, and is what the scale-and-shift-invariant loss lowers. A target of one value
    has none: NaN, or infinite.

    Args:
        affine_prediction: (H, W) float32, larger = nearer; aligned to the whole target by least squares.
        inverse_depth_target: (H, W) float32, 1/m; sky is 0.
        mask: (H, W) bool, which pixels the error is of; all if not given. The deviation is that of the whole frame.

    Raises:
        InputError: the shapes differ.
    """
    error = np.abs(fit_affine(affine_prediction, inverse_depth_target).apply(affine_prediction) - inverse_depth_target)
    deviation = np.abs(inverse_depth_target - inverse_depth_target.mean()).mean()
    return float((error if mask is None else error[mask]).mean() / deviation)


def ramps(shape: tuple[int, int]) -> Iterator[Map]:
    """Guesses that don't look at the picture: 0 above a horizon, linear in the row below, for each of 40 horizons.

    Args:
        shape: (H, W) of the frame.
    """
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)
    for horizon in np.linspace(0, 0.9, 40, dtype=np.float32):
        yield np.repeat(np.clip(rows - horizon, 0, None)[:, None], shape[1], axis=1)


def straight_ramp(inverse_depth_target: Map) -> Map:
    """The one of the `ramps` that suits a target best: (H, W) float32, larger = nearer.

    Args:
        inverse_depth_target: (H, W) float32, 1/m; sky is 0.
    """
    height, width = inverse_depth_target.shape
    return min(ramps((height, width)), key=lambda ramp: inverse_error(ramp, inverse_depth_target))


def align(affine_prediction: Map, inverse_depth_target: Map, regions: Regions, cap_m: float = CAP_M) -> Map:
    """A prediction in the target's unit, by the alignment that `metrics_by_region` uses.

    Args:
        affine_prediction: (H, W) float32, larger = nearer.
        inverse_depth_target: (H, W) float32, 1/m; sky is 0.
        regions: (H, W) uint8; 255 has no target.
        cap_m: metres.

    Raises:
        InputError: the shapes differ, or no pixel counts.
    """
    counts = _within_cap(inverse_depth_target, regions != INVALID, cap_m)
    return fit_affine(affine_prediction, inverse_depth_target, counts).apply(affine_prediction)


def mean_metrics(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over images, each image weighing the same.

    >>> mean_metrics([{"rmse": 1.0}, {"rmse": 3.0}])
    {'rmse': 2.0}
    """
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else {}


def _within_cap(inverse_depth_target: Map, mask: Mask, cap_m: float) -> Mask:
    check_same_shape(mask, inverse_depth_target)
    # A target written at the cap itself, in float32, counts.
    nearest_to_cap = (1 - 1e-5) / cap_m
    return mask & np.isfinite(inverse_depth_target) & (inverse_depth_target >= nearest_to_cap)


def _check_metres(values: NDArray[np.float64], name: str) -> None:
    if values.size == 0:
        raise InputError("The mask is empty: there is no pixel to measure.")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(f"The {name} has depths that are not finite or not above 0: leave them out of the mask.")
