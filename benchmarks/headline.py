"""Do exposure targets make a better depth model under blur than the paper's? The proof, on exact truth.

From one base, the same blurred streets of the benchmark are learned from twice: towards the depth of the sharp frame,
as in the paper, and towards the mean inverse depth over the exposure. All else is the same: recipe, order, crops,
steps, seeds. Base and fine-tunes are then measured on the test split, whose truth is exact. By region, of the blurred
frames against the mean inverse depth, and of the sharp frames against their own:

  error     mean absolute error of inverse depth, over the mean deviation of the frame's own inverse depth
  AbsRel    of metres, up to 80 m

and changes in percent of the error, from one model to another, with their 95 % range over 10,000 resamplings of the
scenes and of the seeds: all models are measured on the same scenes, so that it is a paired one.

Stopped at any time and started again, it goes on where it was. A first start renders the benchmark.

usage: python benchmarks/headline.py --out DIR [--benchmark DIR] [--base bundled] [--seeds 3] [--epochs 12] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.benchmark import SPLITS, read_benchmark, render_benchmark
from blurdepth.benchmark import Split as Part
from blurdepth.dataset import Split, TrainingSample
from blurdepth.depth import BLURRED, MIXED, STATIC, fit_affine
from blurdepth.estimators import Estimator, load_estimator
from blurdepth.exposure.result import regions
from blurdepth.files import encode_array, write_atomically
from blurdepth.finetune import Progress, finetune
from blurdepth.images import Rgb, encode_jpeg, encode_png, linear_to_srgb
from blurdepth.metrics import MIN_REGION_PIXELS, inverse_error, metrics_by_region, ring_around
from blurdepth.model_card import side_by_side
from blurdepth.recipe import Target, load_recipe
from blurdepth.render import depth_picture, depth_range
from blurdepth.scenes import Scene

TARGETS: dict[str, Target] = {"paper": "mid_exposure", "exposure": "mean_inverse_depth"}
"""The fine-tunes, by what they learn towards; "base" is the model before."""
REGIONS = ("all", "static", "pure", "mixed", "ring", "sharp")
RESAMPLINGS = 10_000
PICTURES = 3

Errors = dict[str, NDArray[np.float64]]
"""By region: (scenes,), NaN where a scene has none of it."""


def write_samples(benchmark: Path, folder: Path) -> list[TrainingSample]:
    """The training and validation scenes as files that a fine-tune reads; what is there is kept."""
    samples = []
    parts: tuple[tuple[Part, Split], ...] = (("train", "train"), ("val", "val"))
    for part, split in parts:
        for number, scene in zip(SPLITS[part], read_benchmark(benchmark, part), strict=True):
            samples.append(_write_sample(folder / str(number), str(number), split, scene))
    return samples


def _write_sample(folder: Path, name: str, split: Split, scene: Scene) -> TrainingSample:
    files: dict[str, tuple[str, Callable[[], bytes]]] = {
        "image": ("blurred.png", lambda: encode_png(linear_to_srgb(scene.exposure.linear))),
        "target": ("target.npy", lambda: encode_array(scene.exposure.mean_inverse_depth)),
        "regions": ("regions.png", lambda: encode_png(regions(scene.exposure))),
        "sharp_image": ("sharp.png", lambda: encode_png(linear_to_srgb(scene.sharp_linear))),
        "sharp_target": ("sharp.npy", lambda: encode_array(scene.inverse_depth)),
    }
    for file, encode in files.values():
        if not (folder / file).is_file():
            write_atomically(folder / file, encode())
    return TrainingSample(name, name, split, **{key: folder / file for key, (file, _) in files.items()})


class Told:
    """Shows a fine-tune as a bar; never stops it, as the keyboard does."""

    def __init__(self, name: str) -> None:
        self._bar = tqdm(desc=name, unit="step", disable=None)

    def report(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.total = progress.steps
        self._bar.n = progress.step
        self._bar.set_postfix_str(progress.activity)

    def should_stop(self) -> bool:
        """Never."""
        return False


def tune(base: str, samples: Sequence[TrainingSample], name: str, seed: int, epochs: int, out: Path) -> Path:
    """Fine-tune the base towards the targets of a name; the folder of the checkpoint."""
    recipe = replace(load_recipe("quick"), target=TARGETS[name], epochs=epochs, seed=seed)
    outcome = finetune(base, samples, recipe, out, Told(f"{name}, seed {seed}"))
    assert outcome.checkpoint is not None
    return outcome.checkpoint


def measure(estimator: Estimator, scenes: Sequence[Scene]) -> dict[str, Errors]:
    """`error` and `abs_rel` by region and scene."""
    rows = [_measure_scene(estimator, scene) for scene in tqdm(scenes, "measured", unit="", disable=None)]
    return {
        kind: {region: np.array([row[kind].get(region, np.nan) for row in rows]) for region in REGIONS}
        for kind in ("error", "abs_rel")
    }


def _measure_scene(estimator: Estimator, scene: Scene) -> dict[str, dict[str, float]]:
    exposure, labels = scene.exposure, regions(scene.exposure)
    truth, sharp_truth = exposure.mean_inverse_depth, scene.inverse_depth
    blurred = estimator.predict_inverse(linear_to_srgb(exposure.linear))
    sharp = estimator.predict_inverse(linear_to_srgb(scene.sharp_linear))
    masks = {
        "all": np.ones_like(labels, bool),
        "static": labels == STATIC,
        "pure": labels == BLURRED,
        "mixed": labels == MIXED,
        "ring": ring_around(labels == MIXED),
    }
    error = {
        name: inverse_error(blurred, truth, mask) for name, mask in masks.items() if mask.sum() >= MIN_REGION_PIXELS
    }
    of_blurred = metrics_by_region(blurred, truth, labels)
    of_sharp = metrics_by_region(sharp, sharp_truth, np.zeros_like(labels))
    return {
        "error": {**error, "sharp": inverse_error(sharp, sharp_truth)},
        "abs_rel": {
            **{name: each["abs_rel"] for name, each in of_blurred.items()},
            "sharp": of_sharp["all"]["abs_rel"],
        },
    }


def change(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, float]:
    """By how many percent a mean error changes, with its 95 % range.

    Args:
        before: (seeds, scenes); a base has one row.
        after: (seeds, scenes) of the same scenes, and of the same seeds unless `before` is of the base.
    """
    seen = ~np.isnan(before).any(axis=0) & ~np.isnan(after).any(axis=0)
    before, after = np.broadcast_to(before, after.shape)[:, seen], after[:, seen]
    rng = np.random.default_rng(0)
    seeds = rng.integers(len(after), size=(RESAMPLINGS, len(after), 1))
    scenes = rng.integers(seen.sum(), size=(RESAMPLINGS, 1, seen.sum()))
    ratios = np.array([after[s, k].mean() / before[s, k].mean() for s, k in zip(seeds, scenes, strict=True)])
    low, high = 100 * (np.percentile(ratios, (2.5, 97.5)) - 1)
    return {"percent": 100 * (after.mean() / before.mean() - 1), "low": low, "high": high}


def summary(measured: dict[str, list[dict[str, Errors]]]) -> dict[str, Any]:
    """Means by model and region, and the changes that the proof is about."""
    report: dict[str, Any] = {"means": {}, "changes": {}}
    for kind in ("error", "abs_rel"):
        rows = {
            name: {region: np.stack([each[kind][region] for each in runs]) for region in REGIONS}
            for name, runs in measured.items()
        }
        report["means"][kind] = {
            name: {region: float(np.nanmean(values)) for region, values in by_region.items()}
            for name, by_region in rows.items()
        }
        pairs = (("base", "paper"), ("base", "exposure"), ("paper", "exposure"))
        report["changes"][kind] = {
            f"{before} to {after}": {region: change(rows[before][region], rows[after][region]) for region in REGIONS}
            for before, after in pairs
        }
    return report


def table(report: dict[str, Any], kind: str) -> str:
    """The means and changes of one kind of error, in Markdown."""
    lines = ["| | " + " | ".join(REGIONS) + " |", "|---" * (len(REGIONS) + 1) + "|"]
    for name, means in report["means"][kind].items():
        lines.append(f"| {name} | " + " | ".join(f"{means[region]:.4f}" for region in REGIONS) + " |")
    for name, changes in report["changes"][kind].items():
        cells = (f"{each['percent']:+.1f} % ({each['low']:+.1f} to {each['high']:+.1f})" for each in changes.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(scene: Scene, estimators: Sequence[Estimator]) -> Rgb:
    """The blurred frame, the truth, and what each model makes of it, in one range."""
    truth, frame = scene.exposure.mean_inverse_depth, linear_to_srgb(scene.exposure.linear)
    predictions = [estimator.predict_inverse(frame) for estimator in estimators]
    fitted = [fit_affine(each, truth).apply(each) for each in predictions]
    span = depth_range(truth)
    return side_by_side([frame, *(depth_picture(each, span) for each in (truth, *fitted))])


def prove(out: Path, benchmark: Path, base: str, seeds: int, epochs: int) -> dict[str, Any]:
    """All of it: render, fine-tune, measure, draw."""
    started = time.monotonic()
    for part, numbers in SPLITS.items():
        list(tqdm(render_benchmark(benchmark, part), f"{part} scenes", len(numbers), unit="", disable=None))
    samples = write_samples(benchmark, out / "samples")
    checkpoints = {
        name: [tune(base, samples, name, seed, epochs, out / f"{name}_{seed}") for seed in range(seeds)]
        for name in TARGETS
    }
    scenes = list(read_benchmark(benchmark, "test"))
    loaded = {"base": [load_estimator(base)]}
    loaded |= {name: [load_estimator(str(each)) for each in folders] for name, folders in checkpoints.items()}
    measured = {name: [measure(each, scenes) for each in models] for name, models in loaded.items()}
    mixed = [(regions(scene.exposure) == MIXED).mean() for scene in scenes]
    for place, k in enumerate(np.argsort(mixed)[::-1][:PICTURES]):
        drawn = picture(scenes[k], [models[0] for models in loaded.values()])
        write_atomically(out / f"headline_{place}.jpg", encode_jpeg(drawn))
    about = {"base": base, "revision": loaded["base"][0].revision, "seeds": seeds, "epochs": epochs}
    return {**about, "scenes": len(scenes), **summary(measured), "seconds": round(time.monotonic() - started)}


def main(arguments: list[str] | None = None) -> int:
    """Prove, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the fine-tunes and the report")
    parser.add_argument("--benchmark", type=Path, help="its folder, default: OUT/benchmark")
    parser.add_argument("--base", default="bundled", help="model to start from, default: bundled")
    parser.add_argument("--seeds", type=int, default=3, help="fine-tunes of each kind, default 3")
    parser.add_argument("--epochs", type=int, default=12, help="of each, default 12")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    benchmark = options.benchmark or options.out / "benchmark"
    report = prove(options.out, benchmark, options.base, options.seeds, options.epochs)
    write_atomically(options.out / "headline.json", json.dumps(report, indent=1).encode())
    if options.json:
        print(json.dumps(report))
        return 0
    for kind, words in (("error", "Error of inverse depth"), ("abs_rel", "AbsRel")):
        print(f"{words}\n\n{table(report, kind)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
