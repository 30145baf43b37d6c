"""What a fine-tune will take and learn from, told before it starts: without weights, and without a download."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from blurdepth.dataset import split_samples
from blurdepth.depth import BLURRED, MIXED, STATIC
from blurdepth.diffusion.plan import free_bytes
from blurdepth.errors import InputError
from blurdepth.estimators import KNOWN_MODELS, model_structure, weights_here
from blurdepth.pretrained import best_device, core_count, element_count
from blurdepth.recipe import Recipe
from blurdepth.store.records import Sample
from blurdepth.training_cost import (
    FLOAT_BYTES,
    Counts,
    cache_bytes,
    disk_bytes,
    duration_words,
    estimate_seconds,
    memory_bytes,
)
from blurdepth.workspace import Workspace

if TYPE_CHECKING:
    import torch

Severity = Literal["stop", "warn", "ok"]

MIN_FRAMES, MIN_TRAIN, MIN_VAL = 5, 20, 5
MIN_BLURRED_SHARE, MAX_CONDITION_SHARE = 0.02, 0.8
_MANY_SAMPLES = 10
"""From so many on, one condition is said to dominate."""

_REGIONS = {"static": STATIC, "blurred": BLURRED, "mixed": MIXED}
_MAPS_READ = 32
"""Of how many samples the regions are looked at, where a recipe weighs them."""
_SLOW_S = 12 * 3600


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        severity: "stop" (it can't work), "warn" (it may not give what is hoped for), "ok".
        words: what was found, with numbers.
        mend: what to change; "" where nothing need be.
    """

    severity: Severity
    words: str
    mend: str = ""


@dataclass(frozen=True)
class Preflight:
    """What is known of a fine-tune before it starts. Sizes and times are estimates.

    Attributes:
        findings: samples, balance, weights of regions, precision, encoder, disk, memory and time, in this order.
        disk_bytes: at most, while it runs; None if the model's size is unknown until it is downloaded.
        memory_bytes: likewise.
        seconds: from quick to slow; likewise.
    """

    findings: tuple[Finding, ...]
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    seconds: tuple[float, float] | None = None

    @property
    def severity(self) -> Severity:
        """The worst of all findings."""
        found = {finding.severity for finding in self.findings}
        return "stop" if "stop" in found else "warn" if "warn" in found else "ok"

    def refuse(self) -> None:
        """Refuse what can't work.

        Raises:
            InputError: a finding is "stop".
        """
        for finding in self.findings:
            if finding.severity == "stop":
                raise InputError(f"{finding.words} {finding.mend}")


@dataclass(frozen=True)
class _Size:
    """Of a base model: its parameters, None if unknown, and what is still to be downloaded of it."""

    parameters: int | None
    download_bytes: int = 0


def preflight(workspace: Workspace, version: str, base: str, recipe: Recipe) -> Preflight:
    """Look at data, disk, memory and time before a fine-tune.

    Args:
        workspace: the data folder, whose disk will be written to.
        version: of the dataset.
        base: as for `Workspace.resolve_model`.
        recipe: see `Recipe`.

    Raises:
        NotFoundError: there is no such version or job, or a file is missing.
        ModelError: there is no such base, or it is damaged.
    """
    workspace.store.versions.version(version)
    samples = workspace.store.samples.samples_of_version(version)
    model = workspace.resolve_model(base)
    size = _size_of(model)
    counts, train, about_split = _look_at_split(samples, recipe)
    findings = [about_split, *_look_at_balance(samples)]
    if counts is None:
        return Preflight(tuple(findings))
    device = best_device()
    findings += [*_look_at_weights(workspace, train, recipe), *_look_at_precision(recipe, device)]
    findings += _look_at_encoder(model, recipe)
    if size.parameters is None:
        unknown = "What it takes of disk, memory and time is unknown until the base is downloaded."
        return Preflight((*findings, Finding("warn", unknown, "Start with a model whose size is known.")))
    examples = cache_bytes(_sizes(workspace, train, recipe), recipe.crop, shutil.disk_usage(workspace.folder).free)
    disk = disk_bytes(size.parameters) + size.download_bytes + examples
    memory = memory_bytes(size.parameters, recipe, device.type)
    seconds = estimate_seconds(size.parameters, recipe, counts, device.type, core_count())
    findings += [
        _look_at_disk(disk, size.download_bytes, workspace.folder, examples),
        _look_at_memory(memory, free_bytes(device), device.type),
        _look_at_time(seconds, counts, recipe, device.type),
    ]
    return Preflight(tuple(findings), disk, memory, seconds)


def _look_at_precision(recipe: Recipe, device: torch.device) -> list[Finding]:
    """Whether the device has the arithmetic that is asked for."""
    from blurdepth.training_step import choose_precision

    try:
        choose_precision(recipe, device)
    except InputError as error:
        return [_stop(error)]
    return []


def _look_at_encoder(model: str, recipe: Recipe) -> list[Finding]:
    """Whether it can be frozen or checkpointed as is asked for."""
    from blurdepth.training_step import parameter_groups, prepare

    if not (recipe.freeze_encoder or recipe.checkpointing) or (structure := model_structure(model)) is None:
        return []
    try:
        prepare(structure, recipe)
        parameter_groups(structure, recipe)
    except InputError as error:
        return [_stop(error)]
    return []


def _stop(error: InputError) -> Finding:
    words, _, mend = str(error).partition(": ")
    return Finding("stop", f"{words}.", mend.capitalize())


def _size_of(model: str) -> _Size:
    files = weights_here(model)
    if files is not None:
        return _Size(sum(map(element_count, files)) or None)
    for known in KNOWN_MODELS:
        if known.id == model:
            return _Size(known.download_mb * 10**6 // FLOAT_BYTES, known.download_mb * 10**6)
    return _Size(None)


def _sizes(workspace: Workspace, train: Sequence[Sample], recipe: Recipe) -> list[tuple[int, int]]:
    """(height, width) of all images of an epoch."""
    frames = {frame.id: (frame.height, frame.width) for frame in workspace.store.samples.frames(limit=-1)}
    sharp = {sample.frame_id for sample in train} if recipe.include_sharp else set()
    return [frames[frame_id] for frame_id in (*(sample.frame_id for sample in train), *sharp)]


def _look_at_split(samples: Sequence[Sample], recipe: Recipe) -> tuple[Counts | None, list[Sample], Finding]:
    """How much is trained and measured, what is trained on, and what is to be said of it."""
    try:
        pairs = [(sample.id, sample.frame_id) for sample in samples]
        sides = split_samples(pairs, recipe.split, recipe.val_share, recipe.seed)
    except InputError as error:
        return None, [], _stop(error)
    frames = {side: {each.frame_id for each in samples if sides[each.id] == side} for side in ("train", "val")}
    train = [each for each in samples if sides[each.id] == "train"]
    number: Counter[str] = Counter(sides.values())
    if not number["train"]:
        return None, [], Finding("stop", f"0 of {len(samples)} samples are for training.", "Accept more samples.")
    measured = "val" if number["val"] else "train"
    sharp = len(frames["train"]) if recipe.include_sharp else 0
    counts = Counts(number["train"] + sharp, number[measured] + len(frames[measured]))
    words = f"{number['train']} samples to train on, {number['val']} held out"
    words += _on_which(number["val"], frames["train"] & frames["val"])
    if number["train"] < MIN_TRAIN:
        return counts, train, Finding("warn", words, f"Accept more: below {MIN_TRAIN} it learns them by heart.")
    if number["val"] < MIN_VAL:
        mend = f"Accept more, or hold more out: with fewer than {MIN_VAL} the best epoch is chosen by chance."
        return counts, train, Finding("warn", words, mend)
    return counts, train, Finding("ok", words)


def _on_which(held_out: int, shared: set[str]) -> str:
    """What the measurement will be worth, where it is less than it could be."""
    if not held_out:
        return ": it is measured on what it was trained on."
    return ", of frames that it is trained on too." if shared else "."


def _look_at_balance(samples: Sequence[Sample]) -> list[Finding]:
    """Whether the samples differ enough, and are blurred at all."""
    if not samples:
        return []
    frames = len({sample.frame_id for sample in samples})
    words = f"{len(samples)} samples of {frames} {'frame' if frames == 1 else 'frames'}"
    found = []
    if frames < MIN_FRAMES:
        mend = f"Add variants of other frames: of fewer than {MIN_FRAMES} it learns what is on them, not the blur."
        found.append(Finding("warn", f"{words}.", mend))
    shares = {name: _mean_score(samples, name) for name in ("moving_share", "mixed_share")}
    if (blurred := shares["moving_share"]) is not None and blurred < MIN_BLURRED_SHARE:
        mend = "Accept variants with more motion: it would learn little about blur."
        found.append(Finding("warn", f"On average {_percent(blurred)} of a picture's pixels are blurred.", mend))
    label, count = Counter(map(_condition, samples)).most_common(1)[0]
    if len(samples) >= _MANY_SAMPLES and count > MAX_CONDITION_SHARE * len(samples):
        mend = "Accept other conditions too, or expect it to be good at this one only."
        found.append(Finding("warn", f"{count} of {len(samples)} samples are of one condition: {label}.", mend))
    if found:
        return found
    known = {"blurred": shares["moving_share"], "mixed": shares["mixed_share"]}
    parts = [f"{_percent(share)} of pixels {name}" for name, share in known.items() if share is not None]
    return [Finding("ok", f"{', '.join([words, *parts])}.")]


def _look_at_weights(workspace: Workspace, train: Sequence[Sample], recipe: Recipe) -> list[Finding]:
    """Whether the weights of regions do anything, and leave anything to learn from."""
    weights = dict(zip(_REGIONS, recipe.region_weights, strict=True))
    if set(weights.values()) == {1.0}:
        return []
    asked = f"region_weights = {list(recipe.region_weights)}"
    if len(set(weights.values())) == 1:
        return [Finding("warn", f"{asked} has no effect: all are alike.", "Leave it out, or weigh one region more.")]
    # A few tell enough: samples are made alike.
    looked_at = train[:: -(-len(train) // _MAPS_READ)]
    kinds = {kind for each in looked_at for kind in np.unique(workspace.pictures.picture(each.regions)).tolist()}
    kinds |= {STATIC} if recipe.include_sharp else set()
    there = [name for name, kind in _REGIONS.items() if kind in kinds]
    have = f"the samples have {' and '.join(there) or 'no'} pixels only"
    if not any(weights[name] for name in there):
        return [Finding("warn", f"{asked} leaves nothing to learn from: {have}.", "Give those a weight above 0.")]
    found = []
    if len({weights[name] for name in there}) == 1:
        found.append(Finding("warn", f"{asked} has no effect: {have}.", "Leave it out, or accept other samples."))
    if recipe.include_sharp and not weights["static"]:
        words = f"{asked} leaves nothing to learn from sharp frames: they are static all over."
        found.append(Finding("warn", words, "Set include_sharp = false, or give static pixels a weight above 0."))
    return found


def _mean_score(samples: Sequence[Sample], name: str) -> float | None:
    values = [sample.scores[name] for sample in samples if name in sample.scores]
    return sum(values) / len(values) if values else None


def _condition(sample: Sample) -> str:
    """The strongest weather of a sample, in a word."""
    condition = sample.provenance.get("condition")
    weather = condition.get("weather", {}) if isinstance(condition, dict) else {}
    if not weather:
        return "clear day"
    return str(max(weather, key=lambda name: weather[name])).replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _look_at_disk(needed: int, download: int, folder: Path, examples: int = 0) -> Finding:
    free = shutil.disk_usage(folder).free
    part = f", {_size_words(download)} of it to be downloaded" if download else ""
    part += f", {_size_words(examples)} of it for examples that memory has no room for" if examples else ""
    words = f"Takes up to {_size_words(needed)} of disk while it runs{part}; {_size_words(free)} are free."
    if needed - examples > free:
        return Finding("stop", words, f"Free some space on the disk of {folder}, or choose a smaller base model.")
    if needed > free / 2:
        return Finding("warn", words, "Free some space: nothing else should fill the disk meanwhile.")
    return Finding("ok", words)


def _look_at_memory(needed: int, free: int, device: str) -> Finding:
    where = "the GPU's memory" if device == "cuda" else "memory"
    words = f"Takes about {_size_words(needed)} of {where}; {_size_words(free)} are free."
    if needed > free:
        return Finding(
            "warn", words, "Set micro_batch = 1 or a smaller crop in the recipe, or use a smaller base model."
        )
    return Finding("ok", words)


def _look_at_time(seconds: tuple[float, float], counts: Counts, recipe: Recipe, device: str) -> Finding:
    quick, slow = map(duration_words, seconds)
    if quick.split()[1:] == slow.split()[1:] and quick != slow:
        quick = quick.split()[0]
    steps = recipe.epochs * -(-counts.train_items // recipe.batch)
    name = {"cuda": "GPU", "mps": "Apple GPU"}.get(device, "CPU")
    words = f"Takes about {quick if quick == slow else f'{quick} to {slow}'} on this {name}: {steps:,} steps"
    words += " (an estimate)."
    if seconds[0] > _SLOW_S:
        mend = "Use the preset quick, a smaller base model, or a GPU. It can be stopped and resumed at any time."
        return Finding("warn", words, mend)
    return Finding("ok", words)


def _size_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
