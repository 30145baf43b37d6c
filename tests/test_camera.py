"""MOTION.json: what is read, and what is refused."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdepth.camera import SHUTTERS, Motion, ScaleAssumption, motion_from_json
from blurdepth.errors import InputError

NUMBERS = st.floats(-100, 100)
VECTORS = st.tuples(NUMBERS, NUMBERS, NUMBERS)


def text(**changes: Any) -> str:
    return json.dumps({"fov_x_deg": 80, **changes})


@given(st.floats(1, 179), VECTORS, VECTORS, st.dictionaries(st.integers(1, 255), VECTORS, max_size=4))
def test_a_motion_survives_being_written_and_read(fov: float, moves: Any, turns: Any, objects: Any) -> None:
    motion = Motion(fov, moves, turns, objects, "triangle", 0.25)
    assert motion_from_json(json.dumps(motion.to_json())) == motion


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (text(camara={}), "'camara'"),
        (text(camera={"translation": [0, 0, 1]}), "camera has the unknown name 'translation'"),
        (text(objects=[{"id": 1, "translation_m": [0, 0, 1], "speed": 3}]), r"objects\[0\] .*'speed'"),
        (text(objects=[{"id": 1.7, "translation_m": [0, 0, 1]}]), r"objects\[0\]\.id is 1\.7"),
        (text(objects=[{"id": True, "translation_m": [0, 0, 1]}]), r"objects\[0\]\.id is True"),
        (text(objects=[{"id": 256, "translation_m": [0, 0, 1]}]), "256"),
        (text(objects=[{"id": 7, "translation_m": [0, 0, 1]}] * 2), r"id 7 is given twice.*objects\[1\]"),
        (text(objects=[{"id": 1}]), r"objects\[0\]\.translation_m is None"),
        (text(objects={"1": [0, 0, 1]}), "objects is {'1'"),
        (text(objects=[5]), r"objects\[0\] is 5"),
        (text(camera={"translation_m": "123"}), "camera.translation_m is '123'"),
        (text(camera={"translation_m": ["1", "2", "3"]}), "camera.translation_m is '1'"),
        (text(camera={"rotation_deg": [1, 2]}), r"camera.rotation_deg is \[1, 2\]"),
        (text(camera={"rotation_deg": [0, float("nan"), 0]}), "camera.rotation_deg is nan"),
        (text(camera={"rotation_deg": [0, 10**400, 0]}), "camera.rotation_deg is 1000"),
        (text(camera=[]), r"camera is \[\]"),
        (text(shutter="leaf"), "shutter 'leaf' is not known: use one of box"),
        (text(readout=-0.1), "readout is -0.1"),
        (text(readout="0.3"), "readout is '0.3'"),
        ('{"fov_x_deg": "80"}', "fov_x_deg is '80'"),
        ('{"fov_x_deg": null}', "fov_x_deg is None"),
        ("[" * 100_000, "not JSON"),
        ('{"fov_x_deg": ' + "9" * 5000 + "}", "not JSON"),
        ("[1]", r"motion is \[1\]"),
    ],
)
def test_a_wrong_motion_gets_one_message_that_names_the_value(motion: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        motion_from_json(motion)
    assert len(str(refused.value)) < 300


def test_the_assumed_range_is_never_empty() -> None:
    assert ScaleAssumption().range_m(1242, 375) == (pytest.approx(6.5, abs=0.1), 80)
    near_m, far_m = ScaleAssumption().range_m(8000, 120)
    assert far_m == 2 * near_m > 80


@pytest.mark.parametrize("shutter", SHUTTERS)
def test_every_shutter_lets_through_as_much_light_as_one_that_is_open_all_the_time(shutter: str) -> None:
    moments = (np.arange(1000) + 0.5) / 1000 - 0.5
    weights = SHUTTERS[shutter](moments)
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-12)
    assert (weights >= 0).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"translation_m": (0.0, math.nan, 0.0)}, "translation_m is .*nan"),
        ({"rotation_deg": (math.inf, 0.0, 0.0)}, "rotation_deg is .*inf"),
        ({"objects": {3: (0.0, 0.0, math.nan)}}, "object 3 is .*nan"),
    ],
)
def test_a_motion_that_is_no_number_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Motion(80.0, **values)
