"""Prompts: what is understood, what is ignored, what is refused."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdepth.errors import InputError
from blurdepth.prompts import Condition, Reading, check_prompt, lexicon, parse_prompt
from blurdepth.weather import KINDS


def chips(reading: Reading) -> list[str]:
    return [term.label for term in reading.understood]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("fog 0.7, at night, cars at 12 m/s to the right", ["fog 0.7", "night", "cars 12 m/s to the right"]),
        ("dense fog and light rain, driving", ["fog 0.9", "rain 0.3", "camera 12 m/s forward"]),
        ("cars 36 km/h, camera 30 mph", ["cars 10 m/s", "camera 13.4 m/s forward"]),
        ("haze 30%, oncoming trucks, 1/30 s", ["haze 0.3", "exposure 1/30 s", "vehicles 11 m/s oncoming"]),
        ("slow traffic from left to right", ["traffic 5 m/s to the right"]),
        ("pedestrians, handheld", ["camera shake", "pedestrians 1.5 m/s"]),
        ("no rain, panning", ["no rain", "camera pan 1.5°"]),
        ("parked cars, dashcam", ["cars still", "camera 12 m/s forward"]),
        ("motion blur", ["objects 8 m/s", "camera 4 m/s forward"]),
        ("static cars, fog", ["cars still", "fog 0.6", "assumed: camera 4 m/s"]),
        ("cars at 0 km/h", ["cars still", "assumed: camera 4 m/s"]),
        ("no cars", ["no moving cars", "assumed: camera 4 m/s"]),
        ("cars not moving", ["cars still", "assumed: camera 4 m/s"]),
        ("cars aren't moving, driving", ["cars still", "camera 12 m/s forward"]),
        ("night, tripod", ["night", "camera still", "assumed: objects 8 m/s"]),
        ("parked cars, speeding motorcycle", ["cars still", "motorcycles 20.8 m/s"]),
        ("speeding motorcycle, parked cars", ["cars still", "motorcycles 20.8 m/s"]),
        ("cars at 0 km/h, motorcycles", ["cars still", "motorcycles 13 m/s"]),
        ("cars parked", ["cars still", "assumed: camera 4 m/s"]),
        ("cars, the camera is static", ["cars 12 m/s", "camera still"]),
        ("camera 0 m/s, cars", ["cars 12 m/s", "camera still"]),
        ("tripod, whip pan", ["camera pan 4°", "camera stays in its place"]),
        ("static cars, motion blur", ["cars still", "camera 4 m/s forward"]),
        (
            "static cars, tripod, handheld, motion blur",
            ["cars still", "camera shake", "camera stays in its place", "motion blur"],
        ),
        ("cars moving left", ["cars 12 m/s to the left"]),
        ("50% fog, driving", ["fog 0.5", "camera 12 m/s forward"]),
        ("fog 0.3 rain 0.5, driving", ["fog 0.3", "rain 0.5", "camera 12 m/s forward"]),
        ("less dense fog, driving", ["fog 0.45", "camera 12 m/s forward"]),
        ("speed < 50 km/h, fog > 0.3", ["fog 0.3", "objects 13.9 m/s"]),
    ],
)
def test_chips_say_what_was_understood(prompt: str, expected: list[str]) -> None:
    assert chips(parse_prompt(prompt)) == expected


def test_strengths_and_speeds_reach_the_condition() -> None:
    condition = parse_prompt("smog 0.4, night, speeding cars 20 m/s to the left, 0.1 s").condition
    assert condition.weather.smog == 0.4
    assert condition.weather.night == 1.0
    assert (condition.object_speed_mps, condition.direction, condition.exposure_s) == (20.0, "left", 0.1)


def test_less_of_a_weather_is_weaker() -> None:
    for words in ("dense fog", "fog", "blizzard"):
        less, plain = (parse_prompt(f"{prefix}{words}").condition.weather for prefix in ("less ", ""))
        assert 0 < less.fog + less.snow < plain.fog + plain.snow


@pytest.mark.parametrize(
    ("prompt", "still"),
    [("cars, static camera", True), ("cars, tripod", True), ("cars", False), ("static camera, driving", False)],
)
def test_a_camera_asked_to_stand_still_is_said_so_in_the_condition(prompt: str, still: bool) -> None:
    condition = parse_prompt(prompt).condition
    assert condition.camera_still == still
    assert not (still and condition.camera_speed_mps)


def test_a_negative_against_driving_keeps_the_camera_still() -> None:
    assert parse_prompt("fog, cars", "driving").condition.camera_still


@pytest.mark.parametrize("prompt", ["static cars, tripod, fog", "no cars, static camera, motion blur"])
def test_nothing_is_made_up_where_everything_is_to_stand_still(prompt: str) -> None:
    with pytest.raises(InputError, match="everything to stand still"):
        parse_prompt(prompt)


@pytest.mark.parametrize(
    ("prompt", "negative", "ignored"),
    [
        ("cars on the left", "", ("on the left",)),
        ("panning left", "", ("left",)),
        ("camera, fog", "", ("camera",)),
        ("slow parked cars, driving", "", ("slow",)),
        ("heavy traffic in fog", "", ("heavy",)),
        ("fog", "12 m/s, 1/8 s", ("12 m/s", "1/8 s")),
    ],
)
def test_words_that_change_nothing_here_are_ignored_in_sight(
    prompt: str, negative: str, ignored: tuple[str, ...]
) -> None:
    assert parse_prompt(prompt, negative).ignored == ignored


@pytest.mark.parametrize(
    "prompt", ["no rain but dense fog", "not rainy but with dense fog", "without rain, but in dense fog"]
)
def test_what_comes_after_but_is_asked_for(prompt: str) -> None:
    weather = parse_prompt(prompt).condition.weather
    assert weather.fog == parse_prompt("dense fog").condition.weather.fog > 0 and weather.rain == 0


@pytest.mark.parametrize("prompt", ["light but steady rain", "light, but steady rain"])
def test_but_takes_no_strength_away(prompt: str) -> None:
    rain = parse_prompt(prompt).condition.weather.rain
    assert rain == parse_prompt(prompt.replace(" but", "")).condition.weather.rain > 0


def test_a_prompt_without_motion_gets_some_and_says_so() -> None:
    reading = parse_prompt("light fog")
    assert reading.condition.object_speed_mps > 0
    assert reading.condition.camera_speed_mps > 0
    assert reading.understood[-1].label.startswith("assumed: ")
    assert reading.understood[-1].words == ""


def test_a_negative_against_sharp_cars_demands_blur_on_cars() -> None:
    reading = parse_prompt("smog", "static cars, sharp car details")
    assert "blur on cars" in chips(reading)
    assert "cars 12 m/s" in chips(reading)
    assert reading.condition.object_speed_mps == 12


def test_a_negative_removes_weather_and_camera_motion() -> None:
    reading = parse_prompt("rain at night, driving, cars", "rain, driving")
    assert reading.condition.weather.rain == 0
    assert reading.condition.camera_speed_mps == 0
    assert "no rain" in chips(reading)
    assert "rain 0.6" not in chips(reading)


@pytest.mark.parametrize("negative", ["blurry", "motion blur, blurry, blurred"])
def test_a_negative_blur_halves_the_exposure_once(negative: str) -> None:
    plain, negated = parse_prompt("fog, cars 20 m/s, 1/20 s"), parse_prompt("fog, cars 20 m/s, 1/20 s", negative)
    assert negated.condition.exposure_s == plain.condition.exposure_s / 2
    assert "less blur" in chips(negated)


def test_who_does_not_want_no_motion_blur_wants_it() -> None:
    reading = parse_prompt("cars", "no motion blur")
    assert "less blur" not in chips(reading)
    assert reading.condition == parse_prompt("cars, motion blur").condition


@pytest.mark.parametrize(
    ("words", "factor"),
    [("extreme motion blur", 1 / 0.6), ("subtle motion blur", 0.5), ("(motion blur:1.4)", 1.4), ("motion blur", 1)],
)
def test_the_amount_of_blur_scales_exposure_pan_and_shake(words: str, factor: float) -> None:
    plain = parse_prompt("cars, panning, vibration, 1/20 s").condition
    made = parse_prompt(f"cars, panning, vibration, 1/20 s, {words}").condition
    for name in ("exposure_s", "pan_deg", "shake"):
        assert getattr(made, name) == pytest.approx(factor * getattr(plain, name))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("(fog:1.3), cars", ["fog 0.78", "cars 12 m/s"]),
        ("((fog)), cars", ["fog 0.73", "cars 12 m/s"]),
        ("[fog], cars", ["fog 0.55", "cars 12 m/s"]),
        ("(dense fog, (rain:0.5):0.5), cars", ["fog 0.45", "rain 0.15", "cars 12 m/s"]),
        ("fog: 0.5; cars: 20 m/s", ["fog 0.5", "cars 20 m/s"]),
        ("very dense fog, cars", ["fog", "cars 12 m/s"]),
        ("ISO 3200, cars", ["noise 0.71", "cars 12 m/s"]),
        ("iso100, cars", ["no noise", "cars 12 m/s"]),
        ("low-light street, filmic, cars", ["low light 0.7", "camera curve 0.7", "cars 12 m/s"]),
        ("camera curve 0.5, cars", ["camera curve 0.5", "cars 12 m/s"]),
        ("cars, shutter speed 1/30", ["exposure 1/30 s", "cars 12 m/s"]),
        ("a car driving 30 miles per hour in rain", ["rain 0.6", "cars 13.4 m/s"]),
        ("driving, cars", ["cars 12 m/s", "camera 12 m/s forward"]),
        ("motion-blurred vehicles travelling at 15 metres per second", ["vehicles 15 m/s"]),
        ("tracking shot of a running man", ["camera pan 1.5°", "pedestrians 3 m/s"]),
    ],
)
def test_prompts_as_people_write_them_for_a_diffusion_model(prompt: str, expected: list[str]) -> None:
    assert chips(parse_prompt(prompt)) == expected


@pytest.mark.parametrize(
    ("prompt", "ignored"),
    [
        ("(cars:1.3), fog", ("cars ×1.3",)),
        ("heavvy rain, foggg, cars", ("heavvy", "foggg")),
        ("fog, cars, masterpiece, 8k", ("masterpiece", "8", "k")),
        ("shutter, cars", ("shutter",)),
        ("nebbia, fog, 車, cars", ("nebbia", "車")),
    ],
)
def test_what_is_not_understood_is_said(prompt: str, ignored: tuple[str, ...]) -> None:
    assert parse_prompt(prompt).ignored == ignored


def test_brackets_that_do_not_match_do_no_harm() -> None:
    for prompt in ("((fog, cars", "fog)), cars", ")(fog:1.2), cars", "[fog:0.5), cars]"):
        assert parse_prompt(prompt).condition.object_speed_mps == 12


@pytest.mark.parametrize("negative", ["rain", "no rain"])
def test_rain_is_off_where_it_is_negated_anywhere(negative: str) -> None:
    assert parse_prompt("heavy rain, cars", negative).condition.weather.rain == 0
    assert parse_prompt("cars, no rain").condition.weather.rain == 0
    assert parse_prompt("fog, cars, without fog").condition.weather.fog == 0


def test_words_without_effect_are_listed_and_stop_words_are_not() -> None:
    assert parse_prompt("fog over the majestic city").ignored == ("majestic", "city")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("fog " * 2500, "10,000 characters"),
        ("<b>fog</b>", "markup"),
        ("fog <img src=x", "markup"),
        ("fog <!-- x", "markup"),
        ("fog\x00", "U\\+0000"),
        ("浓雾", "浓雾.*dense fog"),
        ("plugh xyzzy", "plugh xyzzy.*dense fog"),
        ("🚗💨", "understood"),
    ],
)
def test_a_bad_prompt_gets_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_prompt(text)


@pytest.mark.parametrize("value", [None, 3, 0.5, ["fog"], b"fog"])
def test_what_is_not_text_is_refused_with_its_value(value: object) -> None:
    shown = re.escape(repr(value))
    with pytest.raises(InputError, match=f"prompt is {shown}, not text"):
        check_prompt(value)
    with pytest.raises(InputError, match=f"negative prompt is {shown}, not text"):
        parse_prompt("fog", value)  # type: ignore[arg-type]


def test_a_bad_negative_is_named() -> None:
    with pytest.raises(InputError, match="negative prompt has markup"):
        parse_prompt("fog", "<i>")
    with pytest.raises(InputError, match="negative prompt is empty"):
        check_prompt("", "negative prompt")


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.text(max_size=40))
def test_any_text_is_read_or_refused(prompt: str, negative: str) -> None:
    try:
        reading = parse_prompt(prompt, negative)
    except InputError as error:
        assert str(error).strip()
    else:
        assert reading.condition.moves
        assert reading.understood


KNOWN = (
    *(lexicon.WEATHER, lexicon.FAIR, lexicon.STRENGTHS, lexicon.DEGREES, lexicon.ACTORS, lexicon.CAMERA),
    *(lexicon.CAMERA_MOVES, lexicon.STILL_CAMERA, lexicon.PAN, lexicon.SHAKE, lexicon.BLUR, lexicon.MOTION),
    *(lexicon.PACE, lexicon.STILL, lexicon.SHARP, lexicon.DIRECTIONS, lexicon.HEADINGS, lexicon.PLACES),
    *(lexicon.SHUTTERS, lexicon.SCENES),
)
MORE = ("no", "not", ",", "and", "12 m/s", "0 km/h", "1/8 s", "50%", "0.3", "7", "majestic", "zebras")
PHRASES = st.one_of(*(st.sampled_from(sorted(group)) for group in KNOWN), st.sampled_from(MORE))
WORD = re.compile(r"[^\W_]+(?:[./%'][^\W_]*)*")


def words_of(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


@settings(deadline=None, max_examples=300)
@given(st.lists(PHRASES, min_size=1, max_size=9), st.lists(PHRASES, max_size=5))
def test_no_word_is_lost_and_something_moves_unless_all_is_to_stand_still(
    prompt: list[str], negative: list[str]
) -> None:
    try:
        reading = parse_prompt(" ".join(prompt), " ".join(negative))
    except InputError as error:
        assert "understood" in str(error) or "stand still" in str(error)
        return
    assert reading.condition.moves
    shown = words_of(" ".join([*(term.words for term in reading.understood), *reading.ignored]))
    unsaid = lexicon.STOP_WORDS | lexicon.NEGATIONS
    assert words_of(" ".join([*prompt, *negative])) - unsaid <= shown
    labels = chips(reading)
    assert len(labels) == len(set(labels))
    assert not (reading.condition.camera_still and any("forward" in label for label in labels))
    assert not (reading.condition.object_speed_mps and "what moves still" in labels)


def test_every_word_of_the_lexicon_means_something_that_exists() -> None:
    assert {kind for kind, _ in lexicon.WEATHER.values()} <= set(KINDS)
    assert all(0 < strength <= 1 for _, strength in lexicon.WEATHER.values())
    assert not lexicon.STOP_WORDS & {*lexicon.WEATHER, *lexicon.ACTORS, *lexicon.SCENES}


def test_a_condition_refuses_what_makes_no_sense() -> None:
    with pytest.raises(InputError, match="stand still"):
        Condition(camera_still=True, camera_speed_mps=2)
    with pytest.raises(InputError, match="exposure_s"):
        Condition(exposure_s=3)


@pytest.mark.parametrize(
    "prompt",
    ["fog 0.7, at night, cars at 12 m/s to the right, 1/30 s", "whip pan, tripod, vibration", "low light, drive"],
)
def test_a_condition_comes_back_from_json_as_it_was(prompt: str) -> None:
    condition = parse_prompt(prompt).condition
    assert Condition.from_json(json.loads(json.dumps(condition.to_json()))) == condition


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weather": {"fog": 1.5}}, "fog is 1.5"),
        ({"weather": {"fog": "0.5"}}, "fog is '0.5'"),
        ({"weather": {"frogs": 1}}, "'frogs'"),
        ({"weather": [1]}, r"weather is \[1\]"),
        ({"speed": 3}, "'speed'"),
        ({"camera_speed_mps": "fast"}, "camera_speed_mps .* 'fast'"),
        ({"camera_speed_mps": float("nan")}, "camera_speed_mps .* nan"),
        ({"camera_speed_mps": 1e9}, "camera_speed_mps is 1"),
        ({"pan_deg": True}, "pan_deg .* True"),
        ({"shake": -1}, "shake -1"),
        ({"camera_still": 1}, "camera_still .* 1: use true or false"),
        ({"direction": "up"}, "direction is 'up'"),
        ({"direction": ["left"]}, "direction"),
        ({"exposure_s": 0}, "exposure_s is 0"),
        ({"exposure_s": None}, "exposure_s .* None"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_by_name(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Condition.from_json({"object_speed_mps": 3.0, **change})


@pytest.mark.parametrize("data", [None, "fog", [], 3])
def test_what_is_no_condition_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="condition is"):
        Condition.from_json(data)
