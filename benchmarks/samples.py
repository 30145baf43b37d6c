"""Rendered streets as models are asked about them, and as fine-tunes learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from benchmarks.parsed_code import parsed_code
from blurdepth import camera, depth, files, images
from blurdepth.benchmark import HEIGHT, MANIFEST, SPLITS, WIDTH, describe, read_benchmark
from blurdepth.dataset import Split, TrainingSample
from blurdepth.depth import Map, Mask
from blurdepth.exposure import motion, result
from blurdepth.exposure.result import regions
from blurdepth.files import encode_array, write_atomically
from blurdepth.images import Rgb, content_hash, encode_png, linear_to_srgb
from blurdepth.metrics import MIN_REGION_PIXELS, Regions, region_masks
from blurdepth.pretrained import core_count
from blurdepth.scenes import Scene, render_scene


@dataclass(frozen=True)
class Question:
    """A scene as models are asked about it: blurred and sharp, with the truth of both.

    Attributes:
        blurred, sharp: (H, W, 3) uint8.
        mean_inverse_depth, inverse_depth: (H, W) float32, 1/m; over the exposure, and in its middle.
        labels: (H, W) uint8, see `blurdepth.depth`.
        masks: (H, W) bool, of each region that there is enough of, by name.
    """

    blurred: Rgb
    sharp: Rgb
    mean_inverse_depth: Map
    inverse_depth: Map
    labels: Regions
    masks: dict[str, Mask]


def ask(scene: Scene) -> Question:
    """The question of a scene."""
    exposure, labels = scene.exposure, regions(scene.exposure)
    masks = region_masks(labels)
    return Question(
        linear_to_srgb(exposure.linear),
        linear_to_srgb(scene.sharp_linear),
        exposure.mean_inverse_depth,
        scene.inverse_depth,
        labels,
        {name: mask for name, mask in masks.items() if mask.sum() >= MIN_REGION_PIXELS},
    )


def samples_name() -> str:
    """Of the folder that `write_samples` writes: another whenever what it writes is."""
    # The manifest knows of the streets, but not of their regions, which go by motion, nor of how files are written.
    modules = (camera, depth, files, images, motion, result)
    code = parsed_code([Path(__file__), *(Path(str(module.__file__)) for module in modules)])
    return f"samples-{content_hash(MANIFEST.read_bytes() + code.encode())[:12]}"


def write_samples(benchmark: Path, more: Sequence[int], folder: Path) -> list[TrainingSample]:
    """The training and validation scenes of the benchmark, and more streets to train on, as files that a fine-tune
    reads.

    Args:
        benchmark: its folder.
        more: seeds of the streets, which are rendered once.
        folder: of the samples.

    Raises:
        InputError: a scene of the benchmark is missing, or is of another one.
        StorageError: the disk is full.
    """
    splits: tuple[Split, ...] = ("train", "val")
    samples = [
        _write_sample(folder / f"{number}-{describe(scene)['sha256'][:8]}", split, scene)
        for split in splits
        for number, scene in zip(SPLITS[split], read_benchmark(benchmark, split), strict=True)
    ]
    with ProcessPoolExecutor(core_count()) as pool:
        rendered = pool.map(partial(_write_street, folder, WIDTH, HEIGHT), more)
        return samples + list(tqdm(rendered, "more streets", len(more), unit="", disable=None))


def _write_street(folder: Path, width: int, height: int, seed: int) -> TrainingSample:
    sample = _sample(folder / str(seed), "train")
    whole = sample.sharp_target.exists()  # it is written last
    return sample if whole else _write_sample(folder / str(seed), "train", render_scene(seed, width, height))


def _write_sample(folder: Path, split: Split, scene: Scene) -> TrainingSample:
    question, sample = ask(scene), _sample(folder, split)
    write_atomically(sample.image, encode_png(question.blurred))
    write_atomically(sample.target, encode_array(question.mean_inverse_depth))
    write_atomically(sample.regions, encode_png(question.labels))
    write_atomically(sample.sharp_image, encode_png(question.sharp))
    write_atomically(sample.sharp_target, encode_array(question.inverse_depth))
    return sample


def _sample(folder: Path, split: Split) -> TrainingSample:
    files = ("blurred.png", "target.npy", "regions.png", "sharp.png", "sharp.npy")
    return TrainingSample(folder.name, folder.name, split, *(folder / file for file in files))
