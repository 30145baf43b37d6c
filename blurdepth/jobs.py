"""Background work that outlives the page: detached processes that take jobs from the queue in SQLite.

One job runs at a time. A worker process locks the folder of the oldest queued job, claims the job, does it, and
goes on until the queue is empty. The lock is the operating system's: it ends with the process, however that ends,
and unlike process ids and clocks it means the same in every container. So a running job lives if, and only if, its
folder is locked. Whoever looks at the jobs also tends them: a running job that doesn't live becomes "interrupted",
and a queue that nobody works on gets a worker.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock, Timeout

from blurdepth.errors import BlurdepthError, ConflictError
from blurdepth.estimators import lasting_name
from blurdepth.files import write_atomically
from blurdepth.preflight import preflight
from blurdepth.recipe import load_recipe, recipe_from_dict
from blurdepth.store.records import UNFINISHED, Job
from blurdepth.workspace import Workspace

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

LOG_TAIL_LINES = 20
MAX_STARTS = 3
_START_PAUSES_S = (0.0, 1.0, 4.0, 4.0)
"""Before the first, second, … worker for one job, and before the job is given up."""
_SLOW_START_S = 120.0
"""A worker that still lives needs no second one until it has had that long to import and to claim."""
_LOCK_S = 10.0
"""Whoever tends holds a job's lock for a moment only."""
_SECONDS_BETWEEN_WRITES = 0.5
_log = logging.getLogger(__name__)


def submit_finetune(workspace: Workspace, version: str, base: str, preset: str, seed: int = 0) -> Job:
    """Queue a fine-tune and see to it that a worker runs.

    The job keeps the recipe itself and a name of the base that doesn't depend on the working folder: what becomes
    of the preset's file later, and where the worker runs, makes no difference.

    Raises:
        BlurdepthError: the version, the preset or the base does not exist, the seed is out of range, or the version
            is too small; nothing is queued then, and nothing downloaded.
    """
    recipe = replace(load_recipe(preset), seed=seed)
    workspace.training_samples(version, recipe.split, recipe.val_share, recipe.seed)
    model = lasting_name(workspace.resolve_model(base))
    preflight(workspace, version, base, recipe).refuse()
    settings = {
        "version": version,
        "base": model if os.path.isdir(os.path.expanduser(base)) else base,
        "preset": recipe.name,
        "seed": recipe.seed,
        "model": model,
        "recipe": recipe.as_dict(),
    }
    job = workspace.store.jobs.add("finetune", settings)
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
    _starts_file(workspace).unlink(missing_ok=True)
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
    lives = [job for job in workspace.store.jobs.jobs("running") if not _end_if_dead(workspace, job)]
    if not lives and (queue := workspace.store.jobs.jobs("queued")):
        _see_to_worker(workspace, queue[-1])


def _end_if_dead(workspace: Workspace, job: Job) -> bool:
    """Mark a running job that nobody works on as interrupted; whether it was so."""
    try:
        with _lock(workspace, job.id).acquire(timeout=0):
            # Its worker may have ended it, and even begun another, before the lock was ours. Nobody can now.
            job = workspace.store.jobs.job(job.id)
            if job.status == "running":
                tail = log_tail(workspace, job.id)
                error = f"The process ended without a word. End of its log:\n{tail}"
                workspace.store.jobs.finish(job, "interrupted", error=error)
            return True
    except Timeout:
        return False


def _lock(workspace: Workspace, job_id: str) -> FileLock:
    folder = job_folder(workspace, job_id)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "lock")


def _see_to_worker(workspace: Workspace, waiting: Job) -> None:
    """Start a worker for the job that waits longest, unless one is on its way; after a few in vain, end the job.

    All who look at the jobs share one note of the starts.
    """
    note = _starts_file(workspace)
    note.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(note.with_suffix(".lock")).acquire(timeout=0):
            last = _read_starts(note, waiting.id)
            since = time.time() - last["at"]
            on_its_way = _is_alive(last["pid"]) and since < _SLOW_START_S
            # A clock that was set back must not make it wait for years.
            if on_its_way or 0 <= since < _START_PAUSES_S[last["starts"]]:
                return
            if last["starts"] == MAX_STARTS:
                tail = _last_lines(note.with_name("worker.log"))
                error = f"{MAX_STARTS} workers were started and none began the job. End of their log:\n{tail}"
                workspace.store.jobs.give_up(waiting.id, error)
                return
            pid = _start_worker(workspace)
            starts = {"job": waiting.id, "starts": last["starts"] + 1, "at": time.time(), "pid": pid}
            write_atomically(note, json.dumps(starts).encode())
    except Timeout:
        return


def _starts_file(workspace: Workspace) -> Path:
    return workspace.folder / "jobs" / "starts.json"


def _read_starts(note: Path, job_id: str) -> dict[str, Any]:
    """How often a worker was started for this job, when last, and as which process."""
    try:
        starts: dict[str, Any] = json.loads(note.read_text())
    except (OSError, ValueError):
        starts = {}
    return starts if starts.get("job") == job_id else {"starts": 0, "at": 0.0, "pid": 0}


def _is_alive(pid: int) -> bool:
    try:
        return pid > 0 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start_worker(workspace: Workspace) -> int:
    """Start a process that takes jobs; its id, or 0 if the system refuses."""
    with (workspace.folder / "jobs" / "worker.log").open("ab") as log:
        try:
            worker = subprocess.Popen(
                [sys.executable, "-m", "blurdepth", "work", "--data", str(workspace.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 0
    # Somebody must take note of its end, or it would stay behind as a zombie for as long as the page runs.
    threading.Thread(target=worker.wait, daemon=True).start()
    return worker.pid


def job_folder(workspace: Workspace, job_id: str) -> Path:
    """Where a job keeps its log, its state and its checkpoint."""
    return workspace.folder / "jobs" / job_id


def log_tail(workspace: Workspace, job_id: str, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a job's log."""
    return _last_lines(job_folder(workspace, job_id) / "log.txt", lines)


def _last_lines(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def work(workspace: Workspace) -> int:
    """Do queued jobs, one after the other, until none is left or another worker is at one; returns how many were done.

    A job that fails is marked so, with its reason, and the next one is taken.
    """
    for job in workspace.store.jobs.jobs("running"):
        _end_if_dead(workspace, job)
    done = 0
    while queue := workspace.store.jobs.jobs("queued"):
        if _do_one(workspace, queue[-1]):
            done += 1
        elif workspace.store.jobs.jobs("running"):
            break
    return done


def _do_one(workspace: Workspace, waiting: Job) -> bool:
    """Claim a queued job and do it; False if it can't be claimed."""
    me = psutil.Process()
    try:
        # The lock comes before the claim, so that there is no moment in which a running job isn't locked.
        with _lock(workspace, waiting.id).acquire(timeout=_LOCK_S):
            job = workspace.store.jobs.claim(waiting.id, me.pid, me.create_time())
            if job is not None:
                _starts_file(workspace).unlink(missing_ok=True)
                _do(workspace, job)
    except Timeout as error:
        folder = job_folder(workspace, waiting.id)
        raise ConflictError(f"Another process works in {folder}: end it, then resume job {waiting.id}.") from error
    return job is not None


def _do(workspace: Workspace, job: Job) -> None:
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
    recipe = recipe_from_dict(settings["recipe"])
    samples = workspace.training_samples(settings["version"], recipe.split, recipe.val_share, recipe.seed)
    version = workspace.store.versions.version(settings["version"])
    provenance = {
        "job": job.id,
        "dataset_version": version.id,
        "dataset_manifest": version.manifest,
        "base": settings["base"],
        "preset": settings["preset"],
    }
    out = job_folder(workspace, job.id)
    outcome = finetune(settings["model"], samples, recipe, out, control, provenance=provenance)
    checkpoint = str(outcome.checkpoint.relative_to(workspace.folder)) if outcome.checkpoint else ""
    _log.info("job %s ends: %s", job.id, outcome.status)
    workspace.store.jobs.finish(job, outcome.status, checkpoint=checkpoint, **outcome.metrics)


_KINDS: dict[str, Callable[[Workspace, Job], None]] = {"finetune": _run_finetune}


class _Control:
    """What a running job tells the store, and the store tells it.

    A worker that has lost its claim gets a ConflictError, which ends the job at once: nothing more is written.
    """

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self._jobs = workspace.store.jobs
        self._job = job
        self._written = 0.0
        self._stop = False

    def say(self, activity: str) -> None:
        self._stop = self._jobs.progress(self._job, activity=activity)

    def report(self, progress: Progress) -> None:
        if progress.curves:
            self._jobs.add_points(self._job, progress.step, progress.curves)
        if progress.curves or time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._written = time.monotonic()
            values: dict[str, Any] = {
                name: value
                for name, value in asdict(progress).items()
                if name in ("step", "steps", "activity", "seconds_left")
            }
            self._stop = self._jobs.progress(self._job, **values)

    def should_stop(self) -> bool:
        return self._stop
