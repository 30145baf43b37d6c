"""What a training step sees: samples read, resized, cropped and flipped, image and target alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurdepth.dataset import TrainingSample
from blurdepth.depth import INVALID, Map
from blurdepth.errors import InputError
from blurdepth.files import read_array
from blurdepth.images import Rgb, read_image
from blurdepth.metrics import Regions
from blurdepth.recipe import Recipe

CACHE_BYTES = 2**30


@dataclass(frozen=True)
class Item:
    """One picture to learn from or to measure on; without regions every finite target counts, as static."""

    id: str
    image: Path
    target: Path
    regions: Path | None


@dataclass(frozen=True)
class Example:
    """An item in memory: rgb (H, W, 3) uint8 sRGB, inverse depth (H, W) float32 1/m, regions (H, W) uint8."""

    rgb: Rgb
    inverse_depth: Map
    regions: Regions


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: pixel_values (B, 3, H, W), normalised; inverse_depth in 1/m and mask (B, H, W)."""

    pixel_values: Tensor
    inverse_depth: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(self.pixel_values.to(device), self.inverse_depth.to(device), self.mask.to(device))


def blurred_items(samples: Sequence[TrainingSample], recipe: Recipe) -> list[Item]:
    """The variants, with the target that the recipe asks for."""
    mean = recipe.target == "mean_inverse_depth"
    return [
        Item(sample.id, sample.image, sample.target if mean else sample.sharp_target, sample.regions)
        for sample in samples
    ]


def sharp_items(samples: Sequence[TrainingSample]) -> list[Item]:
    """The sharp frames behind the samples, each once."""
    frames = {sample.frame_id: sample for sample in samples}
    return [
        Item(f"{frame_id} (sharp)", sample.sharp_image, sample.sharp_target, None)
        for frame_id, sample in frames.items()
    ]


def read_example(item: Item) -> Example:
    """Read the files of an item; pixels without a finite target >= 0 become invalid.

    Raises:
        InputError: a file is missing or damaged, or their sizes differ.
    """
    rgb, inverse_depth = read_image(item.image), read_array(item.target)
    regions = np.zeros(inverse_depth.shape, np.uint8)
    if item.regions is not None:
        regions = read_image(item.regions)[..., 0].copy()
    if not rgb.shape[:2] == inverse_depth.shape == regions.shape:
        raise InputError(
            f"Sample {item.id}: image {rgb.shape[:2]}, target {inverse_depth.shape} and regions "
            f"{regions.shape} differ in size: generate it again."
        )
    wrong = ~(np.isfinite(inverse_depth) & (inverse_depth >= 0))
    regions[wrong] = INVALID
    return Example(rgb, np.where(wrong, np.float32(0), inverse_depth), regions)


class TrainingSet:
    """Batches in an order, with crops and flips, that follow from (seed, epoch, index) alone.

    So a run that is stopped and resumed sees the same data as one that isn't. Resized examples stay in memory
    up to `CACHE_BYTES`; what doesn't fit is read again each epoch.

    Args:
        items: what to learn from.
        recipe: gives crop, batch and seed.
        mean, std: of each channel of sRGB values in [0, 1], by which the model wants its input normalised.
    """

    def __init__(self, items: Sequence[Item], recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> None:
        self._items = list(items)
        self._recipe = recipe
        self._mean, self._std = np.array(mean, np.float32), np.array(std, np.float32)
        self._cache: dict[int, Example] = {}
        self._cached_bytes = 0

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return math.ceil(len(self._items) / self._recipe.batch)

    def batch(self, epoch: int, step: int) -> Batch:
        """Batch `step` (from 0) of `epoch` (from 0).

        Raises:
            InputError: a file can't be read.
        """
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(self._items))
        start = step * self._recipe.batch
        chosen = [self._augmented(epoch, int(index)) for index in order[start : start + self._recipe.batch]]
        rgb = np.stack([example.rgb for example in chosen]).astype(np.float32) / 255
        pixel_values = ((rgb - self._mean) / self._std).transpose(0, 3, 1, 2)
        return Batch(
            torch.from_numpy(np.ascontiguousarray(pixel_values)),
            torch.from_numpy(np.stack([example.inverse_depth for example in chosen])),
            torch.from_numpy(np.stack([example.regions for example in chosen]) != INVALID),
        )

    def _augmented(self, epoch: int, index: int) -> Example:
        random = np.random.default_rng([self._recipe.seed, epoch, index])
        example = self._resized(index)
        (height, width), (tall, wide) = self._recipe.crop, example.inverse_depth.shape
        top, left = random.integers(tall - height + 1), random.integers(wide - width + 1)
        columns = slice(left, left + width)
        if random.random() < 0.5:
            columns = slice(left + width - 1, left - 1 if left else None, -1)
        window = (slice(top, top + height), columns)
        return Example(example.rgb[window], example.inverse_depth[window], example.regions[window])

    def _resized(self, index: int) -> Example:
        if index in self._cache:
            return self._cache[index]
        example = cover(read_example(self._items[index]), self._recipe.crop)
        size = example.rgb.nbytes + example.inverse_depth.nbytes + example.regions.nbytes
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[index] = example
            self._cached_bytes += size
        return example


def cover(example: Example, crop: tuple[int, int]) -> Example:
    """The example resized, in its own proportions, to just cover `crop` (height, width).

    Colour by area means or cubic; target and regions by the nearest pixel, so that no depth and no region
    arises that was not there.
    """
    height, width = example.inverse_depth.shape
    scale = max(crop[0] / height, crop[1] / width)
    size = (max(round(width * scale), crop[1]), max(round(height * scale), crop[0]))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return Example(
        _resize(example.rgb, size, smooth).astype(np.uint8),
        _resize(example.inverse_depth, size, cv2.INTER_NEAREST_EXACT).astype(np.float32),
        _resize(example.regions, size, cv2.INTER_NEAREST_EXACT).astype(np.uint8),
    )


def _resize(values: Rgb | Map | Regions, size: tuple[int, int], how: int) -> NDArray[np.generic]:
    return np.asarray(cv2.resize(values, size, interpolation=how))
