"""A worker: a process that does queued jobs, one after the other."""

from __future__ import annotations

import logging
import os
import traceback
from pathlib import Path

import psutil
from filelock import Timeout

from blurdepth.errors import BlurdepthError, ConflictError
from blurdepth.jobs.folders import job_folder, lock
from blurdepth.jobs.tasks import KINDS
from blurdepth.jobs.tending import end_if_dead, starts_file
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

_LOCK_S = 10.0
"""Whoever tends holds a job's lock for a moment only."""
_log = logging.getLogger(__name__)


def work(workspace: Workspace) -> int:
    """Do queued jobs, one after the other, until none is left or another worker is at one; returns how many were done.

    A job that fails is marked so, with its reason, and the next one is taken.
    """
    for job in workspace.store.jobs.jobs("running"):
        end_if_dead(workspace, job)
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
        with lock(workspace, waiting.id).acquire(timeout=_LOCK_S):
            job = workspace.store.jobs.claim(waiting.id, me.pid, me.create_time())
            if job is not None:
                starts_file(workspace).unlink(missing_ok=True)
                _do(workspace, job)
    except Timeout as error:
        folder = job_folder(workspace, waiting.id)
        raise ConflictError(f"Another process works in {folder}: end it, then resume job {waiting.id}.") from error
    return job is not None


def _do(workspace: Workspace, job: Job) -> None:
    _write_log_to(job_folder(workspace, job.id) / "log.txt")
    _log.info("job %s (%s) begins: %s", job.id, job.kind, job.settings)
    try:
        KINDS[job.kind](workspace, job)
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
