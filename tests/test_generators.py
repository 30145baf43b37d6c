"""Variants: chance is in the seed, blur is seen, bad input is named."""

import cv2
import numpy as np
import pytest

from blurdepth.camera import ScaleAssumption
from blurdepth.errors import InputError
from blurdepth.generators.exposure import generate_variant
from blurdepth.prompts import parse_prompt

HEIGHT, WIDTH = 160, 420
SCALE = ScaleAssumption()


def street(car: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 255, (40, 105, 3), np.uint8), (WIDTH, HEIGHT))
    focal_px = WIDTH / 2 / np.tan(np.radians(40))
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    inverse = np.repeat(np.maximum((rows - 80) / (1.65 * focal_px), 1 / 80), WIDTH, 1).astype(np.float32)
    if car:
        inverse[88:125, 150:250] = inverse[125, 0]
    return rgb, inverse


@pytest.mark.parametrize("prompt", ["fast cars, motion blur", "heavy rain, driving", "night, snow, handheld"])
def test_same_seed_gives_the_same_bytes_and_another_one_does_not(prompt: str) -> None:
    condition = parse_prompt(prompt).condition
    first, again, other = (generate_variant(*street(), condition, seed, SCALE) for seed in (5, 5, 6))
    assert first.rgb.tobytes() == again.rgb.tobytes()
    assert first.mean_inverse_depth.tobytes() == again.mean_inverse_depth.tobytes()
    assert (first.motion, first.condition) == (again.motion, again.condition)
    assert first.rgb.tobytes() != other.rgb.tobytes()


@pytest.mark.parametrize("prompt", ["cars", "pedestrians, 1/100 s", "light fog", "driving 100 km/h, long exposure"])
@pytest.mark.parametrize("seed", range(4))
def test_blur_is_seen_but_leaves_something_to_see(prompt: str, seed: int) -> None:
    variant = generate_variant(*street(), parse_prompt(prompt).condition, seed, SCALE)
    assert 2 <= variant.scores["blur_px"] <= 0.05 * WIDTH * 1.3
    assert (variant.regions == 255).mean() < 0.5


def test_a_moving_car_moves_and_mixes_with_what_is_behind_it() -> None:
    rgb, inverse = street()
    variant = generate_variant(rgb, inverse, parse_prompt("cars to the right").condition, 1, SCALE)
    assert list(variant.motion.objects) == [1]
    assert variant.motion.objects[1][0] > 0
    assert not any(variant.motion.translation_m)
    assert variant.scores["mixed_share"] > 0.01
    np.testing.assert_allclose(variant.mean_inverse_depth[:60], inverse[:60], rtol=1e-4)
    assert abs(np.minimum(variant.rgb[:60], 225).astype(int) - np.minimum(rgb[:60], 225)).max() <= 2


def test_without_anything_to_move_the_camera_does() -> None:
    variant = generate_variant(*street(car=False), parse_prompt("fast cars").condition, 0, SCALE)
    assert variant.motion.objects == {}
    assert variant.motion.translation_m[2] > 0
    assert variant.condition.object_speed_mps == 0
    assert variant.condition.camera_speed_mps > 0


def test_the_recorded_condition_gives_the_motion() -> None:
    variant = generate_variant(*street(), parse_prompt("driving 10 m/s").condition, 3, SCALE)
    metres = variant.condition.camera_speed_mps * variant.condition.exposure_s
    assert variant.motion.translation_m[2] == pytest.approx(metres)


def test_frame_and_depth_of_different_sizes_are_refused() -> None:
    rgb, inverse = street()
    with pytest.raises(InputError, match="estimate it again"):
        generate_variant(rgb, inverse[:50], parse_prompt("cars").condition, 0, SCALE)
