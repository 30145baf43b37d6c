"""The exposure simulator against answers that are known."""

from typing import Any

import cv2
import numpy as np
import pytest

from blurdepth.camera import SHUTTERS, Motion, Vector
from blurdepth.depth import BLURRED, CAP_M, MIXED, STATIC
from blurdepth.errors import InputError
from blurdepth.exposure import expose, regions
from blurdepth.images import linear_to_srgb, srgb_to_linear

FOV = 2 * np.degrees(np.arctan(0.5))  # focal length = width
HEIGHT, WIDTH = 96, 160


def texture(seed: int = 0) -> np.ndarray:
    return srgb_to_linear(np.random.default_rng(seed).integers(20, 240, (HEIGHT, WIDTH, 3), np.uint8))


def flat(value: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), value, np.float32)


def street() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear light, inverse depth with sky, and ids of one box."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    inverse = np.repeat(np.maximum(rows - HEIGHT / 2, 0) / (1.6 * WIDTH), WIDTH, 1).astype(np.float32)
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[40:70, 60:100] = 1
    inverse[ids == 1] = 0.14
    return texture(1), inverse, ids


@pytest.mark.parametrize("turn", [(0, 0, 0), (0, 1e-9, 0)])
def test_no_motion_gives_the_input(turn: tuple[float, float, float]) -> None:
    linear, inverse, ids = street()
    made = expose(linear, inverse, Motion(FOV, rotation_deg=turn, objects={1: (0, 0, 0)}), ids)
    difference = linear_to_srgb(made.linear).astype(int) - linear_to_srgb(linear)
    assert abs(difference).max() <= 1
    np.testing.assert_allclose(made.mean_inverse_depth, inverse, atol=1e-6)
    assert (regions(made) == STATIC).all()


def test_flat_wall_moved_sideways_is_a_box_blur() -> None:
    linear, steps = texture(), 8
    metres = steps / WIDTH * 10
    made = expose(linear, flat(0.1), Motion(FOV, translation_m=(metres, 0, 0)), subframes=steps)
    moments = [np.roll(linear, shift, 1) for shift in (4, 3, 2, 1, 0, -1, -2, -3)]
    halves = [(a + np.roll(a, -1, 1)) / 2 for a in moments]
    np.testing.assert_allclose(made.linear[:, 8:-8], np.mean(halves, 0)[:, 8:-8], atol=2e-3)
    np.testing.assert_allclose(made.mean_inverse_depth, 0.1, atol=1e-6)
    np.testing.assert_allclose(made.flow_px, steps, rtol=1e-4)
    assert (regions(made)[:, 8:-8] == BLURRED).all()


def test_half_covered_pixel_has_half_the_mean_inverse_depth() -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[:, 40:80] = 1
    inverse = np.where(ids, 0.2, 0.1).astype(np.float32)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (20 / WIDTH / 0.2, 0, 0)}), ids, 40)
    assert made.mean_inverse_depth[48, 39:41].mean() == pytest.approx(0.15, abs=1e-3)
    assert made.moving_fraction[48, 79:81].mean() == pytest.approx(0.5, abs=0.01)
    assert made.nearest_inverse_depth[48, 40] == pytest.approx(0.2, rel=1e-3)
    assert made.farthest_inverse_depth[48, 40] == pytest.approx(0.1, rel=1e-3)
    assert regions(made)[48, 40] == MIXED
    assert regions(made)[48, 60] == BLURRED
    assert regions(made)[48, 120] == STATIC


def test_forward_motion_over_ground_keeps_its_inverse_depth_and_mixes_at_a_near_box() -> None:
    linear, inverse, _ = street()
    made = expose(linear, inverse, Motion(FOV, translation_m=(0, 0, 1.5)))
    ground = np.s_[50:85, 20:40]
    np.testing.assert_allclose(made.mean_inverse_depth[ground], inverse[ground], rtol=0.02)
    edge = made.mean_inverse_depth[50, 88:110]
    assert edge[0] == pytest.approx(0.14, rel=0.02) and edge[-1] == pytest.approx(inverse[50, 110], rel=0.02)
    assert (np.diff(edge) < 1e-3).all()
    assert ((edge > 0.02) & (edge < 0.13)).any()


def test_sky_stays_infinitely_far() -> None:
    linear, inverse, ids = street()
    made = expose(linear, inverse, Motion(FOV, (0, 0, 1), (0, 1, 0), {1: (0.5, 0, 0)}), ids)
    assert (made.mean_inverse_depth[:30] == 0).all()
    assert (made.spread[:30] == 0).all()


def test_turning_the_camera_moves_far_and_near_alike() -> None:
    inverse = flat(0)
    inverse[:, 80:] = 0.1
    made = expose(texture(), inverse, Motion(FOV, rotation_deg=(0, 3, 0)))
    expected = np.radians(3) * WIDTH
    assert made.flow_px[48, 80] == pytest.approx(expected, rel=0.01)
    assert made.flow_px[48, 79] == pytest.approx(expected, rel=0.01)


def boxed(metres: float, left: int = 65) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth and ids of a box, 30 px wide and 20 high, before a wall at 20 m."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[38:58, left : left + 30] = 1
    return np.where(ids, 1 / metres, 1 / 20).astype(np.float32), ids


def test_a_mover_that_passes_through_the_camera_leaves_no_target_where_it_was_seen() -> None:
    inverse, ids = boxed(3.3, left=95)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, -8)}), ids)
    assert made.moving_fraction[48, -1] > 0
    assert not made.valid[ids == 1].any()
    assert not made.valid[made.moving_fraction > 0].any()
    assert made.valid[:, :80].all()
    assert expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, -4)}), ids).valid[:, :120].all()


@pytest.mark.parametrize(("metres", "side"), [(-2.2, -1), (2.2, 1)])
def test_with_a_rolling_shutter_so_does_one_that_passes_in_the_latest_or_earliest_rows(
    metres: float, side: int
) -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[:, 95:125] = 1
    inverse = np.where(ids, 1 / 2, 1 / 20).astype(np.float32)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, metres)}, readout=1), ids)
    # It is in the camera 2 / 2.2 exposures from the middle: rows exposed by more than 0.409 later, or earlier, see it.
    late = -side * ((np.arange(HEIGHT) + 0.5) / HEIGHT - 0.5)
    passed = late > 2 / 2.2 - 0.5
    seen = (made.moving_fraction > 0) & (np.arange(WIDTH) > 90) & (np.arange(WIDTH) < 130)
    assert 5 < passed.sum() < 12
    assert not made.valid[passed][seen[passed]].any()
    assert made.valid[late < 0.3, 95:125].any(axis=1).all()


def test_behind_the_camera_a_mover_is_not_seen() -> None:
    inverse, ids = boxed(3.3, left=95)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, -40)}), ids)
    assert not made.moving_fraction[:, :80].any()
    assert made.valid[:, :80].all()


def test_what_passes_through_the_camera_on_its_axis_leaves_no_target_at_all() -> None:
    inverse, ids = boxed(3.3)
    with pytest.raises(InputError, match="so near that nothing stays in view"):
        expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, -8)}), ids)


def test_a_standing_thing_that_the_camera_passes_leaves_no_target_where_it_stood() -> None:
    inverse, ids = boxed(3.3, left=125)
    made = expose(texture(), inverse, Motion(FOV, translation_m=(0, 0, 8)))
    assert not made.valid[ids == 1].any()
    assert made.valid[20:76, 20:80].all()


def test_a_mover_grows_as_it_comes_nearer() -> None:
    inverse, ids = boxed(10)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (0, 0, -12)}), ids, 96)
    grown = made.nearest_inverse_depth > 0.06
    columns, rows = np.flatnonzero(grown.any(0)), np.flatnonzero(grown.any(1))
    # At the end it is 4 m away: 2.5 times as wide and as high.
    assert columns[-1] - columns[0] + 1 == pytest.approx(75, abs=3)
    assert rows[-1] - rows[0] + 1 == pytest.approx(50, abs=3)
    assert made.valid.all()


def test_a_mover_of_which_a_pixel_peeps_out_behind_another_is_left_out() -> None:
    inverse, ids = boxed(3)
    row, column = np.argwhere(ids == 1)[0]
    ids[row - 1, column], inverse[row - 1, column] = 2, 0.1
    made = expose(texture(), inverse, Motion(FOV, objects={1: (0.1, 0, 0), 2: (-0.1, 0, 0)}), ids)
    assert np.isfinite(made.linear).all()
    assert made.moving_fraction.max() == pytest.approx(1)


@pytest.mark.parametrize("columns", [slice(0, 1), slice(0, 2), slice(WIDTH - 1, WIDTH)])
def test_a_mover_that_is_hardly_in_the_frame(columns: slice) -> None:
    linear, inverse, ids = street()
    ids[:], ids[60:90, columns] = 0, 1
    inverse[60:90, columns] = inverse[90, 0]
    made = expose(linear, inverse, Motion(FOV, objects={1: (0.3, 0, 0)}), ids)
    assert np.isfinite(made.linear).all()
    assert made.moving_fraction[70].max() > 0


def test_other_types_give_the_same() -> None:
    linear, inverse, ids = street()
    motion = Motion(FOV, translation_m=(0, 0, 1), objects={1: (0.5, 0, 0)})
    usual, other = (expose(linear.astype(each), inverse.astype(each), motion, ids) for each in (np.float32, np.float64))
    assert usual.linear.tobytes() == other.linear.tobytes()
    assert other.mean_inverse_depth.dtype == np.float32


def test_same_input_gives_the_same_bytes_with_any_number_of_threads() -> None:
    linear, inverse, ids = street()
    motion = Motion(FOV, (0.05, 0, 0.8), (0, 0.7, 0), {1: (0.5, 0, 0)}, "triangle", 0.4)
    first, second, third = (expose(linear, inverse, motion, ids, threads=threads) for threads in (1, 1, 2))
    for name in ("linear", "mean_inverse_depth", "mean_depth_m", "variance", "moving_fraction", "valid", "flow"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes() == getattr(third, name).tobytes()


@pytest.mark.parametrize(
    ("camera", "turn", "mover"),
    [((0, 0, 0.5), (0, 0, 0), (0.7, 0, 0)), ((0, 0, 0), (0, 3, 0), (0.7, 0, 0)), ((0.1, 0, 0), (0, 0, 0), (0, 0, 0))],
)
def test_halving_the_step_changes_less_than_a_thousandth(camera: Vector, turn: Vector, mover: Vector) -> None:
    linear, inverse, ids = street()
    motion = Motion(FOV, camera, turn, {1: mover})
    # As smooth as what a lens can draw on the pixels: noise has no light between them that could be agreed on.
    smooth = cv2.GaussianBlur(linear, (0, 0), 1.5)
    usual = expose(smooth, inverse, motion, ids)
    finer = expose(smooth, inverse, motion, ids, usual.subframes * 2)
    light = abs(usual.linear - finer.linear)
    depth = abs(usual.mean_inverse_depth - finer.mean_inverse_depth)
    assert np.percentile(light, 99) < 1e-3
    assert depth.mean() < 1e-3 * inverse.mean()
    # Where the edge of something passes, single pixels still see it come or go a step earlier.
    assert np.percentile(depth / np.maximum(inverse.mean(), finer.mean_inverse_depth), 95) < 1e-3


@pytest.mark.parametrize(
    ("turn", "shutter", "within"),
    [((0, 4, 0), "box", 1e-3), ((1, 1, 0), "box", 1e-3), ((1, -2, 5), "box", 4e-3), ((-3, 0, 0), "triangle", 4e-3)],
)
def test_a_turn_is_the_integral_over_the_whole_exposure_at_every_pixel(
    turn: Vector, shutter: str, within: float
) -> None:
    linear, inverse, _ = street()
    smooth, soft = cv2.GaussianBlur(linear, (0, 0), 1.0), cv2.GaussianBlur(inverse, (0, 0), 1.0)
    motion = Motion(FOV, rotation_deg=turn, shutter=shutter, readout=0.5)
    made, reference = expose(smooth, soft, motion), expose(smooth, soft, motion, subframes=1024)
    np.testing.assert_allclose(made.linear, reference.linear, atol=within)
    np.testing.assert_allclose(made.mean_inverse_depth, reference.mean_inverse_depth, atol=within * soft.max())
    np.testing.assert_allclose(made.variance, reference.variance, atol=5e-3 * soft.max() ** 2)
    assert (made.valid == reference.valid).mean() > 0.995


def test_a_triangle_shutter_weighs_the_middle_most() -> None:
    linear, steps = texture(), 8
    motion = Motion(FOV, translation_m=(steps / WIDTH * 10, 0, 0), shutter="triangle")
    made = expose(linear, flat(0.1), motion, subframes=steps)
    weights = np.float32([1, 3, 5, 7, 7, 5, 3, 1]) / 32
    moments = [np.roll(linear, shift, 1) for shift in (4, 3, 2, 1, 0, -1, -2, -3)]
    expected = sum(w * (a + np.roll(a, -1, 1)) / 2 for w, a in zip(weights, moments, strict=True))
    np.testing.assert_allclose(made.linear[:, 8:-8], expected[:, 8:-8], atol=2e-3)


@pytest.mark.parametrize("shutter", SHUTTERS)
def test_every_shutter_keeps_the_light_of_a_flat_wall(shutter: str) -> None:
    wall = np.full((HEIGHT, WIDTH, 3), 0.3, np.float32)
    made = expose(wall, flat(0.1), Motion(FOV, translation_m=(0.7, 0, 0), shutter=shutter, readout=0.5))
    np.testing.assert_allclose(made.linear, 0.3, rtol=1e-5)
    np.testing.assert_allclose(made.mean_depth_m, 10, rtol=1e-5)
    np.testing.assert_allclose(made.variance, 0, atol=1e-7)


def test_a_rolling_shutter_skews_an_upright_edge_by_the_motion_of_the_readout() -> None:
    linear = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    linear[:, 80:] = 0.8
    pixels = 12.0
    motion = Motion(FOV, translation_m=(pixels / WIDTH * 10, 0, 0), readout=2)
    made = expose(linear, flat(0.1), motion, subframes=64).linear[..., 0]
    # The camera goes right, so the edge goes left: by 12 px an exposure, and 2 exposures from the top to the bottom.
    edges = WIDTH - made.sum(axis=1) / 0.8
    slope = np.polyfit(np.arange(HEIGHT), edges, 1)[0]
    assert slope == pytest.approx(-2 * pixels / HEIGHT, rel=0.02)
    assert edges.mean() == pytest.approx(80, abs=0.1)


def test_a_rolling_shutter_skews_a_mover_too() -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[20:76, 60:90] = 1
    motion = Motion(FOV, objects={1: (10 / WIDTH * 10, 0, 0)}, readout=1)
    made = expose(texture(), np.where(ids, 0.1, 0.02).astype(np.float32), motion, ids, 64)
    columns = np.arange(WIDTH)
    middles = (made.moving_fraction * columns).sum(1)[20:76] / made.moving_fraction.sum(1)[20:76]
    assert np.polyfit(np.arange(20, 76), middles, 1)[0] == pytest.approx(10 / HEIGHT, rel=0.05)


def parked_in_the_sun() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grey ground with a box on it and the box's shadow, three tenths of the light, to the right of it."""
    ids = street()[2]
    linear = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    linear[ids == 1] = (0.1, 0.4, 0.1)
    linear[64:74, 100:116] *= np.float32(0.3)
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    ground = np.maximum(rows - HEIGHT / 2, 0) / (1.6 * WIDTH) + np.zeros((1, WIDTH), np.float32)
    return linear, np.where(ids == 1, np.float32(22 / (1.6 * WIDTH)), ground).astype(np.float32), ids


def test_a_shadow_travels_with_what_casts_it() -> None:
    linear, inverse, ids = parked_in_the_sun()
    travel = 12 / WIDTH / inverse[70, 110]
    made = expose(linear, inverse, Motion(FOV, objects={1: (float(travel), 0, 0)}), ids, 48).linear[70, :, 0]
    # At row 70 it lies on columns 100 to 115 and goes 12 px: half the time it is 6 px farther to either side.
    assert made[108] == pytest.approx(0.15, abs=0.02)
    assert made[116] == pytest.approx(0.325, abs=0.04)
    assert made[119] == pytest.approx(0.5 - 0.35 * 2.5 / 12, abs=0.04)
    assert made[124] == pytest.approx(0.5, abs=0.01)


def test_a_shadow_of_what_stands_still_stays() -> None:
    linear, inverse, ids = parked_in_the_sun()
    made = expose(linear, inverse, Motion(FOV, objects={1: (0, 0, 0)}), ids)
    np.testing.assert_allclose(made.linear, linear, atol=1e-6)


def test_the_mean_lies_between_the_nearest_and_the_farthest_also_where_outlines_are_soft() -> None:
    linear, inverse, ids = street()
    ids[20:30, 30:31] = 2  # narrower than a pixel's light reaches
    inverse[ids == 2] = 0.3
    made = expose(linear, inverse, Motion(FOV, (0.1, 0, 1), (0, 1, 0), {1: (0.7, 0.1, 0), 2: (0.31, 0.2, 0)}), ids)
    assert (made.mean_inverse_depth <= made.nearest_inverse_depth * 1.01 + 1e-6).all()
    assert (made.mean_inverse_depth >= made.farthest_inverse_depth * 0.99 - 1e-6).all()


def test_what_moves_by_less_than_a_pixel_is_static() -> None:
    turn = np.degrees(1 / WIDTH)
    for pixels, kind in ((0.9, STATIC), (1.1, BLURRED)):
        made = expose(texture(), flat(0.1), Motion(FOV, rotation_deg=(0, float(pixels * turn), 0)))
        assert regions(made)[48, 80] == kind


def test_mean_depth_counts_the_sky_at_the_cap() -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[:, 40:80] = 1
    inverse = np.where(ids, 0.2, 0).astype(np.float32)
    made = expose(texture(), inverse, Motion(FOV, objects={1: (20 / WIDTH / 0.2, 0, 0)}), ids, 40)
    assert made.mean_depth_m[48, 39:41].mean() == pytest.approx((5 + CAP_M) / 2, rel=0.01)
    assert made.mean_depth_m[48, 150] == CAP_M
    assert made.variance[48, 39:41].mean() == pytest.approx(0.01, rel=0.02)


def test_flow_points_where_things_go() -> None:
    _, inverse, ids = street()
    made = expose(texture(), inverse, Motion(FOV, translation_m=(0, 0, 0.5), objects={1: (0.3, 0, 0.5)}), ids)
    assert made.flow[50, 80] == pytest.approx([0.3 * 0.14 * WIDTH, 0], abs=0.05)
    ground = made.flow[90, 10]
    assert ground[0] < -1 and ground[1] > 1


def test_lamp_in_the_dark_keeps_shining_when_smeared() -> None:
    linear = np.full((HEIGHT, WIDTH, 3), 0.001, np.float32)
    linear[46:50, 78:82] = 1
    made = expose(linear, flat(0.1), Motion(FOV, rotation_deg=(0, 3, 0)))
    assert made.linear.sum() > 1.8 * linear.sum()


def test_a_bright_sky_shines_no_brighter_than_it_is() -> None:
    linear = np.full((HEIGHT, WIDTH, 3), 0.3, np.float32)
    linear[:40] = 1
    made = expose(linear, flat(0.1), Motion(FOV, rotation_deg=(3, 0, 0)))
    assert made.linear.max() == pytest.approx(1, abs=1e-3)


def test_a_lamp_that_was_not_clipped_keeps_the_light_that_it_has() -> None:
    linear = np.full((HEIGHT, WIDTH, 3), 0.001, np.float32)
    linear[48, 80] = 8
    made = expose(linear, flat(0.1), Motion(FOV, rotation_deg=(0, 3, 0)))
    assert made.linear.sum() == pytest.approx(linear.sum(), rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inverse_depth": np.zeros((9, 9), np.float32)}, "same size"),
        ({"inverse_depth": flat(np.nan)}, "not numbers"),
        ({"inverse_depth": flat(-1)}, "negative"),
        ({"inverse_depth": flat(0)}, "infinite everywhere"),
        ({"linear": texture() * np.float32(np.nan)}, "not finite"),
        ({"object_ids": None}, "no mask"),
        ({"object_ids": np.zeros((9, 9), np.uint8)}, "same size"),
        ({"object_ids": np.full((HEIGHT, WIDTH), 300)}, "uint8"),
        ({"subframes": -1}, "subframes = -1"),
        ({"subframes": 0}, "subframes = 0"),
        ({"motion": Motion(FOV, translation_m=(40, 0, 0))}, "nothing stays in view"),
        ({"motion": Motion(FOV, objects={1: (1, 0, 0), 7: (1, 0, 0)})}, "object 7, which the mask doesn't hold"),
    ],
)
def test_bad_input_gets_one_clear_message(change: dict[str, Any], message: str) -> None:
    linear, inverse, ids = street()
    usual = {
        "linear": linear,
        "inverse_depth": np.maximum(inverse, 0.05),
        "motion": Motion(FOV, objects={1: (0.5, 0, 0)}),
        "object_ids": ids,
    }
    with pytest.raises(InputError, match=message):
        expose(**{**usual, **change})
