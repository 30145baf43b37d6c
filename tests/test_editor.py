"""The editor's answers to the page: outlines and arrows, and one clear sentence for anything wrong."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from blurdepth.prompts import Condition
from blurdepth.ui.chips import chosen_condition, read, turn_knob
from blurdepth.ui.editor import edit, look_ahead
from blurdepth.workspace import Workspace
from tests.conftest import street_frame

STROKE: dict[str, Any] = {"mover": None, "points": [[60, 40], [90, 44]], "radius": 8}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def asked(workspace: Workspace, tiny_model: Path) -> dict[str, Any]:
    frame = workspace.add_frame(street_frame(), "street.png")
    return {"frame": frame.id, "model": str(tiny_model), "setup": "", "condition": Condition().to_json()}


def test_an_opened_frame_has_its_picture_its_depth_and_nobody_chosen(workspace: Workspace, asked: Any) -> None:
    sheet = edit(workspace, asked | {"action": "open"})
    assert sheet["size"] == [196, 84]
    assert sheet["movers"] == [] and sheet["relative"] is True
    assert sheet["scale"]["camera_height_m"] == 1.65
    assert "error" not in sheet


def test_a_painted_mover_has_an_outline_and_an_arrow_and_survives_a_reload(workspace: Workspace, asked: Any) -> None:
    sheet = edit(workspace, asked | {"action": "paint", **STROKE})
    (mover,) = sheet["movers"]
    assert sheet["touched"] == mover["number"] == 1
    assert mover["path"].startswith("M") and mover["path"].endswith("Z")
    assert mover["to"][0] > mover["from"][0] and mover["heading"] == "to the right"
    again = edit(workspace, asked | {"action": "open", "setup": sheet["setup"]})
    assert again["movers"] == sheet["movers"]


def test_undo_is_the_setup_before(workspace: Workspace, asked: Any) -> None:
    first = edit(workspace, asked | {"action": "open"})
    painted = edit(workspace, asked | {"action": "paint", **STROKE})
    edit(workspace, asked | {"action": "remove", "mover": 1, "setup": painted["setup"]})
    back = edit(workspace, asked | {"action": "open", "setup": painted["setup"]})
    assert back["movers"] == painted["movers"]
    assert edit(workspace, asked | {"action": "open", "setup": first["setup"]})["movers"] == []


def test_the_preview_follows_the_arrow_without_keeping_anything(workspace: Workspace, asked: Any) -> None:
    painted = asked | {"setup": edit(workspace, asked | {"action": "paint", **STROKE})["setup"]}
    still = look_ahead(workspace, painted | {"width": 98})
    dragged = look_ahead(workspace, painted | {"width": 98, "mover": 1, "to": [140, 42]})
    assert still["picture"] != dragged["picture"]
    data = base64.b64decode(dragged["picture"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (98, 42)
    assert edit(workspace, painted | {"action": "open"})["setup"] == painted["setup"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "fly"},
        {"action": ["open"]},
        {"action": "open", "frame": "nonsense"},
        {"action": "open", "frame": {"a": 1}},
        {"action": "open", "model": "/etc"},
        {"action": "open", "setup": "nonsense"},
        {"action": "open", "condition": {"fog": 1}},
        {"action": "open", "condition": "fog"},
        {"action": "choose", "to": [1e9, 0]},
        {"action": "choose", "to": "here"},
        {"action": "choose", "to": [float("nan"), 2]},
        {"action": "choose"},
        {"action": "paint", "points": [], "radius": 3},
        {"action": "paint", "points": [[1, 2]] * 6000, "radius": 3},
        {"action": "paint", "points": [[1, 2]], "radius": "wide"},
        {"action": "paint", "points": [[1, 2]], "radius": -4},
        {"action": "paint", "points": [[1, 2]], "radius": 1e5},
        {"action": "drag", "mover": 7, "to": [3, 4]},
        {"action": "drag", "mover": None, "to": [3, 4]},
        {"action": "speed", "mover": 1, "speed": float("inf")},
        {"action": "assume", "scale": {"camera_height_m": -1}},
        {"action": "assume", "scale": {"fov_x_deg": 180}},
        {"action": "assume", "scale": 3},
        {"action": "known", "mover": 1, "height": 0},
        {"action": "open", "frame": "\ud800"},
        {"action": "paint", **STROKE, "mover": 300},
    ],
    ids=str,
)
def test_anything_wrong_is_one_clear_sentence(workspace: Workspace, asked: Any, wrong: dict[str, Any]) -> None:
    answer = edit(workspace, asked | wrong)
    assert list(answer) == ["error"]
    assert answer["error"].rstrip().endswith((".", "!"))
    assert len(answer["error"]) < 300


@pytest.mark.parametrize("asked", [None, [], "open", 3, True, [{"action": "open"}]], ids=str)
def test_what_is_no_object_is_one_clear_sentence_too(workspace: Workspace, asked: Any) -> None:
    assert list(edit(workspace, asked)) == list(look_ahead(workspace, asked)) == ["error"]
    assert turn_knob(asked)["error"]


def test_a_preview_of_less_than_nothing_is_refused(workspace: Workspace, asked: Any) -> None:
    assert "0 for the frame's own" in look_ahead(workspace, asked | {"width": -5})["error"]


def test_a_visitor_names_no_folders(tmp_path: Path, asked: Any, tiny_model: Path) -> None:
    strangers = Workspace(tmp_path, model_folders=False)
    for named in ({"model": str(tiny_model)}, {"model": "bundled", "finder": str(tiny_model)}):
        for act in (edit, look_ahead):
            moving = {"condition": Condition(object_speed_mps=8).to_json(), "width": 90, "action": "open"}
            assert "is no model here" in act(strangers, asked | moving | named)["error"]


def test_chips_follow_the_words_until_a_hand_turns_them() -> None:
    shown = read("dense fog, cars at 12 m/s", "")
    assert chosen_condition(shown) is None
    turned = turn_knob(json.loads(shown) | {"name": "fog", "value": 0.25})
    assert turned["changed"] is True
    kept = json.dumps(turned)
    condition = chosen_condition(kept)
    assert condition is not None and condition.weather.fog == 0.25
    assert read("dense fog, cars at 12 m/s", "", kept) == kept
    assert chosen_condition(read("light fog, cars at 12 m/s", "", kept)) is None
    assert turn_knob(turned | {"name": ""})["changed"] is False


def test_a_wrong_turn_keeps_what_there_was_and_says_why() -> None:
    shown = json.loads(read("dense fog, cars", ""))
    turned = turn_knob(shown | {"name": "fog", "value": 0.25})
    wrong = turn_knob(turned | {"name": "fog", "value": 7})
    assert "0 to 1" in wrong["error"]
    assert wrong["condition"] == turned["condition"]
    assert "error" in turn_knob({"prompt": None, "name": "fog"})
