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
from PIL import Image, ImageEnhance
from torch import Tensor

from blurdepth.dataset import TrainingSample
from blurdepth.depth import BLURRED, INVALID, MIXED, STATIC, Map
from blurdepth.errors import InputError
from blurdepth.example_cache import Example, ExampleCache
from blurdepth.files import read_array
from blurdepth.images import Rgb, read_image
from blurdepth.metrics import Regions
from blurdepth.processes import Processes
from blurdepth.recipe import Recipe


@dataclass(frozen=True)
class Item:
    """One picture to learn from or to measure on; without regions every finite target counts, as static."""

    id: str
    image: Path
    target: Path
    regions: Path | None


@dataclass(frozen=True)
class Batch:
    """Tensors of one step.

    Attributes:
        pixel_values: (B, 3, H, W) float32, normalised.
        inverse_depth: (B, H, W) float32 1/m.
        weight: (B, H, W) float32, how much each pixel counts; 0 where there is no target.
    """

    pixel_values: Tensor
    inverse_depth: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self._parts()))

    def split(self, size: int) -> list[Batch]:
        """In pieces of `size` images."""
        return [Batch(*piece) for piece in zip(*(torch.split(part, size) for part in self._parts()), strict=True)]

    def filled(self) -> int:
        """How many images have a pixel that counts."""
        return int((self.weight.sum((1, 2)) > 0).sum())

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.pixel_values, self.inverse_depth, self.weight


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
    """Batches in an order, with crops, flips and colours, that follow from (seed, epoch, index) alone.

    So a run that is stopped and resumed sees the same data as one that isn't.

    Args:
        items: what to learn from.
        recipe: gives crop, batch, weights and seed.
        mean, std: of each channel of sRGB values in [0, 1], by which the model wants its input normalised.
        cache: keeps the resized examples.
        processes: with whom batches are shared.
    """

    def __init__(
        self,
        items: Sequence[Item],
        recipe: Recipe,
        mean: Sequence[float],
        std: Sequence[float],
        cache: ExampleCache | None = None,
        processes: Processes | None = None,
    ) -> None:
        self._items = list(items)
        self._recipe = recipe
        # (3, 256): what each of the values that a channel can have becomes; to look it up costs an eighth.
        values = np.arange(256, dtype=np.float32)[:, None] / 255
        table = (values - np.array(mean, np.float32)) / np.array(std, np.float32)
        self._normalised = np.ascontiguousarray(table.T)
        self._cache = cache or ExampleCache(None)
        self._processes = processes or Processes()
        self._weights = np.zeros(INVALID + 1, np.float32)
        self._weights[[STATIC, BLURRED, MIXED]] = recipe.region_weights

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return math.ceil(len(self._items) / self._recipe.batch)

    def batch(self, epoch: int, step: int) -> Batch:
        """Batch `step` (from 0) of `epoch` (from 0), of which this process has its share.

        All processes get the same number of images; one that adds nothing, with weight 0, fills up a share.

        Raises:
            InputError: a file can't be read.
        """
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(self._items))
        start = step * self._recipe.batch
        everybody = order[start : start + self._recipe.batch].tolist()
        mine = self._processes.own(everybody)
        chosen = [self._augmented(epoch, index) for index in mine or everybody[:1]]
        weight = np.stack([self._weights[example.regions] for example in chosen])
        if not mine:
            weight[:] = 0
        padding = math.ceil(len(everybody) / self._processes.count) - len(chosen)
        chosen += chosen[:1] * padding
        weight = np.concatenate([weight, np.zeros_like(weight[:1]).repeat(padding, axis=0)])
        rgb = np.stack([example.rgb for example in chosen])
        pixel_values = np.stack([np.take(self._normalised[c], rgb[..., c]) for c in range(3)], axis=1)
        return Batch(
            torch.from_numpy(pixel_values),
            torch.from_numpy(np.stack([example.inverse_depth for example in chosen])),
            torch.from_numpy(weight),
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
        rgb = jitter_colors(example.rgb[window], self._recipe.color_jitter, random)
        return Example(rgb, example.inverse_depth[window], example.regions[window])

    def _resized(self, index: int) -> Example:
        return self._cache.get(index, lambda: cover(read_example(self._items[index]), self._recipe.crop))


def jitter_colors(rgb: Rgb, strength: float, random: np.random.Generator) -> Rgb:
    """The picture with another brightness, contrast and saturation, one after the other in any order.

    Args:
        rgb: (H, W, 3) uint8.
        strength: in [0, 1]; each is multiplied by 1 - strength to 1 + strength. With 0 the picture stays as it is.
        random: each call takes the same number of values from it, unless `strength` is 0.

    Source: Howard, "Some Improvements on Deep Convolutional Neural Network Based Image Classification" (2013).
    """
    if strength == 0:
        return rgb
    changes = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    for which in random.permutation(len(changes)):
        picture = changes[which](picture).enhance(random.uniform(1 - strength, 1 + strength))
    return np.asarray(picture)


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
