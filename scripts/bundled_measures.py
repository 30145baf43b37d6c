"""How good the bundled model is, in training and after: on rendered streets, and on photographs with known depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bundled_scenes import MEAN, STD, Map, read_scene
from numpy.typing import NDArray
from torch import nn

from blurdepth.errors import InputError
from blurdepth.estimators import Estimator
from blurdepth.images import Rgb
from blurdepth.metrics import inverse_error, mean_metrics, ramps, relative_metrics, straight_ramp

NEAREST_M, FARTHEST_M = 1.0, 80.0
INPUT_SIDE, COARSE_SIDE, INPUT_MULTIPLE = 160, 96, 32
"""Short side of what a frame is resized to, so that a wide one is seen as large as its crops were on average; that
while crops are of half the size; and what both sides are multiples of, as the network halves it five times. Pixels."""
MEASURED = 30
"""Held-out scenes that a model in training is measured on."""

Judge = Callable[[nn.Module, int], dict[str, float]]
"""Measures a model that is in training on frames of such a short side, pixels; the first of its figures is the error by
which the best step is chosen."""


def image_processor(side: int = INPUT_SIDE) -> Any:
    """What makes the model's input of a frame, with such a short side, as transformers keeps it beside the weights."""
    from transformers import DPTImageProcessorPil

    return DPTImageProcessorPil(
        size={"height": side, "width": side},
        keep_aspect_ratio=True,
        ensure_multiple_of=INPUT_MULTIPLE,
        image_mean=list(MEAN),
        image_std=list(STD),
    )


@dataclass(frozen=True)
class Photograph:
    """A real frame: its name, (H, W, 3) uint8, its inverse depth (H, W) in 1/m, and where that is known to lie between
    1 and 80 m.
    """

    name: str
    rgb: Rgb
    inverse_depth: Map
    known: NDArray[np.bool_]


def read_photographs(folder: Path | None) -> list[Photograph]:
    """Those in the .npz files of a folder, see `train_bundled`; none without a folder.

    Raises:
        InputError: the folder has none.
    """
    if folder is None:
        return []
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise InputError(f"The folder {folder} has no photographs (.npz): name another one, or leave --real out.")
    return [_read_photograph(path) for path in paths]


def _read_photograph(path: Path) -> Photograph:
    with np.load(path, allow_pickle=False) as data:
        rgb, depth_m = data["rgb"], data["depth_m"].astype(np.float32)
    known = (depth_m > NEAREST_M) & (depth_m < FARTHEST_M)
    return Photograph(path.stem, rgb, np.divide(1, depth_m, out=np.zeros_like(depth_m), where=known), known)


def measure_real(predict: Callable[[Rgb], Map], photographs: list[Photograph]) -> dict[str, dict[str, float]]:
    """Mean AbsRel and delta_1 over photographs, of the model and of the ramp that suits each best, to four digits."""
    guesses = {
        "model": [_real(predict(each.rgb), each) for each in photographs],
        "ramp": [
            min((_real(ramp, each) for ramp in ramps(each.known.shape)), key=lambda metrics: metrics["abs_rel"])
            for each in photographs
        ],
    }
    return {name: {key: round(value, 4) for key, value in mean_metrics(rows).items()} for name, rows in guesses.items()}


def _real(guess: Map, photograph: Photograph) -> dict[str, float]:
    metrics = relative_metrics(guess, photograph.inverse_depth, photograph.known)
    return {name: metrics[name] for name in ("abs_rel", "delta_1")}


def make_judge(held_out: list[Path], photographs: list[Photograph]) -> Judge:
    """Measures on photographs with known depth, where there are any, and on held-out scenes."""
    scenes = [read_scene(path) for path in held_out[:MEASURED]]

    def judge(model: nn.Module, side: int) -> dict[str, float]:
        predict = Estimator("in training", "", "affine_inverse_depth", model, image_processor(side)).predict
        real = mean_metrics([_real(predict(each.rgb), each) for each in photographs])
        errors = [inverse_error(predict(rgb), truth) for rgb, truth in scenes]
        return {**{f"real {name}": value for name, value in real.items()}, "streets": float(np.mean(errors))}

    return judge


def measure(predict: Callable[[Rgb], Map], paths: list[Path]) -> dict[str, dict[str, float]]:
    """Mean metrics over scenes, of the model and of the ramp."""
    rows: dict[str, list[dict[str, float]]] = {"model": [], "ramp": []}
    for path in paths:
        rgb, truth = read_scene(path)
        for name, guess in (("model", predict(rgb)), ("ramp", straight_ramp(truth))):
            metrics = relative_metrics(guess, truth, np.ones_like(truth, bool))
            rows[name].append({"inverse_error": inverse_error(guess, truth), **metrics})
    keep = ("inverse_error", "abs_rel", "delta_1", "rmse")
    return {name: {key: round(mean_metrics(every)[key], 4) for key in keep} for name, every in rows.items()}
