"""Fine-tuning of a depth model on blurred samples: measured before, while and after, and never lost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import psutil
import torch

from blurdepth import __version__
from blurdepth.dataset import TrainingSample
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.estimators import Estimator, load_estimator, read_notes, streets_learned
from blurdepth.example_cache import ExampleCache
from blurdepth.images import content_hash
from blurdepth.metrics import METRICS
from blurdepth.processes import Processes, join_processes, leave_processes
from blurdepth.recipe import Recipe, learning_rate
from blurdepth.training_data import Batch, TrainingSet, blurred_items, sharp_items
from blurdepth.training_state import RunFolder
from blurdepth.training_step import Trainer
from blurdepth.validation import Groups, Validation

CURVE_POINTS = 500
SAVE_EVERY_S = 300.0
"""How much work a kill may cost at most."""


@dataclass(frozen=True)
class Progress:
    """How far a fine-tune has come.

    Attributes:
        activity: what it is doing, in words.
        step, steps: done and in all.
        epoch, epochs: begun (from 1; 0 while the base is measured) and in all.
        loss: of the last step; None while measuring.
        lr: the encoder's learning rate.
        seconds_left: estimated; None while unknown.
        images_per_second: that are learned from; 0 while measuring.
        used_bytes: of memory, the most so far on a GPU.
        curves: points to draw at `step`, by name: "loss" and "lr" (at most about 500 in all), and after an
            evaluation each metric of each group, as "abs_rel/mixed". A resumed run may repeat points.
    """

    activity: str
    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float | None
    lr: float
    seconds_left: float | None
    images_per_second: float
    used_bytes: int
    curves: dict[str, float] = field(default_factory=dict)


class Control(Protocol):
    """Whoever started the fine-tune."""

    def report(self, progress: Progress) -> None:
        """Told after each step and each evaluated image."""

    def should_stop(self) -> bool:
        """Asked as often: True ends the run, resumable."""


@dataclass(frozen=True)
class Outcome:
    """How a fine-tune ended.

    Attributes:
        status: "done", or "stopped" (call `finetune` again with the same arguments to go on).
        checkpoint: folder of the best weights; None if stopped before the first epoch was measured.
        metrics: {"base": Groups, "tuned": Groups, "best_epoch", "best_by", "improved", "sharp_worse", "ended_early",
            "validated_on"}; what isn't known yet is left out. "improved": the best epoch is better than the base by
            the recipe's metric. "sharp_worse": on sharp frames its AbsRel has risen by more than the recipe allows.
    """

    status: Literal["done", "stopped"]
    checkpoint: Path | None
    metrics: dict[str, Any]


def finetune(
    base: str | Path,
    samples: Sequence[TrainingSample],
    recipe: Recipe,
    out: Path,
    control: Control,
    *,
    device: str | None = None,
    provenance: dict[str, Any] | None = None,
) -> Outcome:
    """Fine-tune `base` on the samples, or go on where an earlier call in `out` was stopped or killed.

    The base is measured first, then the model after each epoch; `out`/checkpoint gets the weights of the
    epoch that is best by the recipe's metric over the validation variants. On a CPU the same arguments give the same
    weights, however often the run was interrupted. Started by `accelerate launch`, all its processes call this with
    the same arguments and share each batch; `out` must be one folder for all of them.

    Args:
        base: as for `load_estimator`.
        samples: with their split; without any "val", the training samples are measured instead.
        recipe: see `Recipe`.
        out: folder of this run alone.
        control: is told of progress and may stop.
        device: such as "cpu" or "cuda:1"; the best there is, if not given.
        provenance: of the data, copied into the checkpoint's blurdepth.json.

    Raises:
        InputError: there is nothing to train on, a file is damaged, or `out` holds another run.
        ModelError: the base can't be loaded.
        StorageError: the disk is full.
        BlurdepthError: the loss is no number any more.
    """
    estimator = load_estimator(str(base))
    folder = RunFolder(out, _run_key(estimator, samples, recipe))
    if (notes := folder.finished()) is not None:
        folder.clear()  # a kill may have come before all was
        return Outcome("done", folder.checkpoint, notes["metrics"])
    processes = join_processes()
    if processes.first:
        folder.sweep()
    processes.wait_for_first()
    run = _Run(estimator, samples, recipe, folder, control, device, processes)
    status = run.work()
    checkpoint = run.publish(status, provenance or {})
    leave_processes(processes)
    return Outcome(status, checkpoint, run.metrics())


class _Run:
    """One call of `finetune`: the model, where it stands, and what to do next."""

    def __init__(
        self,
        estimator: Estimator,
        samples: Sequence[TrainingSample],
        recipe: Recipe,
        folder: RunFolder,
        control: Control,
        device: str | None,
        processes: Processes,
    ) -> None:
        train = [sample for sample in samples if sample.split == "train"]
        held_out = [sample for sample in samples if sample.split == "val"]
        if not train:
            raise InputError(f"0 of {len(samples)} samples are for training: accept more samples.")
        self.estimator, self.recipe, self.folder, self.control = estimator, recipe, folder, control
        self.processes = processes
        model = estimator.model.to(device or estimator.model.device)
        self.trainer = Trainer(model, estimator.kind, recipe, processes)
        items = blurred_items(train, recipe) + (sharp_items(train) if recipe.include_sharp else [])
        # Some processors leave colours as they are.
        normal = estimator.processor.image_mean or [0.0] * 3, estimator.processor.image_std or [1.0] * 3
        fitting = replace(recipe, crop=estimator.fitting(recipe.crop))
        self.data = TrainingSet(items, fitting, *normal, ExampleCache(folder.cache), processes)
        measured = held_out or train
        self.validation = Validation(
            blurred_items(measured, recipe), sharp_items(measured), processes, folder.save_probe
        )
        self.validated_on = _validated_on(train, held_out)
        self.counts = {"train": len(train), "val": len(held_out), "train_items": len(items)}
        self.steps = recipe.epochs * self.data.steps
        self.drawn_every = max(1, self.steps // CURVE_POINTS)
        self.position = folder.restore(self.trainer)
        self.pace = _Pace()
        self.saved_at, self.saved = time.monotonic(), self._place()

    def work(self) -> Literal["done", "stopped"]:
        """Measure and train in turn until the end, or until told to stop."""
        with ThreadPoolExecutor(1, "batches") as ahead:
            batches = _Ahead(self.data, self.steps, ahead)
            while not self._complete():
                if self.processes.agreed(self.control.should_stop()):
                    self._save()
                    return "stopped"
                if self._measure_due():
                    self._measure()
                else:
                    self._train_step(batches)
        return "done"

    def metrics(self) -> dict[str, Any]:
        """What `Outcome.metrics` says."""
        history, best = self.position.history, self.position.best_epoch
        known: dict[str, Any] = {"validated_on": self.validated_on, "best_by": self.recipe.best_by}
        if history:
            known["base"] = history[0]["metrics"]
        if best is not None:
            tuned = history[best]["metrics"]
            known |= {
                "tuned": tuned,
                "best_epoch": best,
                "improved": self._is_better(tuned, known["base"]),
                "sharp_worse": self._is_worse_on_sharp(tuned),
                "ended_early": self._tired() and self.position.step < self.steps,
            }
        return known

    def publish(self, status: str, provenance: dict[str, Any]) -> Path | None:
        """Write the checkpoint of the best epoch, if there is one; a run that is done needs nothing else."""
        if self.position.best_epoch is None:
            return None
        if self.processes.first:
            self.folder.load_best(self.trainer.model, self.position.best_epoch)
            notes = {
                "kind": self.estimator.kind,
                "status": status,
                "base": {
                    "name": self.estimator.name,
                    "revision": self.estimator.revision,
                    "streets": streets_learned(read_notes(self.estimator.name)),
                },
                "recipe": self.recipe.as_dict(),
                "seed": self.recipe.seed,
                "samples": self.counts,
                "processes": self.processes.count,
                "provenance": provenance,
                "metrics": self.metrics(),
                "history": self.position.history,
                "code_version": __version__,
            }
            self.folder.publish(self.trainer.model, self.estimator.processor, notes)
            if status == "done":
                self.folder.clear()
        return self.folder.checkpoint

    def _complete(self) -> bool:
        return not self._measure_due() and (self.position.step == self.steps or self._tired())

    def _tired(self) -> bool:
        """Whether so many epochs brought nothing that the rest is left."""
        epoch, best = len(self.position.history) - 1, self.position.best_epoch
        return bool(self.recipe.patience) and best is not None and epoch - best >= self.recipe.patience

    def _measure_due(self) -> bool:
        epochs_done, inside = divmod(self.position.step, self.data.steps)
        return inside == 0 and len(self.position.history) <= epochs_done

    def _measure(self) -> None:
        """Evaluate the model as it is; keep it if it is the best; save. Told to stop, leave it all undone."""
        self._save()  # a measurement may take long: a kill costs nothing but itself
        position, epoch, started = self.position, len(self.position.history), time.monotonic()
        activity = f"measuring epoch {epoch}" if epoch else "measuring the base model"
        groups = self.validation.measure(self.estimator, epoch, lambda: self._goes_on(activity))
        if groups is None:
            return
        self.pace.measured(time.monotonic() - started)
        losses = position.epoch_losses
        loss = sum(losses) / len(losses) if losses else None
        position.history.append({"epoch": epoch, "step": position.step, "loss": loss, "metrics": groups})
        position.epoch_losses = []
        if epoch > 0 and self._is_best(groups):
            position.best_epoch = epoch
            if self.processes.first:
                self.folder.save_best(self.trainer.model, epoch)
        curves = {f"{key}/{name}": value for name, group in groups.items() for key, value in group.items()}
        self._report("training", loss, curves)
        self._save()  # after the report: a kill between them costs a measurement, not the points of its curves

    def _goes_on(self, activity: str) -> bool:
        """Told after each picture that was measured, by all processes at once."""
        self._report(activity, None, {})
        asked = time.monotonic()
        stop = self.control.should_stop()
        self.pace.held(time.monotonic() - asked)
        return not self.processes.agreed(stop)

    def _is_best(self, groups: Groups) -> bool:
        best = self.position.best_epoch
        return best is None or self._is_better(groups, self.position.history[best]["metrics"])

    def _is_better(self, groups: Groups, so_far: Groups) -> bool:
        gain = groups["all"][self.recipe.best_by] - so_far["all"][self.recipe.best_by]
        higher = next(metric.better for metric in METRICS if metric.key == self.recipe.best_by) == "higher"
        return gain > 0 if higher else gain < 0

    def _is_worse_on_sharp(self, groups: Groups) -> bool:
        base = self.position.history[0]["metrics"]
        return groups["sharp"]["abs_rel"] - base["sharp"]["abs_rel"] > self.recipe.sharp_tolerance

    def _train_step(self, batches: _Ahead) -> None:
        position, recipe, started = self.position, self.recipe, time.monotonic()
        torch.manual_seed(recipe.seed * 1_000_003 + position.step)  # a resumed dropout falls the same way
        rate = learning_rate(recipe, position.step, self.steps)
        value = self.trainer.step(batches.take(position.step), rate)
        if not math.isfinite(value):
            raise BlurdepthError(
                f"The loss became {value} at step {position.step + 1}: use a lower lr than {recipe.lr:g}, "
                "or another base model."
            )
        position.step += 1
        position.epoch_losses.append(value)
        self.pace.stepped(time.monotonic() - started)
        curves = {}
        if position.step % self.drawn_every == 0:
            recent = position.epoch_losses[-self.drawn_every :]
            curves = {"loss": sum(recent) / len(recent), "lr": learning_rate(recipe, position.step, self.steps)}
        self._report("training", value, curves)
        if self.processes.agreed(time.monotonic() - self.saved_at > SAVE_EVERY_S):
            self._save()

    def _place(self) -> tuple[int, int]:
        """Where it stands: two states at one place are the same."""
        return self.position.step, len(self.position.history)

    def _save(self) -> None:
        """Keep the state, unless it is that of the last save or of the start."""
        if self.processes.first and self.saved != self._place():
            self.folder.save(self.trainer, self.position)
        self.saved_at, self.saved = time.monotonic(), self._place()

    def _report(self, activity: str, loss: float | None, curves: dict[str, float]) -> None:
        if not self.processes.first:
            return
        step, epochs = self.position.step, self.recipe.epochs
        begun = min(-(-step // self.data.steps), epochs)
        left = self.pace.left(self.steps - step, epochs + 1 - len(self.position.history))
        rate = learning_rate(self.recipe, step, self.steps)
        speed = self.pace.steps_per_second * self.recipe.batch if activity == "training" else 0.0
        used = _used_bytes(self.trainer.model.device)
        self.control.report(Progress(activity, step, self.steps, begun, epochs, loss, rate, left, speed, used, curves))


class _Ahead:
    """Batches, each of which is made while the one before is learned from."""

    def __init__(self, data: TrainingSet, steps: int, pool: ThreadPoolExecutor) -> None:
        self._data, self._steps, self._pool = data, steps, pool
        self._next: tuple[int, Future[Batch]] | None = None

    def take(self, step: int) -> Batch:
        """The batch of a step, counted over all epochs."""
        made = self._next[1].result() if self._next and self._next[0] == step else self._make(step)
        if step + 1 < self._steps:
            self._next = step + 1, self._pool.submit(self._make, step + 1)
        return made

    def _make(self, step: int) -> Batch:
        return self._data.batch(*divmod(step, self._data.steps))


class _Pace:
    """How long a step and an evaluation take, for the estimate of the time left."""

    def __init__(self) -> None:
        self._seconds, self._steps = 0.0, 0
        self._evaluation, self._held = 0.0, 0.0

    @property
    def steps_per_second(self) -> float:
        return self._steps / self._seconds if self._seconds else 0.0

    def stepped(self, seconds: float) -> None:
        self._seconds, self._steps = self._seconds + seconds, self._steps + 1

    def held(self, seconds: float) -> None:
        """Of the evaluation that runs, how long people let it pause: the next one won't."""
        self._held += seconds

    def measured(self, seconds: float) -> None:
        self._evaluation, self._held = seconds - self._held, 0.0

    def left(self, steps: int, evaluations: int) -> float | None:
        """Seconds, or None before the first step."""
        if self._steps == 0:
            return None
        return steps * self._seconds / self._steps + evaluations * self._evaluation


def _used_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def _validated_on(train: Sequence[TrainingSample], held_out: Sequence[TrainingSample]) -> str:
    if not held_out:
        return "training samples"
    shared = {sample.frame_id for sample in train} & {sample.frame_id for sample in held_out}
    return "held-out variants of training frames" if shared else "held-out frames"


def _run_key(estimator: Estimator, samples: Sequence[TrainingSample], recipe: Recipe) -> str:
    rows = [[sample.id, sample.frame_id, sample.split] for sample in samples]
    return content_hash(json.dumps([estimator.revision, recipe.identity(), rows]).encode())
