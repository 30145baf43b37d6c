"""The fine-tune in the foreground: in one process, or in those that `accelerate launch` starts."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from blurdepth.cli.commands import open_workspace
from blurdepth.model_card import measured_on
from blurdepth.processes import join_processes
from blurdepth.recipe import Recipe, load_recipe
from blurdepth.trackers import Tracker, open_tracker

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

_SECONDS_BETWEEN_LINES = 5.0


def train(args: Namespace) -> tuple[dict[str, Any], str]:
    """Fine-tune in this process; interrupted, the same command goes on where it was."""
    from blurdepth.finetune import finetune

    workspace = open_workspace(args)
    recipe = replace(load_recipe(args.preset), seed=args.seed)
    samples = workspace.training_samples(args.version, recipe.split, recipe.val_share, recipe.seed)
    provenance = workspace.training_provenance(args.version, args.base, recipe.name)
    base = workspace.resolve_model(args.base)
    tracker = _tracker(args, recipe)
    try:
        outcome = finetune(base, samples, recipe, args.out, _Console(tracker), provenance=provenance)
    finally:
        if tracker:
            tracker.finish()
    result = {"status": outcome.status, "checkpoint": str(outcome.checkpoint or ""), "metrics": outcome.metrics}
    return result, f"{outcome.status}: {outcome.checkpoint}{_gain(outcome.metrics)}"


def _gain(metrics: dict[str, Any]) -> str:
    """A second line: what the fine-tune gained, and on what that was measured."""
    if "tuned" not in metrics:
        return ""
    before, after = (metrics[who]["all"]["abs_rel"] for who in ("base", "tuned"))
    return f"\nAbsRel of blurred images {before:.4f} → {after:.4f}. {measured_on(metrics)}"


def _tracker(args: Namespace, recipe: Recipe) -> Tracker | None:
    """The tracker that was asked for, of the first process alone."""
    if not args.tracker:
        return None
    # Before accelerate lets them meet: it would have them wait for each other less long.
    if not join_processes().first:
        return None
    return open_tracker(args.tracker, f"blurdepth-{args.out.name}", args.out, recipe.as_dict())


class _Console:
    """Says on standard error how far it is."""

    def __init__(self, tracker: Tracker | None) -> None:
        self._tracker, self._said_at = tracker, 0.0

    def report(self, progress: Progress) -> None:
        if self._tracker and progress.curves:
            self._tracker.log(progress.curves, step=progress.step)
        if progress.step == progress.steps or time.monotonic() - self._said_at > _SECONDS_BETWEEN_LINES:
            self._said_at = time.monotonic()
            loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
            line = f"{progress.step} of {progress.steps} steps: {progress.activity}{loss}"
            print(line, file=sys.stderr, flush=True)

    def should_stop(self) -> bool:
        return False
