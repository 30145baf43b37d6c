"""Records as the JSON that the command line and the endpoints promise."""

from __future__ import annotations

from typing import Any

from blurdepth.blurcheck import Verdict
from blurdepth.store.records import Job, Sample
from blurdepth.workspace import Workspace


def sample_report(workspace: Workspace, sample: Sample) -> dict[str, Any]:
    """A sample with the paths of its picture and its target."""
    return {
        "id": sample.id,
        "image": str(workspace.pictures.root / sample.image),
        "target": str(workspace.arrays.root / sample.target),
        "status": sample.status,
        "reason": sample.reason,
        "scores": sample.scores,
        "verdict": verdict_report(workspace.store.verdicts.of([sample.id]).get(sample.id)),
    }


def verdict_report(verdict: Verdict | None) -> dict[str, Any] | None:
    """What the blur gate said of a sample; None where it was not asked."""
    if verdict is None:
        return None
    return {"passed": verdict.passed, "reasons": list(verdict.reasons), "words": verdict.words} | verdict.readings


def job_report(workspace: Workspace, job: Job) -> dict[str, Any]:
    """A job with the paths of its checkpoint and of its own folder."""
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "step": job.step,
        "steps": job.steps,
        "metrics": job.metrics,
        "checkpoint": str(workspace.folder / job.checkpoint) if job.checkpoint else "",
        "folder": str(workspace.folder / "jobs" / job.id),
        "activity": job.activity,
        "paused": job.status == "running" and job.pause_requested,
        "stopping": job.status == "running" and job.stop_requested,
        "device": job.device,
        "priority": job.priority,
        "heartbeat": job.heartbeat,
        "seconds_left": job.seconds_left,
        "error": job.error,
    }
