"""Two models on one frame, and several models on a benchmark: always aligned by one rule and told in one range."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.benchmark import require_whole
from blurdepth.depth import STATIC, fit_affine
from blurdepth.errors import InputError
from blurdepth.estimators import Estimator, read_notes, streets_learned
from blurdepth.exposure.result import regions as regions_of
from blurdepth.files import write_atomically
from blurdepth.images import Rgb, linear_to_srgb
from blurdepth.metrics import METRICS, Regions, align, mean_metrics, metrics_by_region
from blurdepth.model_card import GROUPS
from blurdepth.paired import mean_gap
from blurdepth.render import Range, depth_range
from blurdepth.scenes import read_scene, street_seed
from blurdepth.store.records import Sample
from blurdepth.workspace import Workspace

Map = NDArray[np.float32]
RegionMetrics = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Two predictions of one frame on one scale.

    Attributes:
        first, second: (H, W) float32 inverse depth, both fitted by least squares to the target if there is one;
            else `second` to `first`, which keeps its own unit.
        difference: second - first; above 0 the second says nearer.
        span: one range for both, for the depth colours.
        reach: the difference that gets full colour.
        metrics: by region, of the first and the second; None without a target.
    """

    first: Map
    second: Map
    difference: Map
    span: Range
    reach: float
    metrics: tuple[RegionMetrics, RegionMetrics] | None


def compare(first: Map, second: Map, target: Map | None = None, regions: Regions | None = None) -> Comparison:
    """Put two predictions of one frame on one scale, and measure them where there is a target.

    Args:
        first, second: (H, W) float32, larger = nearer.
        target: (H, W) float32, inverse depth in 1/m; sky is 0.
        regions: (H, W) uint8, as in `metrics_by_region`; all static if not given.

    Raises:
        InputError: the shapes differ, or nothing can be aligned.
    """
    if target is None:
        second = fit_affine(second, first).apply(second)
        return _comparison(first, second, None)
    if regions is None:
        regions = np.full(target.shape, STATIC, np.uint8)
    metrics = (metrics_by_region(first, target, regions), metrics_by_region(second, target, regions))
    first, second = (align(each, target, regions) for each in (first, second))
    return _comparison(first, second, metrics)


def _comparison(first: Map, second: Map, metrics: tuple[RegionMetrics, RegionMetrics] | None) -> Comparison:
    difference = second - first
    reach = max(float(np.percentile(np.abs(difference), 99)), 1e-6)
    return Comparison(first, second, difference, depth_range(first, second), reach, metrics)


@dataclass(frozen=True)
class Example:
    """One image of a benchmark with its target: `target` in 1/m, `regions` as in `metrics_by_region`.

    Images of one `group` show the same scene, so they tell less than as many scenes would.
    """

    group: str
    rgb: Rgb
    target: Map
    regions: Regions


def benchmark_examples(workspace: Workspace, benchmark: str) -> Iterator[Example]:
    """The images of a benchmark.

    Args:
        workspace: the data folder, for versions.
        benchmark: a dataset version ("v1"), a scene (.npz with the keys sharp_linear, blur_linear, depth_m and
            mean_inverse_depth), or a folder of scenes.

    Raises:
        InputError: there is none, a scene is not readable, or a split of our own benchmark lacks some.
    """
    path = Path(benchmark)
    if path.exists() and not _is_version(benchmark):
        scenes = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not scenes:
            raise InputError(f"The folder {path} has no scenes (.npz): name another one, or a version such as v1.")
        require_whole(path)
        yield from map(_scene_example, scenes)
        return
    workspace.store.versions.version(benchmark)
    for sample in workspace.store.samples.samples_of_version(benchmark):
        yield sample_example(workspace, sample)


def sample_example(workspace: Workspace, sample: Sample) -> Example:
    """A sample's image with its target.

    Raises:
        NotFoundError: one of its files is gone.
    """
    regions = workspace.pictures.picture(sample.regions)[..., 0]
    picture, target = workspace.pictures.picture(sample.image), workspace.arrays.array(sample.target)
    return Example(sample.frame_id, picture, target, regions)


def _scene_example(path: Path) -> Example:
    exposure = read_scene(path).exposure
    return Example(path.stem, linear_to_srgb(exposure.linear), exposure.mean_inverse_depth, regions_of(exposure))


def measure_example(estimator: Estimator, example: Example) -> RegionMetrics:
    """The metrics of one model on one image.

    Raises:
        InputError: its target has nothing to measure, such as nothing nearer than 80 m.
    """
    predicted = estimator.predict_inverse(example.rgb)
    try:
        return metrics_by_region(predicted, example.target, example.regions)
    except InputError as error:
        raise InputError(f"{example.group} can't be measured: {error} Leave it out of the benchmark.") from error


Measure = Callable[[Estimator, Example, int, int], RegionMetrics]
"""Of one model on one image, which is the n-th, from 0, of so many measurements in all."""


def benchmark_report(
    workspace: Workspace,
    models: Sequence[str],
    benchmark: str,
    measure: Measure = lambda estimator, example, *_: measure_example(estimator, example),
) -> dict[str, Any]:
    """Measure models on a benchmark: mean metrics by region, and AbsRel against the first model with intervals.

    Args:
        workspace: the data folder.
        models: their names.
        benchmark: see `benchmark_examples`.
        measure: does what `measure_example` does, and may remember, tell of it, or raise to end it all.

    Returns:
        {"benchmark", "images", "code_version", "models": [{"model", "revision", "kind", "seen", "metrics": by region,
        "change": AbsRel minus the first model's by region: {"mean", "low", "high"}}]}. "seen" tells that the model was
        fine-tuned on this very version, or on one of these streets. The interval is the 95 % range of the paired
        difference by Student's t over the scenes (all images of a scene go together); None where there is one scene.

    Raises:
        InputError: no image, or see `benchmark_examples`.
        ModelError: a model can't be loaded.
    """
    examples = list(benchmark_examples(workspace, benchmark))
    groups = [example.group for example in examples]
    count = len(models) * len(examples)
    rows = []
    for place, model in enumerate(models):
        estimator, first = workspace.estimator(model), place * len(examples)
        each = [measure(estimator, example, first + k, count) for k, example in enumerate(examples)]
        rows.append({**_row(model, estimator, each), "seen": _seen(workspace, model, benchmark, groups)})
    measured = [row.pop("each") for row in rows]
    for row, each in zip(rows, measured, strict=True):
        row["change"] = _changes(measured[0], each, groups)
    return {"benchmark": benchmark, "images": len(examples), "code_version": __version__, "models": rows}


def _row(model: str, estimator: Estimator, each: list[RegionMetrics]) -> dict[str, Any]:
    regions = {name for metrics in each for name in metrics}
    mean = {name: mean_metrics([metrics[name] for metrics in each if name in metrics]) for name in sorted(regions)}
    about = {"model": model, "revision": estimator.revision, "kind": estimator.kind}
    return {**about, "metrics": mean, "each": each}


def _seen(workspace: Workspace, model: str, benchmark: str, groups: Sequence[str]) -> bool:
    notes = read_notes(workspace.resolve_model(model))
    seeds = {seed for seed in map(street_seed, groups) if seed is not None}
    if any(first <= seed <= last for seed in seeds for first, last in streets_learned(notes)):
        return True
    if not _is_version(benchmark):
        return False
    # Everybody has a v1: the list of its samples tells whose it is.
    manifest = workspace.store.versions.version(benchmark).manifest
    return bool(notes.get("provenance", {}).get("dataset_manifest") == manifest)


def _is_version(benchmark: str) -> bool:
    return re.fullmatch(r"v\d+", benchmark) is not None


def _changes(
    base: Sequence[RegionMetrics], other: Sequence[RegionMetrics], groups: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    changes = {}
    for region in sorted({name for metrics in base for name in metrics}):
        gaps = {
            place: after[region]["abs_rel"] - before[region]["abs_rel"]
            for place, (before, after) in enumerate(zip(base, other, strict=True))
            if region in before and region in after
        }
        changes[region] = mean_gap(np.array([*gaps.values()]), [groups[place] for place in gaps])
    return changes


def write_report(report: dict[str, Any], out: Path) -> None:
    """Write report.json and report.html into `out`.

    Raises:
        StorageError: it can't be written.
    """
    write_atomically(out / "report.json", json.dumps(report, indent=2).encode())
    write_atomically(out / "report.html", _report_page(report).encode())


def _report_page(report: dict[str, Any]) -> str:
    title = f"blurdepth: {report['images']} images of {report['benchmark']}"
    tables = "".join(_region_table(report, region) for region in GROUPS if region in report["models"][0]["metrics"])
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>'
    style = "body{font:15px system-ui;margin:2rem;max-width:70rem}td,th{padding:.3rem .8rem;text-align:right}"
    return (
        f'<!doctype html><html lang="en">{head}<style>{style}</style><h1>{html.escape(title)}</h1>'
        f"<p>Aligned per image by least squares in inverse depth, capped at 80 m.</p>{tables}"
    )


def _region_table(report: dict[str, Any], region: str) -> str:
    head = "".join(f"<th>{html.escape(metric.label)}</th>" for metric in METRICS)
    rows = []
    for model in report["models"]:
        if region in model["metrics"]:
            cells = "".join(f"<td>{model['metrics'][region][metric.key]:.4f}</td>" for metric in METRICS)
            change = model["change"][region]
            span = "one scene: no range" if change["low"] is None else f"{change['low']:+.4f} to {change['high']:+.4f}"
            gap = f"{change['mean']:+.4f} ({span})"
            name = html.escape(model["model"]) + (" (has learned from some of these)" if model["seen"] else "")
            rows.append(f"<tr><th>{name}</th>{cells}<td>{gap}</td></tr>")
    title, columns = GROUPS[region].capitalize(), f"<th>model</th>{head}<th>AbsRel against the first</th>"
    return f"<h2>{title}</h2><table><tr>{columns}</tr>{''.join(rows)}</table>"
