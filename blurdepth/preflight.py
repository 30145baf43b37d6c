"""What a fine-tune will take and what it will learn from, told before it starts; no model is loaded or downloaded."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blurdepth.dataset import split_samples
from blurdepth.diffusion.plan import free_bytes
from blurdepth.errors import InputError
from blurdepth.estimators import KNOWN_MODELS, weights_here
from blurdepth.pretrained import best_device, core_count, element_count
from blurdepth.recipe import Recipe
from blurdepth.store.records import Sample
from blurdepth.workspace import Workspace

Severity = Literal["stop", "warn", "ok"]

FLOAT_BYTES = 4
PEAK_COPIES, KEPT_COPIES = 8, 1
"""Of the weights on disk. A resume needs weights and Adam's two moments (3), which are replaced only when the new
ones are whole (3 more), beside the best weights and those before (2). At the end the checkpoint stays."""

MIN_FRAMES, MIN_TRAIN, MIN_VAL = 5, 20, 5
MIN_BLURRED_SHARE, MAX_CONDITION_SHARE = 0.02, 0.8
_MANY_SAMPLES = 10
"""From so many on, one condition is said to dominate."""

# Measured with steps of the bundled model (3.5 M parameters), and of models built as Depth Anything V2 Small (24.8 M)
# and Base (97.5 M), on one core: 3.3 to 5.2, 23.5 and 70 s, and 1.5, 3.9 and 7.1 GB, a megapixel of crops.
_SECONDS_AT_1M, _SECONDS_POWER = 1.81, 0.8
_ACTIVATION_BYTES_AT_1M, _ACTIVATION_POWER = 0.83e9, 0.47
_CORES_POWER = 0.6
_MEASURING_SHARE = 1 / 3
"""Of a step's time, what it takes to predict the same pixels."""
_START_S = 15.0
_LIBRARY_BYTES = 0.5e9
_SPREAD = 2.0
# How many times faster than a core of a CPU, from slow to fast models of a kind: guessed from their operations.
_FASTER = {"cuda": (100.0, 800.0), "mps": (8.0, 60.0)}
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
        findings: samples, balance, disk, memory and time, in this order.
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
class Counts:
    """How much a fine-tune sees: images trained an epoch, and images measured after each."""

    train_items: int
    measured_items: int


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
        NotFoundError: there is no such version or job.
        ModelError: there is no such base, or it is damaged.
    """
    workspace.store.versions.version(version)
    samples = workspace.store.samples.samples_of_version(version)
    size = _size_of(workspace.resolve_model(base))
    counts, about_split = _look_at_split(samples, recipe)
    findings = [about_split, *_look_at_balance(samples)]
    if counts is None:
        return Preflight(tuple(findings))
    if size.parameters is None:
        unknown = "What it takes of disk, memory and time is unknown until the base is downloaded."
        return Preflight((*findings, Finding("warn", unknown, "Start with a model whose size is known.")))
    device = best_device()
    disk = disk_bytes(size.parameters) + size.download_bytes
    memory = memory_bytes(size.parameters, recipe, device.type)
    seconds = estimate_seconds(size.parameters, recipe, counts, device.type, core_count())
    findings += [
        _look_at_disk(disk, size.download_bytes, workspace.folder),
        _look_at_memory(memory, free_bytes(device), device.type),
        _look_at_time(seconds, counts, recipe, device.type),
    ]
    return Preflight(tuple(findings), disk, memory, seconds)


def disk_bytes(parameters: int) -> int:
    """What a fine-tune takes of the disk at most: weights, Adam's state, the best weights, and a second copy of each.

    >>> disk_bytes(97_470_785) / 1e9
    3.11906512
    """
    return PEAK_COPIES * FLOAT_BYTES * parameters


def memory_bytes(parameters: int, recipe: Recipe, device: str) -> int:
    """What a step takes of memory: weights, gradients, Adam's two moments, activations of a micro-batch, the libraries.

    Args:
        parameters: of the model.
        recipe: gives crop, batch and micro_batch.
        device: "cuda" (where activations are in half precision), "mps" or "cpu".
    """
    height, width = recipe.crop
    activations = _ACTIVATION_BYTES_AT_1M * (parameters / 1e6) ** _ACTIVATION_POWER
    activations *= (
        min(recipe.micro_batch or recipe.batch, recipe.batch) * height * width / 1e6 * (0.6 if device == "cuda" else 1)
    )
    return int(4 * FLOAT_BYTES * parameters + activations + _LIBRARY_BYTES)


def estimate_seconds(
    parameters: int, recipe: Recipe, counts: Counts, device: str, cores: int = 1
) -> tuple[float, float]:
    """How long a fine-tune takes, from quick to slow; a rough estimate from the number of operations.

    Args:
        parameters: of the model.
        recipe: gives crop and epochs.
        counts: images an epoch, and images measured before the first and after each.
        device: "cuda", "mps" or "cpu".
        cores: of the CPU.
    """
    height, width = recipe.crop
    an_image = _SECONDS_AT_1M * (parameters / 1e6) ** _SECONDS_POWER * height * width / 1e6
    trained = recipe.epochs * counts.train_items
    measured = (recipe.epochs + 1) * counts.measured_items * _MEASURING_SHARE
    core_seconds = an_image * (trained + measured)
    slow, fast = _FASTER.get(device, (cores**_CORES_POWER / _SPREAD, cores**_CORES_POWER * _SPREAD))
    return core_seconds / fast + _START_S, core_seconds / slow + _START_S


def duration_words(seconds: float) -> str:
    """A long time as a person says it.

    >>> duration_words(45), duration_words(130), duration_words(9000), duration_words(4e5), duration_words(9e6)
    ('45 s', '2 minutes', '2.5 hours', '5 days', '15 weeks')
    """
    for unit, length, digits in (("weeks", 14 * 86400, 0), ("days", 2 * 86400, 0), ("hours", 5400, 1)):
        if seconds >= length:
            return f"{seconds / {'weeks': 604800, 'days': 86400, 'hours': 3600}[unit]:.{digits}f} {unit}"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(1, round(seconds))} s"


def _size_of(model: str) -> _Size:
    files = weights_here(model)
    if files is not None:
        return _Size(sum(map(element_count, files)) or None)
    for known in KNOWN_MODELS:
        if known.id == model:
            return _Size(known.download_mb * 10**6 // FLOAT_BYTES, known.download_mb * 10**6)
    return _Size(None)


def _look_at_split(samples: Sequence[Sample], recipe: Recipe) -> tuple[Counts | None, Finding]:
    try:
        pairs = [(sample.id, sample.frame_id) for sample in samples]
        sides = split_samples(pairs, recipe.split, recipe.val_share, recipe.seed)
    except InputError as error:
        words, _, mend = str(error).partition(": ")
        return None, Finding("stop", f"{words}.", mend.capitalize())
    frames = {side: {each.frame_id for each in samples if sides[each.id] == side} for side in ("train", "val")}
    number: Counter[str] = Counter(sides.values())
    if not number["train"]:
        return None, Finding("stop", f"0 of {len(samples)} samples are for training.", "Accept more samples.")
    measured = "val" if number["val"] else "train"
    sharp = len(frames["train"]) if recipe.include_sharp else 0
    counts = Counts(number["train"] + sharp, number[measured] + len(frames[measured]))
    words = f"{number['train']} samples to train on, {number['val']} held out"
    words += _on_which(number["val"], frames["train"] & frames["val"])
    if number["train"] < MIN_TRAIN:
        return counts, Finding("warn", words, f"Accept more: below {MIN_TRAIN} it learns them by heart.")
    if number["val"] < MIN_VAL:
        mend = f"Accept more, or hold more out: with fewer than {MIN_VAL} the best epoch is chosen by chance."
        return counts, Finding("warn", words, mend)
    return counts, Finding("ok", words)


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


def _look_at_disk(needed: int, download: int, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    part = f", {_size_words(download)} of it to be downloaded" if download else ""
    words = f"Takes up to {_size_words(needed)} of disk while it runs{part}; {_size_words(free)} are free."
    if needed > free:
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
