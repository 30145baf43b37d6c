"""Rows about background work. A row changes hands only by an UPDATE that checks what it was.

While a job runs, its process id and when that process began stand in the row: the claim. Only who holds the claim
may write to the row. An index sees to it that no device has two running jobs.
"""

from __future__ import annotations

import json
from typing import Any

from blurdepth.errors import ConflictError, InputError, NotFoundError
from blurdepth.store.database import Database, Row, now, row_number
from blurdepth.store.records import RESUMABLE, Asked, Job, JobStatus

_IN_TURN = "ORDER BY priority DESC, id"
_CLAIMED = "id = ? AND status = 'running' AND pid IS ? AND pid_started IS ?"


class Jobs:
    """The rows about jobs and the curves they draw."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, kind: str, settings: dict[str, Any]) -> Job:
        """Put a job into the queue."""
        with self._db.writing() as write:
            number = write.execute(
                "INSERT INTO jobs (kind, status, settings, created_at) VALUES (?, 'queued', ?, ?)",
                [kind, json.dumps(settings), now()],
            ).lastrowid
        return self.job(f"j{number}")

    def job(self, job_id: str) -> Job:
        """The job with this id, such as "j2".

        Raises:
            NotFoundError: there is none.
        """
        row = self._db.row("SELECT * FROM jobs WHERE id = ?", [_number(job_id)])
        if row is None:
            raise NotFoundError(f"There is no job {job_id!r}: list them with `jobs`.")
        return _job(row)

    def jobs(self, status: JobStatus | None = None, limit: int = -1) -> list[Job]:
        """Jobs, the newest first, and no more than `limit` unless it is negative."""
        where, values = ("WHERE status = ?", [status]) if status else ("", [])
        query = f"SELECT * FROM jobs {where} ORDER BY id DESC LIMIT ?"
        return [_job(row) for row in self._db.rows(query, [*values, limit])]

    def queue(self) -> list[Job]:
        """The queued jobs in the order in which they are to be done."""
        return [_job(row) for row in self._db.rows(f"SELECT * FROM jobs WHERE status = 'queued' {_IN_TURN}")]

    def states(self, limit: int) -> str:
        """A text that is another one whenever one of the newest jobs has moved."""
        query = "SELECT id, status, step, steps, priority FROM jobs ORDER BY id DESC LIMIT ?"
        return " ".join(":".join(map(str, row.values())) for row in self._db.rows(query, [limit]))

    def claim(self, job_id: str, pid: int, pid_started: float, *, device: str = "cpu", host: str = "") -> Job | None:
        """Make a queued job, and the device, this process's own.

        Args:
            job_id: the job.
            pid, pid_started, host: of the process.
            device: which the job needs, or "" if it needs none.

        Returns:
            None if the job is queued no more, or the device has a running job.
        """
        with self._db.writing() as write:
            row = write.execute(
                "UPDATE jobs SET status = 'running', device = ?, host = ?, pid = ?, pid_started = ?, heartbeat = ?, "
                "error = '' WHERE id = ? AND status = 'queued' AND NOT EXISTS "
                "(SELECT 1 FROM jobs WHERE status = 'running' AND device = ? AND device != '') RETURNING *",
                [device, host, pid, pid_started, now(), _number(job_id), device],
            ).fetchone()
        return _job(dict(row)) if row else None

    def progress(self, job: Job, **values: Any) -> Asked:
        """Write how far a claimed job has come, and that it lives; returns what people want of it.

        Args:
            job: as `claim` returned it.
            values: any of step, steps, activity, seconds_left.

        Raises:
            ConflictError: the claim is lost.
        """
        columns = ", ".join(f"{name} = ?" for name in ("heartbeat", *values))
        with self._db.writing() as write:
            row = write.execute(
                f"UPDATE jobs SET {columns} WHERE {_CLAIMED} RETURNING stop_requested, pause_requested",
                [now(), *values.values(), *_claim(job)],
            ).fetchone()
        if row is None:
            raise _lost(job)
        return Asked(bool(row["stop_requested"]), bool(row["pause_requested"]))

    def note_error(self, job: Job, error: str) -> None:
        """Write down why a claimed job's process is about to be ended; it stands only if the process does end."""
        with self._db.writing() as write:
            write.execute(f"UPDATE jobs SET error = ? WHERE {_CLAIMED}", [error, *_claim(job)])

    def add_points(self, job: Job, step: int, series: dict[str, float]) -> None:
        """Add one point to each named curve of a claimed job; one made again after a resume replaces the old one.

        Raises:
            ConflictError: the claim is lost.
        """
        with self._db.writing() as write:
            if not write.execute(f"SELECT 1 FROM jobs WHERE {_CLAIMED}", _claim(job)).fetchone():
                raise _lost(job)
            write.executemany(
                "INSERT OR REPLACE INTO job_points VALUES (?, ?, ?, ?)",
                [(_number(job.id), step, name, value) for name, value in series.items()],
            )

    def points(self, job_id: str) -> dict[str, list[tuple[int, float]]]:
        """The curves of a job: name to (step, value) in the order of steps."""
        curves: dict[str, list[tuple[int, float]]] = {}
        query = "SELECT step, series, value FROM job_points WHERE job = ? ORDER BY step"
        for row in self._db.rows(query, [_number(job_id)]):
            curves.setdefault(row["series"], []).append((row["step"], row["value"]))
        return curves

    def finish(self, job: Job, status: JobStatus, *, error: str = "", checkpoint: str = "", **metrics: Any) -> bool:
        """End a claimed job; False if the claim is lost, as somebody else has ended it."""
        with self._db.writing() as write:
            ended = write.execute(
                "UPDATE jobs SET status = ?, error = ?, checkpoint = ?, metrics = ?, seconds_left = NULL, "
                f"finished_at = ? WHERE {_CLAIMED}",
                [status, error, checkpoint or job.checkpoint, json.dumps(metrics or job.metrics), now(), *_claim(job)],
            ).rowcount
        return ended == 1

    def give_up(self, job_id: str, error: str) -> None:
        """End a job that nobody could begin: "failed", if it is still queued."""
        with self._db.writing() as write:
            write.execute(
                "UPDATE jobs SET status = 'failed', error = ?, finished_at = ? WHERE id = ? AND status = 'queued'",
                [error, now(), _number(job_id)],
            )

    def request_stop(self, job_id: str) -> Job:
        """Ask a job to stop: one in the queue stops at once, a running one at its next step.

        Raises:
            InputError: it is neither queued nor running.
        """
        number = _number(self.job(job_id).id)
        with self._db.writing() as write:
            changed = write.execute(
                "UPDATE jobs SET status = 'stopped', finished_at = ? WHERE id = ? AND status = 'queued'",
                [now(), number],
            ).rowcount
            changed += write.execute(
                "UPDATE jobs SET stop_requested = 1, stop_requested_at = COALESCE(stop_requested_at, ?) "
                "WHERE id = ? AND status = 'running'",
                [now(), number],
            ).rowcount
        job = self.job(job_id)
        if not changed:
            raise InputError(f"Job {job_id} is {job.status}: only a queued or running job can be stopped.")
        return job

    def set_paused(self, job_id: str, paused: bool) -> Job:
        """Ask a running job to hold at its next step, or to go on from there.

        Raises:
            InputError: it is not running.
        """
        number = _number(self.job(job_id).id)
        with self._db.writing() as write:
            changed = write.execute(
                "UPDATE jobs SET pause_requested = ? WHERE id = ? AND status = 'running'", [paused, number]
            ).rowcount
        job = self.job(job_id)
        if not changed:
            raise InputError(f"Job {job_id} is {job.status}: only a running job can be paused.")
        return job

    def move_to_front(self, job_id: str) -> Job:
        """Let a queued job be the next to be done.

        Raises:
            InputError: it is not queued.
        """
        number = _number(self.job(job_id).id)
        with self._db.writing() as write:
            changed = write.execute(
                "UPDATE jobs SET priority = (SELECT max(priority) + 1 FROM jobs) WHERE id = ? AND status = 'queued'",
                [number],
            ).rowcount
        job = self.job(job_id)
        if not changed:
            raise InputError(f"Job {job_id} is {job.status}: only a queued job can be moved to the front.")
        return job

    def requeue(self, job_id: str) -> Job:
        """Put a job that ended early back into the queue, to go on where it was.

        Raises:
            InputError: it is running, queued or done.
        """
        job = self.job(job_id)
        marks = ", ".join("?" * len(RESUMABLE))
        with self._db.writing() as write:
            changed = write.execute(
                "UPDATE jobs SET status = 'queued', stop_requested = 0, stop_requested_at = NULL, pause_requested = 0, "
                "priority = 0, pid = NULL, pid_started = NULL, "
                f"finished_at = NULL, error = '' WHERE id = ? AND status IN ({marks})",
                [_number(job_id), *RESUMABLE],
            ).rowcount
        if not changed:
            raise InputError(f"Job {job_id} is {job.status}: only one that ended early can be resumed.")
        return self.job(job_id)


def _number(job_id: str) -> int:
    return row_number(job_id, "j", "job")


def _claim(job: Job) -> tuple[int, int | None, float | None]:
    return _number(job.id), job.pid, job.pid_started


def _lost(job: Job) -> ConflictError:
    return ConflictError(f"Job {job.id} is no longer this process's: it was ended or begun again by another one.")


def _job(row: Row) -> Job:
    return Job(
        **{
            **row,
            "id": f"j{row['id']}",
            "settings": json.loads(row["settings"]),
            "metrics": json.loads(row["metrics"]),
            "stop_requested": bool(row["stop_requested"]),
            "pause_requested": bool(row["pause_requested"]),
        }
    )
