"""Variants of many frames: folders, the prompt book, several processes, and going on after an interruption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blurdepth.batch import Skipped, generate_batch, pictures_in, read_book
from blurdepth.errors import InputError
from blurdepth.generation import GenerationRequest
from blurdepth.store.records import Sample
from blurdepth.workspace import Workspace
from tests.conftest import street_frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(3):
        (folder / f"{k}.png").write_bytes(street_frame(k))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_stands_for_its_pictures_and_an_empty_one_is_refused(folder: Path, tmp_path: Path) -> None:
    assert [path.name for path in pictures_in([folder])] == ["0.png", "1.png", "2.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no pictures"):
        pictures_in([tmp_path / "empty"])


def test_variants_of_the_book_have_different_prompts_and_a_second_run_makes_none(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    request = GenerationRequest("fog, camera at 8 m/s", variants=2)
    made = list(generate_batch(workspace, pictures_in([folder]), request, read_book(workspace)))
    prompts = [each.prompt if isinstance(each, Skipped) else each.provenance["prompt"] for each in made]
    assert len(set(prompts)) == 6
    again = list(generate_batch(workspace, pictures_in([folder]), request, read_book(workspace)))
    assert [each for each in again if isinstance(each, Sample)] == [each for each in made if isinstance(each, Sample)]
    assert workspace.store.samples.counts().total == sum(isinstance(each, Sample) for each in made)


def test_a_bad_picture_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / "1.png").write_bytes(b"no picture")
    request = GenerationRequest("fog, camera at 8 m/s", variants=1)
    made = list(generate_batch(Workspace(tmp_path / "data"), pictures_in([folder]), request))
    assert [isinstance(each, Skipped) for each in made] == [False, True, False]


def test_two_processes_share_the_frames(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "blurdepth", "generate", str(folder), "--variants", "1", "--json"]
    command += ["--prompt", "fog, camera at 8 m/s", "--data", str(tmp_path / "data")]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "RANK": str(k), "WORLD_SIZE": "2"})
        for k in range(2)
    ]
    made = [json.loads(process.communicate()[0])["samples"] for process in started]
    assert [len(each) for each in made] == [2, 1]
    assert Workspace(tmp_path / "data").store.samples.counts().total == 3
