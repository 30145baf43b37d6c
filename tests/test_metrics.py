"""The metrics, whole and by region."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.metrics import measured_pairs
from blurdepth.depth import Affine, Map
from blurdepth.errors import InputError
from blurdepth.metrics import (
    INVALID,
    METRICS,
    depth_metrics,
    inverse_error,
    mean_metrics,
    metrics_by_region,
    relative_metrics,
    ring_around,
    straight_ramp,
)

ERRORS = [metric.key for metric in METRICS if metric.better == "lower"]


def some_inverse_depth(seed: int = 0) -> Map:
    """(20, 30) between 2 m and 70 m."""
    return np.random.default_rng(seed).uniform(1 / 70, 1 / 2, (20, 30)).astype(np.float32)


def everywhere(values: Map) -> np.ndarray:
    return np.ones(values.shape, bool)


def test_known_values_of_all_ten() -> None:
    prediction, target = np.float32([1, 2, 4, 8]), np.float32([1, 1, 5, 4])
    gap = np.log([1, 2, 0.8, 2])
    metrics = depth_metrics(prediction, target, everywhere(target))
    assert metrics == pytest.approx(
        {
            "abs_rel": (0 + 1 + 0.2 + 1) / 4,
            "sq_rel": (0 + 1 + 0.2 + 4) / 4,
            "rmse": np.sqrt((0 + 1 + 1 + 16) / 4),
            "rmse_log": np.sqrt(np.mean(gap**2)),
            "log10": np.mean(np.abs(gap)) / np.log(10),
            "silog": np.sqrt(np.mean(gap**2) - 0.5 * np.mean(gap) ** 2),
            "silog_100": 100 * np.std(gap),
            "delta_1": 0.25,  # 5 / 4 is not below 1.25 ** 1, unlike for its square
            "delta_2": 0.5,
            "delta_3": 0.5,
        },
        rel=1e-6,
    )
    assert list(metrics) == [metric.key for metric in METRICS]


@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.integers(0, 2**31))
def test_an_affine_copy_of_the_target_has_no_error(scale: float, shift: float, seed: int) -> None:
    target = some_inverse_depth(seed)
    prediction = (target.astype(np.float64) * scale + shift).astype(np.float32)
    metrics = relative_metrics(prediction, target, everywhere(target))
    rounding = np.abs(prediction).max() * 6e-8 / scale * 70  # of float32, in relative depth at 70 m
    assert metrics["abs_rel"] < 1e-5 + 2 * rounding
    assert metrics["delta_2"] == 1 or rounding > 0.05


@given(st.floats(0.5, 2.0))
def test_silog_100_ignores_a_common_factor(factor: float) -> None:
    target = 1 / some_inverse_depth()
    metrics = depth_metrics(target * np.float32(factor), target, everywhere(target))
    assert metrics["silog_100"] == pytest.approx(0, abs=1e-3)
    assert metrics["abs_rel"] == pytest.approx(abs(factor - 1), abs=1e-5)


def test_sky_and_masked_pixels_have_no_influence() -> None:
    target = some_inverse_depth()
    prediction, mask = 3 * target + 1, everywhere(target)
    target[0], prediction[0] = 0, 99  # sky
    target[1], prediction[1], mask[1] = 0.4, -99, False
    target[2] = np.nan
    metrics = relative_metrics(prediction, target, mask)
    assert max(metrics[key] for key in ERRORS) == pytest.approx(0, abs=1e-2)


def test_regions_share_one_alignment() -> None:
    target = some_inverse_depth()
    regions = np.zeros(target.shape, np.uint8)
    regions[:, 10:20], regions[:, 20], regions[:, 21:] = 1, 2, INVALID
    prediction = 5 * target - 1
    prediction[:, 21:] = 77
    clean = metrics_by_region(prediction, target, regions)
    assert set(clean) == {"all", "static", "blurred", "pure", "mixed", "ring"}
    assert max(clean[name]["abs_rel"] for name in clean) < 1e-4
    prediction[:, 20] += 1
    wrong = metrics_by_region(prediction, target, regions)
    assert wrong["mixed"]["abs_rel"] > wrong["blurred"]["abs_rel"] > wrong["pure"]["abs_rel"] > 0


def test_a_region_of_a_few_pixels_is_left_out() -> None:
    target = some_inverse_depth()
    regions = np.zeros(target.shape, np.uint8)
    regions[0, :15] = 1
    assert set(metrics_by_region(target, target, regions)) == {"all", "static"}
    regions[0, :16] = 1
    assert set(metrics_by_region(target, target, regions)) == {"all", "static", "blurred", "pure"}


def test_a_ring_lies_three_to_ten_pixels_around() -> None:
    mask = np.zeros((41, 41), bool)
    mask[20, 20] = True
    y, x = np.mgrid[-20:21, -20:21]
    away = np.hypot(x, y)
    np.testing.assert_array_equal(ring_around(mask), (away >= 3) & (away <= 10))
    assert not ring_around(np.zeros((5, 5), bool)).any()


def test_the_error_of_inverse_depth_is_one_for_a_flat_guess_and_none_for_a_right_one() -> None:
    target = some_inverse_depth()
    assert inverse_error(3 * target - 1, target) == pytest.approx(0, abs=1e-5)
    assert inverse_error(np.ones_like(target), target) == pytest.approx(1)
    half = np.zeros(target.shape, bool)
    half[: len(target) // 2] = True
    guess = target + np.random.default_rng(0).normal(0, 0.05, target.shape).astype(np.float32)
    parts = [inverse_error(guess, target, each) for each in (half, ~half)]
    assert np.average(parts, weights=[half.sum(), (~half).sum()]) == pytest.approx(inverse_error(guess, target))


def test_a_straight_ramp_is_right_where_the_world_is_one() -> None:
    rows = np.clip(np.linspace(0, 1, 40, dtype=np.float32) - np.linspace(0, 0.9, 40)[14], 0, None)
    target = np.repeat(rows[:, None], 30, axis=1).astype(np.float32)
    assert inverse_error(straight_ramp(target), target) == pytest.approx(0, abs=1e-5)
    assert inverse_error(straight_ramp(target[:, ::-1].T.copy()), target.T.copy()) > 0.5


def test_a_region_alone_gives_what_the_whole_gives() -> None:
    target = some_inverse_depth()
    prediction = Affine(2.0, 0.3).apply(some_inverse_depth(1))
    by_region = metrics_by_region(prediction, target, np.zeros(target.shape, np.uint8))
    assert by_region["all"] == by_region["static"] == relative_metrics(prediction, target, everywhere(target))


def test_a_mirrored_prediction_scores_worse_than_a_flat_one() -> None:
    target = np.tile(np.linspace(0.02, 0.5, 30, dtype=np.float32), (20, 1))
    skewed = -(target**3)
    assert relative_metrics(skewed, target, everywhere(target))["abs_rel"] > 0.1


def test_what_can_not_be_measured_is_refused() -> None:
    target = np.ones((4, 4), np.float32)
    with pytest.raises(InputError, match="no pixel to measure"):
        depth_metrics(target, target, np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="prediction has depths"):
        depth_metrics(target * 0, target, everywhere(target))
    with pytest.raises(InputError, match="target has depths"):
        depth_metrics(target, target * np.float32(np.inf), everywhere(target))
    with pytest.raises(InputError, match="nothing to align"):
        relative_metrics(target, target * 0, everywhere(target))
    with pytest.raises(InputError, match="don't fit"):
        metrics_by_region(target, target, np.zeros((5, 4), np.uint8))


def test_each_image_weighs_the_same() -> None:
    assert mean_metrics([{"a": 1.0, "b": 0.0}, {"a": 2.0, "b": 4.0}]) == {"a": 1.5, "b": 2.0}
    assert mean_metrics([]) == {}


def test_the_benchmark_reads_measured_depths_with_holes(tmp_path: Path) -> None:
    depth_m = np.linspace(1, 100, 600, dtype=np.float32).reshape(20, 30)
    known = depth_m < 80
    for row, hole in enumerate((0, np.inf, np.nan)):
        depth_m[row], known[row] = hole, False
    np.savez(tmp_path / "lidar.npz", prediction=7 / np.where(known, depth_m, 1) - 3, depth_m=depth_m)
    ((predicted, target, mask),) = measured_pairs(tmp_path)
    assert np.array_equal(mask, known)
    np.testing.assert_allclose(predicted[mask], depth_m[mask], rtol=1e-4)
    assert np.array_equal(target[mask], depth_m[mask]) and np.isfinite(target).all()
