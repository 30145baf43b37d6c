"""What each kind of job does."""

from __future__ import annotations

import logging
from collections.abc import Callable

from blurdepth.jobs.control import Control
from blurdepth.jobs.folders import job_folder
from blurdepth.recipe import recipe_from_dict
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace

_log = logging.getLogger(__name__)


def _run_finetune(workspace: Workspace, job: Job) -> None:
    control = Control(workspace, job)
    control.say("loading the model")
    from blurdepth.finetune import finetune

    settings = job.settings
    recipe = recipe_from_dict(settings["recipe"])
    samples = workspace.training_samples(settings["version"], recipe.split, recipe.val_share, recipe.seed)
    version = workspace.store.versions.version(settings["version"])
    provenance = {
        "job": job.id,
        "dataset_version": version.id,
        "dataset_manifest": version.manifest,
        "base": settings["base"],
        "preset": settings["preset"],
    }
    out = job_folder(workspace, job.id)
    outcome = finetune(settings["model"], samples, recipe, out, control, provenance=provenance)
    checkpoint = str(outcome.checkpoint.relative_to(workspace.folder)) if outcome.checkpoint else ""
    _log.info("job %s ends: %s", job.id, outcome.status)
    workspace.store.jobs.finish(job, outcome.status, checkpoint=checkpoint, **outcome.metrics)


KINDS: dict[str, Callable[[Workspace, Job], None]] = {"finetune": _run_finetune}
