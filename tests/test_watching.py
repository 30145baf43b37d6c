"""What is told of a real fine-tune once it is over: the same in the page, the card and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blurdepth.cli import main
from blurdepth.model_card import plain
from blurdepth.store.records import Job
from blurdepth.ui.watching import gain
from tests.test_trackers import data, recipe_file

__all__ = ["data", "recipe_file"]


@pytest.mark.parametrize(
    ("share", "on"),
    [
        ("0.2", "Measured on held-out frames."),
        ("0.0", "Measured on training samples. These are the samples it was trained on: on others it will do worse."),
    ],
)
def test_what_it_was_measured_on_is_said_everywhere(
    data: Path,
    recipe_file: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    share: str,
    on: str,
) -> None:
    own, text = tmp_path / "own.toml", recipe_file.read_text()
    # At such a rate nothing is learned, so it is no better than its base.
    for old, new in (
        ("val_share = 0.2", f"val_share = {share}"),
        ("lr = 2e-5", "lr = 1e-30"),
        ("lr_min = 2e-6", "lr_min = 0"),
    ):
        assert old in text
        text = text.replace(old, new)
    own.write_text(text)
    asked = ["--data", str(data), "--base", str(tiny_model), "--preset", str(own), "--out", str(tmp_path / "run")]
    assert main(["train", "v1", *asked]) == 0
    assert capsys.readouterr().out.endswith(f". {on}\n")
    checkpoint = tmp_path / "run" / "checkpoint"
    assert plain(on) in (checkpoint / "README.md").read_text()
    metrics = json.loads((checkpoint / "blurdepth.json").read_text())["metrics"]
    page = gain(Job("j1", "finetune", "done", {}, metrics=metrics))
    assert on in page and "It is not better than its base there" in page
    assert ("held-out" in page) == (share == "0.2")
