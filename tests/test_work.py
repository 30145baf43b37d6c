"""What the browser keeps of the work is read as far as this data folder holds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blurdepth.errors import InputError
from blurdepth.ui.chips import read
from blurdepth.ui.generate.work import Work
from blurdepth.workspace import Workspace
from tests.test_preflight import filled


def test_work_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 1, 3)
    (frame,) = workspace.store.samples.frames()
    work = Work.taking(frame).showing(["s002", "s000", "s002"])
    assert work.shown == ("s002", "s000")
    assert Work.read(workspace, json.loads(json.dumps(work.to_json()))) == work
    assert Work.read(workspace, Work(frame).to_json()) == Work(frame)
    assert Work.read(workspace, Work().to_json()) == Work()


def test_what_is_of_another_frame_or_folder_is_left_out(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "a", 2, 1)
    frame = workspace.store.samples.frame(workspace.store.samples.sample("s000").frame_id)
    kept = Work(frame).showing(["s000", "s001", "gone"]).to_json()
    assert Work.read(workspace, kept) == Work(frame, ("s000",))
    assert Work.read(Workspace(tmp_path / "b"), kept) == Work()


@pytest.mark.parametrize("damaged", [None, 3, "x", [], {}, {"frame": {}}, {"frame": ["x"]}, {"frame": "\ud800"}])
def test_a_damaged_frame_is_none(tmp_path: Path, damaged: object) -> None:
    work = Work.read(Workspace(tmp_path), damaged)
    assert work == Work()
    with pytest.raises(InputError, match="no frame yet: drop a picture"):
        work.required_frame()


@pytest.mark.parametrize("damaged", [None, 3, "s000", {"s000": 1}, [None, 3, ["s000"], "\ud800", "s001"]])
def test_damaged_variants_are_left_out(tmp_path: Path, damaged: object) -> None:
    workspace = filled(tmp_path, 1, 2)
    (frame,) = workspace.store.samples.frames()
    expected = ("s001",) if isinstance(damaged, list) else ()
    assert Work.read(workspace, {"frame": frame.id, "shown": damaged}) == Work(frame, expected)


@pytest.mark.parametrize("damaged", [None, 3, [], "\ud800"])
def test_when_it_was_taken_is_forgotten_where_it_is_damaged(tmp_path: Path, damaged: object) -> None:
    workspace = filled(tmp_path, 1, 1)
    (frame,) = workspace.store.samples.frames()
    assert Work.read(workspace, {"frame": frame.id, "shown": [], "taken": damaged}) == Work(frame)


@pytest.mark.parametrize("kept", ["", "{", "[]", "3", '{"prompt": "fog"}'])
def test_a_reading_that_was_kept_for_other_words_is_made_anew(kept: str) -> None:
    assert read("fog", "", kept) == read("fog", "")
    again = json.dumps({"prompt": "fog", "negative": "", "condition": None, "changed": True})
    assert read("fog", "", kept, again) == again
