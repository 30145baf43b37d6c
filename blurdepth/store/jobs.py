"""Rows about background work. A row changes hands only by an UPDATE that checks what it was.

While a job runs, its process id and when that process began stand in the row: the claim. Only who holds the claim
may write to the row.
"""

from __future__ import annotations

import json
from typing import Any

from blurdepth.errors import ConflictError, InputError, NotFoundError
from blurdepth.store.database import Database, Row, now, row_number
from blurdepth.store.records import RESUMABLE, Job, JobStatus

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

    def jobs(self, status: JobStatus | None = None) -> list[Job]:
        """Jobs, the newest first."""
        where, values = ("WHERE status = ?", [status]) if status else ("", [])
        return [_job(row) for row in self._db.rows(f"SELECT * FROM jobs {where} ORDER BY id DESC", values)]

    def claim(self, job_id: str, pid: int, pid_started: float) -> Job | None:
        """Make a queued job this process's own; None if it is queued no more, or any job is running."""
        with self._db.writing() as write:
            row = write.execute(
                "UPDATE jobs SET status = 'running', pid = ?, pid_started = ?, heartbeat = ?, error = '' "
                "WHERE id = ? AND status = 'queued' "
                "AND NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'running') RETURNING *",
                [pid, pid_started, now(), _number(job_id)],
            ).fetchone()
        return _job(dict(row)) if row else None

    def progress(self, job: Job, **values: Any) -> bool:
        """Write how far a claimed job has come; returns whether somebody asked it to stop.

        Args:
            job: as `claim` returned it.
            values: any of step, steps, activity, seconds_left.

        Raises:
            ConflictError: the claim is lost.
        """
        columns = ", ".join(f"{name} = ?" for name in ("heartbeat", *values))
        with self._db.writing() as write:
            row = write.execute(
                f"UPDATE jobs SET {columns} WHERE {_CLAIMED} RETURNING stop_requested",
                [now(), *values.values(), *_claim(job)],
            ).fetchone()
        if row is None:
            raise _lost(job)
        return bool(row["stop_requested"])

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
                "UPDATE jobs SET stop_requested = 1 WHERE id = ? AND status = 'running'", [number]
            ).rowcount
        job = self.job(job_id)
        if not changed:
            raise InputError(f"Job {job_id} is {job.status}: only a queued or running job can be stopped.")
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
                "UPDATE jobs SET status = 'queued', stop_requested = 0, pid = NULL, pid_started = NULL, "
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
        }
    )
