"""The bundled checkpoint, and the script that makes it."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from blurdepth.streets import make_street, photograph, render

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "checkpoints" / "bundled"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("train_bundled")


@pytest.fixture(scope="module")
def bundled() -> tuple[object, object]:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    return AutoModelForDepthEstimation.from_pretrained(FOLDER), AutoImageProcessor.from_pretrained(FOLDER)


def predict(bundled: tuple, rgb: np.ndarray) -> np.ndarray:
    model, processor = bundled
    with torch.inference_mode():
        outputs = model(**processor(images=rgb, return_tensors="pt"))
    sized = processor.post_process_depth_estimation(outputs, target_sizes=[rgb.shape[:2]])
    return sized[0]["predicted_depth"].numpy()


def test_it_is_a_small_relative_depth_anything_in_safetensors(bundled: tuple) -> None:
    model, _ = bundled
    assert model.config.model_type == "depth_anything" and model.config.depth_estimation_type == "relative"
    assert model.dtype == torch.float32
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 25e6
    assert {path.suffix for path in FOLDER.iterdir()} == {".json", ".safetensors", ".md"}


def test_it_loads_without_torchvision(bundled: tuple) -> None:
    assert type(bundled[1]).__name__ == "DPTImageProcessorPil"
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("size", [(1242, 375), (640, 360), (320, 240)])
def test_it_predicts_frames_of_any_shape(bundled: tuple, size: tuple[int, int]) -> None:
    width, height = size
    rgb = np.asarray(Image.effect_noise(size, 40).convert("RGB"))
    assert predict(bundled, rgb).shape == (height, width)


def test_near_is_larger_and_it_is_closer_to_the_truth_than_a_ramp(bundled: tuple, script: ModuleType) -> None:
    ours, ramps, correlations = [], [], []
    for seed, kind in enumerate(("avenue", "suburb", "country", "highway", "crossing"), 2_000_000):
        street = make_street(seed, kind)
        seen = render(street, 448, 136)
        guess = predict(bundled, photograph(street, seen.linear))
        correlations.append(np.corrcoef(guess.ravel(), seen.inverse_depth.ravel())[0, 1])
        ours.append(script.inverse_error(guess, seen.inverse_depth))
        ramps.append(script.inverse_error(script.straight_ramp(seen.inverse_depth), seen.inverse_depth))
    assert np.mean(correlations) > 0.8
    assert np.mean(ours) < np.mean(ramps)


def test_its_notes_and_card_say_what_it_is(script: ModuleType) -> None:
    notes = json.loads((FOLDER / "blurdepth.json").read_text())
    assert notes["kind"] == "affine_inverse_depth"
    assert notes["recipe"] == script.asdict(script.Recipe())
    assert notes["metrics"]["model"]["inverse_error"] < notes["metrics"]["ramp"]["inverse_error"]
    card = (FOLDER / "README.md").read_text()
    for said in ("rendered", str(notes["data"]["train"]["count"]), "never seen a photograph", "not good for"):
        assert said in card


def test_training_resumes_to_the_same_weights(script: ModuleType, tmp_path: Path) -> None:
    recipe = script.Recipe(scenes=3, held_out=0, steps=2, batch=1, warmup=1)
    paths, held_out = script.scene_paths(tmp_path / "scenes", recipe)
    script.render_scenes(paths + held_out, 1)
    script.train(recipe, paths, tmp_path / "stopped.pt", until=1)
    resumed, _ = script.train(recipe, paths, tmp_path / "stopped.pt")
    straight, _ = script.train(recipe, paths, tmp_path / "straight.pt")
    for name, weights in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weights, msg=name)
    assert torch.load(tmp_path / "straight.pt", weights_only=True)["step"] == 2


def test_a_trained_model_is_written_so_that_transformers_loads_it(script: ModuleType, tmp_path: Path) -> None:
    model = script.build_model(1)
    script.write_checkpoint(model, tmp_path)
    metrics = {name: dict.fromkeys(("inverse_error", "abs_rel", "delta_1", "rmse"), 0.5) for name in ("model", "ramp")}
    script.write_notes(tmp_path, script.Recipe(), metrics, seconds=60.0, threads=1)
    from blurdepth.estimators import load_estimator

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
