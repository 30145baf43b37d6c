"""Variants: chance is in the seed, blur is seen, bad input is named."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from blurdepth.camera import ScaleAssumption
from blurdepth.errors import InputError
from blurdepth.generators import Variant
from blurdepth.generators.exposure import F32, Movers, StillScene, _without_sky, plan_variant, take_variant
from blurdepth.images import Rgb, srgb_to_linear
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.weather import EXTINCTION_PER_M, Weather

HEIGHT, WIDTH = 160, 420
SCALE = ScaleAssumption()
CAR = (slice(88, 125), slice(150, 250))


def make_variant(
    rgb: Rgb, inverse: F32, condition: Condition, seed: int, scale: ScaleAssumption, true_scale: bool = False
) -> Variant:
    """A variant in which the car of `street`, if it is there, may move."""
    ids = np.zeros(inverse.shape, np.uint8)
    if inverse.shape == (HEIGHT, WIDTH) and inverse[100, 200] > inverse[100, 100]:
        ids[CAR] = 1
    scene = StillScene(rgb, inverse, Movers(ids), scale, true_scale)
    return take_variant(scene, plan_variant(scene, condition, seed))


def street(car: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 255, (40, 105, 3), np.uint8), (WIDTH, HEIGHT))
    focal_px = WIDTH / 2 / np.tan(np.radians(40))
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    inverse = np.repeat(np.maximum((rows - 80) / (1.65 * focal_px), 1 / 80), WIDTH, 1).astype(np.float32)
    if car:
        inverse[CAR] = inverse[125, 0]
    return rgb, inverse


@pytest.mark.parametrize("prompt", ["fast cars, motion blur", "heavy rain, driving", "night, snow, handheld"])
def test_same_seed_gives_the_same_bytes_and_another_one_does_not(prompt: str) -> None:
    condition = parse_prompt(prompt).condition
    first, again, other = (make_variant(*street(), condition, seed, SCALE) for seed in (5, 5, 6))
    assert first.rgb.tobytes() == again.rgb.tobytes()
    assert first.mean_inverse_depth.tobytes() == again.mean_inverse_depth.tobytes()
    assert (first.motion, first.condition) == (again.motion, again.condition)
    assert first.rgb.tobytes() != other.rgb.tobytes()


@pytest.mark.parametrize("prompt", ["cars", "pedestrians, 1/100 s", "light fog", "driving 100 km/h, long exposure"])
@pytest.mark.parametrize("seed", range(4))
def test_blur_is_seen_but_leaves_something_to_see(prompt: str, seed: int) -> None:
    variant = make_variant(*street(), parse_prompt(prompt).condition, seed, SCALE)
    assert 2 <= variant.scores["blur_px"] <= 0.05 * WIDTH * 1.3
    assert (variant.regions == 255).mean() < 0.5


def test_a_moving_car_moves_and_mixes_with_what_is_behind_it() -> None:
    rgb, inverse = street()
    variant = make_variant(rgb, inverse, parse_prompt("cars to the right").condition, 1, SCALE)
    assert list(variant.motion.objects) == [1]
    assert variant.motion.objects[1][0] > 0
    assert not any(variant.motion.translation_m)
    assert variant.scores["mixed_share"] > 0.005
    np.testing.assert_allclose(variant.mean_inverse_depth[:60], inverse[:60], rtol=1e-4)
    assert abs(np.minimum(variant.rgb[:60], 225).astype(int) - np.minimum(rgb[:60], 225)).max() <= 2


def test_without_anything_to_move_the_camera_does() -> None:
    variant = make_variant(*street(car=False), parse_prompt("fast cars").condition, 0, SCALE)
    assert variant.motion.objects == {}
    assert variant.motion.translation_m[2] > 0
    assert variant.condition.object_speed_mps == 0
    assert variant.condition.camera_speed_mps > 0


@pytest.mark.parametrize("prompt", ["fast cars, static camera, tripod", "fast cars", "fog, tripod"])
def test_a_camera_asked_to_stand_still_does_and_without_a_mover_nothing_is_made(prompt: str) -> None:
    condition = replace(parse_prompt(prompt).condition, camera_still=True)
    for seed in range(3):
        motion = make_variant(*street(), condition, seed, SCALE).motion
        assert motion.objects
        assert not any((*motion.translation_m, *motion.rotation_deg))
    with pytest.raises(InputError, match=r"No car or person.*asked to stand still.*let the camera move"):
        make_variant(*street(car=False), condition, 0, SCALE)


def test_a_tripod_that_pans_turns_in_place_of_objects_but_never_travels() -> None:
    condition = parse_prompt("tripod, whip pan, fast cars").condition
    motion = make_variant(*street(car=False), condition, 0, SCALE).motion
    assert motion.rotation_deg[1]
    assert not any(motion.translation_m)


def through_fog(metres: float, true_scale: bool) -> float:
    """Share of a wall's contrast that gets through fog, beside a foggy sky."""
    texture = np.random.default_rng(1).integers(60, 200, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, 2)
    inverse = np.full((HEIGHT, WIDTH), 1 / metres, np.float32)
    condition = Condition(weather=Weather(fog=0.5), pan_deg=0.001, exposure_s=1 / 500)
    made = make_variant(texture, inverse, condition, 0, SCALE, true_scale)
    air = made.condition.weather.fog**1.5 * EXTINCTION_PER_M["fog"]
    clear = replace(condition, weather=Weather())
    plain = make_variant(texture, inverse, clear, 0, SCALE, true_scale)
    contrast = [srgb_to_linear(variant.rgb).std() for variant in (made, plain)]
    return -float(np.log(contrast[0] / contrast[1])) / air


@pytest.mark.parametrize("true_scale", [False, True])
@pytest.mark.parametrize("metres", [20, 30, 40])
def test_fog_sees_the_distance_that_the_depth_says(metres: float, true_scale: bool) -> None:
    assert through_fog(metres, true_scale) == pytest.approx(metres, rel=0.25)


def test_only_what_is_almost_at_the_assumed_end_is_sky() -> None:
    inverse = np.float32([[1 / 5, 1 / 40, 1 / 74, 1 / 77, 1 / 79, 1 / 80, 0]])
    air = _without_sky(inverse.repeat(2, 0), SCALE)[0]
    np.testing.assert_array_equal(air[:3], inverse[0, :3])
    assert 0 < air[3] < inverse[0, 3]
    assert not air[4:].any()


def test_a_depth_with_true_scale_has_no_sky_at_the_assumed_end() -> None:
    rgb, inverse = street()
    far = inverse <= 1 / 80
    rgb[far] = (60, 90, 160)
    condition = parse_prompt("haze, cars").condition
    assumed, true = (make_variant(rgb, inverse, condition, 0, SCALE, true_scale) for true_scale in (False, True))
    assert far.any()
    assert assumed.rgb[far].mean() > true.rgb[far].mean() + 3
    # But for the very edges, which the simulator looks for in the picture, the target is the same.
    same = np.isclose(assumed.mean_inverse_depth, true.mean_inverse_depth, rtol=0.01)
    assert same.mean() > 0.99


def test_the_recorded_condition_gives_the_motion() -> None:
    variant = make_variant(*street(), parse_prompt("driving 10 m/s").condition, 3, SCALE)
    metres = variant.condition.camera_speed_mps * variant.condition.exposure_s
    assert variant.motion.translation_m[2] == pytest.approx(metres)


def test_frame_and_depth_of_different_sizes_are_refused() -> None:
    rgb, inverse = street()
    with pytest.raises(InputError, match="estimate it again"):
        make_variant(rgb, inverse[:50], parse_prompt("cars").condition, 0, SCALE)
