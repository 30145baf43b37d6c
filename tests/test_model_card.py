"""The card of a fine-tuned model, beside a real one that transformers loads."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blurdepth.dataset import TrainingSample
from blurdepth.files import encode_array
from blurdepth.finetune import finetune
from blurdepth.images import decode_image, encode_png
from blurdepth.metrics import METRICS
from blurdepth.model_card import (
    CARD,
    GROUPS,
    CardPicture,
    card_text,
    licence_of,
    plain,
    shareable,
    write_card,
)
from blurdepth.recipe import Recipe, load_recipe, recipe_from_dict
from blurdepth.workspace import NewSample, Workspace

HEIGHT, WIDTH = 72, 112
RECIPE = replace(load_recipe("quick"), epochs=1, batch=2, crop=(56, 84), warmup_steps=0, lr=1e-3, lr_min=1e-4)


class Quiet:
    """Listens and never stops."""

    def report(self, _progress: object) -> None:
        pass

    def should_stop(self) -> bool:
        return False


def scene(frame: int) -> tuple[Any, Any, Any]:
    """A picture of a road with a box, its inverse depth, and regions of every kind."""
    inverse_depth = np.tile(np.linspace(0.02, 0.2, HEIGHT, dtype=np.float32)[:, None], (1, WIDTH))
    inverse_depth[20:50, 10 + 20 * frame : 40 + 20 * frame] = 0.4
    regions = np.zeros((HEIGHT, WIDTH), np.uint8)
    regions[10:30], regions[30:40], regions[:4] = 1, 2, 255
    return np.repeat((inverse_depth * 600).astype(np.uint8)[..., None], 3, 2), inverse_depth, regions


def write_sample(folder: Path, frame: int) -> TrainingSample:
    """The files of one sample; of the third frame, which is held out."""
    rgb, inverse_depth, regions = scene(frame)
    contents = {
        "image": encode_png(rgb),
        "target": encode_array(inverse_depth),
        "regions": encode_png(regions),
        "sharp_image": encode_png(rgb),
        "sharp_target": encode_array(inverse_depth),
    }
    for name, data in contents.items():
        (folder / f"{frame}-{name}").write_bytes(data)
    paths = {name: folder / f"{frame}-{name}" for name in contents}
    return TrainingSample(id=f"s{frame}", frame_id=f"f{frame}", split="val" if frame == 2 else "train", **paths)


@pytest.fixture(scope="module")
def checkpoint(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fine-tune of two steps."""
    folder = tmp_path_factory.mktemp("card")
    samples = [write_sample(folder, frame) for frame in range(3)]
    origin = {"dataset_version": "v3", "dataset_manifest": "ab12", "job": "j4"}
    outcome = finetune(tiny_model, samples, RECIPE, folder / "run", Quiet(), device="cpu", provenance=origin)
    assert outcome.checkpoint is not None
    return outcome.checkpoint


def notes_of(checkpoint: Path) -> dict[str, Any]:
    notes: dict[str, Any] = json.loads((checkpoint / "blurdepth.json").read_text())
    return notes


def front_matter(card: str) -> dict[str, Any]:
    _, head, _ = card.split("---\n", 2)
    values: dict[str, Any] = yaml.safe_load(head)
    return values


def test_a_fine_tuned_model_is_loaded_by_the_pipeline_of_transformers(checkpoint: Path) -> None:
    from transformers import pipeline

    estimate = pipeline("depth-estimation", model=str(checkpoint))
    result = estimate(Image.fromarray(scene(0)[0]))
    assert result["depth"].size == (WIDTH, HEIGHT)
    assert np.isfinite(result["predicted_depth"].numpy()).all()


def test_the_card_says_what_the_notes_say(checkpoint: Path) -> None:
    card, notes = (checkpoint / CARD).read_text(), notes_of(checkpoint)
    head = front_matter(card)
    assert (head["library_name"], head["pipeline_tag"]) == ("transformers", "depth-estimation")
    assert "license" not in head and "base_model" not in head and "look it up" in card
    for said in ("v3", "ab12", "j4", notes["code_version"], notes["metrics"]["validated_on"]):
        assert said in card
    table = re.search(r"(\|  \| .*\n(?:\|.*\n?)+)", card)
    assert table is not None
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table[1].splitlines()]
    assert len(rows) == 2 + len(METRICS)
    for metric, row in zip(METRICS, rows[2:], strict=True):
        for group, cell in zip(GROUPS, row[1:], strict=True):
            before, after = (notes["metrics"][who][group][metric.key] for who in ("base", "tuned"))
            assert cell == f"{before:.4f} → {after:.4f}"


def test_the_recipe_of_a_card_is_one_that_can_be_run_again(checkpoint: Path) -> None:
    assert read_recipe((checkpoint / CARD).read_text()) == RECIPE


def read_recipe(card: str) -> Recipe:
    found = re.search(r"```toml\n(.*?)\n```", card, re.DOTALL)
    assert found is not None
    return recipe_from_dict(tomllib.loads(found[1]))


def test_no_path_of_this_machine_is_told(checkpoint: Path) -> None:
    base = notes_of(checkpoint)["base"]["name"]
    assert base.startswith("/") and base not in (checkpoint / CARD).read_text()
    for name, told in {
        "/data/jobs/j3/checkpoint": "the folder j3",
        r"C:\Users\ann\mine": "the folder mine",
        "../models/mine": "the folder mine",
        "depth-anything/Depth-Anything-V2-Small-hf": "depth-anything/Depth-Anything-V2-Small-hf",
        "bundled": "bundled",
    }.items():
        made = shareable({"base": {"name": name}, "provenance": {"base": name}})
        assert (made["base"]["name"], made["provenance"]["base"]) == (told, told)


def test_a_known_base_is_named_with_its_licence(tmp_path: Path) -> None:
    name = "depth-anything/Depth-Anything-V2-Base-hf"
    head = front_matter(card_text({"base": {"name": name}}))
    assert (head["base_model"], head["license"]) == (name, "cc-by-nc-4.0")
    assert front_matter(card_text({"base": {"name": "bundled"}}))["license"] == "mit"
    write_card(tmp_path, {"base": {"name": name}})
    assert licence_of(str(tmp_path)) == "cc-by-nc-4.0", "a fine-tune of a fine-tune inherits it"
    assert licence_of(str(tmp_path / "nowhere")) == licence_of("somebody/else") == ""


HOSTILE = "x`|\n---\nlicense: mit\n# <img src=x> [a](javascript:b)\n```\n\0\ud800"


@pytest.mark.parametrize("text", [HOSTILE, "- a: &b !!c", "--- ", "'\"{}"])
def test_names_that_people_gave_stay_text(text: str, tmp_path: Path) -> None:
    notes = {
        "base": {"name": text, "revision": text},
        "recipe": {**RECIPE.as_dict(), "name": text},
        "provenance": {"dataset_version": text, "dataset_note": text, "job": text},
        "metrics": {"validated_on": text, "best_epoch": text, "base": {"all": {}}, "tuned": {"all": {}}},
    }
    grey = np.zeros((4, 4, 3), np.uint8)
    card = write_card(tmp_path, notes, [CardPicture(text, grey)]).read_text()
    assert set(front_matter(card)) == {"library_name", "pipeline_tag", "tags"}
    assert not re.search(r"(?<!\\)<img", card.split("```toml")[0])
    assert "\n# <img" not in card and "\n---\nlicense" not in card
    assert card.count("\n```") == 4, "no fence is opened or closed by a name"


def test_the_note_of_a_dataset_version_stands_in_the_card_as_text(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    frame = workspace.add_frame(encode_png(scene(0)[0]), "street.png")
    _, target, regions = scene(0)
    workspace.keep_sample(NewSample("s", frame.id, scene(0)[0], target, target, regions, {}, {}))
    workspace.store.samples.decide(["s"], "accept")
    workspace.store.versions.snapshot("rain <b>only</b>\n# [me](http://x)")
    origin = workspace.training_provenance("v1", "bundled", "quick")
    assert "- note: rain \\<b\\>only\\</b\\> \\# \\[me\\]\\(http\\://x\\)\n" in card_text({"provenance": origin})
    assert "- note" not in card_text({"provenance": {**origin, "dataset_note": ""}})


def test_a_card_tells_of_streets_with_exact_depth_what_is_true_of_them() -> None:
    card = card_text({"provenance": {"base": "bundled", "streets": [[10, 19], [30, 39]]}})
    assert "- seeds of rendered streets: 10 to 19, 30 to 39\n" in card
    assert "rendered streets, whose depth is exact" in card
    other = card_text({"provenance": {"dataset_version": "v1"}})
    assert "another model's depth" in other and "another model's depth" not in card


@given(st.text())
def test_any_text_becomes_one_line_without_markup(text: str) -> None:
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`<>\[\]|]", line)


def test_a_card_warns_of_what_went_wrong() -> None:
    metrics = {
        "improved": False,
        "validated_on": "training samples",
        "base": {"sharp": {"abs_rel": 0.1}},
        "tuned": {"sharp": {"abs_rel": 0.2}},
    }
    card = card_text({"status": "stopped", "metrics": metrics})
    for said in ("stopped before its end", "not better than its base", "0.200 instead of 0.100", "on others"):
        assert said in card


def test_of_many_pictures_three_are_kept(tmp_path: Path) -> None:
    pictures = [CardPicture(f"picture {k}", np.full((64, 64, 3), 50 * k, np.uint8)) for k in range(5)]
    card = write_card(tmp_path, {}, pictures).read_text()
    shown = re.findall(r"!\[picture \d\]\((.*)\)", card)
    assert shown == ["sample-1.jpg", "sample-2.jpg", "sample-3.jpg"]
    assert [decode_image((tmp_path / name).read_bytes(), name).mean().round() for name in shown] == [0, 50, 100]
    assert len(list(tmp_path.iterdir())) == 4
