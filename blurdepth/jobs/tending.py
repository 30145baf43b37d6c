"""Looking after the queue: whoever looks at the jobs marks the dead ones and sees to it that a worker runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from blurdepth.files import write_atomically
from blurdepth.jobs.folders import last_lines, lock, log_tail
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

MAX_STARTS = 3
_START_PAUSES_S = (0.0, 1.0, 4.0, 4.0)
"""Before the first, second, … worker for one job, and before the job is given up."""
_SLOW_START_S = 120.0
"""A worker that still lives needs no second one until it has had that long to import and to claim."""


def tend(workspace: Workspace) -> None:
    """Mark jobs whose process is gone as interrupted, and start a worker if jobs wait and none runs."""
    lives = [job for job in workspace.store.jobs.jobs("running") if not end_if_dead(workspace, job)]
    if not lives and (queue := workspace.store.jobs.jobs("queued")):
        _see_to_worker(workspace, queue[-1])


def end_if_dead(workspace: Workspace, job: Job) -> bool:
    """Mark a running job that nobody works on as interrupted; whether it was so."""
    try:
        with lock(workspace, job.id).acquire(timeout=0):
            # Its worker may have ended it, and even begun another, before the lock was ours. Nobody can now.
            job = workspace.store.jobs.job(job.id)
            if job.status == "running":
                tail = log_tail(workspace, job.id)
                error = f"The process ended without a word. End of its log:\n{tail}"
                workspace.store.jobs.finish(job, "interrupted", error=error)
            return True
    except Timeout:
        return False


def _see_to_worker(workspace: Workspace, waiting: Job) -> None:
    """Start a worker for the job that waits longest, unless one is on its way; after a few in vain, end the job.

    All who look at the jobs share one note of the starts.
    """
    note = starts_file(workspace)
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
                tail = last_lines(note.with_name("worker.log"))
                error = f"{MAX_STARTS} workers were started and none began the job. End of their log:\n{tail}"
                workspace.store.jobs.give_up(waiting.id, error)
                return
            pid = _start_worker(workspace)
            starts = {"job": waiting.id, "starts": last["starts"] + 1, "at": time.time(), "pid": pid}
            write_atomically(note, json.dumps(starts).encode())
    except Timeout:
        return


def starts_file(workspace: Workspace) -> Path:
    """The note of the starts of workers; it goes when one takes a job."""
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
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 0
    # Somebody must take note of its end, or it would stay behind as a zombie for as long as the page runs.
    threading.Thread(target=worker.wait, daemon=True).start()
    return worker.pid
