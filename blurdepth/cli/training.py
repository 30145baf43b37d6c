"""The fine-tune in the foreground: in one process, or in those that `accelerate launch` starts."""

from __future__ import annotations

import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blurdepth.cli.commands import open_workspace
from blurdepth.model_card import measured_on
from blurdepth.processes import join_processes
from blurdepth.recipe import Recipe, load_recipe
from blurdepth.trackers import Tracker, open_tracker

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

_SECONDS_BETWEEN_LINES = 5.0
_ENDING: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)


def train(args: Namespace) -> tuple[dict[str, Any], str]:
    """Fine-tune in this process; interrupted, the same command goes on where it was.

    Raises:
        KeyboardInterrupt: Ctrl-C or a polite kill has ended it, after its step and with its state saved.
    """
    from blurdepth.finetune import finetune

    workspace = open_workspace(args)
    recipe = load_recipe(args.preset, args.seed)
    samples = workspace.training_samples(args.version, recipe.split, recipe.val_share, recipe.seed)
    provenance = workspace.training_provenance(args.version, args.base, recipe.name)
    base = workspace.resolve_model(args.base)
    # Before accelerate lets them meet: it would have them wait for each other less long.
    processes = join_processes()
    tracker = _tracker(args, recipe) if processes.first else None
    control = _Console(tracker)
    try:
        with _ended_by_signals(control, alone=processes.count == 1):
            outcome = finetune(base, samples, recipe, args.out, control, provenance=provenance)
    finally:
        if tracker:
            tracker.finish()
    if outcome.status == "stopped":
        if processes.first:
            print(f"Stopped. The same command goes on from what {args.out} keeps.", file=sys.stderr)
        raise KeyboardInterrupt
    result = {"status": outcome.status, "checkpoint": str(outcome.checkpoint or ""), "metrics": outcome.metrics}
    return result, f"{outcome.status}: {outcome.checkpoint}{_gain(outcome.metrics)}"


def _gain(metrics: dict[str, Any]) -> str:
    """A second line: what the fine-tune gained, and on what that was measured."""
    if "tuned" not in metrics:
        return ""
    before, after = (metrics[who]["all"]["abs_rel"] for who in ("base", "tuned"))
    return f"\nAbsRel of blurred images {before:.4f} → {after:.4f}. {measured_on(metrics)}"


def _tracker(args: Namespace, recipe: Recipe) -> Tracker | None:
    """The tracker that was asked for."""
    if not args.tracker:
        return None
    return open_tracker(args.tracker, f"blurdepth-{args.out.name}", args.out, recipe.as_dict())


@contextmanager
def _ended_by_signals(control: _Console, *, alone: bool) -> Iterator[None]:
    """Have Ctrl-C and a polite kill end the fine-tune after its step; asked once more, the process ends at once."""
    before = {number: signal.getsignal(number) for number in _ENDING}

    def heed(number: int, _frame: object) -> None:
        control.stopping = True
        # A launcher hands on to its processes what the terminal has told them already.
        if alone:
            signal.signal(number, before[number])

    try:
        for number in _ENDING:
            signal.signal(number, heed)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Console:
    """Says on standard error how far it is, and ends the fine-tune once it is `stopping`."""

    def __init__(self, tracker: Tracker | None) -> None:
        self._tracker, self._said_at, self._said = tracker, 0.0, ""
        self.stopping = False

    def report(self, progress: Progress) -> None:
        if self._tracker and progress.curves:
            self._tracker.log(progress.curves, step=progress.step)
        due = time.monotonic() - self._said_at > _SECONDS_BETWEEN_LINES
        if progress.activity != "training":
            due = progress.activity != self._said  # a measurement is told of once, however many pictures it has
        if due:
            self._said_at, self._said = time.monotonic(), progress.activity
            loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
            line = f"{progress.step} of {progress.steps} steps: {progress.activity}{loss}"
            print(line, file=sys.stderr, flush=True)

    def should_stop(self) -> bool:
        return self.stopping
