"""Setups: arrows are motion on the ground, ids stay apart, and a known height gives the scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdepth.camera import ScaleAssumption
from blurdepth.depth import metres_from_affine
from blurdepth.errors import InputError
from blurdepth.movers import Mask
from blurdepth.setups import (
    MAX_MOVERS,
    Setup,
    View,
    keep_seen,
    scale_by_known_height,
    setup_from_json,
    with_mover,
)

HEIGHT, WIDTH = 60, 160


def box(top: int, left: int, height: int = 12, width: int = 20) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def view(distance_m: float = 10.0, exposure_s: float = 0.1) -> View:
    return View(np.full((HEIGHT, WIDTH), 1 / distance_m, np.float32), ScaleAssumption(fov_x_deg=90.0), exposure_s)


def test_a_sideways_arrow_is_as_long_as_the_blur() -> None:
    # 5 m/s for 0.1 s at 10 m, with a focal length of 80 px: 4 px.
    (x, y), (to_x, to_y) = view().arrow(box(20, 40), (5.0, 0.0, 0.0))
    assert (x, y) == (49.5, 25.5)
    assert to_x - x == pytest.approx(4.0)
    assert to_y == y


def test_what_comes_nearer_points_down_and_away_from_the_middle() -> None:
    (x, y), (to_x, to_y) = view().arrow(box(20, 110), (0.0, 0.0, -10.0))
    assert to_y > y
    assert to_x > x > WIDTH / 2


@given(
    right=st.floats(-20, 20),
    forward=st.floats(-20, 20),
    distance=st.floats(4, 30),
    left=st.integers(0, WIDTH - 20),
)
def test_an_arrow_gives_back_the_velocity_it_shows(right: float, forward: float, distance: float, left: int) -> None:
    seen, mask = view(distance), box(30, left)
    start, end = seen.arrow(mask, (right, 0.0, forward))
    if abs(end[1] - start[1]) < 0.3 * abs(end[0] - start[0]):
        forward = 0.0  # counts as level
        start, end = seen.arrow(mask, (right, 0.0, 0.0))
    assert seen.velocity(mask, end) == pytest.approx((right, 0.0, forward), abs=1e-6)


def test_no_arrow_is_faster_than_anything_may_be() -> None:
    velocity = view().velocity(box(20, 40), (49.5, -1e5))
    assert np.linalg.norm(velocity) == pytest.approx(60)


def test_a_setup_comes_back_from_its_json_with_the_same_id() -> None:
    setup = Setup("frame", "ab/c.png", {2: (1.0, 0.0, -3.0), 1: (0.0, 0.0, 0.0)}, ScaleAssumption(camera_height_m=2.0))
    back = setup_from_json("frame", setup.to_json())
    assert back == setup and back.id == setup.id
    assert replace(setup, frame_id="other").id != setup.id


def test_a_new_mover_gets_the_first_free_number_and_takes_what_it_covers() -> None:
    ids, first = with_mover(np.zeros((HEIGHT, WIDTH), np.uint8), box(10, 10))
    ids, second = with_mover(ids, box(10, 20))
    assert (first, second) == (1, 2)
    assert np.count_nonzero(ids == 1) == 12 * 10
    ids, same = with_mover(ids, box(40, 10), 1)
    assert same == 1 and np.array_equal(ids == 1, box(40, 10))


def test_a_mover_that_is_covered_is_left_out() -> None:
    ids, _ = with_mover(np.zeros((HEIGHT, WIDTH), np.uint8), box(10, 10))
    ids, _ = with_mover(ids, box(8, 8, 20, 30))
    kept, velocities = keep_seen(ids, {1: (1.0, 0.0, 0.0), 2: (2.0, 0.0, 0.0)})
    assert velocities == {2: (2.0, 0.0, 0.0)}
    assert set(np.unique(kept)) == {0, 2}


def test_too_small_and_too_many_movers_are_refused() -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    with pytest.raises(InputError, match="too small"):
        with_mover(ids, box(5, 5, 2, 3))
    for number in range(MAX_MOVERS):
        ids, _ = with_mover(ids, box(15 * (number // 7), 21 * (number % 7)))
    with pytest.raises(InputError, match="remove one first"):
        with_mover(ids, box(45, 130))


def test_a_known_height_gives_the_scale_at_which_it_is_so_tall() -> None:
    affine = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None].repeat(WIDTH, 1)
    mask = box(30, 40, 15)

    def metres(scale: ScaleAssumption) -> np.ndarray:
        return metres_from_affine(affine, *scale.range_m(WIDTH, HEIGHT))

    start = View(metres(ScaleAssumption()), ScaleAssumption(), 0.1)
    found = scale_by_known_height(start, mask, 1.5, metres)
    assert View(metres(found), found, 0.1).height_m(mask) == pytest.approx(1.5, rel=0.02)
    with pytest.raises(InputError, match="No camera height"):
        scale_by_known_height(start, mask, 1000.0, metres)
