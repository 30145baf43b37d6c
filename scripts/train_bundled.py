"""Train the bundled depth model from random weights on rendered streets.

    python scripts/train_bundled.py

renders the scenes (once; they are kept in the cache folder), trains, measures on scenes held out, and writes
`checkpoints/bundled` with its model card: a quarter of an hour for the scenes and three hours for the training on
two CPU cores. Killed at any time and started again, it goes on where it was.

Rendered streets are not the street outside: what improves on them may get worse on photographs. With `--real DIR` the
step is kept that has the least AbsRel on the .npz files of a folder, each with the arrays "rgb" (H, W, 3) uint8 and
"depth_m" (H, W), measured by a lidar say, and 0, infinite or NaN where it is unknown. Without it, the step that is best
on the held-out scenes is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import blurdepth  # before torch, which reads what it sets

# isort: split
import torch
from bundled_measures import (
    COARSE_SIDE,
    INPUT_SIDE,
    Judge,
    Photograph,
    image_processor,
    make_judge,
    measure,
    measure_real,
    read_photographs,
)
from bundled_scenes import SHAPES, augment, read_scene, render_scenes, scene_folder
from torch import Tensor, nn

from benchmarks.parsed_code import parsed_code
from blurdepth import depth, estimators, losses, metrics
from blurdepth.depth import DepthKind
from blurdepth.estimators import BUNDLED, NOTES, SHIPPED, load_estimator, tell_kind
from blurdepth.files import replacing
from blurdepth.images import content_hash
from blurdepth.losses import ssi_gradient_loss
from blurdepth.pretrained import core_count

FIRST_TRAIN_SEED, FIRST_HELD_OUT_SEED = 100_000, 900_000
DECODER_WIDTH = 24
KIND: DepthKind = "affine_inverse_depth"
REAL_WORDS = (
    "On photographs with measured depth ({photographs}): AbsRel {model[abs_rel]:.3f}, δ < 1.25 {model[delta_1]:.3f}; "
    "the ramp {ramp[abs_rel]:.3f} and {ramp[delta_1]:.3f}. The model has not learned from them, but the step and the "
    "size of its input were chosen by them (`--real`): expect others to come out worse."
)
SAVE_EVERY, MEASURE_EVERY = 100, 500
"""Steps between two states on the disk, and between two measurements."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out, besides the code.

    Attributes:
        scenes: number of streets to train on.
        held_out: number of streets to measure on.
        coarse_steps: the first steps see frames of half the size: what a car is needs many pictures and few pixels.
        fine_steps: the others, which see frames of the size of `SHAPES`.
        batch: images a step, all of one shape.
        learning_rate: at its highest, after `warmup` steps.
        decay_steps: in which a cosine would bring it to 0; it is still high when the coarse steps end, as they only
            prepare the fine ones.
        fine_learning_rate: from which it falls to 0 with the fine steps.
        warmup: steps, at the beginning of each of the two.
        weight_decay: of AdamW.
        gradient_weight: of the gradient loss beside the scale-and-shift-invariant loss.
        seed: of weights and augmentation.
    """

    scenes: int = 5000
    held_out: int = 60
    coarse_steps: int = 16_000
    fine_steps: int = 2500
    batch: int = 8
    learning_rate: float = 6e-4
    decay_steps: int = 30_000
    fine_learning_rate: float = 2e-4
    warmup: int = 200
    weight_decay: float = 0.05
    gradient_weight: float = 0.5
    seed: int = 1

    @property
    def steps(self) -> int:
        """Of the optimiser, in all."""
        return self.coarse_steps + self.fine_steps


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
    (width, height), part = SHAPES[kind][1], 2 if step < recipe.coarse_steps else 1
    pairs = [augment(*read_scene(fitting[i]), (width // part, height // part), rng) for i in chosen]
    return torch.from_numpy(np.stack([a for a, _ in pairs])), torch.from_numpy(np.stack([b for _, b in pairs]))


def build_model(seed: int) -> nn.Module:
    """A small GLPN with random weights: a Mix Transformer (B0), whose convolutions learn from few scenes what a plain
    vision transformer needs many for, and a light decoder.

    Source: Kim et al., "Global-Local Path Networks for Monocular Depth Estimation with Vertical CutDepth" (2022).
    """
    from transformers import GLPNConfig, GLPNForDepthEstimation

    torch.manual_seed(seed)
    config = GLPNConfig(
        hidden_sizes=[32, 64, 160, 256],
        depths=[2, 2, 2, 2],
        num_attention_heads=[1, 2, 5, 8],
        decoder_hidden_size=DECODER_WIDTH,
        drop_path_rate=0.0,
        max_depth=1,
    )
    model: nn.Module = GLPNForDepthEstimation(config)
    for part in [*model.decoder.modules(), *model.head.modules()]:  # type: ignore[union-attr]
        # The library's start (deviation 0.02) is meant for pretrained encoders: it all but stops the signal.
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    # The last sigmoid must start in its middle: at its ends there is hardly a gradient.
    nn.init.normal_(model.head.head[-1].weight, std=0.01)  # type: ignore[union-attr, index]
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine towards 0; once for the coarse steps and once for the fine ones.

    >>> recipe = Recipe(coarse_steps=300, fine_steps=300, warmup=100, learning_rate=1.0, fine_learning_rate=0.5)
    >>> [round(learning_rate(recipe, step), 4) for step in (99, 399, 500, 599)]
    [1.0, 0.5, 0.25, 0.0]
    """
    highest, steps = recipe.learning_rate, recipe.decay_steps
    if step >= recipe.coarse_steps:
        step, highest, steps = step - recipe.coarse_steps, recipe.fine_learning_rate, recipe.fine_steps
    if step < recipe.warmup:
        return highest * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(steps - recipe.warmup, 1)
    return highest * (1 + math.cos(math.pi * done)) / 2


@dataclass
class Progress:
    """A training as far as it has come.

    Attributes:
        step: how many are done.
        seconds: that took, over all starts.
        best: weights of the measured step that is kept.
        best_step: which one that is.
        best_error: its error, see `Judge`.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    best_error: float = math.inf

    def load(self, path: Path) -> None:
        """Go on from the state in a file."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state.pop("model"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        for name, value in state.items():
            setattr(self, name, value)

    def save(self, path: Path) -> None:
        """Keep the state in a file, whole or not at all."""
        state = {**vars(self), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_path = path.with_suffix(".tmp")
        torch.save(state, partial_path)
        partial_path.replace(path)


def train(recipe: Recipe, paths: list[Path], state_path: Path, judge: Judge, until: int | None = None) -> Progress:
    """Train to step `until` (the recipe's last if None), from the state at `state_path` if there is one."""
    model = build_model(recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=recipe.weight_decay)
    progress, losses = Progress(model, optimizer), list[float]()
    if state_path.exists():
        progress.load(state_path)
    last, started = recipe.steps if until is None else until, time.monotonic() - progress.seconds
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch_at, progress.step, paths, recipe)
        while progress.step < last:
            pixels, target = coming.result()
            coming = ahead.submit(batch_at, progress.step + 1, paths, recipe)
            losses.append(_step(model, optimizer, learning_rate(recipe, progress.step), recipe, pixels, target))
            progress.step += 1
            if progress.step % MEASURE_EVERY == 0 or progress.step == recipe.steps:
                _judge(progress, judge, progress.step > recipe.coarse_steps)
            if progress.step % SAVE_EVERY == 0 or progress.step == last:
                progress.seconds = time.monotonic() - started
                progress.save(state_path)
                loss = np.mean(losses[-SAVE_EVERY:])
                print(f"step {progress.step} of {last}, {progress.seconds:.0f} s, loss {loss:.4f}", flush=True)
        coming.cancel()
    return progress


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, rate: float, recipe: Recipe, pixels: Tensor, target: Tensor
) -> float:
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = rate
    predicted = model(pixels.contiguous(memory_format=torch.channels_last)).predicted_depth
    loss = ssi_gradient_loss(predicted, target, torch.ones_like(target), recipe.gradient_weight)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _judge(progress: Progress, judge: Judge, fine: bool) -> None:
    figures = judge(progress.model.eval(), INPUT_SIDE if fine else COARSE_SIDE)
    error = next(iter(figures.values()))
    print(f"step {progress.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)
    # What has only seen half the size is not what is to be kept.
    if fine and error < progress.best_error:
        progress.best_error, progress.best_step = error, progress.step
        progress.best = {name: value.clone() for name, value in progress.model.state_dict().items()}


def write_checkpoint(model: nn.Module, folder: Path) -> None:
    """The weights, their configuration and the image processor, in the format of transformers."""
    tell_kind(model.config, KIND)
    model.to(memory_format=torch.contiguous_format).save_pretrained(folder)  # type: ignore[call-overload]
    image_processor().save_pretrained(folder)


def write_notes(folder: Path, recipe: Recipe, metrics: dict[str, Any], progress: Progress, threads: int) -> None:
    """`blurdepth.json` and the model card."""
    weights = (folder / "model.safetensors").stat().st_size
    notes = {
        "kind": KIND,
        "recipe": asdict(recipe),
        "metrics": metrics,
        "code_version": blurdepth.__version__,
        "provenance": {
            "code": scene_folder(Path()).name,
            "streets": [(FIRST_TRAIN_SEED, FIRST_TRAIN_SEED + recipe.scenes - 1)],
            "held_out_streets": [(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + recipe.held_out - 1)],
        },
        "training": {"step": progress.best_step, "seconds": round(progress.seconds), "threads": threads},
    }
    (folder / NOTES).write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    streets, real = metrics["streets"], metrics.get("real")
    rows = "\n".join(
        f"| {label} | {streets['model'][key]:.3f} | {streets['ramp'][key]:.3f} |"
        for key, label in (
            ("inverse_error", "error of inverse depth (1 = flat guess)"),
            ("abs_rel", "AbsRel"),
            ("delta_1", "δ < 1.25"),
            ("rmse", "RMSE, m"),
        )
    )
    told = "It was measured on no photograph." if real is None else REAL_WORDS.format(**real)
    card = (
        (Path(__file__).parent / "bundled_card.md")
        .read_text(encoding="utf-8")
        .format(
            **asdict(recipe),
            rows=rows,
            real=told,
            minutes=round(progress.seconds / 60),
            step=progress.best_step,
            threads=f"{threads} CPU thread" + "s" * (threads > 1),
            megabytes=weights / 1e6,
            parameters=weights / 4e6,
            seen=recipe.steps * recipe.batch,
            side=INPUT_SIDE,
            first_train=FIRST_TRAIN_SEED,
            first_held_out=FIRST_HELD_OUT_SEED,
        )
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def make(cache: Path, real: Path | None, out: Path) -> None:
    """Render, train, measure, write.

    Args:
        cache: folder of scenes and of the training's state.
        real: folder of photographs with known depth, if there are any.
        out: folder of the checkpoint.
    """
    threads = core_count()
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    recipe = Recipe()
    train_paths, held_out = scene_paths(scene_folder(cache), recipe)
    render_scenes(train_paths + held_out, threads)
    photographs = read_photographs(real)
    state_path = cache / f"training-{_key(recipe, photographs)}.pt"
    progress = train(recipe, train_paths, state_path, make_judge(held_out, photographs))
    progress.model.load_state_dict(progress.best)
    with replacing(out) as fresh:
        write_checkpoint(progress.model.eval(), fresh)
        predict = load_estimator(str(fresh)).predict
        metrics: dict[str, Any] = {"streets": measure(predict, held_out)}
        if photographs:
            names = ", ".join(each.name for each in photographs)
            metrics["real"] = {"photographs": names, **measure_real(predict, photographs)}
        write_notes(fresh, recipe, metrics, progress, threads)
    print(json.dumps(metrics, indent=1))


def _key(recipe: Recipe, photographs: list[Photograph]) -> str:
    """Names a training by what decides its outcome."""
    seen = [content_hash(each.rgb.tobytes() + each.inverse_depth.tobytes()) for each in photographs]
    # Which step is kept, models and metrics decide.
    sources = [Path(str(module.__file__)) for module in (depth, estimators, losses, metrics)]
    code = parsed_code([*sorted(Path(__file__).parent.glob("*bundled*.py")), *sources])
    parts = [asdict(recipe), scene_folder(Path()).name, code, seen]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def main(arguments: list[str] | None = None) -> int:
    """Make the bundled model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_cache = platformdirs.user_cache_path("blurdepth", appauthor=False)
    parser.add_argument("--cache", type=Path, default=default_cache, help="where scenes and progress are kept")
    parser.add_argument("--real", type=Path, metavar="DIR", help="photographs with known depth, to choose the step by")
    options = parser.parse_args(arguments)
    make(options.cache, options.real, SHIPPED[BUNDLED])
    return 0


if __name__ == "__main__":
    sys.exit(main())
