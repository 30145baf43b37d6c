"""What the store hands out: plain, frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

SampleStatus = Literal["pending", "accepted", "rejected"]
JobStatus = Literal["queued", "running", "done", "stopped", "interrupted", "failed"]

BookOrigin = Literal["shipped", "changed", "own"]

SAMPLE_STATUSES: tuple[SampleStatus, ...] = ("pending", "accepted", "rejected")
UNFINISHED: tuple[JobStatus, ...] = ("queued", "running")
RESUMABLE: tuple[JobStatus, ...] = ("stopped", "interrupted", "failed")


@dataclass(frozen=True)
class Frame:
    """A sharp frame. `id` is the SHA-256 of its decoded pixels as PNG, `image` the name of that PNG."""

    id: str
    name: str
    width: int
    height: int
    image: str
    created_at: str


@dataclass(frozen=True)
class Prediction:
    """A model's depth of a frame; `array` names an (H, W) float32 file of the given kind."""

    frame_id: str
    model: str
    revision: str
    kind: str
    array: str

    @property
    def relative(self) -> bool:
        """Whether it knows no metres: scale and shift are unknown."""
        return self.kind == "affine_inverse_depth"


@dataclass(frozen=True)
class Sample:
    """A variant in the dataset, with what was decided about it.

    Attributes:
        image: name of the variant's PNG, (H, W, 3).
        target: name of its mean inverse depth, (H, W) float32, 1/m under the stored assumption of scale.
        sharp_target: name of the sharp frame's inverse depth in the same unit (the paper's target).
        regions: name of a PNG: 0 static, 1 blurred, 2 mixed, 255 invalid.
        provenance: prompt, negative, seed, condition, motion, scale, teacher and code version.
        version: rises with each decision; tells two people at once from one.
    """

    id: str
    frame_id: str
    image: str
    target: str
    sharp_target: str
    regions: str
    status: SampleStatus
    reason: str
    version: int
    scores: dict[str, float]
    provenance: dict[str, Any]
    created_at: str


@dataclass(frozen=True)
class Counts:
    """How many samples have which status."""

    pending: int = 0
    accepted: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """All samples."""
        return self.pending + self.accepted + self.rejected


@dataclass(frozen=True)
class Version:
    """An immutable dataset version: which samples, and the hash of the list."""

    id: str
    note: str
    manifest: str
    samples: int
    frames: int
    created_at: str


@dataclass(frozen=True)
class Job:
    """One piece of background work, as far as it has come.

    Attributes:
        settings: what was asked for; for a fine-tune `version`, `base`, `preset`, `seed`.
        activity: what it is doing, in words.
        stop_requested, pause_requested: what a running job was asked to do at its next step.
        stop_requested_at: when it was first asked to stop.
        pid, pid_started, host: the process, when it began (a process id alone is reused), and the machine.
        heartbeat: when the process last gave a sign of life.
        device: which one it has while it runs, such as "cpu" or "cuda:1"; "" for a job that needs none.
        priority: among the queued, the highest goes first, then the oldest.
        checkpoint: path of the resulting folder, relative to the data folder, or "".
    """

    id: str
    kind: str
    status: JobStatus
    settings: dict[str, Any]
    step: int = 0
    steps: int = 0
    activity: str = ""
    seconds_left: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    checkpoint: str = ""
    error: str = ""
    stop_requested: bool = False
    stop_requested_at: str | None = None
    pause_requested: bool = False
    priority: int = 0
    device: str = ""
    host: str = ""
    pid: int | None = None
    pid_started: float | None = None
    heartbeat: str | None = None
    created_at: str = ""
    finished_at: str | None = None


@dataclass(frozen=True)
class Asked:
    """What people want of a running job."""

    stop: bool = False
    pause: bool = False


@dataclass(frozen=True)
class BookEntry:
    """A prompt of the book: as it was shipped, shipped but changed here, or somebody's own."""

    name: str
    prompt: str
    negative: str
    origin: BookOrigin
