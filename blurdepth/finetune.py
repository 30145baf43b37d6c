"""Fine-tuning of a depth model on blurred samples: measured before, while and after, and never lost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from blurdepth import __version__
from blurdepth.dataset import TrainingSample
from blurdepth.depth import DepthKind
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.estimators import Estimator, load_estimator
from blurdepth.images import content_hash
from blurdepth.losses import gradient_loss, silog_loss, ssi_loss
from blurdepth.metrics import mean_metrics, metrics_by_region
from blurdepth.recipe import Recipe, learning_rate
from blurdepth.training_data import (
    Batch,
    Item,
    TrainingSet,
    blurred_items,
    read_example,
    sharp_items,
)
from blurdepth.training_state import RunFolder

BEST_BY = "abs_rel"
CURVE_POINTS = 500

Groups = dict[str, dict[str, float]]
"""Mean metrics by group: of blurred images "all", "static", "blurred", "mixed"; of sharp frames "sharp"."""


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
        metrics: {"base": Groups, "tuned": Groups, "best_epoch", "improved", "validated_on"}; what isn't known
            yet is left out. "improved" is whether the best epoch has a lower AbsRel than the base.
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
    device: str | None = None,
    seed: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> Outcome:
    """Fine-tune `base` on the samples, or go on where an earlier call in `out` was stopped or killed.

    The base is measured first, then the model after each epoch; `out`/checkpoint gets the weights of the
    epoch with the lowest AbsRel over the validation variants. On a CPU the same
    arguments give the same weights, however often the run was interrupted.

    Args:
        base: as for `load_estimator`.
        samples: with their split; without any "val", the training samples are measured instead.
        recipe: see `Recipe`.
        out: folder of this run alone.
        control: is told of progress and may stop.
        device: such as "cpu" or "cuda:1"; the best there is, if not given.
        seed: in place of the recipe's.
        provenance: of the data, copied into the checkpoint's blurdepth.json.

    Raises:
        InputError: there is nothing to train on, a file is damaged, or `out` holds another run.
        ModelError: the base can't be loaded.
        StorageError: the disk is full.
        BlurdepthError: the loss is no number any more.
    """
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    estimator = load_estimator(str(base))
    folder = RunFolder(out, _run_key(estimator, samples, recipe))
    folder.sweep()
    if (notes := folder.finished()) is not None:
        return Outcome("done", folder.checkpoint, notes["metrics"])
    run = _Run(estimator, samples, recipe, folder, control, device)
    status = run.work()
    checkpoint = run.publish(status, provenance or {})
    return Outcome(status, checkpoint, run.metrics())


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The encoder at the recipe's rate, all else `head_lr_factor` times faster.

    Each group holds its "factor", by which `learning_rate` is multiplied at each step.
    """
    encoder = getattr(model, "backbone", None) or getattr(model, getattr(model, "base_model_prefix", ""), None)
    inside = {id(parameter) for parameter in encoder.parameters()} if encoder is not None else set()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parts = [
        ([p for p in trained if id(p) in inside], 1.0),
        ([p for p in trained if id(p) not in inside], recipe.head_lr_factor),
    ]
    return [{"params": params, "factor": factor, "lr": recipe.lr * factor} for params, factor in parts if params]


def training_loss(recipe: Recipe, kind: DepthKind, prediction: Tensor, batch: Batch) -> Tensor:
    """The recipe's loss of a prediction of any kind, in inverse depth.

    SiLog doesn't ignore scale wholly. A model of metres is held to metres; a relative one to each target over
    its own maximum, in (0, 1], which its head learns first; sky has no logarithm and is left out.

    Args:
        recipe: names the loss.
        kind: of the prediction.
        prediction: (B, h, w); resized to the targets if need be.
        batch: on the same device.
    """
    prediction, target, mask = prediction.float(), batch.inverse_depth, batch.mask
    if prediction.shape != target.shape:
        prediction = nn.functional.interpolate(
            prediction[:, None], target.shape[1:], mode="bilinear", align_corners=True
        )[:, 0]
    if kind == "depth_m":
        prediction = 1 / prediction.clamp(min=1e-3)
    if recipe.loss == "ssi+gradient":
        edges = gradient_loss(prediction, target, mask)
        return ssi_loss(prediction, target, mask) + recipe.gradient_weight * edges
    mask = mask & (target > 0)
    if kind == "affine_inverse_depth":
        target = target / (target * mask).amax((1, 2), keepdim=True).clamp(min=1e-6)
    return silog_loss(prediction, target, mask)


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
    ) -> None:
        train = [sample for sample in samples if sample.split == "train"]
        held_out = [sample for sample in samples if sample.split == "val"]
        if not train:
            raise InputError(f"0 of {len(samples)} samples are for training: accept more samples.")
        self.estimator, self.recipe, self.folder, self.control = estimator, recipe, folder, control
        self.model = estimator.model.to(device or estimator.model.device)
        items = blurred_items(train, recipe) + (sharp_items(train) if recipe.include_sharp else [])
        self.data = TrainingSet(items, recipe, estimator.processor.image_mean, estimator.processor.image_std)
        self.blurred = blurred_items(held_out or train, recipe)
        self.sharp = sharp_items(held_out or train)
        self.validated_on = _validated_on(train, held_out)
        self.counts = {"train": len(train), "val": len(held_out), "train_items": len(items)}
        self.steps = recipe.epochs * self.data.steps
        self.drawn_every = max(1, self.steps // CURVE_POINTS)
        self.optimizer = _optimizer(self.model, recipe)
        self.position = folder.restore(self.model, self.optimizer)
        self.pace = _Pace()

    def work(self) -> Literal["done", "stopped"]:
        """Measure and train in turn until the end, or until told to stop."""
        while not self._complete():
            if self.control.should_stop():
                self.folder.save(self.model, self.optimizer, self.position)
                return "stopped"
            if self._measure_due():
                self._measure()
            else:
                self._train_step()
        return "done"

    def metrics(self) -> dict[str, Any]:
        """What `Outcome.metrics` says."""
        history, best = self.position.history, self.position.best_epoch
        known: dict[str, Any] = {"validated_on": self.validated_on}
        if history:
            known["base"] = history[0]["metrics"]
        if best is not None:
            tuned = history[best]["metrics"]
            improved = _is_better(tuned, known["base"])
            known |= {"tuned": tuned, "best_epoch": best, "improved": improved}
        return known

    def publish(self, status: str, provenance: dict[str, Any]) -> Path | None:
        """Write the checkpoint of the best epoch, if there is one; a run that is done needs nothing else."""
        if self.position.best_epoch is None:
            return None
        self.folder.load_best(self.model, self.position.best_epoch)
        notes = {
            "kind": self.estimator.kind,
            "status": status,
            "base": {"name": self.estimator.name, "revision": self.estimator.revision},
            "recipe": self.recipe.as_dict(),
            "seed": self.recipe.seed,
            "samples": self.counts,
            "provenance": provenance,
            "metrics": self.metrics(),
            "history": self.position.history,
            "code_version": __version__,
        }
        path = self.folder.publish(self.model, self.estimator.processor, notes)
        if status == "done":
            self.folder.clear()
        return path

    def _complete(self) -> bool:
        return self.position.step == self.steps and not self._measure_due()

    def _measure_due(self) -> bool:
        epochs_done, inside = divmod(self.position.step, self.data.steps)
        return inside == 0 and len(self.position.history) <= epochs_done

    def _measure(self) -> None:
        """Evaluate the model as it is; keep it if it is the best; save. Told to stop, leave it all undone."""
        position, epoch, started = self.position, len(self.position.history), time.monotonic()
        groups = self._evaluate()
        if groups is None:
            return
        self.pace.measured(time.monotonic() - started)
        losses = position.epoch_losses
        loss = sum(losses) / len(losses) if losses else None
        row = {"epoch": epoch, "step": position.step, "loss": loss, "metrics": groups}
        position.history.append(row)
        position.epoch_losses = []
        if epoch > 0 and self._is_best(groups):
            position.best_epoch = epoch
            self.folder.save_best(self.model, epoch)
        self.folder.save(self.model, self.optimizer, position)
        curves = {f"{key}/{name}": value for name, group in groups.items() for key, value in group.items()}
        self._report("training", loss, curves)

    def _is_best(self, groups: Groups) -> bool:
        best = self.position.best_epoch
        if best is None:
            return True
        return _is_better(groups, self.position.history[best]["metrics"])

    def _evaluate(self) -> Groups | None:
        """Mean metrics by group of the validation images, each at its own size; None if told to stop."""
        self.model.eval()
        epoch = len(self.position.history)
        activity = f"measuring epoch {epoch}" if epoch else "measuring the base model"
        rows: dict[str, list[dict[str, float]]] = {}
        for item, is_sharp in [(item, False) for item in self.blurred] + [(item, True) for item in self.sharp]:
            for name, values in self._measure_item(item).items():
                if not is_sharp:
                    rows.setdefault(name, []).append(values)
                elif name == "all":
                    rows.setdefault("sharp", []).append(values)
            self._report(activity, None, {})
            if self.control.should_stop():
                return None
        return {name: mean_metrics(values) for name, values in rows.items()}

    def _measure_item(self, item: Item) -> Groups:
        example = read_example(item)
        prediction = self.estimator.predict_inverse(example.rgb)
        try:
            return metrics_by_region(prediction, example.inverse_depth, example.regions)
        except InputError as error:
            raise InputError(f"Sample {item.id} can't be measured: {error} Reject it.") from error

    def _train_step(self) -> None:
        position, recipe, started = self.position, self.recipe, time.monotonic()
        epoch, inside = divmod(position.step, self.data.steps)
        torch.manual_seed(recipe.seed * 1_000_003 + position.step)  # a resumed dropout falls the same way
        self.model.train()
        device = self.model.device
        batch = self.data.batch(epoch, inside).to(device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, position.step, self.steps) * group["factor"]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            prediction = self.model(pixel_values=batch.pixel_values).predicted_depth
        loss = training_loss(recipe, self.estimator.kind, prediction, batch)
        value = loss.item()
        if not math.isfinite(value):
            raise BlurdepthError(
                f"The loss became {value} at step {position.step + 1}: use a lower lr than {recipe.lr:g}, "
                "or another base model."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        position.step += 1
        position.epoch_losses.append(value)
        self.pace.stepped(time.monotonic() - started)
        curves = {}
        if position.step % self.drawn_every == 0:
            recent = position.epoch_losses[-self.drawn_every :]
            curves = {
                "loss": sum(recent) / len(recent),
                "lr": learning_rate(recipe, position.step, self.steps),
            }
        self._report("training", value, curves)

    def _report(self, activity: str, loss: float | None, curves: dict[str, float]) -> None:
        step, epochs = self.position.step, self.recipe.epochs
        begun = min(-(-step // self.data.steps), epochs)
        left = self.pace.left(self.steps - step, epochs + 1 - len(self.position.history))
        rate = learning_rate(self.recipe, step, self.steps)
        self.control.report(Progress(activity, step, self.steps, begun, epochs, loss, rate, left, curves))


class _Pace:
    """How long a step and an evaluation take, for the estimate of the time left."""

    def __init__(self) -> None:
        self._seconds, self._steps = 0.0, 0
        self._evaluation = 0.0

    def stepped(self, seconds: float) -> None:
        self._seconds, self._steps = self._seconds + seconds, self._steps + 1

    def measured(self, seconds: float) -> None:
        self._evaluation = seconds

    def left(self, steps: int, evaluations: int) -> float | None:
        """Seconds, or None before the first step."""
        if self._steps == 0:
            return None
        return steps * self._seconds / self._steps + evaluations * self._evaluation


def _is_better(groups: Groups, so_far: Groups) -> bool:
    return groups["all"][BEST_BY] < so_far["all"][BEST_BY]


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameter_groups(model, recipe), lr=recipe.lr, weight_decay=recipe.weight_decay)


def _validated_on(train: Sequence[TrainingSample], held_out: Sequence[TrainingSample]) -> str:
    if not held_out:
        return "training samples"
    shared = {sample.frame_id for sample in train} & {sample.frame_id for sample in held_out}
    return "held-out variants of training frames" if shared else "held-out frames"


def _run_key(estimator: Estimator, samples: Sequence[TrainingSample], recipe: Recipe) -> str:
    rows = [[sample.id, sample.frame_id, sample.split] for sample in samples]
    return content_hash(json.dumps([estimator.revision, recipe.as_dict(), rows]).encode())
