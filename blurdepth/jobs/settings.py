"""What a job is asked to do, as JSON in its row: checked before it is queued, and the same wherever a worker runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from blurdepth.batch import pictures_in
from blurdepth.diffusion import DiffusionModels, PaintSettings
from blurdepth.errors import InputError, NotFoundError
from blurdepth.estimators import SHIPPED, lasting_name
from blurdepth.generation import GenerationRequest
from blurdepth.preflight import Preflight, preflight
from blurdepth.recipe import load_recipe
from blurdepth.store.records import BookEntry
from blurdepth.workspace import Workspace

Settings = dict[str, Any]
Tell = Callable[[Preflight], None]


def finetune_settings(
    workspace: Workspace, version: str, base: str, preset: str, seed: int | None, tell: Tell
) -> Settings:
    """The recipe itself, and a name of the base that doesn't depend on the working folder: what becomes of the preset's
    file later makes no difference. A seed takes the place of the recipe's.

    Raises:
        BlurdepthError: the version, the preset or the base does not exist, the seed is out of range, the version is
            too small, or `preflight` finds what can't work; nothing is downloaded.
    """
    recipe = load_recipe(preset, seed)
    workspace.training_samples(version, recipe.split, recipe.val_share, recipe.seed)
    model = lasting_name(workspace.resolve_model(base))
    found = preflight(workspace, version, base, recipe)
    found.refuse()
    tell(found)
    return {
        "version": version,
        "base": model if os.path.isdir(os.path.expanduser(base)) else base,
        "preset": recipe.name,
        "seed": recipe.seed,
        "model": model,
        "recipe": recipe.as_dict(),
    }


def generate_settings(
    workspace: Workspace, frames: Sequence[Path], request: GenerationRequest, book: Sequence[BookEntry]
) -> Settings:
    """The frames as files, the request, and the prompts of the book as they are now.

    Raises:
        BlurdepthError: there are no frames, the prompt is refused, the model does not exist, or the request has what
            was set by hand for one frame.
    """
    if request.condition or request.setup:
        raise InputError("What was set by hand for a frame can't be queued: use words only.")
    if not book:
        request.read()
    request = replace(request, model=_lasting_model(workspace, request.model))
    workspace.check_painters(request.painters)
    kept = {name: value for name, value in asdict(request).items() if name not in ("condition", "setup")}
    return {"frames": _lasting_paths(frames), "request": kept, "book": [asdict(entry) for entry in book]}


def request_from_json(values: Settings) -> GenerationRequest:
    """The request of `generate_settings`."""
    painters, paint = DiffusionModels(**values["painters"]), PaintSettings(**values["paint"])
    return GenerationRequest(**{**values, "painters": painters, "paint": paint})


def book_from_json(values: Sequence[Settings]) -> list[BookEntry]:
    """The book of `generate_settings`."""
    return [BookEntry(**each) for each in values]


def label_settings(workspace: Workspace, frames: Sequence[Path], model: str) -> Settings:
    """The frames as files, none for all of the data folder.

    Raises:
        BlurdepthError: a frame or the model does not exist, or there are no frames at all.
    """
    if not frames and not workspace.store.samples.frames(1):
        raise InputError("The data folder has no frames yet: name some.")
    return {"frames": _lasting_paths(frames), "model": _lasting_model(workspace, model)}


def evaluate_settings(workspace: Workspace, models: Sequence[str], benchmark: str) -> Settings:
    """The models, and the benchmark as a version or as an absolute path.

    Raises:
        BlurdepthError: one of them does not exist.
    """
    if os.path.exists(benchmark) and not re.fullmatch(r"v\d+", benchmark):
        benchmark = str(Path(benchmark).absolute())
    else:
        workspace.store.versions.version(benchmark)
    return {"models": [_lasting_model(workspace, model) for model in models], "benchmark": benchmark}


def export_settings(workspace: Workspace, job_id: str, out: Path) -> Settings:
    """The job whose checkpoint it is, and where it goes as an absolute path.

    Raises:
        BlurdepthError: there is no such job, it has no checkpoint, or something is there already.
    """
    workspace.resolve_model(workspace.store.jobs.job(job_id).id)
    out = out.expanduser().absolute()
    if os.path.lexists(out):
        raise InputError(f"{out} exists: choose another place.")
    return {"model": job_id, "out": str(out)}


def _lasting_model(workspace: Workspace, name: str) -> str:
    """The name itself, but a folder's in full: samples and predictions know their model by it."""
    found = workspace.resolve_model(name)
    return name if found != name or name in SHIPPED else lasting_name(name)


def _lasting_paths(frames: Sequence[Path]) -> list[str]:
    paths = [path.expanduser().absolute() for path in frames]
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"There is no file {path}: check the path.")
    return [str(path) for path in pictures_in(paths)]
