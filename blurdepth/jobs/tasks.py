"""What each kind of job does: run again after a kill, it goes on where it was and makes nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blurdepth.batch import Skipped, frame_steps, requests_at
from blurdepth.diffusion import PaintStep
from blurdepth.errors import InputError
from blurdepth.estimators import Estimator
from blurdepth.evaluate import Example, RegionMetrics, benchmark_report, measure_example, write_report
from blurdepth.images import read_bytes
from blurdepth.jobs.control import Control
from blurdepth.jobs.folders import job_folder
from blurdepth.jobs.settings import book_from_json, request_from_json
from blurdepth.recipe import recipe_from_dict
from blurdepth.sharing import checkpoint_contents, checkpoint_folder, copy_checkpoint
from blurdepth.store.records import Frame, Job, JobStatus
from blurdepth.workspace import Workspace

_SKIPPED_TOLD = 20
LOADING = "loading the model"


@dataclass(frozen=True)
class Ending:
    """How a job ended: its status, and what belongs into its row."""

    status: JobStatus
    checkpoint: str = ""
    error: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


Task = Callable[[Workspace, Job, Control], Ending]
"""May raise `Cancelled`: it was stopped."""


def _generate(workspace: Workspace, job: Job, control: Control) -> Ending:
    """Variants of frames. What was made before is found by its id."""
    control.say(LOADING)
    request, book = request_from_json(job.settings["request"]), book_from_json(job.settings["book"])
    frames = [Path(each) for each in job.settings["frames"]]
    steps, made, skipped = len(frames) * request.variants, 0, []
    for place, path in enumerate(frames):
        of_frame = 0
        with closing(frame_steps(workspace, path, requests_at(request, book, place))) as found:
            for each in found:
                if isinstance(each, Skipped):
                    skipped.append(each)
                elif not isinstance(each, PaintStep):
                    of_frame += 1
                control.step(place * request.variants + of_frame, steps, _doing(path, each))
        made += of_frame
        control.step((place + 1) * request.variants, steps, f"{path.name} is done")
    return _unless_all_skipped({"made": made, "skipped": _told(skipped)})


def _doing(path: Path, each: object) -> str:
    painting = f": painting, step {each.done} of {each.total}" if isinstance(each, PaintStep) else ""
    return f"making variants of {path.name}{painting}"


def _told(skipped: Iterable[Skipped]) -> list[dict[str, str]]:
    return [{"frame": str(each.frame), "reason": each.reason} for each in list(skipped)[:_SKIPPED_TOLD]]


def _unless_all_skipped(metrics: dict[str, Any]) -> Ending:
    if metrics["skipped"] and not metrics["made"]:
        raise InputError(metrics["skipped"][0]["reason"])
    return Ending("done", metrics=metrics)


def _label(workspace: Workspace, job: Job, control: Control) -> Ending:
    """A teacher's depth of frames. What was predicted before by this revision is found."""
    control.say(LOADING)
    model, paths = job.settings["model"], [Path(each) for each in job.settings["frames"]]
    subjects: list[Frame | Path] = list(paths) if paths else list(reversed(workspace.store.samples.frames(limit=-1)))
    workspace.estimator(model)
    made, skipped = 0, []
    for place, subject in enumerate(subjects):
        control.step(place, len(subjects), f"depth of {subject.name}")
        try:
            frame = subject if isinstance(subject, Frame) else workspace.add_frame(read_bytes(subject), subject.name)
            workspace.estimate(frame, model)
            made += 1
        except InputError as error:
            skipped.append(Skipped(Path(subject.name), "", str(error)))
    control.step(len(subjects), len(subjects), "")
    return _unless_all_skipped({"made": made, "skipped": _told(skipped)})


def _finetune(workspace: Workspace, job: Job, control: Control) -> Ending:
    """A fine-tune, from its last saved state."""
    control.say(LOADING)
    from blurdepth.finetune import finetune

    settings = job.settings
    recipe = recipe_from_dict(settings["recipe"])
    samples = workspace.training_samples(settings["version"], recipe.split, recipe.val_share, recipe.seed)
    origin = workspace.training_provenance(settings["version"], settings["base"], settings["preset"])
    out = job_folder(workspace, job.id)
    outcome = finetune(settings["model"], samples, recipe, out, control, provenance={"job": job.id, **origin})
    checkpoint = str(outcome.checkpoint.relative_to(workspace.folder)) if outcome.checkpoint else ""
    return Ending(outcome.status, checkpoint, metrics=outcome.metrics)


def _evaluate(workspace: Workspace, job: Job, control: Control) -> Ending:
    """Models on a benchmark. What was measured before is read from the job's folder."""
    control.say(LOADING)
    folder = job_folder(workspace, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    notes = _Measured(folder / "measured.jsonl")

    def measure(estimator: Estimator, example: Example, number: int, count: int) -> RegionMetrics:
        control.step(number, count, f"measuring {estimator.name}")
        key = f"{estimator.revision} {number}"
        if key not in notes.known:
            notes.add(key, measure_example(estimator, example))
        return notes.known[key]

    report = benchmark_report(workspace, job.settings["models"], job.settings["benchmark"], measure)
    write_report(report, folder)
    count = report["images"] * len(report["models"])
    control.step(count, count, "")
    return Ending("done", metrics={"images": report["images"], "models": report["models"]})


class _Measured:
    """What an evaluation has measured so far, a line each; a kill leaves at most one line torn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, RegionMetrics] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                self.known |= json.loads(line)
            except ValueError:
                continue

    def add(self, key: str, metrics: RegionMetrics) -> None:
        self.known[key] = metrics
        with self._path.open("a") as file:
            # The break comes first: what follows a torn line begins a new one.
            file.write("\n" + json.dumps({key: metrics}))


def _export(workspace: Workspace, job: Job, control: Control) -> Ending:
    """A job's checkpoint, copied to a folder or into a zip."""
    contents, out = checkpoint_contents(checkpoint_folder(workspace, job.settings["model"])), Path(job.settings["out"])
    copy_checkpoint(contents, out, job.id, lambda done, count: control.step(done, count, f"copying to {out}"))
    return Ending("done", metrics={"out": str(out)})


KINDS: dict[str, Task] = {
    "generate": _generate,
    "label": _label,
    "finetune": _finetune,
    "evaluate": _evaluate,
    "export": _export,
}
