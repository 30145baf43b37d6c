"""Ranges hold the truth as often as they say, also of few scenes."""

import numpy as np
import pytest

from blurdepth.paired import change, mean_gap


@pytest.mark.parametrize(("seed_spread", "scene_spread"), [(0.1, 0.02), (0.02, 0.3), (0.05, 0.15)])
def test_nineteen_of_twenty_ranges_hold_the_true_change(seed_spread: float, scene_spread: float) -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        before = rng.uniform(0.1, 0.3, (1, 100))
        better = 0.8 + rng.normal(0, seed_spread, (3, 1)) + rng.normal(0, scene_spread, (1, 100))
        found = change(before, before * better)
        held += found["low"] < -20 < found["high"]
    assert 0.93 < held / 400 < 0.995


@pytest.mark.parametrize(("seed_spread", "scene_spread"), [(0.05, 0.02), (0.02, 0.3), (0.05, 0.15)])
def test_so_do_those_between_fine_tunes_of_the_same_seeds(seed_spread: float, scene_spread: float) -> None:
    rng, held = np.random.default_rng(4), 0
    for _ in range(400):
        before = rng.uniform(0.1, 0.3, (1, 100)) * (1 + rng.normal(0, seed_spread, (3, 1)))
        better = 0.8 + rng.normal(0, seed_spread, (3, 1)) + rng.normal(0, scene_spread, (1, 100))
        found = change(before, before * better)
        held += found["low"] < -20 < found["high"]
    assert 0.93 < held / 400 < 0.999


def test_a_change_is_that_of_the_means_and_its_range_holds_it() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0.1, 0.3, (1, 50))
    after = before * rng.uniform(0.7, 0.9, (3, 50))
    found = change(before, after)
    assert found["percent"] == pytest.approx(100 * (after.mean() / before.mean() - 1))
    assert found["low"] < found["percent"] < found["high"] < -15


def test_a_change_that_is_none_has_a_range_around_zero() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.uniform(0.1, 0.3, (2, 3, 80))
    found = change(before, after)
    assert found["low"] < 0 < found["high"]


def test_a_paired_range_is_narrow_though_scenes_differ_widely() -> None:
    before = np.geomspace(0.01, 1, 60)[None]
    found = change(before, 0.9 * before.repeat(3, axis=0))
    assert (found["percent"], found["low"], found["high"]) == pytest.approx((-10, -10, -10))


def test_scenes_without_a_region_do_not_count() -> None:
    before, after = np.array([[0.2, np.nan, 0.4]]), np.array([[0.1, 0.5, 0.2]])
    assert change(before, after)["percent"] == pytest.approx(-50)


@pytest.mark.parametrize("scenes", [2, 3, 5, 20])
def test_nineteen_of_twenty_ranges_hold_the_mean_gap_of_few_scenes_with_several_images_each(scenes: int) -> None:
    rng, held = np.random.default_rng(5), 0
    for _ in range(1000):
        groups = np.repeat(np.arange(scenes), 4)
        gaps = 0.01 + rng.normal(0, 0.1, scenes)[groups] + rng.normal(0, 0.02, len(groups))
        found = mean_gap(gaps, [f"scene {each}" for each in groups])
        assert found["low"] is not None and found["high"] is not None
        held += found["low"] < 0.01 < found["high"]
    assert 0.93 < held / 1000 < 0.97


def test_scenes_count_by_their_images() -> None:
    found = mean_gap(np.array([1.0, 2.0, 3.0, 10.0]), ["a", "a", "a", "b"])
    assert found["mean"] == 4
    # The first scene's gaps are 6 below the mean of all together, the other's 6 above, by 2 images a scene.
    assert found["high"] == pytest.approx(4 + 12.706 * np.std([-3, 3], ddof=1) / np.sqrt(2), rel=1e-4)
