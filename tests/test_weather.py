"""Weather against its laws."""

import numpy as np
import pytest

from blurdepth.errors import InputError
from blurdepth.ground import Ground, fit_ground
from blurdepth.weather import KINDS, Weather, apply_falling, apply_scene, apply_sensor, fog

HEIGHT, WIDTH = 120, 200


def frame(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.75, (HEIGHT, WIDTH, 3)).astype(np.float32)


def street() -> np.ndarray:
    ground = Ground(slope=0.002, horizon=50)
    inverse = np.repeat(ground.inverse_depth(HEIGHT), WIDTH, 1)
    inverse[30:80, 80:110] = ground.inverse_depth(HEIGHT)[80]
    return inverse


def photograph(weather: Weather, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    inverse = street()
    light = apply_scene(frame(), inverse, weather, rng)
    return apply_sensor(apply_falling(light, inverse, weather, 1 / 20, 200.0, rng), weather, rng)


def test_fog_follows_its_law_exactly() -> None:
    inverse = np.array([[1.0, 0.1, 0.05, 0.0]], np.float32)
    linear = np.full((1, 4, 3), 0.2, np.float32)
    air = np.array([0.8, 0.7, 0.6], np.float32)
    passed = np.exp(-0.03 * np.array([1, 10, 20, np.inf]))[None, :, None]
    np.testing.assert_allclose(fog(linear, inverse, 0.03, air), passed * 0.2 + (1 - passed) * air, atol=1e-6)


def test_no_weather_changes_nothing_below_the_shoulder() -> None:
    np.testing.assert_allclose(photograph(Weather(), 0), frame(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes_and_every_kind_changes_the_frame(kind: str) -> None:
    weather = Weather(**{kind: 0.8})
    made = photograph(weather, 3)
    assert made.tobytes() == photograph(weather, 3).tobytes()
    assert np.isfinite(made).all() and made.min() >= 0
    assert made.dtype == np.float32 and made.shape == (HEIGHT, WIDTH, 3)
    assert abs(made - frame()).mean() > 1e-3


def test_another_seed_gives_other_rain() -> None:
    assert photograph(Weather(rain=0.8), 3).tobytes() != photograph(Weather(rain=0.8), 4).tobytes()


@pytest.mark.parametrize("kind", ["fog", "smog", "haze"])
def test_thicker_air_leaves_less_contrast_far_away(kind: str) -> None:
    contrast = [photograph(Weather(**{kind: strength}), 0)[52:58].std() for strength in (0.0, 0.3, 0.6, 0.9)]
    assert contrast == sorted(contrast, reverse=True)


def test_night_is_darker_than_dusk_is_darker_than_day() -> None:
    means = [photograph(weather, 0).mean() for weather in (Weather(), Weather(dusk=1), Weather(night=1))]
    assert means[2] < means[1] < means[0]


def test_a_lamp_stays_bright_at_night() -> None:
    linear = np.full((HEIGHT, WIDTH, 3), 0.03, np.float32)
    linear[20:22, 100:102] = 1
    night = apply_scene(linear, street(), Weather(night=1), np.random.default_rng(0))
    assert night[20:22, 100:102].min() > 0.8
    assert np.median(night) < 0.01


def test_rain_falls_in_front_of_what_is_far_but_not_of_what_is_near() -> None:
    dark = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    inverse = np.zeros((HEIGHT, WIDTH), np.float32)
    inverse[:, :100] = 2.0
    made = apply_falling(dark, inverse, Weather(rain=1), 1 / 30, 400.0, np.random.default_rng(0))
    assert made[:, :100].max() == 0
    assert made[:, 100:].max() > 0


def test_strengths_outside_0_to_1_are_refused() -> None:
    with pytest.raises(InputError, match=r"fog is 1\.5"):
        Weather(fog=1.5)


def test_ground_is_found_under_a_box() -> None:
    ground = fit_ground(street())
    assert ground is not None
    assert ground.horizon == pytest.approx(50, abs=2)
    assert ground.slope == pytest.approx(0.002, rel=0.05)


@pytest.mark.parametrize("inverse", [np.zeros((90, 90)), np.full((90, 90), 0.1)])
def test_no_ground_on_a_wall_or_in_the_sky(inverse: np.ndarray) -> None:
    assert fit_ground(inverse.astype(np.float32)) is None
