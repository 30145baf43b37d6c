"""Rows about background work. A row changes hands only by an UPDATE that checks what it was."""

from __future__ import annotations

import json
from typing import Any

from blurdepth.errors import InputError, NotFoundError
from blurdepth.store.database import Database, Row, now, row_number
from blurdepth.store.records import RESUMABLE, Job, JobStatus


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

    def claim(self, pid: int, pid_started: float) -> Job | None:
        """Make the oldest queued job this process's own; None if there is none, or one is running."""
        with self._db.writing() as write:
            row = write.execute(
                "UPDATE jobs SET status = 'running', pid = ?, pid_started = ?, heartbeat = ?, error = '' "
                "WHERE id = (SELECT min(id) FROM jobs WHERE status = 'queued') "
                "AND NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'running') RETURNING *",
                [pid, pid_started, now()],
            ).fetchone()
        return _job(dict(row)) if row else None

    def progress(self, job_id: str, **values: Any) -> bool:
        """Write how far a running job has come; returns whether somebody asked it to stop.

        Args:
            job_id: the job.
            values: any of step, steps, activity, seconds_left.
        """
        columns = ", ".join(f"{name} = ?" for name in ("heartbeat", *values))
        with self._db.writing() as write:
            row = write.execute(
                f"UPDATE jobs SET {columns} WHERE id = ? RETURNING stop_requested",
                [now(), *values.values(), _number(job_id)],
            ).fetchone()
        return bool(row and row["stop_requested"])

    def add_points(self, job_id: str, step: int, series: dict[str, float]) -> None:
        """Add one point to each named curve of a job; a point made again after a resume replaces the old one."""
        with self._db.writing() as write:
            write.executemany(
                "INSERT OR REPLACE INTO job_points VALUES (?, ?, ?, ?)",
                [(_number(job_id), step, name, value) for name, value in series.items()],
            )

    def points(self, job_id: str) -> dict[str, list[tuple[int, float]]]:
        """The curves of a job: name to (step, value) in the order of steps."""
        curves: dict[str, list[tuple[int, float]]] = {}
        query = "SELECT step, series, value FROM job_points WHERE job = ? ORDER BY step"
        for row in self._db.rows(query, [_number(job_id)]):
            curves.setdefault(row["series"], []).append((row["step"], row["value"]))
        return curves

    def finish(self, job: Job, status: JobStatus, *, error: str = "", checkpoint: str = "", **metrics: Any) -> bool:
        """End a running job of the same process; False if it was ended otherwise in between."""
        with self._db.writing() as write:
            ended = write.execute(
                "UPDATE jobs SET status = ?, error = ?, checkpoint = ?, metrics = ?, seconds_left = NULL, "
                "finished_at = ? WHERE id = ? AND status = 'running' AND pid IS ? AND pid_started IS ?",
                [
                    status,
                    error,
                    checkpoint or job.checkpoint,
                    json.dumps(metrics or job.metrics),
                    now(),
                    _number(job.id),
                    job.pid,
                    job.pid_started,
                ],
            ).rowcount
        return ended == 1

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
