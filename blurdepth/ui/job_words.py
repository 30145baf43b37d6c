"""Jobs in words that somebody reads who has never seen one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blurdepth.jobs import PAUSED
from blurdepth.store.records import Job
from blurdepth.ui import html

QUIET_S = 60.0


def title(job: Job) -> str:
    """What kind of job it is, and of what.

    >>> title(Job("j2", "label", "done", {"frames": [], "model": "bundled"}))
    'Depth of all frames by bundled'
    """
    asked = job.settings
    words = {
        "finetune": lambda: f"Fine-tune of {_short(asked['base'])} on {asked['version']}, {asked['preset']}",
        "generate": lambda: f"{asked['request']['variants']} variants each of {_frames(asked['frames'])}",
        "label": lambda: f"Depth of {_frames(asked['frames'])} by {_short(asked['model'])}",
        "evaluate": lambda: f"{_list(asked['models'])} measured on {_short(asked['benchmark'])}",
        "export": lambda: f"Checkpoint of {asked['model']} copied to {_short(asked['out'])}",
    }
    return words[job.kind]() if job.kind in words else job.kind


def short_title(job: Job) -> str:
    """Its kind in one word or two."""
    words = {"finetune": "fine-tune", "generate": "variants", "label": "depth", "evaluate": "evaluation"}
    return words.get(job.kind, job.kind)


def chip(active: Sequence[Job]) -> str:
    """The first of the jobs that are not over, and how many more there are; nothing if there are none.

    >>> chip([Job("j1", "label", "running", {}, step=3, steps=12), Job("j2", "export", "queued", {})])
    'depth j1: 25 %, 1 more'
    """
    if not active:
        return ""
    job = active[0]
    words = state(job)[1]
    share = f"{100 * job.step // job.steps} %" if job.steps and words == "running" else words
    more = f", {len(active) - 1} more" if len(active) > 1 else ""
    return f"{short_title(job)} {job.id}: {share}{more}"


def state(job: Job) -> tuple[str, str]:
    """The name of its state, for the style, and its words."""
    if job.status == "running" and job.stop_requested:
        return job.status, "stopping"
    if job.status == "running" and job.pause_requested:
        return job.status, "paused" if job.activity == PAUSED else "pausing"
    return job.status, html.STATUS_WORDS[job.status]


def progress(job: Job) -> str:
    """How far it is.

    >>> progress(Job("j1", "label", "running", {}, step=3, steps=12))
    '3 of 12'
    """
    return f"{job.step} of {job.steps}" if job.steps else ""


def activity(job: Job) -> str:
    """What a running job is doing, or that it gives no sign of life."""
    if job.status != "running":
        return ""
    if is_silent(job):
        return f"No sign of life since {str(job.heartbeat)[:16]} UTC: Stop ends its process if it does not answer."
    if job.activity == PAUSED:
        return "It holds with its model in memory: Resume goes on from here, Stop makes room for the next job."
    return job.activity


def is_silent(job: Job) -> bool:
    """Whether a running job should have given a sign of life by now."""
    if job.status != "running" or not job.heartbeat:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(job.heartbeat)).total_seconds() > QUIET_S


def table(found: Sequence[Job], queue: Sequence[Job]) -> str:
    """All kinds of jobs, a row each; those that wait with their place in the queue."""
    places = {job.id: number for number, job in enumerate(queue, start=1)}
    rows = [(job.id, _state_in_table(job, places.get(job.id)), progress(job), title(job)) for job in found]
    return f'<div class="bd-jobs">{html.table(("job", "state", "done", "what"), rows)}</div>'


def _state_in_table(job: Job, place: int | None) -> str:
    if place is not None:
        return "next in line" if place == 1 else f"number {place} in line"
    # Which of several devices; a single one goes without saying.
    return state(job)[1] + (f" on {job.device}" if job.status == "running" and ":" in job.device else "")


def outcome(job: Job) -> str:
    """What came of a job that is no fine-tune, in a sentence."""
    metrics: dict[str, Any] = job.metrics
    if job.status != "done":
        return ""
    if job.kind in ("generate", "label"):
        left_out = (
            f"; {len(metrics['skipped'])} left out: {metrics['skipped'][0]['reason']}" if metrics["skipped"] else ""
        )
        return f"{metrics['made']} made{left_out}"
    if job.kind == "evaluate":
        errors = (f"{_short(each['model'])} {each['metrics']['all']['abs_rel']:.3f}" for each in metrics["models"])
        told = f"AbsRel over {metrics['images']} images, lower is better: {', '.join(errors)}."
        return f"{told} report.html is in the job's folder."
    return f"Copied to {metrics['out']}." if job.kind == "export" else ""


def _frames(frames: Sequence[str]) -> str:
    if not frames:
        return "all frames"
    return Path(frames[0]).name if len(frames) == 1 else f"{len(frames)} frames"


def _short(name: str) -> str:
    """A path's last part; other names as they are.

    >>> _short("/data/scenes"), _short("owner/model"), _short("j1")
    ('scenes', 'owner/model', 'j1')
    """
    return Path(name).name if Path(name).is_absolute() else name


def _list(names: Sequence[str]) -> str:
    return " and ".join(map(_short, names)) if len(names) < 4 else f"{len(names)} models"
