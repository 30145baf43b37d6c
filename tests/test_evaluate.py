"""Comparison is fair: affine maps of one truth are equal, and a worse model is shown as worse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from blurdepth.errors import InputError
from blurdepth.estimators import NOTES
from blurdepth.evaluate import benchmark_report, compare, write_report
from blurdepth.workspace import NewSample, Workspace
from tests.conftest import street_frame, write_tiny_model


def ramp(seed: int = 0) -> np.ndarray:
    """Inverse depth of a road with a box on it."""
    target = np.tile(np.linspace(0.02, 0.3, 60, dtype=np.float32)[:, None], (1, 90))
    target[20:40, 30 + seed : 50 + seed] = 0.2
    return target


def test_affine_maps_of_the_target_compare_as_equal() -> None:
    target = ramp()
    result = compare(3 * target + 1, target / 7 - 2, target)
    assert np.abs(result.difference).max() < 1e-5
    assert result.metrics is not None
    assert all(metrics["all"]["abs_rel"] < 1e-4 for metrics in result.metrics)


def test_without_a_target_the_second_is_fitted_to_the_first() -> None:
    first = 5 * ramp() + 3
    result = compare(first, ramp() * 0.1)
    assert np.array_equal(result.first, first)
    assert np.abs(result.difference).max() < 1e-4
    assert result.metrics is None


def test_a_nearer_object_shows_above_zero_in_the_difference() -> None:
    target = ramp()
    nearer = target.copy()
    nearer[20:40, 30:50] += 0.1
    assert compare(target, nearer, target).difference[30, 40] > 0.05


def test_sky_and_invalid_pixels_do_not_bend_the_alignment_of_the_pictures() -> None:
    target = ramp()
    target[:8] = 0
    prediction = 3 * target + 1
    prediction[:8] = 9.0
    result = compare(prediction, prediction, target)
    assert np.abs(result.first - target)[8:].max() < 1e-4


def test_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError):
        compare(ramp(), ramp()[:-1], ramp())


def write_scene(path: Path, seed: int) -> None:
    """A scene in the format of the benchmark."""
    rng = np.random.default_rng(seed)
    target = ramp(seed)
    sharp = rng.random((60, 90, 3)).astype(np.float16)
    depth_m = (1 / ramp()).astype(np.float32)
    depth_m[:5] = np.inf
    blurred = np.roll(sharp, 3, axis=1)
    np.savez(path, sharp_linear=sharp, blur_linear=blurred, depth_m=depth_m, mean_inverse_depth=target)


def make_version(workspace: Workspace, variants: int) -> None:
    """A dataset version, v1, of so many variants of one frame."""
    frame, target = workspace.add_frame(street_frame(), "a.png"), np.kron(ramp(), np.ones((2, 2), np.float32))
    regions = np.zeros(target.shape, np.uint8)
    for number in range(variants):
        rgb = np.random.default_rng(number).integers(0, 255, (*target.shape, 3), np.uint8)
        sample = workspace.keep_sample(NewSample(f"s{number}", frame.id, rgb, target, target, regions, {}, {}))
        workspace.store.samples.decide([sample.id], "accept")
    workspace.store.versions.snapshot()


def test_a_report_compares_models_over_scenes(tmp_path: Path, tiny_model: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for seed in range(3):
        write_scene(scenes / f"{seed}.npz", seed)
    other = write_tiny_model(tmp_path / "other", seed=1)
    report = benchmark_report(Workspace(tmp_path / "data"), [str(tiny_model), str(other)], str(scenes))
    assert report["images"] == 3
    first, second = report["models"]
    assert first["change"]["all"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    gap = second["metrics"]["all"]["abs_rel"] - first["metrics"]["all"]["abs_rel"]
    assert second["change"]["all"]["mean"] == pytest.approx(gap)
    assert second["change"]["all"]["low"] <= gap <= second["change"]["all"]["high"]
    write_report(report, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    page = (tmp_path / "out" / "report.html").read_text()
    assert "AbsRel" in page and "<h2>Blurred images</h2>" in page and "<h2>Their mixed pixels</h2>" in page


def test_one_frame_tells_no_range_however_many_variants_it_has(tmp_path: Path, tiny_model: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    make_version(workspace, 2)
    other = write_tiny_model(tmp_path / "other", seed=1)
    report = benchmark_report(workspace, [str(tiny_model), str(other)], "v1")
    change = report["models"][1]["change"]["all"]
    assert report["images"] == 2 and change["mean"] != 0 and change["low"] is change["high"] is None
    write_report(report, tmp_path / "out")
    assert "one scene: no range" in (tmp_path / "out" / "report.html").read_text()


def test_a_scene_with_nothing_to_measure_is_named(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "scenes").mkdir()
    write_scene(tmp_path / "scenes" / "whole.npz", 0)
    write_scene(tmp_path / "scenes" / "sky.npz", 1)
    scene = dict(np.load(tmp_path / "scenes" / "sky.npz"))
    scene["mean_inverse_depth"][:] = 0
    np.savez(tmp_path / "scenes" / "sky.npz", **scene)
    with pytest.raises(InputError, match=r"sky can't be measured.* Leave it out"):
        benchmark_report(Workspace(tmp_path / "data"), [str(tiny_model)], str(tmp_path / "scenes"))


@pytest.mark.parametrize("origin", ["provenance", "base"])
@pytest.mark.parametrize(("last", "seen"), [(4, False), (5, True)])
def test_a_model_is_known_to_have_learned_from_a_street_or_its_base_to_have(
    tmp_path: Path, tiny_model: Path, last: int, seen: bool, origin: str
) -> None:
    tuned, street = tmp_path / "tuned", tmp_path / "street_5_90x60.npz"
    shutil.copytree(tiny_model, tuned)
    notes = {"kind": "affine_inverse_depth", origin: {"streets": [[0, 2], [4, last]]}}
    (tuned / NOTES).write_text(json.dumps(notes))
    write_scene(street, 5)
    report = benchmark_report(Workspace(tmp_path / "data"), [str(tiny_model), str(tuned)], str(street))
    assert [each["seen"] for each in report["models"]] == [False, seen]


@pytest.mark.parametrize("own", [True, False])
def test_a_model_has_learned_from_a_version_by_its_samples_not_by_its_name(
    tmp_path: Path, tiny_model: Path, own: bool
) -> None:
    workspace = Workspace(tmp_path / "data")
    make_version(workspace, 1)
    manifest = workspace.store.versions.version("v1").manifest if own else "of another v1"
    tuned = shutil.copytree(tiny_model, tmp_path / "tuned")
    origin = {"dataset_version": "v1", "dataset_manifest": manifest}
    (tuned / NOTES).write_text(json.dumps({"kind": "affine_inverse_depth", "provenance": origin}))
    assert benchmark_report(workspace, [str(tuned)], "v1")["models"][0]["seen"] == own


def test_what_is_no_benchmark_is_named(tmp_path: Path, tiny_model: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no scenes"):
        benchmark_report(workspace, [str(tiny_model)], str(tmp_path / "empty"))
    np.savez(tmp_path / "odd.npz", other=np.zeros(3))
    with pytest.raises(InputError, match=r"odd\.npz is not a scene"):
        benchmark_report(workspace, [str(tiny_model)], str(tmp_path / "odd.npz"))
    with pytest.raises(InputError, match="v7"):
        benchmark_report(workspace, [str(tiny_model)], "v7")
