"""Looking after the queue: whoever looks at the jobs marks the dead ones and sees to it that a worker runs."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from blurdepth.files import write_atomically
from blurdepth.jobs.control import STOPPING
from blurdepth.jobs.devices import NO_DEVICE, devices, environment, fits
from blurdepth.jobs.folders import last_lines, lock, log_tail
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

STOP_S, WRITE_S, TERMINATE_S = 30.0, 600.0, 10.0
"""How long a job may take to heed a stop, to end once it has heeded it, as a large state is written slowly, and its
process to end when it is told to, before it is killed."""
MAX_STARTS = 3
_START_PAUSES_S = (0.0, 1.0, 4.0, 4.0)
"""Before the first, second, … worker for one job, and before the job is given up."""
_SLOW_START_S = 120.0
"""A worker that still lives needs no second one until it has had that long to import and to claim."""
_SAME_START_S = 0.1
_SIDE_BY_SIDE = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
_log = logging.getLogger(__name__)


def tend(workspace: Workspace) -> None:
    """Mark jobs whose process is gone as interrupted, end what doesn't heed a stop, and start the workers needed."""
    alive = [job for job in workspace.store.jobs.jobs("running") if not end_if_dead(workspace, job)]
    for job in alive:
        if job.stop_requested_at:
            _press(workspace, job)
    waiting = workspace.store.jobs.queue()
    if not waiting:
        return
    busy = {job.device for job in alive}
    for device in (*devices(), NO_DEVICE):
        following = next((job for job in waiting if fits(job.kind, device)), None)
        if following and device not in busy:
            waiting.remove(following)
            _see_to_worker(workspace, device, following)


def end_if_dead(workspace: Workspace, job: Job) -> bool:
    """Mark a running job that nobody works on as interrupted; whether it was so."""
    try:
        with lock(workspace, job.id).acquire(timeout=0):
            # Its worker may have ended it, and even begun another, before the lock was ours. Nobody can now.
            job = workspace.store.jobs.job(job.id)
            if job.status == "running":
                told = job.error or "The process ended without a word."
                error = f"{told} End of its log:\n{log_tail(workspace, job.id)}"
                workspace.store.jobs.finish(job, "interrupted", error=error)
            return True
    except Timeout:
        return False


def _press(workspace: Workspace, job: Job) -> None:
    """End the process of a job that was asked to stop long ago, at first in a way that it could still answer."""
    waited = (datetime.now(UTC) - datetime.fromisoformat(str(job.stop_requested_at))).total_seconds()
    limit, verb = (WRITE_S, "end") if job.activity == STOPPING else (STOP_S, "react")
    process = _process_of(job) if waited > limit else None
    if process is None:
        return
    told = (
        f"It did not {verb} within {limit:.0f} s of Stop, so its process was ended; Resume goes on from what was kept."
    )
    workspace.store.jobs.note_error(job, told)
    try:
        if waited > limit + TERMINATE_S:
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
        else:
            process.terminate()
    except psutil.Error as error:  # It is gone, or somebody else's.
        _log.warning("process %s of job %s: %s", job.pid, job.id, error)


def _process_of(job: Job) -> psutil.Process | None:
    """The process that has claimed a job, if it is on this machine; never another one that got its id since."""
    if job.host != platform.node() or job.pid is None or job.pid_started is None:
        return None
    try:
        process = psutil.Process(job.pid)
        return process if abs(process.create_time() - job.pid_started) < _SAME_START_S else None
    except psutil.Error:
        return None


def _see_to_worker(workspace: Workspace, device: str, waiting: Job) -> None:
    """Start a worker for a device, unless one is on its way; after a few in vain, end the job that waits for it.

    All who look at the jobs share one note of the starts.
    """
    note = _starts_file(workspace, device)
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
            pid = _start_worker(workspace, device)
            starts = {"job": waiting.id, "starts": last["starts"] + 1, "at": time.time(), "pid": pid}
            write_atomically(note, json.dumps(starts).encode())
    except Timeout:
        return


def _starts_file(workspace: Workspace, device: str) -> Path:
    return workspace.folder / "jobs" / f"starts-{device.replace(':', '-') or 'none'}.json"


def forget_starts(workspace: Workspace, *of: str) -> None:
    """A worker has begun a job, or the next try is to be the first again: forget the starts for these devices."""
    for device in of or (*devices(), NO_DEVICE):
        _starts_file(workspace, device).unlink(missing_ok=True)


def _read_starts(note: Path, job_id: str) -> dict[str, Any]:
    """How often a worker was started for this job, and when and as which process the last was started for any."""
    try:
        starts: dict[str, Any] = json.loads(note.read_text())
    except (OSError, ValueError):
        return {"starts": 0, "at": 0.0, "pid": 0}
    return starts if starts.get("job") == job_id else {**starts, "starts": 0}


def _is_alive(pid: int) -> bool:
    try:
        return pid > 0 and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start_worker(workspace: Workspace, device: str) -> int:
    """Start a process that takes jobs; its id, or 0 if the system refuses."""
    # Started by one of several processes side by side, a worker would take its work for a share.
    inherited = {name: value for name, value in os.environ.items() if name not in _SIDE_BY_SIDE}
    path = str(Path(__file__).resolve().parents[2])
    with (workspace.folder / "jobs" / "worker.log").open("ab") as log:
        try:
            worker = subprocess.Popen(
                [sys.executable, "-m", "blurdepth", "work", "--data", str(workspace.folder), "--device", device],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**inherited, **environment(device), "PYTHONPATH": path},
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 0
    # Somebody must take note of its end, or it would stay behind as a zombie for as long as the page runs.
    threading.Thread(target=worker.wait, daemon=True).start()
    return worker.pid
