"""Background work that outlives the page: detached processes that take jobs from the queue in SQLite.

One job runs at a time. A worker process locks the folder of the oldest queued job, claims the job, does it, and
goes on until the queue is empty. The lock is the operating system's: it ends with the process, however that ends,
and unlike process ids and clocks it means the same in every container. So a running job lives if, and only if, its
folder is locked. Whoever looks at the jobs also tends them: a running job that doesn't live becomes "interrupted",
and a queue that nobody works on gets a worker.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from blurdepth.estimators import lasting_name
from blurdepth.jobs.folders import job_folder, log_tail
from blurdepth.jobs.tending import starts_file, tend
from blurdepth.jobs.worker import work
from blurdepth.recipe import load_recipe
from blurdepth.store.records import UNFINISHED, Job
from blurdepth.workspace import Workspace

__all__ = ["job_folder", "log_tail", "resume", "stop", "submit_finetune", "tend", "wait", "work"]


def submit_finetune(workspace: Workspace, version: str, base: str, preset: str, seed: int = 0) -> Job:
    """Queue a fine-tune and see to it that a worker runs.

    The job keeps the recipe itself and a name of the base that doesn't depend on the working folder: what becomes
    of the preset's file later, and where the worker runs, makes no difference.

    Raises:
        BlurdepthError: the version, the preset or the base does not exist, the seed is out of range, or the version
            is too small; nothing is queued then, and nothing downloaded.
    """
    recipe = replace(load_recipe(preset), seed=seed)
    workspace.training_samples(version, recipe.split, recipe.val_share, recipe.seed)
    model = lasting_name(workspace.resolve_model(base))
    settings = {
        "version": version,
        "base": model if os.path.isdir(os.path.expanduser(base)) else base,
        "preset": recipe.name,
        "seed": recipe.seed,
        "model": model,
        "recipe": recipe.as_dict(),
    }
    job = workspace.store.jobs.add("finetune", settings)
    tend(workspace)
    return workspace.store.jobs.job(job.id)


def stop(workspace: Workspace, job_id: str) -> Job:
    """Ask a job to stop at its next step; what it has learned is kept. Raises as `Jobs.request_stop` does."""
    tend(workspace)
    return workspace.store.jobs.request_stop(job_id)


def resume(workspace: Workspace, job_id: str) -> Job:
    """Let a stopped, interrupted or failed job go on where it was. Raises as `Jobs.requeue` does."""
    tend(workspace)
    workspace.store.jobs.requeue(job_id)
    starts_file(workspace).unlink(missing_ok=True)
    tend(workspace)
    return workspace.store.jobs.job(job_id)


def wait(workspace: Workspace, job_id: str, poll_seconds: float = 0.5) -> Job:
    """Wait until a job has ended."""
    while True:
        tend(workspace)
        job = workspace.store.jobs.job(job_id)
        if job.status not in UNFINISHED:
            return job
        time.sleep(poll_seconds)
