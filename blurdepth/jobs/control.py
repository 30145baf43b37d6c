"""What a running job tells the store, and the store tells it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from blurdepth.errors import Cancelled, ConflictError, StorageError
from blurdepth.store.records import Asked, Job
from blurdepth.workspace import Workspace

if TYPE_CHECKING:
    from blurdepth.finetune import Progress

PAUSED = "paused"
STOPPING = "stopping: writing what is kept"
"""What a job does that has heeded a stop, until it ends."""
HEARTBEAT_S = 5.0
_SECONDS_BETWEEN_WRITES = 0.5
_SECONDS_BETWEEN_LOOKS = 0.25
_log = logging.getLogger(__name__)


class Control:
    """A thread says every few seconds that the process lives, and hears what people want, however long a step takes.

    A worker that has lost its claim gets a ConflictError, which ends the job at once: nothing more is written.
    """

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self._jobs = workspace.store.jobs
        self._job = job
        self._asked = Asked()
        self._lost: ConflictError | None = None
        self._activity = ""
        self._written_at = 0.0
        self._begun: tuple[float, int] | None = None
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._heart.join()

    def say(self, activity: str) -> None:
        """Write what it is doing."""
        self._write(activity=activity)

    def step(self, step: int, steps: int, activity: str) -> None:
        """Write how far it is; holds while people want a pause.

        Raises:
            Cancelled: they want it to stop.
        """
        if step == steps or self._is_due():
            self._write(step=step, steps=steps, activity=activity, seconds_left=self._seconds_left(step, steps))
        if self.should_stop():
            raise Cancelled(f"Stopped at step {step} of {steps}.")

    def report(self, progress: Progress) -> None:
        """Write how far a fine-tune is, and draw its points."""
        if progress.curves:
            self._jobs.add_points(self._job, progress.step, progress.curves)
        if progress.curves or self._is_due():
            values = {name: getattr(progress, name) for name in ("step", "steps", "seconds_left")}
            self._write(**values, activity=_doing(progress))

    def should_stop(self) -> bool:
        """Whether people want it to stop, which is heeded then; returns only when they don't want it to hold."""
        if self._lost:
            raise self._lost
        if self._asked.pause and not self._asked.stop:
            self._hold()
        if self._asked.stop:
            self._write(activity=STOPPING)
        return self._asked.stop

    def _hold(self) -> None:
        before, self._begun = self._activity, None
        self._write(activity=PAUSED, seconds_left=None)
        while self._asked.pause and not self._asked.stop:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._write()
        self._write(activity=before)

    def _is_due(self) -> bool:
        return time.monotonic() - self._written_at > _SECONDS_BETWEEN_WRITES

    def _write(self, **values: Any) -> None:
        self._asked = self._jobs.progress(self._job, **values)
        self._written_at = time.monotonic()
        self._activity = values.get("activity", self._activity)

    def _seconds_left(self, step: int, steps: int) -> float | None:
        """By the pace since this process began, or went on after a pause."""
        if self._begun is None:
            self._begun = time.monotonic(), step
        began_at, first = self._begun
        return (time.monotonic() - began_at) * (steps - step) / (step - first) if step > first else None

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            try:
                self._asked = self._jobs.progress(self._job)
            except ConflictError as error:
                self._lost = error
                return
            except StorageError as error:
                _log.warning("no sign of life could be written: %s", error)


def _doing(progress: Progress) -> str:
    """The activity, with its speed and its memory where they are known."""
    speed = f", {progress.images_per_second:.1f} images a second" if progress.images_per_second else ""
    return f"{progress.activity}{speed}, {progress.used_bytes / 2**30:.1f} GiB of memory"
