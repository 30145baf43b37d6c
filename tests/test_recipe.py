"""Recipes: the presets, their checks, the schedule and the split."""

from pathlib import Path

import pytest

from blurdepth.dataset import split_samples
from blurdepth.errors import InputError, NotFoundError
from blurdepth.recipe import (
    PRESET_FOLDER,
    PRESETS,
    learning_rate,
    load_recipe,
    recipe_from_dict,
)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads_falls_and_survives_json(preset: str) -> None:
    recipe = load_recipe(preset)
    rates = [learning_rate(recipe, step, 1000) for step in range(1001)]
    warm = recipe.warmup_steps
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[max(warm - 1, 0) :] == sorted(rates[max(warm - 1, 0) :], reverse=True)
    assert recipe_from_dict(recipe.as_dict()) == recipe


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "epochs = 0: use a number above 0"),
        ("epochs", 1.5, "use a whole number"),
        ("lr", float("nan"), "lr = nan"),
        ("lr", float("inf"), "lr = inf"),
        ("lr", "fast", "use a number"),
        ("lr_min", 1.0, "from 0 to lr"),
        ("crop", [518, 9], "14 or more"),
        ("crop", 518, r"use a list \[height, width\]"),
        ("crop", [518], "a height and a width"),
        ("loss", "mse", r"use one of ssi\+gradient, silog"),
        ("target", "depth", "use one of mean_inverse_depth, mid_exposure"),
        ("include_sharp", 1, "use true or false"),
        ("val_share", 0.9, "from 0 to 0.5"),
        ("weight_decay", -1, "weight_decay"),
        ("color_jitter", 1.5, "share from 0 to 1"),
        ("warmup_steps", 2.5, "use a whole number"),
        ("gradient_weight", -1.0, "gradient_weight = -1.0"),
        ("seed", -1, "seed = -1: use a number from 0"),
        ("seed", 2**31, "seed = 2147483648: use a number from 0 to 2147483647"),
        ("batch", True, "use a whole number"),
    ],
)
def test_a_wrong_value_is_named_with_its_mend(key: str, value: object, message: str) -> None:
    values = {**load_recipe("quick").as_dict(), key: value}
    with pytest.raises(InputError, match=message):
        recipe_from_dict(values)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "slow.toml"
    path.write_text((PRESET_FOLDER / "quick.toml").read_text().replace("lr = 2e-5", "lr = 1e-5"))
    recipe = load_recipe(path)
    assert (recipe.name, recipe.lr) == ("slow", 1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "not a TOML file"),
        ("epoch = 3", "'epoch' is unknown"),
        ("epochs = 3", "is missing"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(NotFoundError, match="'fast': use quick, blur-aware, paper"):
        load_recipe("fast")


@pytest.mark.parametrize("name", ["secrets.ini", "toml", "", "x" * 300, "x" * 300 + ".toml"])
def test_a_file_that_is_no_recipe_is_not_opened(tmp_path: Path, name: str) -> None:
    if name == "secrets.ini":
        (tmp_path / name).write_text("password = 'hunter2'")
    with pytest.raises(NotFoundError, match="use quick, blur-aware, paper or the path") as caught:
        load_recipe(tmp_path / name)
    assert "hunter2" not in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_share_of_0_holds_nothing_out() -> None:
    assert split_samples([("a", "f"), ("b", "g")], "by_frame", 0, seed=0) == {"a": "train", "b": "train"}
    assert split_samples([("a", "f")], "random", 0, seed=0) == {"a": "train"}
    for share in (0, 0.1):
        with pytest.raises(InputError, match="0 sample"):
            split_samples([], "by_frame", share, seed=0)


def test_a_whole_number_that_no_float_holds_is_refused() -> None:
    with pytest.raises(InputError, match="'lr' is too large"):
        recipe_from_dict({**load_recipe("quick").as_dict(), "lr": 10**400})
