"""Recipes of fine-tuning: what is trained towards what, and how fast; read from small TOML files."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from blurdepth.dataset import SplitRule
from blurdepth.errors import InputError, NotFoundError

PRESET_FOLDER = Path(__file__).parent / "presets"
PRESETS = ("quick", "blur-aware", "paper")
PATCH = 14
"""Pixels of a patch of Depth Anything V2: crops are multiples of it."""

Target = Literal["mean_inverse_depth", "mid_exposure"]
Loss = Literal["ssi+gradient", "silog"]
Optimizer = Literal["adam", "adamw"]


@dataclass(frozen=True)
class Recipe:
    """All that decides the course of a fine-tune, but for the model and the data.

    Attributes:
        name: of the preset, or of the file.
        target: what a blurred pixel should become: the mean inverse depth over the exposure, or the sharp
            frame's at mid exposure.
        loss: "ssi+gradient" (scale-and-shift-invariant L1 and gradient matching) or "silog".
        gradient_weight: of gradient matching beside SSI; without effect on "silog".
        optimizer: "adam" or "adamw".
        epochs: passes over the training samples.
        lr, lr_min: learning rate of the encoder at the first step and after the last.
        head_lr_factor: all else than the encoder learns that many times faster.
        power: of the polynomial decay.
        warmup_steps: the first steps, over which the learning rates rise from 0: Adam's steps are as long as
            the rate at once, which throws a trained model back.
        batch: samples a step.
        crop: (height, width) in pixels, multiples of 14.
        include_sharp: each training frame is trained along as it was, towards its own inverse depth.
        split: as in `split_samples`: "by_frame" keeps all variants of a frame on one side; "random" is the
            paper's.
        val_share: share of the samples that is held out; with 0 the training samples are measured instead.
        weight_decay: of the optimizer.
        seed: of the order, the crops and the flips.
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
        if not 0 <= self.val_share <= 0.5:
            raise self._wrong("val_share", "use a share from 0 to 0.5")
        if not 0 <= self.weight_decay < 1:
            raise self._wrong("weight_decay", "use a number from 0 up to 1")
        for name in ("gradient_weight", "warmup_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise self._wrong(name, "use a number from 0")
        if not 0 <= self.seed < 2**31:
            raise self._wrong("seed", f"use a number from 0 to {2**31 - 1}")
        if len(self.crop) != 2 or any(side < PATCH or side % PATCH for side in self.crop):
            raise self._wrong("crop", f"use a height and a width that are multiples of {PATCH}")

    def _wrong(self, name: str, mend: str) -> InputError:
        return InputError(f"Recipe {self.name}: {name} = {getattr(self, name)!r}: {mend}.")

    def as_dict(self) -> dict[str, Any]:
        """All values as JSON knows them."""
        return {**asdict(self), "crop": list(self.crop)}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A preset by its name, or the recipe in a TOML file. A file with another ending isn't even opened.

    Args:
        name_or_path: one of `PRESETS`, or a path that ends in .toml.

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
    return recipe_from_dict(values)


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """A recipe from the values of a TOML or JSON file.

    Raises:
        InputError: a key is missing, unknown, of the wrong type or out of range.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(values) - known):
        raise InputError(f"Recipe key {unknown[0]!r} is unknown: the keys are {', '.join(sorted(known))}.")
    if missing := sorted(known - set(values) - {"seed"}):
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
    }


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as the field needs it: TOML's 1 is a float where one is wanted, its list a tuple."""
    if name == "crop":
        if isinstance(value, (list, tuple)) and all(type(side) is int for side in value):
            return tuple(value)
        raise InputError(f"Recipe key 'crop' = {value!r}: use a list [height, width] in pixels.")
    wanted = {int: (int,), float: (int, float), bool: (bool,)}.get(kind, (str,))
    if type(value) not in wanted:
        what = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")
        raise InputError(f"Recipe key {name!r} = {value!r}: use {what}.")
    return float(value) if kind is float else value
