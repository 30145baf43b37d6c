"""Background work that outlives the page: detached processes that take jobs from the queue in SQLite.

One job runs at a time. A worker process claims the oldest queued job, does it, and goes on until the queue is
empty. Whoever looks at the jobs also tends them: a job whose process is gone becomes "interrupted", and a queue
that nobody works on gets a worker.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from blurdepth.errors import BlurdepthError
from blurdepth.recipe import load_recipe
from blurdepth.store.records import UNFINISHED, Job
from blurdepth.workspace import Workspace

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

LOG_TAIL_LINES = 20
_SECONDS_BETWEEN_WRITES = 0.5
_log = logging.getLogger(__name__)


def submit_finetune(workspace: Workspace, version: str, base: str, preset: str, seed: int = 0) -> Job:
    """Queue a fine-tune and see to it that a worker runs.

    Raises:
        BlurdepthError: the version, the preset or the job that `base` names does not exist, or the version is too
            small; nothing is queued then.
    """
    recipe = load_recipe(preset)
    workspace.training_samples(version, recipe.split, recipe.val_share, seed)
    workspace.resolve_model(base)
    job = workspace.store.jobs.add("finetune", {"version": version, "base": base, "preset": preset, "seed": seed})
    tend(workspace)
    return workspace.store.jobs.job(job.id)


def stop(workspace: Workspace, job_id: str) -> Job:
    """Ask a job to stop at its next step; what it has learned is kept. Raises as `Jobs.request_stop` does."""
    tend(workspace)
    return workspace.store.jobs.request_stop(job_id)


def resume(workspace: Workspace, job_id: str) -> Job:
    """Let a stopped, interrupted or failed job go on where it was. Raises as `Jobs.requeue` does."""
    tend(workspace)
    workspace.store.jobs.requeue(job_id)
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


def tend(workspace: Workspace) -> None:
    """Mark jobs whose process is gone as interrupted, and start a worker if jobs wait and none runs."""
    jobs = workspace.store.jobs
    running = jobs.jobs("running")
    for job in running:
        if not _process_lives(job):
            tail = log_tail(workspace, job.id)
            jobs.finish(job, "interrupted", error=f"The process ended without a word. End of its log:\n{tail}")
            running = []
    if not running and jobs.jobs("queued"):
        _start_worker(workspace)


def _process_lives(job: Job) -> bool:
    try:
        process = psutil.Process(job.pid)
        # The time tells a process from a later one with the same id.
        same = abs(process.create_time() - (job.pid_started or 0)) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start_worker(workspace: Workspace) -> None:
    folder = workspace.folder / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "blurdepth", "work", "--data", str(workspace.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        )
    # Somebody must take note of its end, or it would stay behind as a zombie for as long as the page runs.
    threading.Thread(target=worker.wait, daemon=True).start()


def job_folder(workspace: Workspace, job_id: str) -> Path:
    """Where a job keeps its log, its state and its checkpoint."""
    return workspace.folder / "jobs" / job_id


def log_tail(workspace: Workspace, job_id: str, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a job's log."""
    path = job_folder(workspace, job_id) / "log.txt"
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def work(workspace: Workspace) -> int:
    """Do queued jobs, one after the other, until none is left; returns how many were done.

    A job that fails is marked so, with its reason, and the next one is taken.
    """
    me = psutil.Process()
    done = 0
    while job := workspace.store.jobs.claim(me.pid, me.create_time()):
        _write_log_to(job_folder(workspace, job.id) / "log.txt")
        _log.info("job %s (%s) begins: %s", job.id, job.kind, job.settings)
        try:
            _KINDS[job.kind](workspace, job)
        except BlurdepthError as error:
            _log.error("%s", error)
            workspace.store.jobs.finish(job, "failed", error=str(error))
        except Exception as error:  # whatever happens, the row must say so and the queue must go on
            _log.error("%s", traceback.format_exc())
            told = f"{type(error).__name__}: {error}. The log has the details; `resume` tries again."
            workspace.store.jobs.finish(job, "failed", error=told)
        done += 1
    return done


def _write_log_to(path: Path) -> None:
    """Send this process's output, that of its libraries included, to a job's log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)


def _run_finetune(workspace: Workspace, job: Job) -> None:
    control = _Control(workspace, job)
    control.say("loading the model")
    from blurdepth.finetune import finetune

    settings = job.settings
    recipe = load_recipe(settings["preset"])
    samples = workspace.training_samples(settings["version"], recipe.split, recipe.val_share, settings["seed"])
    version = workspace.store.versions.version(settings["version"])
    provenance = {
        "job": job.id,
        "dataset_version": version.id,
        "dataset_manifest": version.manifest,
        **settings,
    }
    out = job_folder(workspace, job.id)
    base = workspace.resolve_model(settings["base"])
    outcome = finetune(base, samples, recipe, out, control, seed=settings["seed"], provenance=provenance)
    checkpoint = str(outcome.checkpoint.relative_to(workspace.folder)) if outcome.checkpoint else ""
    _log.info("job %s ends: %s", job.id, outcome.status)
    workspace.store.jobs.finish(job, outcome.status, checkpoint=checkpoint, **outcome.metrics)


_KINDS: dict[str, Callable[[Workspace, Job], None]] = {"finetune": _run_finetune}


class _Control:
    """What a running job tells the store, and the store tells it."""

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self._jobs = workspace.store.jobs
        self._job = job
        self._written = 0.0
        self._stop = False

    def say(self, activity: str) -> None:
        self._stop = self._jobs.progress(self._job.id, activity=activity)

    def report(self, progress: Progress) -> None:
        if progress.curves:
            self._jobs.add_points(self._job.id, progress.step, progress.curves)
        if progress.curves or time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._written = time.monotonic()
            values: dict[str, Any] = {
                name: value
                for name, value in asdict(progress).items()
                if name in ("step", "steps", "activity", "seconds_left")
            }
            self._stop = self._jobs.progress(self._job.id, **values)

    def should_stop(self) -> bool:
        return self._stop
