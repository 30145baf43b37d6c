"""Where a job keeps what it needs, and the lock that tells whether it lives."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from blurdepth.workspace import Workspace

LOG_TAIL_LINES = 20


def job_folder(workspace: Workspace, job_id: str) -> Path:
    """Where a job keeps its log, its state and its checkpoint."""
    return workspace.folder / "jobs" / job_id


def lock(workspace: Workspace, job_id: str) -> FileLock:
    """The lock that whoever works on a job holds; it ends with the process."""
    folder = job_folder(workspace, job_id)
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "lock")


def log_tail(workspace: Workspace, job_id: str, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a job's log."""
    return last_lines(job_folder(workspace, job_id) / "log.txt", lines)


def last_lines(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a file; none if it isn't there."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
