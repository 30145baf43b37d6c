"""Do exposure targets make a better depth model under blur than the paper's? The proof, on exact truth.

From one base, the same blurred streets are learned from twice: towards the depth of the sharp frame, as in the paper,
and towards the mean inverse depth over the exposure. All else is the same: recipe, order, crops, steps, seeds. The
streets are those of the benchmark's training split, and more by seeds of their own. Of each fine-tune the epoch is kept
that has the least AbsRel on the validation split by its own target. Base and fine-tunes are then measured on the test
split, whose truth is exact:

  error      mean absolute error of inverse depth on blurred frames, over the mean deviation of the frame's own inverse
             depth; the truth is the mean over the exposure, on "sharp" frames their own depth
  mid error  the same, but the truth of blurred frames is the depth at mid exposure: what the paper's targets aim at
  AbsRel     of metres up to 80 m, against the first of these truths

Regions: "static" pixels show no blur, "pure" ones are blurred but of one depth, "mixed" ones saw several depths during
the exposure, "ring" is what lies around those. Only where depths mix do the two targets differ much.

Changes are in percent of the error, from one model to another, with 95 % ranges. All models are measured on the same
scenes, so that ranges are of paired differences; they count that other scenes, and other seeds, would have given
something else (with one seed only the former is known). A scene counts in the regions that it has enough pixels of.
Pictures are of the first seed and of the scenes with the most mixed pixels.

Stopped at any time and started again, it goes on where it was. A first start renders the streets.

usage: python benchmarks/headline.py --out DIR [--benchmark DIR] [--base bundled] [--seeds 3] [--precision auto]
       [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.samples import Question, ask, samples_name, write_samples
from benchmarks.side_by_side import run_side_by_side
from blurdepth.benchmark import SPLITS, check_benchmark, read_benchmark, render_benchmark
from blurdepth.dataset import TrainingSample
from blurdepth.depth import MIXED, Map, fit_affine
from blurdepth.errors import InputError
from blurdepth.estimators import Estimator, load_estimator
from blurdepth.files import write_atomically
from blurdepth.finetune import Progress, finetune
from blurdepth.images import Rgb, encode_jpeg
from blurdepth.metrics import inverse_error, metrics_by_region
from blurdepth.model_card import markdown_table, side_by_side
from blurdepth.paired import Floats, change
from blurdepth.pretrained import best_device, core_count
from blurdepth.recipe import Precision, Recipe, Target, load_recipe
from blurdepth.render import depth_picture, depth_range
from blurdepth.training_step import choose_precision

TARGETS: dict[str, Target] = {"paper": "mid_exposure", "exposure": "mean_inverse_depth"}
"""The fine-tunes, by what they learn towards; "base" is the model before."""
REGIONS = ("all", "static", "pure", "mixed", "ring", "sharp")
CHANGES = (("base", "paper"), ("base", "exposure"), ("paper", "exposure"))
KINDS = {"error": "Error of inverse depth", "mid_error": "Error against the depth at mid exposure", "abs_rel": "AbsRel"}
WORDS = {"base": "base", "paper": "paper's targets", "exposure": "exposure targets"}
MORE_STREETS = range(4_000_000, 4_007_000)
"""Seeds of the streets that are learned from beside those of the benchmark, which none of its splits has."""
RECIPE = replace(
    load_recipe("quick"),
    name="headline",
    epochs=3,
    # For thousands of streets instead of dozens of samples.
    optimizer="muon",
    lr=1e-3,
    lr_min=1e-5,
    warmup_steps=100,
    color_jitter=0.4,
    # The targets differ in some 6 of 100 pixels.
    region_weights=(1.0, 1.0, 60.0),
    # Twice that of MiDaS. With the 2.0 of Depth Anything V2 both fine-tunes get worse.
    gradient_weight=1.0,
    include_sharp=False,
)
"""For both targets, but for the target."""
PICTURES = 3
PICTURE, REPORT = "headline.jpg", "headline.json"
"""Files of the outcome."""
_GAP_PX = 8

Errors = dict[str, dict[str, Floats]]
"""By kind and region: (scenes,), NaN where a scene has none of it."""


class Told:
    """Shows a fine-tune as a bar, each target's in a line of its own; never stops it, as the keyboard does."""

    def __init__(self, name: str, line: int) -> None:
        self._bar = tqdm(desc=name, unit="step", position=line, leave=None, disable=None)

    def report(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.total = progress.steps
        self._bar.n = progress.step
        self._bar.set_postfix_str(progress.activity)

    def should_stop(self) -> bool:
        """Never."""
        return False


def tune(base: str, samples: Sequence[TrainingSample], recipe: Recipe, out: Path, name: str, seed: int) -> Path:
    """Fine-tune towards one of the `TARGETS` with one seed, in a folder named by both; that of the checkpoint."""
    asked, folder = replace(recipe, target=TARGETS[name], seed=seed), out / f"{name}_{seed}"
    learned, held_out = (SPLITS["train"], MORE_STREETS), (SPLITS["val"],)
    provenance = {
        "base": base,
        "streets": [[seeds[0], seeds[-1]] for seeds in learned],
        "held_out_streets": [[seeds[0], seeds[-1]] for seeds in held_out],
    }
    told = Told(folder.name, line=[*TARGETS].index(name))
    outcome = finetune(base, samples, asked, folder, told, provenance=provenance)
    assert outcome.checkpoint is not None
    return outcome.checkpoint


def tune_all(
    base: str, samples: Sequence[TrainingSample], recipe: Recipe, out: Path, seeds: int
) -> dict[str, list[Path]]:
    """Fine-tune towards each target with each seed; folders of the checkpoints by target.

    Raises:
        BlurdepthError: see `finetune`, or a process failed and has told on standard error why.
    """
    if best_device().type == "cpu" and core_count() >= len(TARGETS):
        # On two cores that takes two thirds of the time: a step of such a small model can't keep both of them busy.
        run_side_by_side(_tune_seeds, [(base, samples, recipe, out, name, seeds) for name in TARGETS])
    # Seed by seed, so that a stopped proof has pairs. What is done already is only looked up.
    folders: dict[str, list[Path]] = {name: [] for name in TARGETS}
    for seed, name in itertools.product(range(seeds), TARGETS):
        folders[name].append(tune(base, samples, recipe, out, name, seed))
    return folders


def _tune_seeds(base: str, samples: Sequence[TrainingSample], recipe: Recipe, out: Path, name: str, seeds: int) -> None:
    for seed in range(seeds):
        tune(base, samples, recipe, out, name, seed)


def measure(estimator: Estimator, questions: Sequence[Question]) -> Errors:
    """The errors of a model on each scene."""
    rows = [_measure(estimator, each) for each in tqdm(questions, "measured", unit="", disable=None)]
    return {
        kind: {region: np.array([row[kind].get(region, np.nan) for row in rows]) for region in REGIONS}
        for kind in KINDS
    }


def _measure(estimator: Estimator, question: Question) -> dict[str, dict[str, float]]:
    blurred, sharp = estimator.predict_inverse(question.blurred), estimator.predict_inverse(question.sharp)
    of_sharp = metrics_by_region(sharp, question.inverse_depth, np.zeros_like(question.labels))["all"]["abs_rel"]
    of_blurred = metrics_by_region(blurred, question.mean_inverse_depth, question.labels)
    sharp_error = inverse_error(sharp, question.inverse_depth)

    def errors(truth: Map) -> dict[str, float]:
        of_regions = {name: inverse_error(blurred, truth, mask) for name, mask in question.masks.items()}
        return {**of_regions, "sharp": sharp_error}

    return {
        "error": errors(question.mean_inverse_depth),
        "mid_error": errors(question.inverse_depth),
        "abs_rel": {**{name: each["abs_rel"] for name, each in of_blurred.items()}, "sharp": of_sharp},
    }


def summary(measured: dict[str, list[Errors]]) -> dict[str, Any]:
    """By kind of error and region: how many scenes count, means of models, those of each seed, and the changes that the
    proof is about.
    """
    report: dict[str, Any] = {"counts": {}, "means": {}, "by_seed": {}, "changes": {}}
    for kind in KINDS:
        rows = {
            name: {region: np.stack([each[kind][region] for each in runs]) for region in REGIONS}
            for name, runs in measured.items()
        }
        report["counts"][kind] = {region: int((~np.isnan(values[0])).sum()) for region, values in rows["base"].items()}
        report["means"][kind] = {
            name: {region: float(np.nanmean(values)) for region, values in by_region.items()}
            for name, by_region in rows.items()
        }
        report["by_seed"][kind] = {
            name: {region: np.nanmean(values, axis=1).tolist() for region, values in by_region.items()}
            for name, by_region in rows.items()
        }
        report["changes"][kind] = {
            f"{before}_to_{after}": {region: change(rows[before][region], rows[after][region]) for region in REGIONS}
            for before, after in CHANGES
        }
    return report


def table(report: dict[str, Any], kind: str) -> str:
    """The means and changes of one kind of error, a row for each region, in Markdown."""
    counts, means, changes = (report[name][kind] for name in ("counts", "means", "changes"))
    head = ["", "scenes", *WORDS.values(), *(f"{WORDS[before]} → {WORDS[after]}" for before, after in CHANGES)]
    rows = []
    for region in REGIONS:
        ranges = (each[region] for each in changes.values())
        rows.append(
            [
                region,
                str(counts[region]),
                *(f"{each[region]:.4f}" for each in means.values()),
                *(f"{each['percent']:+.1f} % ({each['low']:+.1f} to {each['high']:+.1f})" for each in ranges),
            ]
        )
    return markdown_table(head, rows)


def picture(questions: Sequence[Question], models: dict[str, Estimator]) -> Rgb:
    """A column for each question: the blurred frame, the truth, and what each model makes of it, in one range."""
    columns = []
    for question in questions:
        truth = question.mean_inverse_depth
        panels = {"blurred frame": question.blurred, "truth": depth_picture(truth, depth_range(truth))}
        for name, model in models.items():
            prediction = model.predict_inverse(question.blurred)
            fitted = fit_affine(prediction, truth).apply(prediction)
            panels[WORDS[name]] = depth_picture(fitted, depth_range(truth))
        columns.append(panels)
    return np.vstack([_row(name, [panels[name] for panels in columns]) for name in columns[0]])


def _row(words: str, panels: Sequence[Rgb]) -> Rgb:
    """Panels beside each other, the first with words on it."""
    row = Image.fromarray(side_by_side(panels))
    font = ImageFont.load_default(22)
    ImageDraw.Draw(row).text((8, 4), words, fill="white", font=font, stroke_width=3, stroke_fill="black")
    return np.pad(np.asarray(row), ((0, _GAP_PX), (0, 0), (0, 0)), constant_values=255)


def precision(name: str) -> Precision:
    """An argument: a precision that this machine has, so that none is refused after hours.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        recipe = replace(RECIPE, precision=cast(Precision, name))
        choose_precision(recipe, best_device())
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return recipe.precision


def prepare(benchmark: Path) -> None:
    """Render what is missing of the benchmark, and hold all of it against the manifest.

    Raises:
        InputError: a scene is of another benchmark.
    """
    for split, numbers in SPLITS.items():
        list(tqdm(render_benchmark(benchmark, split), f"{split} scenes", len(numbers), unit="", disable=None))
        check_benchmark(benchmark, split)


def prove(out: Path, streets: Path, benchmark: Path, base: str, recipe: Recipe, seeds: int) -> dict[str, Any]:
    """Fine-tune, measure, draw; the report, which is also written into the folder.

    Args:
        out: folder of the fine-tunes and the report.
        streets: folder of the streets to learn from; all proofs may have the same.
        benchmark, base, recipe, seeds: see `prepare` and `tune_all`.
    """
    samples = write_samples(benchmark, MORE_STREETS, streets / samples_name())
    folders = tune_all(base, samples, recipe, out, seeds)
    questions = [ask(scene) for scene in read_benchmark(benchmark, "test")]
    models = {"base": [load_estimator(base)]}
    models |= {name: [load_estimator(str(each)) for each in found] for name, found in folders.items()}
    measured = {name: [measure(each, questions) for each in runs] for name, runs in models.items()}
    mixed = [(question.labels == MIXED).mean() for question in questions]
    shown = [questions[k] for k in np.argsort(mixed)[::-1][:PICTURES]]
    drawn = picture(shown, {name: runs[0] for name, runs in models.items()})
    write_atomically(out / PICTURE, encode_jpeg(drawn))
    revisions = {name: [each.revision for each in runs] for name, runs in models.items()}
    about = {"base": base, "revisions": revisions, "recipe": recipe.as_dict(), "scenes": len(questions)}
    report = {**about, **summary(measured)}
    write_atomically(out / REPORT, json.dumps(report, indent=1).encode())
    return report


def main(arguments: list[str] | None = None) -> int:
    """Prove, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the fine-tunes and the report")
    parser.add_argument("--benchmark", type=Path, help="its folder, default: OUT/benchmark")
    parser.add_argument("--base", default="bundled", help="model to start from, default: bundled")
    parser.add_argument("--seeds", type=int, default=3, help="fine-tunes of each kind, default 3")
    precisions = f"{', '.join(get_args(Precision))}; CPUs that have bfloat16 are faster in it"
    parser.add_argument("--precision", type=precision, default="auto", metavar="NAME", help=precisions)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds {options.seeds}: give 1 or more")
    benchmark = options.benchmark or options.out / "benchmark"
    prepare(benchmark)
    recipe = replace(RECIPE, precision=options.precision)
    report = prove(options.out, options.out, benchmark, options.base, recipe, options.seeds)
    if options.json:
        print(json.dumps(report))
        return 0
    for kind, words in KINDS.items():
        print(f"{words}\n\n{table(report, kind)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
