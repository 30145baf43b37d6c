"""Weather against its laws."""

import numpy as np
import pytest

from blurdepth.camera import Motion
from blurdepth.errors import InputError
from blurdepth.ground import Ground, fit_ground
from blurdepth.weather import (
    KINDS,
    Weather,
    apply_falling,
    apply_scene,
    apply_sensor,
    camera_curve,
    fog,
    look,
    noise_variance,
)
from blurdepth.weather.air import EXTINCTION_PER_M, LAYER_M, inverse_distance
from blurdepth.weather.cover import mirror_wet
from blurdepth.weather.falling import RAIN, _after, _shell
from blurdepth.weather.sensor import FULL_WELL, READ_NOISE

HEIGHT, WIDTH, FOCAL = 120, 200, 120.0
HORIZON = 50
STILL = Motion(fov_x_deg=80.0)


def street() -> np.ndarray:
    """A level road, a wall at the end of it, a box on it, and the sky above."""
    ground = Ground(slope=0.004, horizon=HORIZON)
    inverse = np.repeat(ground.inverse_depth(HEIGHT), WIDTH, 1)
    inverse[25:60] = np.maximum(inverse[25:60], 0.04)
    inverse[40:85, 80:110] = ground.inverse_depth(HEIGHT)[85]
    return inverse.astype(np.float32)


def frame(seed: int = 0) -> np.ndarray:
    """The street's picture: bright sky, brown wall, dark box, grey road, with grain."""
    linear = np.random.default_rng(seed).uniform(0.9, 1.1, (HEIGHT, WIDTH, 3))
    linear[:25] *= (0.6, 0.7, 0.85)
    linear[25:60] *= (0.3, 0.2, 0.15)
    linear[60:] *= 0.2
    linear[40:85, 80:110] = 0.06 * np.array([0.5, 0.5, 2.0])
    return linear.astype(np.float32)


def scene(weather: Weather, seed: int = 0) -> np.ndarray:
    return apply_scene(frame(), look(frame(), street(), FOCAL), weather, np.random.default_rng(seed))


def photograph(weather: Weather, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    light = apply_scene(frame(), look(frame(), street(), FOCAL), weather, rng)
    return apply_sensor(apply_falling(light, street(), weather, 1 / 20, STILL, rng), weather, rng)


def test_fog_follows_its_law_exactly() -> None:
    inverse = np.array([[1.0, 0.1, 0.05, 0.0]], np.float32)
    linear = np.full((1, 4, 3), 0.2, np.float32)
    air = np.array([0.8, 0.7, 0.6], np.float32)
    passed = np.exp(-0.03 * np.array([1, 10, 20, np.inf]))[None, :, None]
    np.testing.assert_allclose(fog(linear, inverse, 0.03, air), passed * 0.2 + (1 - passed) * air, atol=1e-6)


def test_distance_through_air_is_along_the_ray_and_ends_with_the_air() -> None:
    inverse = np.full((HEIGHT, WIDTH), 0.05, np.float32)
    inverse[:10] = 0
    view = look(np.full((HEIGHT, WIDTH, 3), 0.2, np.float32), inverse, FOCAL)
    distance = 1 / inverse_distance(view)
    x, y = 0 - (WIDTH - 1) / 2, 100 - (HEIGHT - 1) / 2
    assert distance[100, 0] == pytest.approx(20 * np.sqrt(1 + (x * x + y * y) / FOCAL**2), rel=1e-4)
    up = HEIGHT / 2 - 5
    column = WIDTH / 2 - 0.5
    sine = up / np.sqrt(FOCAL**2 + up**2 + column**2)
    assert distance[5, 0] <= LAYER_M / sine * 1.001


def test_the_scene_in_fog_keeps_what_the_law_lets_through() -> None:
    weather = Weather(haze=0.8)
    made, inverse = scene(weather), street()
    beta = EXTINCTION_PER_M["haze"] * 0.8**1.5
    box = np.s_[50:70, 85:105]
    y, x = np.mgrid[50:70, 85:105]
    ray = np.sqrt(1 + ((x - (WIDTH - 1) / 2) ** 2 + (y - (HEIGHT - 1) / 2) ** 2) / FOCAL**2)
    passed = np.exp(-beta * ray / inverse[box])[..., None]
    air = (made[box] - frame()[box] * passed) / (1 - passed)
    np.testing.assert_allclose(air, np.broadcast_to(air.mean((0, 1)), air.shape), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 7])
def test_no_weather_is_the_frame_itself_bit_for_bit(seed: int) -> None:
    assert photograph(Weather(), seed).tobytes() == frame().tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes_and_every_kind_changes_the_frame(kind: str) -> None:
    weather = Weather(**{kind: 0.8})
    made = photograph(weather, 3)
    assert made.tobytes() == photograph(weather, 3).tobytes()
    assert np.isfinite(made).all() and made.min() >= 0
    assert made.dtype == np.float32 and made.shape == (HEIGHT, WIDTH, 3)
    assert abs(made - frame()).mean() > 1e-3


@pytest.mark.parametrize("kind", ["rain", "snow", "wet", "night", "noise", "low_light"])
def test_another_seed_gives_another_picture(kind: str) -> None:
    assert photograph(Weather(**{kind: 0.8}), 3).tobytes() != photograph(Weather(**{kind: 0.8}), 4).tobytes()


@pytest.mark.parametrize("kind", ["fog", "smog", "haze"])
def test_thicker_air_leaves_less_contrast_far_away(kind: str) -> None:
    far = [scene(Weather(**{kind: strength}))[30:45, :70] for strength in (0.0, 0.3, 0.6, 0.9)]
    contrast = [np.abs(np.diff(each, axis=1)).mean() for each in far]
    assert contrast == sorted(contrast, reverse=True)


@pytest.mark.parametrize("kind", ["wet", "dusk", "night", "low_light"])
def test_what_darkens_does_so_more_with_its_strength(kind: str) -> None:
    means = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        weather = Weather(**{kind: strength})
        means.append(apply_sensor(scene(weather), weather, np.random.default_rng(0))[95:].mean())
    assert means == sorted(means, reverse=True)
    assert len(set(means)) == 5


def test_snow_on_the_ground_gets_more_with_its_strength() -> None:
    means = [scene(Weather(snow=strength))[100:].mean() for strength in (0.0, 0.4, 0.7, 1.0)]
    assert means == sorted(means)


def test_at_night_the_sky_is_darker_than_what_headlights_shine_on() -> None:
    night = scene(Weather(night=1))
    assert night[:15].mean() < 0.03 < frame()[:15].mean() / 10
    assert night[100:, 70:130].mean() > 1.3 * night[100:, :30].mean()
    assert scene(Weather(dusk=1))[:15].mean() > 3 * night[:15].mean()


def test_a_tail_lamp_stays_bright_at_night() -> None:
    linear = np.full((HEIGHT, WIDTH, 3), 0.06, np.float32)
    linear[54:56, 94:96] = (0.7, 0.01, 0.01)
    made = apply_scene(linear, look(linear, street(), FOCAL), Weather(night=1), np.random.default_rng(0))
    assert made[54:56, 94:96, 0].min() > 0.7
    assert np.median(made) < 0.02


def test_sky_stays_sky_with_an_edge_where_the_picture_has_it() -> None:
    inverse = street()
    inverse[25:29] = 0
    view = look(frame(), inverse, FOCAL)
    assert view.sky[:24].min() > 0.99
    assert view.sky[26:].max() < 0.01
    assert view.inverse_depth[27:40, :70].min() > 0.03


def test_a_wall_that_depth_takes_for_sky_is_not_sky() -> None:
    inverse = street()
    inverse[:20] = 0
    grey = np.full((HEIGHT, WIDTH, 3), 0.3, np.float32)
    assert look(grey, inverse, FOCAL).sky.max() == 0


def test_the_floor_is_the_road_and_not_what_stands_on_it() -> None:
    floor = look(frame(), street(), FOCAL).floor
    assert floor[100:, 10:190].min() > 0.8
    assert floor[45:75, 85:105].max() < 0.2
    assert floor[:40].max() < 0.05


def test_wet_ground_is_darker_and_mirrors_what_stands_on_it() -> None:
    linear = frame()
    linear[40:85, 80:110] = (2.0, 0.02, 0.02)
    view = look(linear, street(), FOCAL)
    made = mirror_wet(linear, linear, view, 1.0, np.random.default_rng(0))
    below, beside = made[88:100, 88:102], made[88:100, 20:34]
    assert below[..., 0].mean() > 1.5 * beside[..., 0].mean()
    np.testing.assert_array_equal(made[:40], linear[:40])
    assert scene(Weather(wet=1))[105:, 10:60].mean() < 0.8 * frame()[105:, 10:60].mean()


def test_a_streak_is_as_long_as_speed_times_exposure_times_focal_over_distance() -> None:
    starts = np.array([[10.0, 20.0], [300.0, 100.0]])
    for distance_m, exposure_s in ((6.0, 1 / 60), (3.0, 1 / 60), (6.0, 1 / 30)):
        fall = np.array([[0.0, RAIN.speed_mps * exposure_s, 0.0]] * 2)
        path = _after(starts, fall, distance_m, 500.0, (400, 400), STILL) - starts
        expected = RAIN.speed_mps * exposure_s * 500 / distance_m
        np.testing.assert_allclose(path, [[0, expected]] * 2, atol=1e-9)


def test_far_rain_is_many_and_faint_near_rain_few_and_strong() -> None:
    shells = [
        _shell((200, 300), RAIN, 1.0, distance_m, 1 / 60, STILL, 0.0, np.random.default_rng(0))
        for distance_m in (24.0, 1.5)
    ]
    assert shells[0].max() < 0.5 * shells[1].max()
    assert (shells[0] > 0.3 * shells[0].max()).mean() > 0.02
    assert (shells[1] > 0.3 * shells[1].max()).mean() < 0.5


def test_driving_into_rain_makes_streaks_that_point_away_from_the_middle() -> None:
    dark, far = np.zeros((400, 400, 3), np.float32), np.full((400, 400), 0.001, np.float32)
    spread = []
    for forward_m in (0.0, 0.8):
        motion = Motion(60.0, (0.0, 0.0, forward_m))
        made = apply_falling(dark, far, Weather(rain=1), 1 / 60, motion, np.random.default_rng(0)).mean(axis=2)
        across = np.abs(np.diff(made[150:250, :100], axis=1)).mean()
        spread.append(np.abs(np.diff(made[150:250, :100], axis=0)).mean() / across)
    assert spread[1] > 1.3 * spread[0]


def test_rain_falls_in_front_of_what_is_far_but_not_of_what_is_near() -> None:
    dark = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    inverse = np.zeros((HEIGHT, WIDTH), np.float32)
    inverse[:, :100] = 2.0
    made = apply_falling(dark, inverse, Weather(rain=1), 1 / 30, STILL, np.random.default_rng(0))
    assert made[:, :100].max() == 0
    assert made[:, 100:].max() > 0


@pytest.mark.parametrize(("kind", "strength", "stops"), [("noise", 1.0, 7.0), ("low_light", 0.5, 3.0)])
def test_noise_has_the_variance_of_photons_and_reading(kind: str, strength: float, stops: float) -> None:
    weather, level = Weather(**{kind: strength}), np.float32(0.4)
    flat = np.full((400, 400, 3), level, np.float32)
    shown = level * 2 ** (-1.6 * strength) if kind == "low_light" else level
    noisy = apply_sensor(flat, weather, np.random.default_rng(0))
    expected = 2**stops / FULL_WELL * shown + (2**stops * READ_NOISE / FULL_WELL) ** 2
    assert noise_variance(np.full((1, 1, 3), shown, np.float32), weather).max() == pytest.approx(expected, rel=1e-5)
    assert noisy.mean() == pytest.approx(shown, rel=0.01)
    assert noisy.var(axis=(0, 1)) == pytest.approx(expected, rel=0.05)


def test_the_camera_curve_rises_keeps_middle_grey_and_rolls_off() -> None:
    light = np.linspace(0, 4, 4001, dtype=np.float32)
    assert camera_curve(light, 0.0).tobytes() == light.tobytes()
    for strength in (0.3, 1.0):
        curve = camera_curve(light[:1600], strength)
        assert (np.diff(curve) > 0).all()
        assert curve[0] == 0
        assert curve[180] == pytest.approx(0.18, abs=1e-4)
    curve = camera_curve(light, 1.0)
    assert curve[90] < 0.09
    assert curve.max() <= 1
    assert curve[1500] - curve[1400] < 0.5 * (curve[200] - curve[100])


@pytest.mark.parametrize("strength", [1.5, -0.1, float("nan"), "0.5", True, None])
def test_what_is_no_strength_is_refused_with_its_value(strength: object) -> None:
    with pytest.raises(InputError, match="strength of fog is"):
        Weather(fog=strength)  # type: ignore[arg-type]


def test_ground_is_found_under_a_box() -> None:
    ground = fit_ground(street())
    assert ground is not None
    assert ground.horizon == pytest.approx(HORIZON, abs=3)
    assert ground.slope == pytest.approx(0.004, rel=0.06)


@pytest.mark.parametrize("inverse", [np.zeros((90, 90)), np.full((90, 90), 0.1)])
def test_no_ground_on_a_wall_or_in_the_sky(inverse: np.ndarray) -> None:
    assert fit_ground(inverse.astype(np.float32)) is None
    rng, linear = np.random.default_rng(0), np.full((90, 90, 3), 0.3, np.float32)
    everything = Weather(**dict.fromkeys(KINDS, 0.7))
    view = look(linear, inverse.astype(np.float32), 80.0)
    assert np.isfinite(apply_scene(linear, view, everything, rng)).all()
