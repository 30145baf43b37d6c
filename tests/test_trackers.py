"""Curves of a real fine-tune in a real TensorBoard, read back by its own reader."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from blurdepth.cli import main
from blurdepth.cli.training import _Console
from blurdepth.errors import InputError
from blurdepth.finetune import finetune
from blurdepth.recipe import PRESET_FOLDER, learning_rate, load_recipe
from blurdepth.trackers import TRACKERS, open_tracker
from blurdepth.workspace import NewSample, Workspace
from tests.conftest import street_frame


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with version v1: a variant of each of three frames."""
    folder = tmp_path_factory.mktemp("data")
    workspace = Workspace(folder)
    target = np.tile(np.linspace(0.02, 0.2, 64, dtype=np.float32)[:, None], (1, 96))
    regions = np.zeros((64, 96), np.uint8)
    regions[20:40], regions[40:50] = 1, 2
    for number in range(3):
        frame = workspace.add_frame(street_frame(number, 96, 64), f"{number}.png")
        rgb = np.full((64, 96, 3), 40 * number, np.uint8)
        workspace.keep_sample(NewSample(f"s{number}", frame.id, rgb, target, target, regions, {}, {}))
    workspace.store.samples.decide(["s0", "s1", "s2"], "accept")
    workspace.store.versions.snapshot()
    return folder


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of one step."""
    text = (PRESET_FOLDER / "quick.toml").read_text()
    for old, new in (
        ("epochs = 6", "epochs = 2"),
        ("[160, 544]", "[56, 84]"),
        ("warmup_steps = 20", "warmup_steps = 0"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(text)
    return path


def train(data: Path, base: Path, recipe_file: Path, out: Path) -> int:
    asked = ["--data", str(data), "--base", str(base), "--preset", str(recipe_file), "--out", str(out)]
    return main(["train", "v1", *asked, "--tracker", "tensorboard", "--json"])


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """All points that TensorBoard draws of a run, by curve."""
    read = EventAccumulator(str(run)).Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def settings(run: Path) -> list[dict[str, Any]]:
    """The settings of each session that TensorBoard lists of a run."""
    found = []
    for folder in sorted({path.parent for path in run.glob("*/events.*")}):
        metadata = EventAccumulator(str(folder)).Reload().SummaryMetadata("_hparams_/session_start_info")
        start = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
        found.append({name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()})
    return found


class Stopping(_Console):
    """Stops after the first epoch was measured."""

    def should_stop(self) -> bool:
        return self.measured == 2

    measured = 0

    def report(self, progress: Any) -> None:
        super().report(progress)
        self.measured += "abs_rel/all" in progress.curves


def test_tensorboard_gets_curves_rates_and_recipe_and_a_resumed_run_goes_on_in_them(
    data: Path, tiny_model: Path, recipe_file: Path, tmp_path: Path
) -> None:
    assert train(data, tiny_model, recipe_file, tmp_path / "whole") == 0
    whole = curves(tmp_path / "whole" / "blurdepth-whole")
    recipe = replace(load_recipe(recipe_file), seed=0)
    assert [step for step, _ in whole["loss"]] == [1, 2]
    assert whole["lr"] == [(step, pytest.approx(learning_rate(recipe, step, 2))) for step in (1, 2)]
    for name in ("abs_rel/blurred", "delta_1/sharp", "rmse/mixed"):
        assert [step for step, _ in whole[name]] == [0, 1, 2]
    (told,) = settings(tmp_path / "whole" / "blurdepth-whole")
    assert (told["name"], told["lr"], told["crop"], told["include_sharp"]) == ("small", recipe.lr, "[56, 84]", True)
    assert told.keys() == recipe.as_dict().keys()

    out = tmp_path / "halves"
    workspace = Workspace(data)
    samples = workspace.training_samples("v1", recipe.split, recipe.val_share, recipe.seed)
    tracker = open_tracker("tensorboard", "blurdepth-halves", out, recipe.as_dict())
    stopped = finetune(tiny_model, samples, recipe, out, Stopping(tracker))
    tracker.finish()
    assert stopped.status == "stopped" and curves(out / "blurdepth-halves") != whole
    assert train(data, tiny_model, recipe_file, out) == 0
    assert curves(out / "blurdepth-halves") == whole
    assert settings(out / "blurdepth-halves") == [told]


def test_a_tracker_that_cannot_work_is_refused_in_words(
    data: Path, recipe_file: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="no tracker 'odd': use one of tensorboard"):
        open_tracker("odd", "run", tmp_path, {})
    missing = next(name for name in TRACKERS if importlib.util.find_spec(name) is None)
    with pytest.raises(InputError, match=f"{missing} is not installed: run `pip install {missing}`"):
        open_tracker(missing, "run", tmp_path, {})
    (tmp_path / "file").write_text("")
    assert train(data, tiny_model, recipe_file, tmp_path / "file" / "run") == 2
    said = capsys.readouterr().err
    assert "The tracker tensorboard can't start" in said and said.count("\n") == 1
