"""Background work that outlives the page: detached processes that take jobs from the queue in SQLite.

Each device has one running job at a time; a job that needs no device runs beside the others. A worker process locks
the folder of the job whose turn it is, claims the job and its device, does it, and goes on until the queue is empty.
The lock is the operating system's: it ends with the process, however that ends, and unlike process ids and clocks it
means the same in every container. So a running job lives if, and only if, its folder is locked. Whoever looks at the
jobs also tends them: a running job that doesn't live becomes "interrupted", one that doesn't heed a stop is ended, and
a queue that nobody works on gets a worker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from blurdepth.errors import InputError
from blurdepth.generation import GenerationRequest
from blurdepth.jobs.control import PAUSED
from blurdepth.jobs.devices import devices
from blurdepth.jobs.folders import job_folder, log_tail
from blurdepth.jobs.settings import (
    Settings,
    Tell,
    evaluate_settings,
    export_settings,
    finetune_settings,
    generate_settings,
    label_settings,
)
from blurdepth.jobs.tending import forget_starts, tend
from blurdepth.jobs.worker import work
from blurdepth.store.records import UNFINISHED, BookEntry, Job
from blurdepth.workspace import Workspace

__all__ = [
    "PAUSED",
    "devices",
    "job_folder",
    "log_tail",
    "move_to_front",
    "pause",
    "resume",
    "stop",
    "submit_evaluate",
    "submit_export",
    "submit_finetune",
    "submit_generate",
    "submit_label",
    "tend",
    "wait",
    "work",
]


def submit_finetune(
    workspace: Workspace, version: str, base: str, preset: str, seed: int | None = None, tell: Tell = lambda _: None
) -> Job:
    """Queue a fine-tune, and see to it that a worker runs; nothing is queued if this raises.

    `tell` is told what was looked at before.

    Raises:
        BlurdepthError: see `finetune_settings`.
    """
    return _submit(workspace, "finetune", finetune_settings(workspace, version, base, preset, seed, tell))


def submit_generate(
    workspace: Workspace, frames: Sequence[Path], request: GenerationRequest, book: Sequence[BookEntry] = ()
) -> Job:
    """Queue variants of frames, or of folders of frames; with a book, each variant has its next prompt.

    Raises:
        BlurdepthError: see `generate_settings`.
    """
    return _submit(workspace, "generate", generate_settings(workspace, frames, request, book))


def submit_label(workspace: Workspace, frames: Sequence[Path], model: str) -> Job:
    """Queue a teacher's depth of frames, kept as predictions; without frames, of all in the data folder.

    Raises:
        BlurdepthError: see `label_settings`.
    """
    return _submit(workspace, "label", label_settings(workspace, frames, model))


def submit_evaluate(workspace: Workspace, models: Sequence[str], benchmark: str) -> Job:
    """Queue an evaluation; report.json and report.html come into the job's folder.

    Raises:
        BlurdepthError: see `evaluate_settings`.
    """
    return _submit(workspace, "evaluate", evaluate_settings(workspace, models, benchmark))


def submit_export(workspace: Workspace, job_id: str, out: Path) -> Job:
    """Queue a copy of a job's checkpoint: a folder, or a zip if `out` ends so.

    Raises:
        BlurdepthError: see `export_settings`.
    """
    return _submit(workspace, "export", export_settings(workspace, job_id, out))


def _submit(workspace: Workspace, kind: str, settings: Settings) -> Job:
    job = workspace.store.jobs.add(kind, settings)
    tend(workspace)
    return workspace.store.jobs.job(job.id)


def stop(workspace: Workspace, job_id: str) -> Job:
    """Ask a job to stop at its next step; what it has done is kept. Raises as `Jobs.request_stop` does."""
    tend(workspace)
    return workspace.store.jobs.request_stop(job_id)


def pause(workspace: Workspace, job_id: str) -> Job:
    """Ask a running job to hold at its next step, with its model in memory. Raises as `Jobs.set_paused` does."""
    tend(workspace)
    return workspace.store.jobs.set_paused(job_id, True)


def move_to_front(workspace: Workspace, job_id: str) -> Job:
    """Let a queued job be the next. Raises as `Jobs.move_to_front` does."""
    tend(workspace)
    return workspace.store.jobs.move_to_front(job_id)


def resume(workspace: Workspace, job_id: str) -> Job:
    """Let a paused, stopped, interrupted or failed job go on where it was.

    Raises:
        InputError: it is none of these, or it is just stopping.
    """
    tend(workspace)
    job = workspace.store.jobs.job(job_id)
    if job.status == "running" and job.stop_requested:
        raise InputError(f"Job {job_id} is stopping: resume it when it has stopped.")
    if job.status == "running" and job.pause_requested:
        return workspace.store.jobs.set_paused(job_id, False)
    workspace.store.jobs.requeue(job_id)
    forget_starts(workspace)
    tend(workspace)
    return workspace.store.jobs.job(job_id)


def wait(workspace: Workspace, job_id: str, poll_seconds: float = 0.5) -> Job:
    """Wait until a job has ended."""
    while True:
        tend(workspace)
        job = workspace.store.jobs.job(job_id)
        if job.status not in UNFINISHED:
            return job
        time.sleep(poll_seconds)
