"""The fine-tune's loop and its input, each against the plainest that does the same work.

loop: `finetune` with the quick recipe on the bundled model, its reading of samples included, against a bare loop of
PyTorch on the same model and the same tensors, ready in memory: forward, our loss, backward, the optimizer's step and
nothing else. Steps of both alternate; that both gave the same losses is checked. Evaluating and saving count on neither
side. `ratio` is that of the epochs after the first, in which samples are no longer decoded.

input: the batches of `TrainingSet` alone over the epochs of the recipe against a plain loader: PIL decodes, the model's
image processor of transformers (PIL's, without torchvision) resizes and normalises, numpy reads the target. It is asked
for the picture and the target alone, while ours also reads the regions, crops and flips.

package: with --against-package, the training loop of the PyPI package depth-estimation with its own reading and loss,
on the same model, files, crop, batch size, optimizer and rate, its epochs alternating with ours. It is no part of this
project; `pip install --no-deps depth-estimation==0.1.3` and a torchvision that fits the installed torch are enough.

The frames are rendered streets of 1242 x 375 with a camera's noise, as PNG. Ratios are medians of pairs timed one after
the other, by the clock; `cpu_ratio` is the same in processor time, which says more where others use the machine too.

usage: python benchmarks/finetune.py [--frames 8] [--epochs 6] [--runs 3] [--threads 2] [--against-package] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import blurdepth  # noqa: F401  before torch, which reads what it sets

# isort: split
import torch
from torch import Tensor, nn

from blurdepth.dataset import Split, TrainingSample
from blurdepth.depth import MIXED, STATIC
from blurdepth.estimators import load_estimator
from blurdepth.files import encode_array
from blurdepth.finetune import Progress, finetune
from blurdepth.images import Rgb, encode_png
from blurdepth.recipe import Recipe, load_recipe
from blurdepth.streets import make_street, photograph, render
from blurdepth.training_data import Item, TrainingSet, blurred_items, sharp_items
from blurdepth.training_step import keep_statistics, make_optimizer, parameter_groups, training_loss

WIDTH, HEIGHT = 1242, 375
VARIANTS = 5
BASE = "bundled"
Seconds = NDArray[np.float64]
"""(2,): by the clock, and of the processor in all threads of this process."""
INSTALL = "pip install --no-deps depth-estimation==0.1.3, and a torchvision that fits the installed torch"


def now() -> Seconds:
    """The time on both clocks."""
    return np.array([time.perf_counter(), time.process_time()])


def make_samples(folder: Path, frames: int) -> list[TrainingSample]:
    """`frames` streets with five blurred variants each to train on, and one sample more to measure on."""
    samples = []
    for number in range(frames + 1):
        street = make_street(number, "crossing", "noon")
        seen = render(street, WIDTH, HEIGHT)
        sharp = folder / f"{number}.png", folder / f"{number}.npy"
        sharp[0].write_bytes(encode_png(photograph(street, seen.linear)))
        sharp[1].write_bytes(encode_array(seen.inverse_depth))
        split: Split = "train" if number < frames else "val"
        for variant in range(VARIANTS if split == "train" else 1):
            length = 5 + 8 * variant
            target = cv2.blur(seen.inverse_depth, (length, 1))
            regions = np.where(np.abs(target - seen.inverse_depth) > 1e-3, MIXED, STATIC).astype(np.uint8)
            image = photograph(street, np.asarray(cv2.blur(seen.linear, (length, 1))), 1 + variant)
            paths = _write(folder / f"{number}-{variant}", image, target, regions)
            samples.append(TrainingSample(f"{number}-{variant}", f"{number}", split, *paths, *sharp))
    return samples


def _write(stem: Path, image: Rgb, target: Any, regions: Any) -> tuple[Path, Path, Path]:
    paths = stem.with_suffix(".png"), stem.with_suffix(".npy"), stem.with_name(f"{stem.name}-regions.png")
    for path, data in zip(paths, (encode_png(image), encode_array(target), encode_png(regions)), strict=True):
        path.write_bytes(data)
    return paths


def items_of(samples: Sequence[TrainingSample], recipe: Recipe) -> list[Item]:
    """What the recipe trains on."""
    train = [sample for sample in samples if sample.split == "train"]
    return blurred_items(train, recipe) + (sharp_items(train) if recipe.include_sharp else [])


def data_of(items: Sequence[Item], recipe: Recipe, processor: Any) -> TrainingSet:
    """The input that `finetune` makes itself."""
    return TrainingSet(items, recipe, processor.image_mean, processor.image_std)


class BareLoop:
    """Forward, loss, backward, step; the tensors are there before the clock starts."""

    def __init__(self, items: Sequence[Item], recipe: Recipe) -> None:
        """Load the model."""
        estimator = load_estimator(BASE)
        self.model, self.kind, self.recipe = estimator.model.to("cpu").train(), estimator.kind, recipe
        keep_statistics(self.model)
        self.data = data_of(items, recipe, estimator.processor)
        self.optimizer = make_optimizer(self.model, recipe, torch.float32)

    def step(self, number: int) -> tuple[Seconds, float]:
        """Do step `number` of all; how long it took, and the loss."""
        batch = self.data.batch(*divmod(number, self.data.steps))
        began = now()
        prediction = self.model(pixel_values=batch.pixel_values).predicted_depth
        loss = training_loss(self.recipe, self.kind, prediction, batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return now() - began, loss.item()


class ForPackage(nn.Module):
    """A model of transformers as the package's trainer wants one."""

    def __init__(self, recipe: Recipe) -> None:
        """Load the model."""
        super().__init__()
        self.inner, self.recipe = load_estimator(BASE).model.to("cpu"), recipe

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(B, H, W) of (B, 3, H, W)."""
        prediction: Tensor = self.inner(pixel_values=pixel_values).predicted_depth
        return prediction

    def get_parameter_groups(self, _scale: float) -> list[dict[str, Any]]:
        """Our groups; the factor is over `DepthTrainingArguments.learning_rate`."""
        groups = parameter_groups(self.inner, self.recipe)
        return [{"params": group["params"], "lr_scale": group["factor"]} for group in groups]


class PackageLoop:
    """The trainer of depth-estimation 0.1.3, an epoch at a time."""

    def __init__(self, items: Sequence[Item], recipe: Recipe, folder: Path, workers: int) -> None:
        """Lay the files out as it wants them and set its trainer up."""
        package, data = (importlib.import_module(f"depth_estimation{part}") for part in ("", ".data"))
        ways = importlib.import_module("depth_estimation.data.transforms")
        for name in ("rgb", "target"):
            (folder / name).mkdir()
        for number, item in enumerate(items):
            (folder / "rgb" / f"{number}.png").symlink_to(item.image)
            (folder / "target" / f"{number}.npy").symlink_to(item.target)
        steps = [ways.PairedResize(min(recipe.crop)), ways.PairedRandomCrop(recipe.crop)]
        steps += [ways.PairedRandomHorizontalFlip(0.5), ways.PairedNormalize()]
        files = data.FolderDataset(folder / "rgb", folder / "target", transform=ways.Compose(steps))
        settings = package.DepthTrainingArguments(
            output_dir=str(folder / "out"),
            num_epochs=recipe.epochs,
            learning_rate=recipe.lr,
            weight_decay=recipe.weight_decay,
            batch_size=recipe.batch,
            gradient_clip_val=0.0,
            grad_loss_weight=recipe.gradient_weight,
            dataloader_num_workers=workers,
        )
        self.trainer = package.DepthTrainer(ForPackage(recipe), settings, files)
        self.trainer._setup()

    def epoch(self, number: int) -> Seconds:
        """How long an epoch takes."""
        began = now()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            self.trainer._train_epoch(number)
        return now() - began


class Turns:
    """The control of our run: lets the bare loop do each step after ours, and the package each epoch."""

    def __init__(self, bare: BareLoop, package: PackageLoop | None) -> None:
        """Ready to start."""
        self.bare, self.package = bare, package
        self.ours: list[Seconds] = []
        self.theirs: list[Seconds] = []
        self.package_epochs: list[Seconds] = []
        self.largest_gap = 0.0
        self.clock = now()

    def report(self, progress: Progress) -> None:
        """Note the time since the last report if it went into a step; measuring and saving don't count."""
        if progress.step > len(self.ours):
            self.ours.append(now() - self.clock)
            seconds, loss = self.bare.step(progress.step - 1)
            self.theirs.append(seconds)
            self.largest_gap = max(self.largest_gap, abs(loss - (progress.loss or 0.0)))
            if self.package and progress.step % self.bare.data.steps == 0:
                self.package_epochs.append(self.package.epoch(progress.epoch - 1))
        self.clock = now()

    def should_stop(self) -> bool:
        """Never."""
        return False


def time_loops(samples: Sequence[TrainingSample], recipe: Recipe, scratch: Path, workers: int | None) -> dict[str, Any]:
    """Our loop against the bare one, and against the package's with `workers` for its loader unless that is None."""
    items = items_of(samples, recipe)
    package = None if workers is None else PackageLoop(items, recipe, scratch, workers)
    turns = Turns(BareLoop(items, recipe), package)
    finetune(BASE, samples, recipe, scratch / "run", turns, device="cpu")
    if turns.largest_gap > 1e-4:
        raise SystemExit(f"The losses of both loops differ by {turns.largest_gap:.2g}: they didn't do the same work.")
    steps = turns.bare.data.steps
    result: dict[str, Any] = {"loop": against(turns.theirs, turns.ours, steps, recipe.batch)}
    if package is not None:
        epochs = [np.sum(turns.ours[start : start + steps], axis=0) for start in range(0, len(turns.ours), steps)]
        result["package"] = {"workers": workers, **against(turns.package_epochs, epochs, 1, len(items))}
    return result


def against(baseline: Sequence[Seconds], ours: Sequence[Seconds], first: int, count: int) -> dict[str, float]:
    """Pairs of times for `count` samples each, of which the `first` are of the first epoch, as speeds and ratios."""
    pairs = np.array([baseline, ours])  # (2, pairs, clock and processor)
    ratios = pairs[0] / pairs[1]
    early, late = np.median(ratios[:first], axis=0), np.median(ratios[first:], axis=0)
    # A run as it would be with the median pair of each kind of epoch: single hold-ups of the machine don't count.
    kinds = [np.median(part, axis=1) * part.shape[1] for part in (pairs[:, :first], pairs[:, first:])]
    whole = kinds[0] + kinds[1]
    values = {
        "samples_a_second": count / float(np.median(pairs[1, first:, 0])),
        "baseline_samples_a_second": count / float(np.median(pairs[0, first:, 0])),
        "ratio": late[0],
        "ratio_first_epoch": early[0],
        "ratio_run": whole[0, 0] / whole[1, 0],
        "cpu_ratio": late[1],
        "cpu_ratio_first_epoch": early[1],
        "cpu_ratio_run": whole[0, 1] / whole[1, 1],
    }
    return {name: round(float(value), 3) for name, value in values.items()}


class PlainFiles(torch.utils.data.Dataset[dict[str, Tensor]]):
    """What one writes first: PIL, the processor, numpy."""

    def __init__(self, items: Sequence[Item], processor: Any) -> None:
        """`processor` is of transformers."""
        self.items, self.processor = items, processor

    def __len__(self) -> int:
        """Pictures."""
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """pixel_values (3, h, w) and the target (h, w)."""
        item = self.items[index]
        with Image.open(item.image) as picture:
            pixels = self.processor(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        target = torch.from_numpy(np.load(item.target))
        target = nn.functional.interpolate(target[None, None], pixels.shape[1:], mode="nearest")[0, 0]
        return {"pixel_values": pixels, "target": target}


def seconds_of(batches: Iterator[Any]) -> Seconds:
    """Go through all."""
    began = now()
    for _ in batches:
        pass
    return now() - began


def time_input(items: Sequence[Item], recipe: Recipe, processor: Any, runs: int) -> dict[str, float]:
    """Our batches against the plain loader's, epochs alternating, each run with a fresh `TrainingSet`."""
    results = []
    for _ in range(runs):
        data = data_of(items, recipe, processor)
        plain = torch.utils.data.DataLoader(PlainFiles(items, processor), recipe.batch, shuffle=True)
        ours, theirs = [], []
        for epoch in range(recipe.epochs):
            ours.append(seconds_of(data.batch(epoch, step) for step in range(data.steps)))
            theirs.append(seconds_of(iter(plain)))
        results.append(against(theirs, ours, 1, len(items)))
    return {key: round(statistics.median(result[key] for result in results), 3) for key in results[0]}


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, help="even, so that all batches are full")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3, help="of the input; the loop's epochs are its runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--against-package", action="store_true")
    parser.add_argument("--package-workers", type=int, default=0, help="processes of the package's loader")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.frames < 2 or args.frames % 2:
        parser.error(f"--frames {args.frames}: use an even number")
    if args.epochs < 2:
        parser.error(f"--epochs {args.epochs}: use at least 2, as the first is told apart")
    if args.against_package and importlib.util.find_spec("depth_estimation") is None:
        parser.error(f"--against-package: {INSTALL}")
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    # A rate that stays the same needs no schedule, which the bare loop doesn't have.
    quick = load_recipe("quick")
    recipe = replace(quick, epochs=args.epochs, lr_min=quick.lr, warmup_steps=0)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        samples = make_samples(scratch, args.frames)
        processor = load_estimator(BASE).processor
        fed = time_input(items_of(samples, recipe), recipe, processor, args.runs)
        workers = args.package_workers if args.against_package else None
        loops = time_loops(samples, recipe, scratch, workers)
    result = {"ratio": loops["loop"]["ratio"], "ratio_input": fed["ratio_run"], **loops, "input": fed}
    if args.json:
        print(json.dumps(result))
        return
    words = (
        "{samples_a_second} samples a second after the first epoch, {baseline_samples_a_second}: ratio {ratio}; "
        "first epoch {ratio_first_epoch}, whole run {ratio_run}; "
        "in processor time {cpu_ratio}, {cpu_ratio_first_epoch}, {cpu_ratio_run}"
    )
    names = {"loop": "loop, bare loop", "input": "input, plain loader", "package": "loop, depth-estimation's"}
    for key, what in names.items():
        if key in result:
            print(f"{what}: {words.format(**result[key])}")


if __name__ == "__main__":
    main()
