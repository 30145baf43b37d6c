"""Prompts: what is understood, what is ignored, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdepth.errors import InputError
from blurdepth.prompts import Condition, Reading, check_prompt, lexicon, load_prompt_book, parse_prompt
from blurdepth.weather import KINDS

BOOK = Path(__file__).parent.parent / "assets" / "prompts.json"


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
    ],
)
def test_chips_say_what_was_understood(prompt: str, expected: list[str]) -> None:
    assert chips(parse_prompt(prompt)) == expected


def test_strengths_and_speeds_reach_the_condition() -> None:
    condition = parse_prompt("smog 0.4, night, speeding cars 20 m/s to the left, 0.1 s").condition
    assert condition.weather.smog == 0.4
    assert condition.weather.night == 1.0
    assert (condition.object_speed_mps, condition.direction, condition.exposure_s) == (20.0, "left", 0.1)


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


def test_a_negative_blur_halves_the_motion() -> None:
    plain, negated = parse_prompt("fog, cars"), parse_prompt("fog, cars", "blurry")
    assert negated.condition.object_speed_mps == plain.condition.object_speed_mps / 2
    assert "less blur" in chips(negated)


def test_words_without_effect_are_listed_and_stop_words_are_not() -> None:
    assert parse_prompt("fog over the majestic city").ignored == ("majestic", "city")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("fog " * 2500, "10,000 characters"),
        ("<b>fog</b>", "markup"),
        ("fog\x00", "U\\+0000"),
        ("浓雾", "浓雾.*dense fog"),
        ("plugh xyzzy", "plugh xyzzy.*dense fog"),
        ("🚗💨", "understood"),
    ],
)
def test_a_bad_prompt_gets_one_clear_message(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_prompt(text)


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


PHRASES = sorted({*lexicon.WEATHER, *lexicon.ACTORS, *lexicon.STRENGTHS, *lexicon.BLUR, *lexicon.PACE})
PIECES = st.sampled_from([*PHRASES, *lexicon.STILL, *lexicon.PAN, *lexicon.CAMERA_MOVES, "no", "not", ",", "12 m/s"])


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=9), st.lists(PIECES, max_size=5))
def test_any_known_words_in_any_order_move_something(prompt: list[str], negative: list[str]) -> None:
    try:
        reading = parse_prompt(" ".join(prompt), " ".join(negative))
    except InputError as error:
        assert "understood" in str(error)
    else:
        assert reading.condition.moves
        assert Condition.from_json(json.loads(json.dumps(reading.condition.to_json()))) == reading.condition


def test_every_word_of_the_lexicon_means_something_that_exists() -> None:
    assert {kind for kind, _ in lexicon.WEATHER.values()} <= set(KINDS)
    assert all(0 < strength <= 1 for _, strength in lexicon.WEATHER.values())
    assert not lexicon.STOP_WORDS & {*lexicon.WEATHER, *lexicon.ACTORS, *lexicon.SCENES}


def test_a_condition_refuses_what_it_does_not_know() -> None:
    with pytest.raises(InputError, match="hail"):
        Condition.from_json({"weather": {"hail": 1}})
    with pytest.raises(InputError, match="exposure_s"):
        Condition(exposure_s=3)


def test_every_prompt_of_the_book_is_understood() -> None:
    book = load_prompt_book(BOOK)
    assert len(book) >= 12
    assert len({entry.name for entry in book}) == len(book)
    for entry in book:
        assert len(parse_prompt(entry.prompt, entry.negative).understood) >= 2


def test_a_broken_prompt_book_is_named(tmp_path: Path) -> None:
    (tmp_path / "book.json").write_text('[{"name": "x"}]')
    with pytest.raises(InputError, match=r"book\.json"):
        load_prompt_book(tmp_path / "book.json")
