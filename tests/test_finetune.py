"""Fine-tuning of a real, tiny Depth Anything model with random weights."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from blurdepth.dataset import TrainingSample
from blurdepth.errors import BlurdepthError, InputError, StorageError
from blurdepth.estimators import NOTES, load_estimator, read_notes, streets_learned
from blurdepth.files import encode_array
from blurdepth.finetune import Outcome, Progress, finetune
from blurdepth.images import content_hash, encode_png
from blurdepth.recipe import Recipe, learning_rate, load_recipe
from blurdepth.training_data import Batch
from blurdepth.training_state import RunFolder
from blurdepth.training_step import parameter_groups, training_loss
from tests.conftest import write_tiny_model

HEIGHT, WIDTH = 72, 112


class Watcher:
    """Remembers what it is told; says stop after `stop_after` reports."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[Progress] = []
        self.stop_after = stop_after

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.seen) >= self.stop_after

    def curve(self, name: str) -> list[float]:
        return [progress.curves[name] for progress in self.seen if name in progress.curves]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the Hub's format."""
    return write_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingSample]:
    """Three frames with two variants each; the last frame is held out."""
    folder = tmp_path_factory.mktemp("samples")
    return [write_sample(folder, frame, variant) for frame in range(3) for variant in range(2)]


def write_sample(folder: Path, frame: int, variant: int) -> TrainingSample:
    """A road that comes nearer row by row, and a near box that moved: brighter is nearer."""
    inverse_depth = np.tile(np.linspace(0.02, 0.2, HEIGHT, dtype=np.float32)[:, None], (1, WIDTH))
    left = 10 + 25 * frame
    inverse_depth[20:50, left : left + 30] = 0.4
    blurred = cv2.blur(inverse_depth, (7 + 4 * variant, 1))
    regions = np.where(np.abs(blurred - inverse_depth) > 1e-6, 2, 0).astype(np.uint8)
    regions[22:48, left + 10 : left + 20] = 1
    regions[:4] = 255
    name = f"{frame}{variant}"
    paths = {key: folder / f"{name}-{key}" for key in ("image", "target", "regions", "sharp", "sharp_target")}
    for key, values in (("image", blurred), ("sharp", inverse_depth)):
        picture = np.repeat((values * 600).astype(np.uint8)[..., None], 3, 2)
        paths[key].write_bytes(encode_png(picture))
    paths["target"].write_bytes(encode_array(blurred))
    paths["sharp_target"].write_bytes(encode_array(inverse_depth))
    paths["regions"].write_bytes(encode_png(regions))
    return TrainingSample(
        *(f"s{name}", f"f{frame}", "val" if frame == 2 else "train"),
        *(paths["image"], paths["target"], paths["regions"], paths["sharp"], paths["sharp_target"]),
    )


def recipe(**values: Any) -> Recipe:
    quick = load_recipe("quick")
    return replace(
        quick,
        **{
            "seed": 5,
            "epochs": 2,
            "lr": 1e-3,
            "lr_min": 1e-4,
            "crop": (56, 84),
            "warmup_steps": 0,
            "head_lr_factor": 10.0,
            **values,
        },
    )


def weights(outcome: Outcome) -> dict[str, torch.Tensor]:
    assert outcome.checkpoint is not None
    return load_file(outcome.checkpoint / "model.safetensors")


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def whole(base: Path, samples: list[TrainingSample], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run of two epochs of two steps, never stopped."""
    return finetune(base, samples, recipe(), tmp_path_factory.mktemp("whole") / "run", Watcher())


def test_a_fine_tune_ends_with_a_checkpoint_that_transformers_loads(whole: Outcome) -> None:
    assert whole.status == "done"
    assert whole.checkpoint is not None
    model = AutoModelForDepthEstimation.from_pretrained(whole.checkpoint)
    processor = AutoImageProcessor.from_pretrained(whole.checkpoint)
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    with torch.no_grad():
        result = model(**processor(images=rgb, return_tensors="pt"))
    assert torch.isfinite(result.predicted_depth).all()
    assert load_estimator(str(whole.checkpoint)).predict(rgb).shape == (HEIGHT, WIDTH)


def test_the_checkpoint_says_how_it_was_made(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    own, out = shutil.copytree(base, tmp_path / "own"), tmp_path / "out"
    learned = {"kind": "affine_inverse_depth", "provenance": {"streets": [[7, 9]]}}
    (own / NOTES).write_text(json.dumps(learned))
    origin = {"version": "v3", "manifest": "abc", "streets": [[3, 4]]}
    outcome = finetune(str(own), samples, recipe(epochs=1, seed=7), out, Watcher(), device="cpu", provenance=origin)
    assert outcome.checkpoint is not None
    notes = json.loads((outcome.checkpoint / NOTES).read_text())
    assert notes["kind"] == "affine_inverse_depth"
    assert notes["provenance"] == origin
    assert (notes["base"]["name"], notes["base"]["streets"]) == (str(own), [[7, 9]])
    assert streets_learned(read_notes(str(outcome.checkpoint))) == [(3, 4), (7, 9)]
    assert (notes["seed"], notes["recipe"]["seed"], notes["status"]) == (7, 7, "done")
    assert notes["samples"] == {"train": 4, "val": 2, "train_items": 6}
    assert notes["metrics"] == outcome.metrics
    assert {path.name for path in out.iterdir()} == {"checkpoint", "probes"}
    kept = {path.name for path in (out / "probes").iterdir()}
    assert {"input-0.png", "target-0.png", "0000-0.png", "0001-0.png", "0001-1.png"} <= kept
    # Input, base, fine-tuned and target of both held-out pictures.
    card = (outcome.checkpoint / "README.md").read_text()
    assert "(sample-1.jpg)" in card and "(sample-2.jpg)" in card
    assert cv2.imread(str(outcome.checkpoint / "sample-1.jpg")).shape == (HEIGHT, 4 * WIDTH + 18, 3)


def test_base_and_tuned_are_measured_by_group(whole: Outcome) -> None:
    for who in ("base", "tuned"):
        assert set(whole.metrics[who]) == {"all", "static", "blurred", "pure", "mixed", "ring", "sharp"}
        assert len(whole.metrics[who]["sharp"]) == 10
    assert whole.metrics["validated_on"] == "held-out frames"


def test_the_loss_falls_and_the_model_gets_better(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    watcher = Watcher()
    outcome = finetune(base, samples, recipe(epochs=10, lr=1e-3, head_lr_factor=3.0, batch=2), tmp_path, watcher)
    losses = watcher.curve("loss")
    assert np.mean(losses[-6:]) < 0.85 * np.mean(losses[:6])
    assert outcome.metrics["tuned"]["all"]["abs_rel"] < outcome.metrics["base"]["all"]["abs_rel"]
    assert outcome.metrics["improved"]


def test_a_run_that_made_the_model_worse_says_so(
    base: Path, samples: list[TrainingSample], tmp_path: Path, whole: Outcome
) -> None:
    assert whole.checkpoint is not None
    tuned = finetune(base, samples, recipe(epochs=8, head_lr_factor=3.0, batch=2), tmp_path / "good", Watcher())
    assert tuned.checkpoint is not None
    # What has learned is thrown far off by one step that is far too long.
    ruined = finetune(tuned.checkpoint, samples, recipe(epochs=1, lr=0.3, batch=6), tmp_path / "bad", Watcher())
    metrics = ruined.metrics
    assert metrics["tuned"]["all"]["abs_rel"] > metrics["base"]["all"]["abs_rel"]
    assert metrics["improved"] is False


def test_progress_counts_steps_and_rows(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    watcher = Watcher()
    finetune(base, samples, recipe(), tmp_path, watcher)
    trained = [progress for progress in watcher.seen if "loss" in progress.curves]
    assert [(progress.step, progress.steps, progress.epoch) for progress in trained] == [
        (1, 4, 1),
        (2, 4, 1),
        (3, 4, 2),
        (4, 4, 2),
    ]
    assert len(watcher.curve("abs_rel/blurred")) == len(watcher.curve("delta_1/sharp")) == 3
    assert watcher.curve("lr") == [learning_rate(recipe(), step, 4) for step in range(1, 5)]
    assert watcher.seen[0].activity == "measuring the base model"
    assert watcher.seen[-1].seconds_left == 0


@pytest.mark.parametrize("stop_after", [1, 5, 6, 9, 12])
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    base: Path, samples: list[TrainingSample], tmp_path: Path, whole: Outcome, stop_after: int
) -> None:
    watcher = Watcher(stop_after)
    stopped = finetune(base, samples, recipe(), tmp_path, watcher)
    assert stopped.status == "stopped"
    assert (stopped.checkpoint is not None) == (len(watcher.curve("abs_rel/all")) > 1)
    resumed = finetune(base, samples, recipe(), tmp_path, Watcher())
    assert resumed.status == "done"
    assert_same(weights(resumed), weights(whole))
    assert resumed.metrics == whole.metrics


def test_a_run_that_version_0_3_stopped_is_gone_on_with(
    base: Path, samples: list[TrainingSample], tmp_path: Path, whole: Outcome
) -> None:
    finetune(base, samples, recipe(), tmp_path, Watcher(6))
    state = tmp_path / "state.safetensors"
    with safe_open(state, "pt") as file:
        notes = file.metadata()
    del notes["scaler"]
    later = {"region_weights", "freeze_encoder", "micro_batch", "checkpointing", "precision"}
    later |= {"color_jitter", "best_by", "patience", "sharp_tolerance"}
    asked = {name: value for name, value in recipe().as_dict().items() if name not in later}
    rows = [[sample.id, sample.frame_id, sample.split] for sample in samples]
    notes["key"] = content_hash(json.dumps([load_estimator(str(base)).revision, asked, rows]).encode())
    save_file(load_file(state), state, notes)
    assert_same(weights(finetune(base, samples, recipe(), tmp_path, Watcher())), weights(whole))


class Pauser(Watcher):
    """Holds once, for longer than all else takes, while the base is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.held = time.monotonic(), 0.0

    def report(self, progress: Progress) -> None:
        super().report(progress)
        self.worked = time.monotonic() - self.began - self.held

    def should_stop(self) -> bool:
        if len(self.seen) == 2:
            self.held = 4 * (time.monotonic() - self.began)
            time.sleep(self.held)
        return len(self.seen) == 5


def test_a_pause_while_measuring_is_not_taken_for_the_time_of_a_measurement(
    base: Path, samples: list[TrainingSample], tmp_path: Path
) -> None:
    pauser = Pauser()
    finetune(base, samples, recipe(), tmp_path, pauser)
    seconds = pauser.seen[-1].seconds_left
    # Three steps and two measurements are left, of which it has done one each.
    assert pauser.seen[-1].step == 1 and seconds is not None
    assert seconds < 3 * pauser.worked


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


class Killer(Watcher):
    """Ends the run without a word at its `stop_after`th report."""

    def should_stop(self) -> bool:
        if super().should_stop():
            raise Killed
        return False


@pytest.mark.parametrize("stop_after", [2, 7, 11])
def test_a_run_that_was_killed_ends_with_the_same_weights(
    base: Path, samples: list[TrainingSample], tmp_path: Path, whole: Outcome, stop_after: int
) -> None:
    with pytest.raises(Killed):
        finetune(base, samples, recipe(), tmp_path, Killer(stop_after))
    (tmp_path / ".part-4zx9").write_bytes(b"half a file")
    resumed = finetune(base, samples, recipe(), tmp_path, Watcher())
    assert not list(tmp_path.glob(".part-*"))
    assert_same(weights(resumed), weights(whole))


@pytest.mark.parametrize("stop_after", [7, 14])
def test_a_kill_while_measuring_costs_no_step(
    base: Path, samples: list[TrainingSample], tmp_path: Path, whole: Outcome, stop_after: int
) -> None:
    killer, resumed = Killer(stop_after), Watcher()
    with pytest.raises(Killed):
        finetune(base, samples, recipe(), tmp_path, killer)
    assert killer.seen[-1].activity.startswith("measuring epoch")
    outcome = finetune(base, samples, recipe(), tmp_path, resumed)
    first = resumed.seen[0]
    assert (first.step, first.activity) == (killer.seen[-1].step, killer.seen[-1].activity), "it is measured anew"
    assert_same(weights(outcome), weights(whole))
    assert outcome.metrics == whole.metrics


def test_a_finished_run_is_not_run_again(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    first = finetune(base, samples, recipe(epochs=1), tmp_path, Watcher())
    watcher = Watcher()
    assert finetune(base, samples, recipe(epochs=1), tmp_path, watcher) == first
    assert watcher.seen == []


def test_a_folder_with_another_run_is_refused(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    finetune(base, samples, recipe(), tmp_path, Watcher(6))
    with pytest.raises(InputError, match="another fine-tune"):
        finetune(base, samples, recipe(seed=6), tmp_path, Watcher())


def test_a_state_that_is_damaged_is_named(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"not a state")
    with pytest.raises(StorageError, match="remove it"):
        finetune(base, samples, recipe(), tmp_path, Watcher())


def test_all_but_the_encoder_learns_ten_times_faster(base: Path) -> None:
    model = load_estimator(str(base)).model
    encoder, rest = parameter_groups(model, recipe())
    assert encoder["lr"] == pytest.approx(1e-3)
    assert rest["lr"] == pytest.approx(1e-2)
    assert {id(p) for p in encoder["params"]} == {id(p) for p in model.backbone.parameters()}
    assert len(encoder["params"]) + len(rest["params"]) == len(list(model.parameters()))


def test_a_loss_that_is_no_number_ends_the_run(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    with pytest.raises(BlurdepthError, match=r"loss became nan at step \d+: use a lower lr|not numbers"):
        finetune(base, samples, recipe(lr=1e18, epochs=3, optimizer="adam"), tmp_path, Watcher())


def test_no_training_sample_is_refused(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 2 samples are for training"):
        finetune(base, samples[4:], recipe(), tmp_path, Watcher())


def test_without_held_out_samples_the_training_samples_are_measured(
    base: Path, samples: list[TrainingSample], tmp_path: Path
) -> None:
    outcome = finetune(base, samples[:1], recipe(epochs=1), tmp_path, Watcher())
    assert outcome.metrics["validated_on"] == "training samples"


def test_the_papers_loss_and_target_train_too(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    watcher = Watcher()
    papers = recipe(loss="silog", target="mid_exposure", optimizer="adam", epochs=8, weight_decay=0.0)
    finetune(base, samples, papers, tmp_path, watcher)
    losses = watcher.curve("loss")
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


@pytest.mark.parametrize("loss", ["ssi+gradient", "silog"])
def test_a_right_answer_in_metres_costs_nothing(loss: str) -> None:
    inverse_depth = torch.linspace(0, 0.5, 5 * 42).reshape(1, 5, 42)
    mask = torch.ones_like(inverse_depth, dtype=torch.bool)
    batch = Batch(torch.zeros(1, 3, 5, 42), inverse_depth, mask)
    prediction_m = 1 / inverse_depth.clamp(min=1e-4)
    assert training_loss(recipe(loss=loss), "depth_m", prediction_m, batch) < 0.02


class KilledAtMeasurement(Watcher):
    """Ends the run without a word when it is told of the first measurement."""

    def report(self, progress: Progress) -> None:
        if "abs_rel/all" in progress.curves:
            raise Killed


def test_no_kill_costs_a_point_of_the_curves(base: Path, samples: list[TrainingSample], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        finetune(base, samples, recipe(epochs=1), tmp_path, KilledAtMeasurement())
    resumed = Watcher()
    finetune(base, samples, recipe(epochs=1), tmp_path, resumed)
    assert len(resumed.curve("abs_rel/all")) == 2


def test_only_a_run_that_leaves_steps_out_ended_early(
    base: Path, samples: list[TrainingSample], tmp_path: Path
) -> None:
    # At such a rate no weight changes, so no epoch is better than the first.
    still = {"lr": 1e-30, "lr_min": 0.0, "patience": 1}
    whole = finetune(base, samples, recipe(epochs=2, **still), tmp_path / "whole", Watcher())
    early = finetune(base, samples, recipe(epochs=3, **still), tmp_path / "early", Watcher())
    assert (whole.metrics["best_epoch"], early.metrics["best_epoch"]) == (1, 1)
    assert (whole.metrics["ended_early"], early.metrics["ended_early"]) == (False, True)


def test_what_a_kill_left_of_a_finished_run_is_cleared(
    base: Path, samples: list[TrainingSample], tmp_path: Path
) -> None:
    finetune(base, samples, recipe(epochs=1), tmp_path, Watcher())
    left = RunFolder(tmp_path, "any").cache / "0-rgb.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"rest")
    assert finetune(base, samples, recipe(epochs=1), tmp_path, Watcher()).status == "done"
    assert not (tmp_path / "cache").exists()
