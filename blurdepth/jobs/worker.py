"""A worker: a process that does queued jobs, one after the other."""

from __future__ import annotations

import logging
import os
import platform
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from blurdepth.errors import BlurdepthError, Cancelled, ConflictError
from blurdepth.jobs.control import Control
from blurdepth.jobs.devices import NO_DEVICE, devices, fits
from blurdepth.jobs.folders import job_folder, lock
from blurdepth.jobs.tasks import KINDS, Ending
from blurdepth.jobs.tending import end_if_dead, forget_starts
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

_LOCK_S = 10.0
"""Whoever tends holds a job's lock for a moment only."""
_TRY_S = 0.2
_log = logging.getLogger(__name__)


def work(workspace: Workspace, on: Sequence[str] | None = None) -> int:
    """Do queued jobs, one after the other, until none is left or other workers have the devices.

    A job that fails is marked so, with its reason, and the next one is taken.

    Args:
        workspace: the data folder.
        on: the devices that it may use; the first one and none, if not given.

    Returns:
        How many were done.
    """
    on = on or (devices()[0], NO_DEVICE)
    for job in workspace.store.jobs.jobs("running"):
        end_if_dead(workspace, job)
    done = 0
    while (found := _next(workspace, on)) is not None:
        done += _do_one(workspace, *found)
    return done


def _next(workspace: Workspace, on: Sequence[str]) -> tuple[Job, str] | None:
    """The queued job whose turn it is among those that can begin now, and the device for it."""
    busy = {job.device for job in workspace.store.jobs.jobs("running")} - {NO_DEVICE}
    free = [device for device in on if device not in busy]
    pairs = ((job, device) for job in workspace.store.jobs.queue() for device in free if fits(job.kind, device))
    return next(pairs, None)


def _do_one(workspace: Workspace, waiting: Job, device: str) -> bool:
    """Claim a queued job and do it; False if it can't be claimed."""
    me = psutil.Process()
    own = lock(workspace, waiting.id)
    if not _locked(workspace, waiting, own):
        return False
    try:
        # The lock comes before the claim, so that there is no moment in which a running job isn't locked.
        claim = workspace.store.jobs.claim
        job = claim(waiting.id, me.pid, me.create_time(), device=device, host=platform.node())
        if job is not None:
            forget_starts(workspace, device)
            _do(workspace, job)
    finally:
        own.release()
    return job is not None


def _locked(workspace: Workspace, waiting: Job, own: FileLock) -> bool:
    """Lock a queued job; False if another worker has begun it in the meantime.

    Raises:
        ConflictError: somebody holds the lock of a job that is still queued.
    """
    end = time.monotonic() + _LOCK_S
    while workspace.store.jobs.job(waiting.id).status == "queued":
        try:
            own.acquire(timeout=_TRY_S)
            return True
        except Timeout as error:
            if time.monotonic() > end:
                folder = job_folder(workspace, waiting.id)
                told = f"Another process works in {folder}: end it, then resume job {waiting.id}."
                raise ConflictError(told) from error
    return False


def _do(workspace: Workspace, job: Job) -> None:
    _write_log_to(job_folder(workspace, job.id) / "log.txt")
    _log.info("job %s (%s) begins on %s: %s", job.id, job.kind, job.device or "no device", job.settings)
    with Control(workspace, job) as control:
        ending = _ending(workspace, job, control)
    finished = workspace.store.jobs.finish(
        job, ending.status, error=ending.error, checkpoint=ending.checkpoint, **ending.metrics
    )
    if finished:
        _log.info("job %s ends: %s", job.id, ending.status)


def _ending(workspace: Workspace, job: Job, control: Control) -> Ending:
    try:
        return KINDS[job.kind](workspace, job, control)
    except Cancelled as stopped:
        _log.info("%s", stopped)
        return Ending("stopped")
    except BlurdepthError as error:
        _log.error("%s", error)
        return Ending("failed", error=str(error))
    except Exception as error:  # whatever happens, the row must say so and the queue must go on
        _log.error("%s", traceback.format_exc())
        told = f"{type(error).__name__}: {error}. The log has the details; `resume` tries again."
        return Ending("failed", error=told)


def _write_log_to(path: Path) -> None:
    """Send this process's output, that of its libraries included, to a job's log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
