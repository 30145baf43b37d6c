"""What is told before a fine-tune starts: real data folders, known numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from blurdepth import jobs
from blurdepth.cli import main
from blurdepth.errors import InputError, ModelError, NotFoundError
from blurdepth.estimators import BASE, BUNDLED, SMALL
from blurdepth.preflight import Finding, Preflight, _look_at_disk, _look_at_memory, preflight
from blurdepth.recipe import load_recipe
from blurdepth.training_cost import Counts, cache_bytes, disk_bytes, estimate_seconds, memory_bytes
from blurdepth.workspace import NewSample, Workspace
from tests.conftest import street_frame

BUNDLED_PARAMETERS, BASE_PARAMETERS = 3_377_281, 97_470_785
HOUR, DAY = 3600, 86400


def filled(
    folder: Path,
    frames: int,
    variants: int,
    *,
    weather: Sequence[dict[str, float]] = ({},),
    moving: float = 0.3,
    regions: Any = None,
) -> Workspace:
    """A data folder with version v1 of that many frames and variants of each."""
    workspace = Workspace(folder)
    still = np.zeros((64, 64), np.float32)
    regions = np.zeros((64, 64), np.uint8) if regions is None else regions
    ids = []
    for number in range(frames):
        frame = workspace.add_frame(street_frame(number), f"{number}.png")
        for _ in range(variants):
            origin = {"condition": {"weather": weather[len(ids) % len(weather)]}}
            rgb = np.full((64, 64, 3), len(ids), np.uint8)
            scores = {"moving_share": moving, "mixed_share": 0.04}
            made = NewSample(f"s{len(ids):03}", frame.id, rgb, still, still, regions, scores, origin)
            ids.append(workspace.keep_sample(made).id)
    workspace.store.samples.decide(ids, "accept")
    workspace.store.versions.snapshot()
    return workspace


VARIED = ({"rain": 0.7}, {"fog": 0.6}, {})


def words(found: Preflight, severity: str) -> str:
    return " ".join(f"{each.words} {each.mend}" for each in found.findings if each.severity == severity)


def test_a_good_version_is_told_to_be_good(tmp_path: Path) -> None:
    found = preflight(filled(tmp_path, 10, 5, weather=VARIED), "v1", "bundled", load_recipe("quick"))
    assert found.severity == "ok", found
    assert "40 samples to train on, 10 held out" in words(found, "ok")
    assert "50 samples of 10 frames, 30 % of pixels blurred, 4.0 % of pixels mixed" in words(found, "ok")
    assert found.disk_bytes == 8 * 4 * BUNDLED_PARAMETERS
    # 6 epochs of 40 variants and 8 sharp frames, 4 a step.
    assert "72 steps (an estimate)" in words(found, "ok")
    found.refuse()


@pytest.mark.parametrize(
    ("frames", "variants", "more", "said"),
    [
        (2, 3, {}, "6 samples of 2 frames. Add variants of other frames"),
        (2, 3, {}, "3 samples to train on, 3 held out. Accept more: below 20"),
        (6, 4, {}, "20 samples to train on, 4 held out. Accept more, or hold more out"),
        (1, 4, {}, "3 samples to train on, 1 held out, of frames that it is trained on too."),
        (6, 4, {"weather": ({"rain": 0.5, "low_light": 0.9},)}, "24 of 24 samples are of one condition: low light."),
        (6, 4, {}, "24 of 24 samples are of one condition: clear day."),
        (6, 4, {"moving": 0.004}, "On average 0.4 % of a picture's pixels are blurred."),
    ],
)
def test_what_a_version_lacks_is_said(
    tmp_path: Path, frames: int, variants: int, more: dict[str, Any], said: str
) -> None:
    found = preflight(filled(tmp_path, frames, variants, **more), "v1", "bundled", load_recipe("quick"))
    assert said in words(found, "warn")
    found.refuse()


def test_too_few_samples_are_refused_when_submitted(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 1, 1)
    found = preflight(workspace, "v1", "bundled", load_recipe("quick"))
    assert found.severity == "stop" and "1 sample is too few" in words(found, "stop")
    with pytest.raises(InputError, match="too few"):
        found.refuse()
    with pytest.raises(InputError, match="too few"):
        jobs.submit_finetune(workspace, "v1", "bundled", "quick")
    assert workspace.store.jobs.jobs() == []
    one = preflight(workspace, "v1", "bundled", replace(load_recipe("quick"), val_share=0.0))
    assert one.severity == "warn"
    assert "1 samples to train on, 0 held out: it is measured on what it was trained on." in words(one, "warn")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 2, 2)
    with pytest.raises(NotFoundError, match="v7"):
        preflight(workspace, "v7", "bundled", load_recipe("quick"))
    with pytest.raises(ModelError, match="nowhere"):
        preflight(workspace, "v1", "nowhere", load_recipe("quick"))


def test_the_size_of_a_model_is_known_without_loading_it(tmp_path: Path, tiny_model: Path) -> None:
    workspace = filled(tmp_path / "data", 2, 2)
    count = sum(each.numel() for each in load_file(tiny_model / "model.safetensors").values())
    assert preflight(workspace, "v1", str(tiny_model), load_recipe("quick")).disk_bytes == 32 * count
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="damaged"):
        preflight(workspace, "v1", str(broken), load_recipe("quick"))


def test_a_download_counts_and_an_unknown_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    workspace = filled(tmp_path / "data", 2, 2)
    small = preflight(workspace, "v1", SMALL, load_recipe("quick"))
    assert small.disk_bytes == 900e6 and "900 MB of disk" in words(small, "ok") + words(small, "warn")
    assert "100 MB of it to be downloaded" in words(small, "ok") + words(small, "warn")
    assert preflight(workspace, "v1", BASE, load_recipe("quick")).disk_bytes == 9 * 390e6
    unknown = preflight(workspace, "v1", "somebody/else", load_recipe("quick"))
    assert unknown.disk_bytes is None and unknown.seconds is None
    assert "unknown until the base is downloaded" in words(unknown, "warn")


def test_a_full_disk_stops_and_little_memory_warns(tmp_path: Path) -> None:
    assert _look_at_disk(2**62, 0, tmp_path).severity == "stop"
    assert _look_at_disk(1000, 0, tmp_path).severity == "ok"
    assert _look_at_memory(2 * 10**9, 10**9, "cpu") == Finding(
        "warn",
        "Takes about 2.0 GB of memory; 1.0 GB are free.",
        "Set micro_batch = 1 or a smaller crop in the recipe, or use a smaller base model.",
    )
    assert _look_at_memory(10**9, 2 * 10**9, "cuda").severity == "ok"
    with pytest.raises(InputError, match=r"Takes up to .* Free some space"):
        Preflight((Finding("ok", "fine"), _look_at_disk(2**62, 0, tmp_path))).refuse()


@pytest.mark.parametrize(
    ("weights", "kinds", "sharp", "said"),
    [
        ((2.0, 2.0, 2.0), (0, 1, 2), True, "region_weights = [2.0, 2.0, 2.0] has no effect: all are alike."),
        ((0.0, 1.0, 1.0), (0, 1, 2), True, "leaves nothing to learn from sharp frames: they are static all over."),
        ((1.0, 1.0, 5.0), (0, 1), True, "has no effect: the samples have static and blurred pixels only."),
        ((1.0, 2.0, 2.0), (1, 2), False, "has no effect: the samples have blurred and mixed pixels only."),
        ((0.0, 0.0, 1.0), (0, 1), False, "leaves nothing to learn from: the samples have static and blurred pixels"),
        ((1.0, 2.0, 2.0), (1, 2), True, ""),
        ((0.0, 1.0, 1.0), (0, 1, 2), False, ""),
    ],
)
def test_weights_that_do_nothing_or_leave_nothing_are_told(
    tmp_path: Path, weights: tuple[float, float, float], kinds: tuple[int, ...], sharp: bool, said: str
) -> None:
    regions = np.resize(np.array(kinds, np.uint8), (64, 64))
    workspace = filled(tmp_path, 2, 2, regions=regions)
    recipe = replace(load_recipe("quick"), region_weights=weights, include_sharp=sharp)
    told = words(preflight(workspace, "v1", "bundled", recipe), "warn")
    assert said in told and ("region_weights" in told) == bool(said)


def test_a_precision_that_the_device_does_not_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blurdepth.preflight.best_device", lambda: torch.device("cpu"))
    recipe = replace(load_recipe("quick"), precision="float16")
    found = preflight(filled(tmp_path, 10, 5, weather=VARIED), "v1", "bundled", recipe)
    with pytest.raises(InputError, match=r"^precision = 'float16' needs a CUDA GPU.*\. Use 'auto'\.$"):
        found.refuse()


def test_checkpointing_is_refused_where_the_base_has_none(tmp_path: Path, tiny_model: Path) -> None:
    workspace = filled(tmp_path, 6, 5)
    recipe = replace(load_recipe("quick"), checkpointing=True)
    with pytest.raises(InputError, match=r"^GLPNForDepthEstimation can't do with checkpointing .*\. Leave it out\.$"):
        preflight(workspace, "v1", BUNDLED, recipe).refuse()
    preflight(workspace, "v1", str(tiny_model), recipe).refuse()
    preflight(workspace, "v1", BUNDLED, replace(recipe, checkpointing=False, freeze_encoder=True)).refuse()
    preflight(workspace, "v1", SMALL, recipe).refuse()  # isn't here yet


def test_a_frozen_encoder_and_checkpointing_take_less_memory_and_examples_take_disk(tmp_path: Path) -> None:
    """Above the weights, a step of the paper's model at 518 x 518 took 0.74 GB with a frozen encoder, else 2.5 GB."""
    whole = replace(load_recipe("paper"), batch=1)
    frozen, saving = replace(whole, freeze_encoder=True), replace(whole, checkpointing=True)
    of_frozen, of_saving, of_whole = (memory_bytes(BASE_PARAMETERS, each, "cpu") for each in (frozen, saving, whole))
    assert of_frozen - 5e8 - 4 * BASE_PARAMETERS == pytest.approx(0.742e9, rel=0.3)
    assert of_frozen < 0.6 * of_whole and 0.6 * of_whole < of_saving < 0.9 * of_whole
    counts = Counts(1000, 100)
    slow = [estimate_seconds(BASE_PARAMETERS, each, counts, "cpu")[1] for each in (frozen, whole, saving)]
    assert slow == sorted(slow)
    # Ten thousand images that cover 5180 x 5180 in 8 bytes a pixel are 2.1 TB.
    crop, sizes = (5180, 5180), [(2590, 2590)] * 10_000
    assert 1.5e12 < cache_bytes(sizes, crop, 10**13) < 2.2e12
    assert cache_bytes(sizes, crop, 6 * 2**30) == 2**30 and cache_bytes(sizes, crop, 10**9) == 0
    assert cache_bytes(sizes[:1], crop, 10**13) == 0
    told = _look_at_disk(2**62, 0, tmp_path, 2**62)
    assert told.severity == "warn" and "of it for examples that memory has no room for" in told.words


def test_times_are_those_that_were_measured() -> None:
    """27 s for `quick` on 19 samples and two cores; months for the paper's data without a GPU, days with one."""
    quick, slow = estimate_seconds(BUNDLED_PARAMETERS, load_recipe("quick"), Counts(38, 9), "cpu", 2)
    assert quick < 27 < slow < 60
    paper, counts = load_recipe("paper"), Counts(21_260 + 2000, 740 + 500)
    on_cpu = estimate_seconds(BASE_PARAMETERS, paper, counts, "cpu", 2)
    assert on_cpu[0] > 14 * DAY
    on_gpu = estimate_seconds(BASE_PARAMETERS, paper, counts, "cuda", 2)
    assert 8 * HOUR < on_gpu[0] < on_gpu[1] < 10 * DAY
    eight = estimate_seconds(BASE_PARAMETERS, paper, counts, "cpu", 8)
    assert on_cpu[0] / 4 < eight[0] < on_cpu[0]


def test_muon_takes_longer_by_what_its_steps_were_measured_to_take() -> None:
    """0.16 s a step of one core with the bundled model, 17 s with the paper's, whatever the batch."""
    for parameters, seconds in ((BUNDLED_PARAMETERS, 0.16), (BASE_PARAMETERS, 17)):
        for batch in (1, 4):
            plain = replace(load_recipe("quick"), batch=batch, epochs=1)
            asked, counts = replace(plain, optimizer="muon"), Counts(100 * batch, 0)
            quick = [estimate_seconds(parameters, each, counts, "cpu")[0] for each in (plain, asked)]
            # The quick end of a range that is twice as long on the other side.
            assert 2 * (quick[1] - quick[0]) / 100 == pytest.approx(seconds, rel=0.1)


def test_memory_is_what_steps_took_that_were_measured() -> None:
    """Peaks without the libraries: 615 MB for `quick`, and 3.1 GB for one crop of 518 x 518 with the paper's model."""
    own = memory_bytes(BUNDLED_PARAMETERS, load_recipe("quick"), "cpu") - 500_000_000
    assert own == pytest.approx(615e6, rel=0.25)
    one = replace(load_recipe("paper"), batch=1)
    assert memory_bytes(BASE_PARAMETERS, one, "cpu") - 500_000_000 == pytest.approx(3.1e9, rel=0.25)
    paper = load_recipe("paper")
    assert memory_bytes(BASE_PARAMETERS, replace(paper, micro_batch=1), "cpu") == memory_bytes(
        BASE_PARAMETERS, one, "cpu"
    )
    assert memory_bytes(BASE_PARAMETERS, replace(paper, micro_batch=99), "cpu") == memory_bytes(
        BASE_PARAMETERS, paper, "cpu"
    )
    assert disk_bytes(BASE_PARAMETERS) > 3e9


def test_the_command_line_tells_it_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = filled(tmp_path, 2, 2)
    assert main(["finetune", "v1", "--data", str(tmp_path), "--json"]) == 0
    jobs.stop(workspace, "j1")
    caught = capsys.readouterr()
    assert "4 samples of 2 frames. Add variants" in caught.err and "(an estimate)" in caught.err
    assert "frames" not in caught.out


def test_nothing_heavy_is_imported_for_it_before_it_is_asked() -> None:
    code = "import sys, blurdepth.preflight, blurdepth.sharing; print({'torch', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
