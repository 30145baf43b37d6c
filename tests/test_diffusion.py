"""SDXL with its depth adapter: the real loading and painting code on a tiny checkpoint in the real format."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdepth.blurcheck import is_blank
from blurdepth.diffusion import (
    DiffusionModels,
    MemoryMode,
    Painter,
    PaintSettings,
    control_map,
    find_painter,
    load_painter,
    paint_size,
    plan_painting,
)
from blurdepth.diffusion.loading import save_memory
from blurdepth.diffusion.models import weight_elements
from blurdepth.diffusion.plan import SDXL_ELEMENTS, choose_mode, memory_needs
from blurdepth.errors import Cancelled, InputError, ModelError
from blurdepth.images import Rgb
from blurdepth.pretrained import ModelCache
from scripts.tiny_sdxl import write_tiny_sdxl

GIB = 2**30
QUICK = PaintSettings(steps=3, short_side_px=32)
RAIN, FOG = "a street in rain at night", "a street in thick fog"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny SDXL."""
    return write_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


@pytest.fixture(scope="module")
def painter(tiny: Path) -> Painter:
    """The tiny SDXL, loaded."""
    return load_painter(DiffusionModels.from_folder(tiny))


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A tiny SDXL that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "own"))


def road(width: int = 160, height: int = 64) -> Rgb:
    """The control map of a road that goes away, with a wall at the left."""
    inverse_depth = np.repeat(np.linspace(0, 1, height, dtype=np.float32)[:, None], width, axis=1)
    inverse_depth[: height // 2, : width // 4] = 0.7
    return control_map(inverse_depth)


def paint(painter: Painter, prompt: str = RAIN, negative: str = "", seed: int = 1, control: Rgb | None = None) -> Rgb:
    """One picture."""
    return painter.paint(road() if control is None else control, [prompt], negative, [seed], QUICK)[0]


def test_the_same_seed_paints_the_same_bytes_and_everything_else_has_an_effect(painter: Painter) -> None:
    first = paint(painter)
    assert first.shape == (64, 160, 3) and first.dtype == np.uint8 and not is_blank(first)
    assert np.array_equal(first, paint(painter))
    others = {
        "seed": paint(painter, seed=2),
        "prompt": paint(painter, FOG),
        "negative": paint(painter, negative="people"),
        "control": paint(painter, control=np.ascontiguousarray(road()[::-1])),
    }
    for name, other in others.items():
        assert np.abs(first.astype(int) - other).mean() > 1, name


def test_a_picture_does_not_depend_on_the_batch_it_is_in(painter: Painter) -> None:
    both = painter.paint(road(), [RAIN, FOG], "people", [7, 8], QUICK)
    assert np.array_equal(both[0], paint(painter, RAIN, "people", 7))
    assert np.array_equal(both[1], paint(painter, FOG, "people", 8))


def test_the_adapter_is_as_strong_as_it_is_set(painter: Painter) -> None:
    weak, never = replace(QUICK, adapter_scale=0.0), replace(QUICK, adapter_factor=0.0)
    free = painter.paint(road(), [RAIN], "", [1], weak)[0]
    assert np.array_equal(free, painter.paint(road(), [RAIN], "", [1], never)[0])
    assert not np.array_equal(free, paint(painter))


@pytest.mark.parametrize(("width", "height"), [(1242, 375), (375, 1242), (161, 97)])
def test_a_frame_comes_back_at_its_size(painter: Painter, width: int, height: int) -> None:
    assert paint(painter, control=road(width, height)).shape == (height, width, 3)


def test_a_preview_takes_few_steps_by_its_lora_and_leaves_no_trace(painter: Painter) -> None:
    before, steps = paint(painter), []
    preview = PaintSettings(preview=True, short_side_px=32)
    by_lora = painter.paint(road(), [RAIN], "", [1], preview, lambda done, total, _: steps.append((done, total)))[0]
    assert steps == [(k, 6) for k in range(1, 7)]
    assert np.array_equal(before, paint(painter))
    assert np.array_equal(by_lora, painter.paint(road(), [RAIN], "", [1], preview)[0])
    plain = replace(painter, preview_lora=None).paint(road(), [RAIN], "", [1], preview)[0]
    assert not np.array_equal(by_lora, plain)


def test_each_step_is_told_with_a_picture_of_what_emerges(painter: Painter) -> None:
    told: list[tuple[int, int, tuple[int, ...]]] = []
    painter.paint(road(), [RAIN, FOG], "", [1, 2], QUICK, lambda *now: told.append((*now[:2], now[2].shape)))
    assert told == [(k, 6, (4, 10, 3)) for k in range(1, 7)]


@pytest.mark.parametrize("asked", [0, 2, 4])
def test_cancelling_stops_within_one_step(painter: Painter, asked: int) -> None:
    steps: list[int] = []
    with pytest.raises(Cancelled):
        painter.paint(
            road(), [RAIN, FOG], "", [1, 2], QUICK, lambda done, *_: steps.append(done), lambda: len(steps) >= asked
        )
    assert len(steps) == asked
    assert not is_blank(paint(painter))


def test_too_little_memory_is_one_clear_error_and_the_painter_still_works(tiny: Path) -> None:
    code = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from blurdepth.diffusion import DiffusionModels, PaintSettings, load_painter
from blurdepth.errors import MemoryLimitError
painter = load_painter(DiffusionModels.from_folder(sys.argv[1]))
control = np.zeros((64, 192, 3), np.uint8)
small = PaintSettings(steps=1, short_side_px=32)
painter.paint(control, ["rain"], "", [1], small)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**26, -1))
try:
    painter.paint(control, ["rain"], "", [1], PaintSettings(steps=1, short_side_px=1536))
except MemoryLimitError as error:
    print(error)
print(painter.paint(control, ["rain"], "", [1], small)[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, after = done.stdout.strip().splitlines()[-2:]
    assert "not enough memory to paint 4608 x 1536 pixels" in message and "short_side_px" in message
    assert after == "(64, 192, 3)"


def test_numbers_that_are_not_finite_become_a_blank_picture(own: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = own / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"][:] = float("nan")
    save_file(weights, file)
    assert is_blank(paint(load_painter(DiffusionModels.from_folder(own))))


def test_a_dark_picture_with_lights_is_not_blank() -> None:
    night = np.random.default_rng(0).integers(0, 4, (60, 90, 3)).astype(np.uint8)
    assert is_blank(night)
    night[20:30, 20:40] = 200
    assert not is_blank(night)


def test_models_that_are_moved_in_turn_paint_the_same_but_for_rounding(tiny: Path, painter: Painter) -> None:
    """A frame of one tile, as the VAE's tiles blend where they meet."""
    import torch

    saving = load_painter(DiffusionModels.from_folder(tiny))
    save_memory(saving.pipeline, "offload", torch.device("cpu"))
    kept, saved = (paint(each, control=road(64, 64)) for each in (painter, saving))
    assert np.abs(kept.astype(int) - saved).max() <= 1
    assert np.array_equal(saved, paint(saving, control=road(64, 64)))


@pytest.mark.parametrize(
    ("device", "free_gib", "mode"),
    [
        ("cuda", 15, "whole"),
        ("cuda", 11, "tiled"),
        ("cuda", 8, "offload"),
        ("cuda", 4, "sequential"),
        ("cpu", 20, "tiled"),
        ("mps", 16, "whole"),
    ],
)
def test_the_quickest_mode_that_fits_is_chosen(device: str, free_gib: int, mode: MemoryMode) -> None:
    needs = memory_needs(device, SDXL_ELEMENTS, 1728 * 576)
    assert choose_mode(needs, free_gib * GIB) == mode
    assert needs[mode].total <= free_gib * GIB


@pytest.mark.parametrize(("device", "free_gib"), [("cuda", 2), ("cpu", 12), ("mps", 8)])
def test_no_mode_fits_into_too_little_memory(device: str, free_gib: int) -> None:
    needs = memory_needs(device, SDXL_ELEMENTS, 1728 * 576)
    assert min(need.total for need in needs.values()) > free_gib * GIB
    assert choose_mode(needs, free_gib * GIB) == list(needs)[-1]


def test_the_plan_says_what_is_downloaded_and_how_long_it_takes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    local = plan_painting(DiffusionModels.from_folder(tiny), 1242, 375, QUICK)
    assert local.downloads == {} and local.suffices and local.words()[0] == "Nothing has to be downloaded."
    real = plan_painting(replace(DiffusionModels(), adapter="somebody/adapter"), 1242, 375, PaintSettings())
    assert real.download_bytes > 7e9
    assert "7.5 GB and somebody/adapter (size unknown)" in real.words()[0]
    assert real.seconds_per_image > local.seconds_per_image


def test_models_that_are_loaded_need_no_free_memory_for_their_weights(tiny: Path) -> None:
    models = DiffusionModels.from_folder(tiny)
    before, after = (plan_painting(models, 1242, 375, QUICK, loaded) for loaded in (None, "tiled"))
    weights = sum(elements for elements in (weight_elements(models) or {}).values())
    assert after.mode == "tiled" and 0 < after.needed_bytes <= before.needed_bytes - 2 * weights


def test_a_cache_keeps_a_painter_until_its_weights_change(own: Path) -> None:
    models = DiffusionModels.from_folder(own)
    cache = ModelCache(find_painter, load_painter, size=1)
    first = cache.get(models)
    assert cache.get(models) is first
    write_tiny_sdxl(own, seed=1)
    assert cache.get(models).revision != first.revision


def edit(file: Path, **changes: object) -> None:
    """Change a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def refused(models: DiffusionModels) -> str:
    """The message of a `ModelError`."""
    with pytest.raises(ModelError) as caught:
        load_painter(models)
    return str(caught.value)


def test_other_kinds_of_models_are_refused_by_name(tiny: Path, own: Path, tiny_model: Path) -> None:
    models = DiffusionModels.from_folder(own)
    assert f"{tiny_model} has no model_index.json" in refused(replace(models, base=str(tiny_model)))
    assert f"{tiny_model} is no T2I-Adapter" in refused(replace(models, adapter=str(tiny_model)))
    assert f"{tiny / 'adapter'} is no autoencoder" in refused(replace(models, vae=str(tiny / "adapter")))
    assert "nowhere" in refused(replace(models, base="nowhere"))
    edit(own / "adapter" / "config.json", in_channels=1)
    assert "takes 1 channels" in refused(models)
    edit(own / "model_index.json", _class_name="StableDiffusionPipeline")
    assert f"{own} is a StableDiffusionPipeline: give an SDXL pipeline" in refused(models)


def test_an_adapter_for_other_channels_is_refused(own: Path) -> None:
    from diffusers import T2IAdapter

    channels = [16, 32, 32, 32]
    T2IAdapter(channels=channels, downscale_factor=16, adapter_type="full_adapter_xl").save_pretrained(own / "adapter")
    assert "[16, 32, 32, 32]" in refused(DiffusionModels.from_folder(own))


def test_pickled_missing_and_damaged_weights_are_refused(own: Path) -> None:
    file = own / "text_encoder" / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert str(own) in refused(DiffusionModels.from_folder(own))
    file.rename(file.with_name("pytorch_model.bin"))
    assert "no .safetensors weights" in refused(DiffusionModels.from_folder(own))


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"guidance": 0.5}, {"guidance": float("nan")}, {"adapter_factor": 1.5}, {"short_side_px": 8}],
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        PaintSettings(**wrong)  # type: ignore[arg-type]


def test_what_does_not_fit_together_is_refused_before_painting(painter: Painter) -> None:
    for prompts, seeds in (([RAIN], [1, 2]), ([], []), ([RAIN], [-1])):
        with pytest.raises(InputError, match="seed"):
            painter.paint(road(), prompts, "", seeds, QUICK)
    with pytest.raises(InputError, match="needs at least 32"):
        painter.paint(road(), [RAIN], "", [1], replace(QUICK, short_side_px=16))
    with pytest.raises(InputError, match="control map"):
        painter.paint(road()[..., 0], [RAIN], "", [1], QUICK)


@given(st.integers(64, 4000), st.integers(64, 4000), st.integers(512, 1024))
def test_painted_sizes_suit_sdxl_and_keep_the_shape(width: int, height: int, short_side_px: int) -> None:
    aspect = max(width, height) / min(width, height)
    if aspect > 4:
        with pytest.raises(InputError, match=f"{width} x {height}"):
            paint_size(width, height, short_side_px)
        return
    size = paint_size(width, height, short_side_px).size
    assert all(side % 16 == 0 for side in size) and abs(min(size) - short_side_px) <= 8
    assert (size[0] >= size[1]) == (width >= height) or size[0] == size[1]
    painted = max(size) / min(size)
    assert 0.73 < painted / aspect < 1.04
    assert aspect > 3 or painted / aspect > 0.96


def test_control_maps_meet_any_depth() -> None:
    depth = np.array([[-2.0, 0.0], [2.0, np.inf]], np.float32)
    assert control_map(depth)[..., 0].tolist() == [[0, 128], [255, 0]]
    for nothing in (np.full((4, 4), 3.0, np.float32), np.full((4, 4), np.nan, np.float32)):
        assert not control_map(nothing).any()
    with pytest.raises(InputError, match="shape"):
        control_map(np.zeros((0, 4), np.float32))


def test_who_waits_for_another_painting_can_leave(painter: Painter) -> None:
    with painter._lock, pytest.raises(Cancelled):
        painter.paint(np.zeros((64, 160, 3), np.uint8), ["fog"], "", [1], QUICK, None, lambda: True)
