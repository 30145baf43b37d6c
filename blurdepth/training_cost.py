"""What a fine-tune takes of disk, memory and time, from the number of operations; rough, and without any model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from blurdepth.example_cache import MEMORY_SHARE, SPARE_DISK_BYTES
from blurdepth.recipe import Recipe

FLOAT_BYTES = 4
PEAK_COPIES = 8
"""Of the weights on disk. A resume needs weights and Adam's two moments (3), which are replaced only when the new
ones are whole (3 more), beside the best weights and those before (2)."""

# Measured with steps of the bundled model (3.4 M parameters), and of models built as Depth Anything V2 Small (24.8 M)
# and Base (97.5 M), on one core: 1.35, 13.2 and 47 s, and 1.8, 3.9 and 7.1 GB, a megapixel of crops. On two cores it
# was 0.76, 7.2 and 27 s.
_SECONDS_AT_1M, _SECONDS_POWER = 0.40, 1.05
_ACTIVATION_BYTES_AT_1M, _ACTIVATION_POWER = 0.83e9, 0.47
_CORES_POWER = 0.8
_MEASURING_SHARE = 1 / 3
"""Of a step's time, what it takes to predict the same pixels."""
_START_S = 15.0
_LIBRARY_BYTES = 0.5e9
_SPREAD = 2.0
# How many times faster than a core of a CPU, from slow to fast models of a kind: guessed from their operations.
_FASTER = {"cuda": (70.0, 550.0), "mps": (5.5, 40.0)}
# Of what a step takes by the figures above. Measured with the same models, memory was 0.61, 0.39 and 0.32 of it with a
# frozen encoder, 0.64 and 0.43 with checkpointing; time was half of it frozen. With checkpointing, time goes by the
# operations: what is not kept is computed again.
_FROZEN_ACTIVATIONS, _FROZEN_SECONDS = 0.4, 0.5
_CHECKPOINTED_ACTIVATIONS, _CHECKPOINTED_SECONDS = 0.5, 1.3
_ENCODER_SHARE = 0.85
"""Of the parameters: 0.80, 0.89 and 0.89."""
_MUON_STEP_SECONDS_AT_1M, _MUON_POWER = 0.028, 1.41
"""What Muon adds to a step, whatever the batch: 0.16 s of one core for the bundled model, 17 for Base."""
_EXAMPLE_BYTES_A_PIXEL = 8
"""Colour 3, inverse depth 4, region 1."""


@dataclass(frozen=True)
class Counts:
    """How much a fine-tune sees: images trained an epoch, and images measured after each."""

    train_items: int
    measured_items: int


def disk_bytes(parameters: int) -> int:
    """What a fine-tune takes of the disk at most: weights, Adam's state, the best weights, and a second copy of each.

    >>> disk_bytes(97_470_785) / 1e9
    3.11906512
    """
    return PEAK_COPIES * FLOAT_BYTES * parameters


def cache_bytes(sizes: Iterable[tuple[int, int]], crop: tuple[int, int], free: int) -> int:
    """What resized examples take of the disk: all that their share of free memory has no room for, as far as it goes.

    Args:
        sizes: (height, width) in pixels of every image of an epoch.
        crop: of the recipe, which each just covers.
        free: of the disk, in bytes.
    """
    pixels = sum(height * width * max(crop[0] / height, crop[1] / width) ** 2 for height, width in sizes)
    beyond_memory = int(_EXAMPLE_BYTES_A_PIXEL * pixels - MEMORY_SHARE * psutil.virtual_memory().available)
    return max(0, min(beyond_memory, free - SPARE_DISK_BYTES))


def memory_bytes(parameters: int, recipe: Recipe, device: str) -> int:
    """What a step takes of memory: weights, gradients, Adam's two moments, activations of a micro-batch, the libraries.

    Args:
        parameters: of the model.
        recipe: gives crop, batch, micro_batch, freeze_encoder and checkpointing.
        device: "cuda" (where activations are in half precision), "mps" or "cpu".
    """
    height, width = recipe.crop
    activations = _ACTIVATION_BYTES_AT_1M * (parameters / 1e6) ** _ACTIVATION_POWER
    activations *= (
        min(recipe.micro_batch or recipe.batch, recipe.batch) * height * width / 1e6 * (0.6 if device == "cuda" else 1)
    )
    if recipe.freeze_encoder:
        activations *= _FROZEN_ACTIVATIONS
    elif recipe.checkpointing:
        activations *= _CHECKPOINTED_ACTIVATIONS
    return int(FLOAT_BYTES * (parameters + 3 * _trained(parameters, recipe)) + activations + _LIBRARY_BYTES)


def estimate_seconds(
    parameters: int, recipe: Recipe, counts: Counts, device: str, cores: int = 1
) -> tuple[float, float]:
    """How long a fine-tune takes, from quick to slow; a rough estimate from the number of operations.

    Args:
        parameters: of the model.
        recipe: gives crop, batch, epochs, optimizer, freeze_encoder and checkpointing.
        counts: images an epoch, and images measured before the first and after each.
        device: "cuda", "mps" or "cpu".
        cores: of the CPU.
    """
    height, width = recipe.crop
    an_image = _SECONDS_AT_1M * (parameters / 1e6) ** _SECONDS_POWER * height * width / 1e6
    trained = float(recipe.epochs * counts.train_items)
    measured = (recipe.epochs + 1) * counts.measured_items * _MEASURING_SHARE
    if recipe.freeze_encoder:
        trained *= _FROZEN_SECONDS
    elif recipe.checkpointing:
        trained *= _CHECKPOINTED_SECONDS
    core_seconds = an_image * (trained + measured)
    if recipe.optimizer == "muon":
        steps = recipe.epochs * math.ceil(counts.train_items / recipe.batch)
        core_seconds += steps * _MUON_STEP_SECONDS_AT_1M * (_trained(parameters, recipe) / 1e6) ** _MUON_POWER
    slow, fast = _FASTER.get(device, (cores**_CORES_POWER / _SPREAD, cores**_CORES_POWER * _SPREAD))
    return core_seconds / fast + _START_S, core_seconds / slow + _START_S


def _trained(parameters: int, recipe: Recipe) -> float:
    return parameters * (1 - _ENCODER_SHARE) if recipe.freeze_encoder else parameters


def duration_words(seconds: float) -> str:
    """A long time as a person says it.

    >>> duration_words(45), duration_words(130), duration_words(9000), duration_words(4e5), duration_words(9e6)
    ('45 s', '2 minutes', '2.5 hours', '5 days', '15 weeks')
    """
    for unit, length, digits in (("weeks", 14 * 86400, 0), ("days", 2 * 86400, 0), ("hours", 5400, 1)):
        if seconds >= length:
            return f"{seconds / {'weeks': 604800, 'days': 86400, 'hours': 3600}[unit]:.{digits}f} {unit}"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(1, round(seconds))} s"
