"""Knobs: every value of a condition can be turned by hand, within its range."""

from __future__ import annotations

import pytest

from blurdepth.errors import InputError
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.prompts.knobs import knobs, turn
from blurdepth.weather import KINDS


def test_a_knob_for_every_weather_and_motion() -> None:
    names = {knob.name for knob in knobs(Condition())}
    assert set(KINDS) < names
    assert {"object_speed_mps", "direction", "camera_speed_mps", "pan_deg", "shake", "exposure_s"} < names


@pytest.mark.parametrize("knob", knobs(Condition()), ids=lambda knob: knob.name)
def test_turning_changes_that_value_and_no_other(knob) -> None:  # type: ignore[no-untyped-def]
    before = parse_prompt("dense fog, cars at 12 m/s").condition
    target = knob.choices[-1] if knob.choices else knob.high
    after = {each.name: each.value for each in knobs(turn(before, knob.name, target))}
    assert after.pop(knob.name) == target
    assert after == {each.name: each.value for each in knobs(before) if each.name != knob.name}


def test_what_was_added_by_hand_can_be_taken_away_again() -> None:
    for knob in knobs(Condition()):
        if knob.at_rest:
            added = turn(Condition(), knob.name, knob.first)
            assert not next(each for each in knobs(added) if each.name == knob.name).at_rest
            assert turn(added, knob.name, knob.value) == Condition()


def test_a_camera_that_stood_still_may_be_moved_by_hand() -> None:
    before = parse_prompt("fog, tripod, cars speeding past").condition
    assert before.camera_still
    assert turn(before, "camera_speed_mps", 5).camera_speed_mps == 5


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fog", 1.5, "0 to 1"),
        ("fog", "much", "number"),
        ("fog", float("nan"), "number"),
        ("fog", True, "number"),
        ("direction", "upwards", "left"),
        ("exposure_s", 0, "0.002"),
        ("wizardry", 1, "reload"),
        ("__class__", 1, "reload"),
    ],
)
def test_a_wrong_turn_is_refused(name: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        turn(Condition(), name, value)
