"""The metrics against two independent implementations: the PyPI packages depth-estimation 0.1.3 and euler-eval 2.30.0.

Neither is a dependency: both ask for torchvision and more. Only the packages that are there are compared;
`pip install --no-deps depth-estimation==0.1.3` is enough for the first; the second needs a torchvision that fits the
installed torch, `pip install lpips torchmetrics` and `pip install --no-deps euler-eval==2.30.0`.

Random depths, from nearly right to wholly wrong, and the bundled model's own predictions of two rendered streets are
measured by all; so are pairs of a prediction and a measured depth that you have, such as of a depth camera or a lidar:
`--pairs DIR` reads its .npz files, each with the arrays "prediction" (H, W) float32, inverse depth of unknown scale and
shift, and "depth_m" (H, W), 0, infinite or NaN where it is unknown. Ends with status 1 if a metric that both have
differs by more than 1e-5 of the larger of 1 and its value.

By definition: depth-estimation has no log10 and no SILog, and its means run in float32. The silog among euler-eval's
standard metrics is our silog_100 before the times 100; our silog, with lambda = 0.5, is compared to its function with a
weight.

usage: python benchmarks/metrics.py [--pictures 20] [--pairs DIR] [--json]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.depth import Map, Mask, fit_affine, inverse_to_depth_m
from blurdepth.estimators import load_estimator
from blurdepth.metrics import depth_metrics
from blurdepth.streets import make_street, photograph, render

BOUND = 1e-5
FARTHEST_M = 80
Pair = tuple[Map, Map, Mask]
"""Prediction and target in metres, and what counts."""


def random_pairs(count: int) -> Iterator[Pair]:
    """From nearly right to wholly wrong, from 0.5 m to 80 m, with a part that doesn't count and holds nonsense."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        target = rng.uniform(0.5, 80, (60, 90)).astype(np.float32)
        prediction = target * np.exp(rng.normal(rng.normal(0, 0.2), 10 ** rng.uniform(-3, 0), target.shape))
        mask = rng.random(target.shape) < 0.7
        target[~mask] = 0
        yield np.clip(prediction, 1e-3, 80).astype(np.float32), target, mask


def rendered_pairs() -> Iterator[Pair]:
    """The bundled model on two rendered streets, aligned by least squares, up to 80 m."""
    estimator = load_estimator("bundled")
    for seed in range(2):
        street = make_street(seed, "crossing", "noon")
        seen = render(street, 621, 188)
        predicted = estimator.predict_inverse(photograph(street, seen.linear))
        yield aligned_pair(predicted, inverse_to_depth_m(seen.inverse_depth), seen.inverse_depth > 1 / FARTHEST_M)


def measured_pairs(folder: Path) -> Iterator[Pair]:
    """Those in the .npz files of a folder, aligned by least squares, up to 80 m."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            predicted, depth_m = (arrays[name].astype(np.float32) for name in ("prediction", "depth_m"))
        known = (depth_m > 0) & (depth_m < FARTHEST_M)
        yield aligned_pair(predicted, np.where(known, depth_m, np.float32(0)), known)


def aligned_pair(predicted: Map, depth_m: Map, mask: Mask) -> Pair:
    """A predicted inverse depth of unknown scale and shift, laid on the depth by least squares in inverse depth."""
    inverse_depth = np.divide(1, depth_m, out=np.zeros_like(depth_m), where=mask)
    aligned = fit_affine(predicted, inverse_depth, mask).apply(predicted)
    return inverse_to_depth_m(aligned), depth_m, mask


def by_depth_estimation(pair: Pair) -> dict[str, float]:
    """The seven that it has, by our names."""
    measure = importlib.import_module("depth_estimation.evaluation.metrics").DepthMetrics()
    values = measure(*(torch.from_numpy(part) for part in pair))
    same = ("abs_rel", "sq_rel", "rmse", "rmse_log")
    return {name: values[name] for name in same} | {f"delta_{k}": values[f"delta{k}"] for k in (1, 2, 3)}


def by_euler_eval(pair: Pair) -> dict[str, float]:
    """All ten, by our names."""
    metrics = importlib.import_module("euler_eval.metrics.depth_standard")
    weighted = importlib.import_module("euler_eval.metrics.scale_invariant_log")
    values, _ = metrics.compute_standard_depth_metrics(*pair)
    prediction, target, mask = (part.astype(np.float64) if part.dtype != bool else part for part in pair)
    named = {"abs_rel": "absrel", "sq_rel": "sqrel", "rmse": "rmse", "rmse_log": "rmse_log", "log10": "log10"}
    return {
        **{ours: values[theirs] for ours, theirs in named.items()},
        "silog": weighted.compute_scale_invariant_log_error(prediction, target, mask, lambda_weight=0.5),
        "silog_100": 100 * values["silog"],
        **{f"delta_{k}": values[f"delta{k}"] for k in (1, 2, 3)},
    }


PACKAGES = {"depth_estimation": by_depth_estimation, "euler_eval": by_euler_eval}


def largest_gaps(package: str, pairs: list[Pair]) -> dict[str, float]:
    """By metric that both have: the largest difference over the larger of 1 and the value."""
    gaps: dict[str, float] = {}
    for pair in pairs:
        ours = depth_metrics(*pair)
        for name, value in PACKAGES[package](pair).items():
            gap = abs(ours[name] - value) / max(1.0, abs(value))
            gaps[name] = max(gaps.get(name, 0.0), gap)
    return gaps


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20, help="random ones")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="predictions and measured depths of your own")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    present = [name for name in PACKAGES if importlib.util.find_spec(name) is not None]
    if not present:
        parser.error("neither package is installed: see --help for how to")
    kinds = {"random": list(random_pairs(args.pictures)), "rendered": list(rendered_pairs())}
    if args.pairs:
        kinds["measured"] = list(measured_pairs(args.pairs))
        if not kinds["measured"]:
            parser.error(f"{args.pairs} holds no .npz files: see --help for what they are to hold")
    result: dict[str, Any] = {
        name: {kind: largest_gaps(name, pairs) for kind, pairs in kinds.items()} for name in present
    }
    largest = max(gap for kinds_of in result.values() for gaps in kinds_of.values() for gap in gaps.values())
    if args.json:
        print(json.dumps({"largest": largest, "bound": BOUND, **result}))
    else:
        for name, kinds_of in result.items():
            for kind, gaps in kinds_of.items():
                print(f"{name}, {kind}: " + ", ".join(f"{metric} {gap:.1e}" for metric, gap in gaps.items()))
    sys.exit(largest > BOUND)


if __name__ == "__main__":
    main()
