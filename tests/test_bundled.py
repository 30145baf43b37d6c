"""The models that come with the project, and the scripts that make them."""

import importlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import headline
from blurdepth.benchmark import SPLITS
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED, SHIPPED, TUNED, find_model, load_estimator, read_notes, streets_learned
from blurdepth.metrics import inverse_error, straight_ramp
from blurdepth.recipe import recipe_from_dict
from blurdepth.scenes import render_scene
from blurdepth.streets import make_street, photograph, render

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("train_bundled")


@pytest.fixture
def make_models(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_models")


@pytest.fixture
def make_assets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_assets")


@pytest.fixture(scope="module", params=SHIPPED.values(), ids=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> tuple[object, object]:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    folder = request.param
    return AutoModelForDepthEstimation.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)


def predict(shipped: tuple, rgb: np.ndarray) -> np.ndarray:
    model, processor = shipped
    with torch.inference_mode():
        outputs = model(**processor(images=rgb, return_tensors="pt"))
    sized = processor.post_process_depth_estimation(outputs, target_sizes=[rgb.shape[:2]])
    return sized[0]["predicted_depth"].numpy()


@pytest.mark.parametrize(("name", "pictures"), [(BUNDLED, set()), (TUNED, {".jpg"})])
def test_it_is_small_and_in_safetensors(name: str, pictures: set[str]) -> None:
    files = list(SHIPPED[name].iterdir())
    assert sum(path.stat().st_size for path in files) < 25e6
    assert {path.suffix for path in files} == {".json", ".safetensors", ".md"} | pictures


def test_it_loads_as_what_it_is_and_without_torchvision(shipped: tuple) -> None:
    model, processor = shipped
    assert (model.config.model_type, model.dtype) == ("glpn", torch.float32)
    assert type(processor).__name__ == "DPTImageProcessorPil"
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("size", [(1242, 375), (640, 360), (320, 240)])
def test_it_predicts_frames_of_any_shape(shipped: tuple, size: tuple[int, int]) -> None:
    width, height = size
    rgb = np.asarray(Image.effect_noise(size, 40).convert("RGB"))
    assert predict(shipped, rgb).shape == (height, width)


def test_near_is_larger_and_it_is_closer_to_the_truth_than_a_ramp(shipped: tuple) -> None:
    ours, ramps, correlations = [], [], []
    for seed, kind in enumerate(("avenue", "suburb", "country", "highway", "crossing"), 2_000_000):
        street = make_street(seed, kind)
        seen = render(street, 448, 136)
        guess = predict(shipped, photograph(street, seen.linear))
        correlations.append(np.corrcoef(guess.ravel(), seen.inverse_depth.ravel())[0, 1])
        ours.append(inverse_error(guess, seen.inverse_depth))
        ramps.append(inverse_error(straight_ramp(seen.inverse_depth), seen.inverse_depth))
    assert np.mean(correlations) > 0.8
    assert np.mean(ours) < np.mean(ramps)


def test_its_notes_and_card_say_what_it_is(script: ModuleType) -> None:
    notes = json.loads((SHIPPED[BUNDLED] / "blurdepth.json").read_text())
    assert notes["kind"] == "affine_inverse_depth"
    assert notes["recipe"] == script.asdict(script.Recipe())
    streets = notes["metrics"]["streets"]
    assert streets["model"]["inverse_error"] < streets["ramp"]["inverse_error"]
    card = (SHIPPED[BUNDLED] / "README.md").read_text()
    for said in ("rendered", str(notes["recipe"]["scenes"]), "never learned from a photograph", "not good for"):
        assert said in card


def test_training_resumes_to_the_same_weights_and_keeps_the_best(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = script.Recipe(scenes=3, held_out=0, coarse_steps=1, fine_steps=3, batch=1, warmup=1)
    monkeypatch.setattr(script, "MEASURE_EVERY", 1)
    # The first is of the coarse step, which is not to be kept.
    errors = {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.3}
    paths, _ = script.scene_paths(tmp_path / "scenes", recipe)
    script.render_scenes(paths, 1)

    def train(name: str, first: int = 1, until: int | None = None) -> Any:
        told = iter(errors[step] for step in range(first, 5))
        return script.train(recipe, paths, tmp_path / name, lambda *_: {"error": next(told)}, until)

    at_best = train("at_best.pt", until=3)
    train("stopped.pt", until=3)
    resumed, straight = train("stopped.pt", first=4), train("straight.pt")
    for name, weights in straight.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], weights, msg=name)
        torch.testing.assert_close(resumed.best[name], at_best.model.state_dict()[name], msg=name)
        torch.testing.assert_close(straight.best[name], resumed.best[name], msg=name)
    assert (straight.best_step, resumed.best_step, resumed.best_error, resumed.step) == (3, 3, 0.2, 4)


def test_photographs_with_lidar_decide_where_there_are_any(script: ModuleType, tmp_path: Path) -> None:
    street = make_street(4)
    seen = render(street, 320, 96)
    depth_m = np.where(np.random.default_rng(0).random((96, 320)) < 0.1, 1 / np.maximum(seen.inverse_depth, 1e-3), 0)
    np.savez(tmp_path / "a.npz", rgb=photograph(street, seen.linear), depth_m=depth_m)
    photographs = script.read_photographs(tmp_path)
    assert photographs[0].name == "a" and 0.01 < photographs[0].known.mean() < 0.1
    with pytest.raises(InputError, match="no photographs"):
        script.read_photographs(tmp_path / "nowhere")
    _, held_out = script.scene_paths(tmp_path / "scenes", script.Recipe(scenes=0, held_out=1))
    script.render_scenes(held_out, 1)
    figures = script.make_judge(held_out, photographs)(script.build_model(1).eval(), 96)
    assert next(iter(figures)) == "real abs_rel"
    real = script.measure_real(lambda _: seen.inverse_depth, photographs)
    assert real["model"]["abs_rel"] < 0.02 < real["ramp"]["abs_rel"] and real["model"]["delta_1"] > 0.99


@pytest.mark.parametrize("measured", [False, True])
def test_a_trained_model_is_written_so_that_transformers_loads_it(
    script: ModuleType, tmp_path: Path, measured: bool
) -> None:
    model = script.build_model(1)
    script.write_checkpoint(model, tmp_path)
    names = ("inverse_error", "abs_rel", "delta_1", "rmse")
    both = {name: dict.fromkeys(names, 0.5) for name in ("model", "ramp")}
    real = {"real": {"photographs": "a, b", **both}} if measured else {}
    progress = script.Progress(model, None, step=20, seconds=60.0, best_step=10)
    script.write_notes(tmp_path, script.Recipe(), {"streets": both, **real}, progress, threads=1)
    card = (tmp_path / "README.md").read_text()
    assert "those of step 10" in card and ("measured depth (a, b)" in card) == measured
    estimator = load_estimator(str(tmp_path))
    assert estimator.kind == "affine_inverse_depth"
    assert estimator.predict(np.zeros((70, 140, 3), np.uint8)).shape == (70, 140)


def test_augmentation_keeps_picture_and_truth_together(script: ModuleType) -> None:
    truth = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (80, 1))
    rgb = np.repeat((truth * 255).astype(np.uint8)[..., None], 3, axis=2)
    for seed in range(12):
        pixels, inverse = script.augment(rgb, truth, (98, 42), np.random.default_rng(seed))
        assert pixels.shape == (3, 42, 98) and inverse.shape == (42, 98) and pixels.dtype == np.float32
        assert np.corrcoef(pixels.mean(axis=0).ravel(), inverse.ravel())[0, 1] > 0.6


def test_the_tuned_model_is_better_where_depths_mix() -> None:
    questions = [headline.ask(render_scene(seed, 640, 192)) for seed in range(5_000_000, 5_000_010)]
    base, tuned = (headline.measure(load_estimator(name), questions)["error"] for name in (BUNDLED, TUNED))
    assert np.nanmean(tuned["mixed"]) < 0.95 * np.nanmean(base["mixed"])


def test_the_tuned_model_says_what_it_learned_from() -> None:
    notes = json.loads((SHIPPED[TUNED] / "blurdepth.json").read_text())
    assert (notes["status"], notes["recipe"]["target"]) == ("done", "mean_inverse_depth")
    assert (notes["base"]["name"], notes["base"]["revision"]) == (BUNDLED, find_model(BUNDLED)[1])
    base, tuned = (set(streets_learned(read_notes(name))) for name in (BUNDLED, TUNED))
    assert base < tuned
    assert [seeds[0] for seeds in (SPLITS["train"], headline.MORE_STREETS)] == [
        first for first, _ in notes["provenance"]["streets"]
    ]
    card = (SHIPPED[TUNED] / "README.md").read_text()
    assert "seeds of rendered streets" in card and "dataset version" not in card


def test_no_model_has_learned_from_the_blurred_frames_that_compare_opens_with(make_assets: ModuleType) -> None:
    learned = [range(first, last + 1) for name in SHIPPED for first, last in streets_learned(read_notes(name))]
    seen = [*learned, *SPLITS.values(), headline.MORE_STREETS]
    assert not [name for name, seed in make_assets.EXPOSED.items() if any(seed in seeds for seeds in seen)]


def test_the_blurred_frames_are_those_of_their_seeds(make_assets: ModuleType) -> None:
    name, seed = next(iter(make_assets.EXPOSED.items()))
    with np.load(make_assets.EXPOSURES / f"{name}.npz") as kept:
        assert np.allclose(kept["mean_inverse_depth"], render_scene(seed, 640, 192).exposure.mean_inverse_depth, 1e-2)


def test_the_table_of_the_proof_takes_its_place_in_the_readme(make_models: ModuleType) -> None:
    rng = np.random.default_rng(0)
    errors = [{kind: {each: rng.random(9) for each in headline.REGIONS} for kind in headline.KINDS} for _ in range(3)]
    report = headline.summary(dict(zip(headline.WORDS, ([each] for each in errors), strict=True)))
    readme = f"# Name\n\n{make_models.BEGIN}\n\nold | table\n\n{make_models.END}\n\nEnd.\n"
    written = make_models.with_proof(readme, report)
    assert written == readme.replace("old | table", headline.table(report, "error"))
    assert make_models.with_proof(written, report) == written
    for torn in ("# Name\n", f"# Name\n{make_models.BEGIN}\nMuch more.\n"):
        with pytest.raises(ValueError, match="needs one"):
            make_models.with_proof(torn, report)


def test_what_was_proven_goes_where_it_ships(
    make_models: ModuleType, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = json.loads((ROOT / "assets" / headline.REPORT).read_text())
    report.pop("photographs", None)

    def prove(out: Path, *_: object) -> dict[str, Any]:
        """Stands for hours of fine-tunes: what they leave behind."""
        shutil.copytree(tiny_model, out / "exposure_0" / "checkpoint")
        (out / headline.PICTURE).write_bytes(b"picture")
        return dict(report)

    monkeypatch.setattr(headline, "prepare", lambda _: None)
    monkeypatch.setattr(headline, "prove", prove)
    monkeypatch.setattr(make_models, "ASSETS", tmp_path)
    monkeypatch.setattr(make_models, "README", tmp_path / "README.md")
    monkeypatch.setitem(SHIPPED, TUNED, tmp_path / TUNED)
    (tmp_path / TUNED).mkdir()
    (tmp_path / "README.md").write_text(f"Before.\n{make_models.BEGIN}{make_models.END}\n")
    rng = np.random.default_rng(0)
    (tmp_path / "real").mkdir()
    rgb, depth_m = rng.integers(0, 255, (64, 160, 3), np.uint8), rng.uniform(2, 70, (64, 160))
    np.savez(tmp_path / "real" / "street.npz", rgb=rgb, depth_m=depth_m)

    with pytest.raises(InputError, match="no photographs"):
        make_models.prove(tmp_path / "torn", "auto", tmp_path / "nowhere")
    assert not (tmp_path / headline.REPORT).exists() and not list((tmp_path / TUNED).iterdir())
    make_models.prove(tmp_path / "cache", "auto", tmp_path / "real")
    assert find_model(TUNED)[1] == find_model(str(tiny_model))[1]
    written = json.loads((tmp_path / headline.REPORT).read_text())
    assert set(written["photographs"]) == {"names", "ramp", *SHIPPED}
    assert {**report, "photographs": written["photographs"]} == written
    readme = (tmp_path / "README.md").read_text()
    assert headline.table(report, "error") in readme
    assert f"(street) AbsRel is {written['photographs'][BUNDLED]['abs_rel']:.3f} for `{BUNDLED}`, " in readme
    assert (tmp_path / headline.PICTURE).read_bytes() == b"picture"


def test_the_proof_in_the_readme_is_that_of_the_models_that_ship(make_models: ModuleType) -> None:
    report, readme = json.loads((ROOT / "assets" / headline.REPORT).read_text()), (ROOT / "README.md").read_text()
    assert make_models.with_proof(readme, report) == readme
    assert report["revisions"]["base"] == [find_model(BUNDLED)[1]]
    assert report["revisions"]["exposure"][0] == find_model(TUNED)[1]
    tuned = json.loads((SHIPPED[TUNED] / "blurdepth.json").read_text())
    of_proof = {**report["recipe"], "target": headline.TARGETS["exposure"], "seed": 0}
    assert tuned["recipe"] == of_proof
    # A recipe that is older than a key has its default.
    assert replace(headline.RECIPE, precision=of_proof["precision"]) == recipe_from_dict(report["recipe"])


def test_the_words_about_the_proof_in_the_readme_are_of_its_figures() -> None:
    report = json.loads((ROOT / "assets" / headline.REPORT).read_text())
    readme = " ".join((ROOT / "README.md").read_text().split())

    def change(measure: str, region: str) -> dict[str, float]:
        found: dict[str, float] = report["changes"][measure]["paper_to_exposure"][region]
        return found

    mixed, by_abs_rel = -change("error", "mixed")["percent"], -change("abs_rel", "mixed")["percent"]
    assert f"leaves {mixed:.0f} % less error" in readme and f"({by_abs_rel:.0f} % by AbsRel)" in readme
    less, more = sorted(-change("error", region)["percent"] for region in ("ring", "sharp"))
    assert f"on sharp frames it leaves {less:.0f} to {more:.0f} % less" in readme
    assert change("error", "static")["low"] < 0 < change("error", "static")["high"]
    held = change("mid_error", "mixed")
    assert f"({held['percent']:+.1f} %, {held['low']:+.1f} to {held['high']:+.1f})" in readme
