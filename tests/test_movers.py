"""Proposals of what could move, on made streets."""

import cv2
import numpy as np
import pytest

from blurdepth.ground import Ground
from blurdepth.movers import propose_movers

HEIGHT, WIDTH = 192, 640
GROUND = Ground(slope=1 / (1.65 * 380), horizon=95)


def street(cars: tuple[tuple[int, int], ...] = (), wall: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth of a street with cars (4 m wide, 1.5 m high) by (left edge, foot row), and their ids."""
    inverse = np.repeat(np.maximum(GROUND.inverse_depth(HEIGHT), 1 / 80), WIDTH, 1).astype(np.float32)
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    if wall:
        inverse[:130, :150] = GROUND.inverse_depth(HEIGHT)[130]
    for number, (left, foot) in enumerate(cars, start=1):
        nearness = float(GROUND.inverse_depth(HEIGHT)[foot, 0])
        width, height = round(4 * 380 * nearness), round(1.5 * 380 * nearness)
        inverse[foot - height : foot, left : left + width] = nearness
        ids[foot - height : foot, left : left + width] = number
    return inverse, ids


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_cars_on_the_road_are_found_and_told_apart() -> None:
    inverse, ids = street(((60, 150), (420, 135)))
    found = propose_movers(inverse)
    assert found.max() == 2
    for number in (1, 2):
        best = max(overlap(found == candidate, ids == number) for candidate in (1, 2))
        assert best > 0.8


def test_a_model_s_soft_and_noisy_depth_will_do() -> None:
    inverse, ids = street(((60, 150), (420, 140)))
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 0.004, inverse.shape), (0, 0), 3)
    soft = cv2.GaussianBlur(inverse, (0, 0), 1.5) * (1 + noise.astype(np.float32))
    found = propose_movers(soft.astype(np.float32))
    assert overlap(found > 0, ids > 0) > 0.7


def test_a_larger_frame_gives_the_same_movers() -> None:
    inverse, ids = street(((60, 150),))
    large = cv2.resize(inverse, (1280, 384), interpolation=cv2.INTER_NEAREST)
    found = propose_movers(large)
    truth = cv2.resize(ids, (1280, 384), interpolation=cv2.INTER_NEAREST)
    assert found.shape == large.shape
    assert overlap(found > 0, truth > 0) > 0.8


@pytest.mark.parametrize(
    "inverse",
    [street()[0], street(wall=True)[0], np.zeros((96, 160), np.float32), np.full((96, 160), 0.1, np.float32)],
    ids=["empty road", "a house", "only sky", "a wall"],
)
def test_nothing_is_proposed_where_nothing_could_move(inverse: np.ndarray) -> None:
    found = propose_movers(inverse)
    assert found.dtype == np.uint8
    assert not found.any()


def test_no_more_than_the_limit_the_largest_first() -> None:
    inverse, ids = street(((20, 120), (120, 130), (250, 150), (500, 140)))
    found = propose_movers(inverse, limit=2)
    assert found.max() == 2
    assert overlap(found == 1, ids == 3) > 0.7
