"""What a running job tells the store, and the store tells it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

_SECONDS_BETWEEN_WRITES = 0.5


class Control:
    """What a running job tells the store, and the store tells it.

    A worker that has lost its claim gets a ConflictError, which ends the job at once: nothing more is written.
    """

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self._jobs = workspace.store.jobs
        self._job = job
        self._written = 0.0
        self._stop = False

    def say(self, activity: str) -> None:
        """Write what it is doing."""
        self._stop = self._jobs.progress(self._job, activity=activity)

    def report(self, progress: Progress) -> None:
        """Write how far it is, and draw its points."""
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
        """Whether somebody asked it to stop."""
        return self._stop
