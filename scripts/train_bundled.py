"""Train the bundled depth model from random weights on rendered streets.

    python scripts/train_bundled.py

renders the scenes (once; they are kept in the cache folder), trains, measures on scenes held out, and writes
`checkpoints/bundled` with its model card. Killed at any time and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs
import torch
from torch import Tensor, nn

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bundled_scenes import MEAN, SHAPES, STD, Map, augment, read_scene, render_scenes, scene_folder

import blurdepth
from blurdepth.estimators import load_estimator
from blurdepth.images import Rgb
from blurdepth.losses import ssi_gradient_loss
from blurdepth.metrics import inverse_error, mean_metrics, relative_metrics, straight_ramp

ROOT = Path(__file__).resolve().parent.parent
FIRST_TRAIN_SEED, FIRST_HELD_OUT_SEED = 100_000, 900_000
GRID_SIDE = 126
"""Side of the square frame whose patches have a position of their own; others are interpolated, pixels."""
INPUT_SIDE, INPUT_MULTIPLE = 140, 28
"""Short side of what a frame is resized to, and what both sides are multiples of: two patches, as the network halves
its grid once and an odd one comes back shifted. Pixels."""
SAVE_EVERY = 100


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out, besides the code.

    Attributes:
        scenes: number of streets to train on.
        held_out: number of streets to measure on.
        steps: optimiser steps.
        batch: images a step, all of one shape.
        learning_rate: at its highest, after `warmup` steps; falls to 0 by a cosine.
        warmup: steps.
        weight_decay: of AdamW.
        gradient_weight: of the gradient loss beside the scale-and-shift-invariant loss.
        seed: of weights and augmentation.
    """

    scenes: int = 800
    held_out: int = 60
    steps: int = 1100
    batch: int = 8
    learning_rate: float = 6e-4
    warmup: int = 100
    weight_decay: float = 0.05
    gradient_weight: float = 0.5
    seed: int = 1


def scene_paths(folder: Path, recipe: Recipe) -> tuple[list[Path], list[Path]]:
    """Files of the scenes to train on and of those held out."""
    train = [folder / f"{FIRST_TRAIN_SEED + i}.npz" for i in range(recipe.scenes)]
    return train, [folder / f"{FIRST_HELD_OUT_SEED + i}.npz" for i in range(recipe.held_out)]


def batch_at(step: int, paths: list[Path], recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The images (B, 3, h, w) and inverse depths (B, h, w) of one step; the same for the same step."""
    rng = np.random.default_rng((recipe.seed, step))
    kind = step % len(SHAPES)
    fitting = [path for path in paths if int(path.stem) % len(SHAPES) == kind]
    chosen = rng.choice(len(fitting), recipe.batch, replace=len(fitting) < recipe.batch)
    pairs = [augment(*read_scene(fitting[i]), SHAPES[kind][1], rng) for i in chosen]
    return torch.from_numpy(np.stack([a for a, _ in pairs])), torch.from_numpy(np.stack([b for _, b in pairs]))


def build_model(seed: int) -> nn.Module:
    """Depth Anything V2 with 3.5 million random weights."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(seed)
    backbone = Dinov2Config(
        hidden_size=192,
        num_hidden_layers=6,
        num_attention_heads=3,
        image_size=GRID_SIDE,
        patch_size=14,
        out_indices=[1, 3, 5, 6],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=192,
        patch_size=14,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[24, 48, 96, 192],
        fusion_hidden_size=32,
        head_hidden_size=16,
        depth_estimation_type="relative",
    )
    model: nn.Module = DepthAnythingForDepthEstimation(config)
    for part in [*model.neck.modules(), *model.head.modules()]:  # type: ignore[union-attr]
        # The library's start (deviation 0.02) is meant for pretrained encoders: it all but stops the signal.
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    # The last ReLU must start open: where all is negative there is no gradient, and no way back.
    nn.init.constant_(model.head.conv3.bias, 3.0)  # type: ignore[union-attr, arg-type]
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine down to 0.

    >>> learning_rate(Recipe(steps=300, warmup=100, learning_rate=1.0), 99)
    1.0
    """
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def train(recipe: Recipe, paths: list[Path], state_path: Path, until: int | None = None) -> tuple[nn.Module, float]:
    """Train to step `until` (the recipe's last if None), from the state at `state_path` if there is one.

    Returns:
        The model, and how many seconds its training has taken over all starts.
    """
    model = build_model(recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=recipe.weight_decay)
    first, seconds = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, seconds = state["step"], state["seconds"]
    last, started, losses = recipe.steps if until is None else until, time.monotonic() - seconds, []
    model.train()
    for step in range(first, last):
        losses.append(_step(model, optimizer, recipe, paths, step))
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == last:
            seconds = time.monotonic() - started
            notes = {"step": step + 1, "seconds": seconds}
            _save(state_path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **notes})
            print(
                f"step {step + 1} of {last}, {seconds:.0f} s, loss {np.mean(losses[-SAVE_EVERY:]):.4f}",
                flush=True,
            )
    return model.eval(), seconds


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, paths: list[Path], step: int) -> float:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, step)
    pixels, target = batch_at(step, paths, recipe)
    predicted = model(pixels.contiguous(memory_format=torch.channels_last)).predicted_depth
    mask = torch.ones_like(target)
    loss = ssi_gradient_loss(predicted, target, mask, recipe.gradient_weight)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _save(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".tmp")
    torch.save(state, partial_path)
    partial_path.replace(path)


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


def write_checkpoint(model: nn.Module, folder: Path) -> None:
    """The weights, their configuration and the image processor, in the format of transformers."""
    from transformers import DPTImageProcessorPil

    model.to(memory_format=torch.contiguous_format).save_pretrained(folder)  # type: ignore[call-overload]
    processor = DPTImageProcessorPil(
        size={"height": INPUT_SIDE, "width": INPUT_SIDE},
        keep_aspect_ratio=True,
        ensure_multiple_of=INPUT_MULTIPLE,
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    processor.save_pretrained(folder)


def write_notes(folder: Path, recipe: Recipe, metrics: dict[str, Any], seconds: float, threads: int) -> None:
    """`blurdepth.json` and the model card."""
    weights = (folder / "model.safetensors").stat().st_size
    notes = {
        "kind": "affine_inverse_depth",
        "recipe": asdict(recipe),
        "metrics": metrics,
        "code_version": blurdepth.__version__,
        "data": {
            "name": "rendered streets",
            "code": scene_folder(Path()).name,
            "train": {"first_seed": FIRST_TRAIN_SEED, "count": recipe.scenes},
            "held_out": {"first_seed": FIRST_HELD_OUT_SEED, "count": recipe.held_out},
        },
        "training": {"seconds": round(seconds), "threads": threads},
    }
    (folder / "blurdepth.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    rows = "\n".join(
        f"| {label} | {metrics['model'][key]:.3f} | {metrics['ramp'][key]:.3f} |"
        for key, label in (
            ("inverse_error", "error of inverse depth (1 = flat guess)"),
            ("abs_rel", "AbsRel"),
            ("delta_1", "δ < 1.25"),
            ("rmse", "RMSE, m"),
        )
    )
    card = (
        (Path(__file__).parent / "bundled_card.md")
        .read_text(encoding="utf-8")
        .format(
            **asdict(recipe),
            rows=rows,
            minutes=round(seconds / 60),
            threads=f"{threads} CPU thread" + "s" * (threads > 1),
            megabytes=weights / 1e6,
            seen=recipe.steps * recipe.batch,
            side=INPUT_SIDE,
            first_train=FIRST_TRAIN_SEED,
            first_held_out=FIRST_HELD_OUT_SEED,
        )
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Render, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_cache = platformdirs.user_cache_path("blurdepth", appauthor=False)
    parser.add_argument("--cache", type=Path, default=default_cache, help="where scenes and progress are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "checkpoints" / "bundled", help="the checkpoint's folder")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (all, if not given)")
    options = parser.parse_args(arguments)
    threads = options.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    recipe = Recipe()
    train_paths, held_out = scene_paths(scene_folder(options.cache), recipe)
    render_scenes(train_paths + held_out, threads)
    key = hashlib.sha256(json.dumps([asdict(recipe), str(scene_folder(Path()))]).encode()).hexdigest()[:12]
    model, seconds = train(recipe, train_paths, options.cache / f"training-{key}.pt")
    write_checkpoint(model, options.out)
    metrics = measure(load_estimator(str(options.out)).predict, held_out)
    write_notes(options.out, recipe, metrics, seconds, threads)
    print(json.dumps(metrics, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
