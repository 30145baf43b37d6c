"""What an exposure shows where something stood or stands before: the world behind, as it goes on."""

import numpy as np
import pytest

from blurdepth.camera import Motion
from blurdepth.exposure import expose
from tests.test_exposure import FOV, HEIGHT, WIDTH, flat, texture


def test_of_two_movers_the_farther_goes_on_behind_the_nearer() -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[30:60, 40:100], ids[30:60, 70:130] = 2, 1
    inverse = np.select([ids == 1, ids == 2], [0.2, 0.1], 0.02).astype(np.float32)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (20 / WIDTH / 0.2, 0, 0), 2: (1e-6, 0, 0)}), ids, 40)
    # Where the nearer one has gone from, the farther one is seen, not the wall behind both.
    assert made.mean_inverse_depth[45, 70] == pytest.approx(0.15, abs=0.01)
    assert made.moving_fraction[45, 60:80].min() == pytest.approx(1)


@pytest.mark.parametrize("rows", [slice(40, 60), slice(40, HEIGHT)])
def test_behind_what_fills_whole_rows_the_rows_next_to_it_go_on(rows: slice) -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[rows] = 1
    inverse = np.where(ids, 0.2, 0.05).astype(np.float32)
    linear = np.where(ids[..., None], np.float32(0.5), np.float32(0.2)) * np.ones(3, np.float32)
    made = expose(linear, inverse, Motion(FOV, objects={1: (20 / WIDTH / 0.2, 0, 0)}), ids, 40)
    # Half of the exposure, what it hides is seen at the edge of the frame: as light and as far as the wall around it.
    assert made.linear[50, 0, 0] == pytest.approx(0.35, abs=0.02)
    assert made.mean_inverse_depth[50, 0] == pytest.approx(0.125, abs=0.01)


def test_of_a_mover_that_is_all_there_is_to_see_the_rest_is_more_of_it() -> None:
    ids = np.ones((HEIGHT, WIDTH), np.uint8)
    linear = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    made = expose(linear, flat(0.2), Motion(FOV, objects={1: (0, 0, 2)}), ids)
    np.testing.assert_allclose(made.linear, linear, atol=1e-3)
    assert (made.mean_inverse_depth > 0.1).all()


def test_behind_the_edge_of_a_standing_thing_the_light_around_it_is_seen() -> None:
    linear, inverse = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32), flat(0.02)
    linear[:, 60:100], inverse[:, 60:100] = 0.8, 0.2
    made = expose(linear, inverse, Motion(FOV, translation_m=(20 / WIDTH / 0.2, 0, 0)), subframes=64)
    # The thing goes 20 px to the left, half of that before the middle: at its right edge it is gone half of the time.
    assert made.linear[48, 98:102, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert made.linear[48, 92, 0] == pytest.approx(0.2 + 0.6 * 0.9, abs=0.05)
