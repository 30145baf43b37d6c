"""Kinds of depth maps and the ways between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdepth.depth import Affine, fit_affine, inverse_to_depth_m, metres_from_affine, to_inverse_depth
from blurdepth.errors import InputError


@given(st.floats(-50, 50), st.floats(-100, 100), st.integers(0, 2**31))
def test_fit_finds_the_line_that_made_the_target(scale: float, shift: float, seed: int) -> None:
    prediction = np.random.default_rng(seed).random((12, 9), dtype=np.float32)
    target = Affine(scale, shift).apply(prediction)
    fitted = fit_affine(prediction, target)
    assert np.allclose(fitted.apply(prediction), target, atol=1e-4)


def test_fit_sees_only_the_mask_and_finite_pixels() -> None:
    prediction = np.float32([0, 1, 2, 3, np.nan, 5])
    target = np.float32([1, 3, 5, 900, 1, np.inf])
    mask = np.array([True, True, True, False, True, True])
    assert fit_affine(prediction, target, mask) == Affine(2.0, 1.0)


@pytest.mark.parametrize("level", [0.0, 7.3, -1e6])
def test_a_constant_prediction_goes_to_the_targets_mean(level: float) -> None:
    target = np.float32([0.1, 0.2, 0.6])
    fitted = fit_affine(np.full(3, level, np.float32), target)
    assert fitted.scale == 0
    assert fitted.shift == pytest.approx(0.3)


def test_a_fit_far_from_zero_keeps_its_precision() -> None:
    prediction = np.float32(10_000) + np.arange(64, dtype=np.float32)
    target = np.linspace(0.01, 0.5, 64, dtype=np.float32)
    assert np.allclose(fit_affine(prediction, target).apply(prediction), target, atol=1e-6)


def test_a_fit_without_pixels_is_refused() -> None:
    values = np.ones((2, 2), np.float32)
    with pytest.raises(InputError, match="nothing to align"):
        fit_affine(values, values, np.zeros((2, 2), bool))
    with pytest.raises(InputError, match=r"\(2, 2\) and \(3,\)"):
        fit_affine(values, np.ones(3, np.float32))


def test_inverse_depth_becomes_metres_within_floor_and_cap() -> None:
    inverse_depth = np.float32([0, -3, 1 / 80, 0.25, 5000])
    assert np.allclose(inverse_to_depth_m(inverse_depth), [80, 80, 80, 4, 1e-3])
    assert inverse_to_depth_m(inverse_depth, cap_m=10)[0] == pytest.approx(10)


def test_only_metres_are_inverted() -> None:
    values = np.float32([0.0, 2.0])
    assert to_inverse_depth(values, "affine_inverse_depth") is values
    assert np.allclose(to_inverse_depth(values, "depth_m"), [1000, 0.5])


@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.integers(0, 2**31))
def test_metres_do_not_depend_on_the_models_own_scale(scale: float, shift: float, seed: int) -> None:
    relative = np.random.default_rng(seed).random((20, 30), dtype=np.float32)
    expected = metres_from_affine(relative, 3, 60)
    assert np.allclose(metres_from_affine(Affine(scale, shift).apply(relative), 3, 60), expected, atol=5e-3)


def test_percentiles_lie_at_the_ends_and_nothing_beyond_far() -> None:
    relative = np.linspace(0, 100, 10_001, dtype=np.float32).reshape(73, 137)
    metres = 1 / metres_from_affine(relative, near_m=2, far_m=50)
    assert metres.max() == pytest.approx(50, rel=1e-5)
    assert np.interp(99.5, relative.ravel(), metres.ravel()) == pytest.approx(2, rel=1e-3)
    assert metres.min() < 2


def test_a_constant_map_lies_far_away() -> None:
    assert np.allclose(metres_from_affine(np.full((4, 4), 3.3, np.float32), 2, 50), 1 / 50)


@pytest.mark.parametrize(("near_m", "far_m"), [(0, 50), (50, 50), (60, 50), (1, np.inf), (np.nan, 50)])
def test_an_empty_range_is_refused(near_m: float, far_m: float) -> None:
    with pytest.raises(InputError, match=f"near {near_m} m"):
        metres_from_affine(np.ones((2, 2), np.float32), near_m, far_m)


def test_a_map_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        metres_from_affine(np.float32([[1, np.nan]]), 1, 50)
