"""Recipes of fine-tuning: what is trained towards what, and how fast; read from small TOML files."""

from __future__ import annotations

import math
import tomllib
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from blurdepth.dataset import SplitRule
from blurdepth.errors import InputError, NotFoundError
from blurdepth.metrics import METRICS

PRESET_FOLDER = Path(__file__).parent / "presets"
PRESETS = ("quick", "blur-aware", "paper")
_LISTS: dict[str, tuple[tuple[type, ...], str]] = {
    "crop": ((int,), "[height, width] in pixels"),
    "region_weights": ((int, float), "[static, blurred, mixed] of numbers"),
}
MIN_CROP_PX = 14
"""A patch of Depth Anything V2."""

Target = Literal["mean_inverse_depth", "mid_exposure"]
Loss = Literal["ssi+gradient", "silog"]
Optimizer = Literal["adam", "adamw", "muon"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Recipe:
    """All that decides the course of a fine-tune, but for the model and the data.

    Attributes:
        name: of the preset, or of the file.
        target: what a blurred pixel should become: the mean inverse depth over the exposure, or the sharp
            frame's at mid exposure.
        loss: "ssi+gradient" (scale-and-shift-invariant L1 and gradient matching) or "silog".
        gradient_weight: of gradient matching beside SSI; without effect on "silog".
        optimizer: "adam", "adamw" or "muon" (see `Muon`).
        epochs: passes over the training samples.
        lr, lr_min: learning rate of the encoder at the first step and after the last.
        head_lr_factor: all else than the encoder learns that many times faster.
        power: of the polynomial decay.
        warmup_steps: the first steps, over which the learning rates rise from 0: Adam's steps are as long as
            the rate at once, which throws a trained model back.
        batch: samples a step.
        crop: (height, width) in pixels; each becomes the nearest multiple of what the model asks for, such as 14.
        include_sharp: each training frame is trained along as it was, towards its own inverse depth.
        split: as in `split_samples`: "by_frame" keeps all variants of a frame on one side; "random" is the
            paper's.
        val_share: share of the samples that is held out; with 0 the training samples are measured instead.
        weight_decay: of the optimizer.
        seed: of the split, the order, the crops, the flips and the colours.
        region_weights: how much a static, a blurred and a mixed pixel count in the loss; those with 0 are left out
            wherever a prediction is laid on its target, too.
        color_jitter: by how much brightness, contrast and saturation of the pictures that are learned from vary: each
            is multiplied by 1 - color_jitter to 1 + color_jitter. 0 = not at all.
        freeze_encoder: only the head learns.
        micro_batch: samples that are in memory at a time; their gradients are summed until the batch is through.
            0 = the whole batch at once.
        checkpointing: less memory for the encoder's activations, which are then computed twice.
        precision: of the arithmetic; "auto" is bfloat16 on a CUDA GPU that has it, float16 on another one, and float32
            elsewhere. A CPU that has bfloat16 takes a third less time with it, but a model whose prediction is still
            all but flat learns nothing in so few digits.
        best_by: the metric by which the best epoch is chosen, over all validation variants.
        patience: epochs without a better one after which training ends; 0 = never before the last.
        sharp_tolerance: by how much the AbsRel on sharp frames may rise before the result is marked as worse there.
    """

    name: str
    target: Target
    loss: Loss
    gradient_weight: float
    optimizer: Optimizer
    epochs: int
    lr: float
    lr_min: float
    head_lr_factor: float
    power: float
    warmup_steps: int
    batch: int
    crop: tuple[int, int]
    include_sharp: bool
    split: SplitRule
    val_share: float
    weight_decay: float
    seed: int = 0
    region_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    color_jitter: float = 0.0
    freeze_encoder: bool = False
    micro_batch: int = 0
    checkpointing: bool = False
    precision: Precision = "auto"
    best_by: str = "abs_rel"
    patience: int = 0
    sharp_tolerance: float = 0.02

    def __post_init__(self) -> None:
        """Refuse values that can't be trained with.

        Raises:
            InputError: names the value and the mend.
        """
        for name, choices in _choices().items():
            if getattr(self, name) not in choices:
                raise self._wrong(name, f"use one of {', '.join(choices)}")
        for name in ("epochs", "batch", "lr", "head_lr_factor", "power"):
            if not 0 < getattr(self, name) < math.inf:
                raise self._wrong(name, "use a number above 0")
        if not 0 <= self.lr_min <= self.lr:
            raise self._wrong("lr_min", f"use a number from 0 to lr ({self.lr})")
        for name, most in (("val_share", 0.5), ("color_jitter", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise self._wrong(name, f"use a share from 0 to {most}")
        if not 0 <= self.weight_decay < 1:
            raise self._wrong("weight_decay", "use a number from 0 up to 1")
        for name in ("gradient_weight", "warmup_steps", "micro_batch", "patience", "sharp_tolerance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise self._wrong(name, "use a number from 0")
        if not 0 <= self.seed < 2**31:
            raise self._wrong("seed", f"use a number from 0 to {2**31 - 1}")
        self._check_lists()

    def _check_lists(self) -> None:
        if len(self.crop) != 2 or any(side < MIN_CROP_PX for side in self.crop):
            raise self._wrong("crop", f"use a height and a width in whole pixels, {MIN_CROP_PX} or more")
        weights = self.region_weights
        if len(weights) != 3 or not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise self._wrong("region_weights", "use three numbers from 0, not all 0: static, blurred, mixed")

    def _wrong(self, name: str, mend: str) -> InputError:
        return InputError(f"Recipe {self.name}: {name} = {getattr(self, name)!r}: {mend}.")

    def as_dict(self) -> dict[str, Any]:
        """All values as JSON knows them."""
        return {**asdict(self), "crop": list(self.crop), "region_weights": list(self.region_weights)}

    def identity(self) -> dict[str, Any]:
        """What tells this recipe from others.

        Later values are left out at their defaults, so that a run of an older version is known as the same.
        """
        later = {
            each.name: each.default for each in fields(self) if each.default is not MISSING and each.name != "seed"
        }
        return {
            name: value for name, value in self.as_dict().items() if getattr(self, name) != later.get(name, MISSING)
        }


def load_recipe(name_or_path: str | Path, seed: int | None = None) -> Recipe:
    """A preset by its name, or the recipe in a TOML file. A file with another ending isn't even opened.

    Args:
        name_or_path: one of `PRESETS`, or a path that ends in .toml.
        seed: in place of the recipe's own.

    Raises:
        NotFoundError: there is no such preset or file.
        InputError: the file is not TOML, or a key is missing, unknown, of the wrong type or out of range.
    """
    path = PRESET_FOLDER / f"{name_or_path}.toml" if name_or_path in PRESETS else Path(name_or_path)
    unknown = NotFoundError(
        f"There is no recipe {str(name_or_path)!r}: use {', '.join(PRESETS)} or the path of a .toml file."
    )
    if path.suffix != ".toml":
        raise unknown
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unknown from error
    except ValueError as error:  # TOML's and UTF-8's own are of this kind, as is a path with a zero byte
        raise InputError(f"{path} is not a TOML file ({error}): compare it with the presets.") from error
    values.setdefault("name", path.stem)
    return recipe_from_dict(values if seed is None else {**values, "seed": seed})


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """A recipe from the values of a TOML or JSON file.

    Raises:
        InputError: a key is missing, unknown, of the wrong type or out of range.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(values) - known):
        raise InputError(f"Recipe key {unknown[0]!r} is unknown: the keys are {', '.join(sorted(known))}.")
    needed = {field.name for field in fields(Recipe) if field.default is MISSING}
    if missing := sorted(needed - set(values)):
        raise InputError(f"Recipe key {missing[0]!r} is missing: take its line over from a preset.")
    types = get_type_hints(Recipe)
    return Recipe(**{name: _typed(name, value, types[name]) for name, value in values.items()})


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The encoder's learning rate at `step` of `steps`: polynomial decay from `lr` down to `lr_min`.

    lr_min + (lr - lr_min) * (1 - step / steps) ** power, times (step + 1) / warmup_steps while warming up

    Source: the metric-depth training of Depth Anything V2 (Yang et al., NeurIPS 2024), which decays to 0; the
    floor is the paper's.
    """
    left = 1 - min(step, steps) / max(steps, 1)
    warm = min(1.0, (step + 1) / max(recipe.warmup_steps, 1))
    return float(recipe.lr_min + (recipe.lr - recipe.lr_min) * left**recipe.power) * warm


def _choices() -> dict[str, tuple[str, ...]]:
    return {
        "target": get_args(Target),
        "loss": get_args(Loss),
        "optimizer": get_args(Optimizer),
        "split": get_args(SplitRule),
        "precision": get_args(Precision),
        "best_by": tuple(metric.key for metric in METRICS),
    }


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as the field needs it: TOML's 1 is a float where one is wanted, its list a tuple."""
    if name in _LISTS:
        kinds, words = _LISTS[name]
        if isinstance(value, (list, tuple)) and all(type(each) in kinds for each in value):
            return tuple(value)
        raise InputError(f"Recipe key {name!r} = {value!r}: use a list {words}.")
    wanted = {int: (int,), float: (int, float), bool: (bool,)}.get(kind, (str,))
    if type(value) not in wanted:
        what = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")
        raise InputError(f"Recipe key {name!r} = {value!r}: use {what}.")
    try:
        return float(value) if kind is float else value
    except OverflowError as error:  # a whole number of more than 308 digits
        raise InputError(f"Recipe key {name!r} is too large: use a number below 1e308.") from error
