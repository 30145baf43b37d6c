"""Variants that SDXL painted: as they are, exposed by the simulator, judged, repaired, cancelled."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blurdepth.blurcheck import Verdict
from blurdepth.camera import Motion
from blurdepth.diffusion import DiffusionModels, PaintSettings, PaintStep
from blurdepth.errors import InputError, ModelError
from blurdepth.generation import GenerationRequest, generate, generate_steps, keep_variant
from blurdepth.generators import painted
from blurdepth.generators.exposure import Movers, Plan, StillScene
from blurdepth.images import encode_png, linear_to_srgb, object_numbers, read_labels
from blurdepth.judging import judge
from blurdepth.prompts import Condition
from blurdepth.repair import can_repair, failed, repair
from blurdepth.setups import Setup
from blurdepth.store.records import Frame, Sample
from blurdepth.streets import make_street, render
from blurdepth.workspace import Workspace
from scripts.tiny_sdxl import write_tiny_sdxl
from tests.conftest import street_frame

PAINT = PaintSettings(steps=2, short_side_px=48)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


def request(tiny: Path, backend: str = "sdxl", **more: object) -> GenerationRequest:
    asked = GenerationRequest("cars in fog", "static cars", 2, 5, backend, painters=DiffusionModels.from_folder(tiny))
    return replace(asked, paint=PAINT, **more)  # type: ignore[arg-type]


def test_a_painted_variant_has_the_frames_size_and_the_sharp_frames_depth(workspace: Workspace, tiny: Path) -> None:
    frame = workspace.add_frame(street_frame(0, 310, 94), "wide.png")
    first, second = generate(workspace, frame, request(tiny))
    for sample in (first, second):
        assert workspace.pictures.picture(sample.image).shape == (94, 310, 3)
        assert sample.target == sample.sharp_target
        assert sample.provenance["painters_revision"] and sample.provenance["backend"] == "sdxl"
    assert first.image != second.image
    assert set(workspace.store.verdicts.of([first.id, second.id])) == {first.id, second.id}


def test_the_same_seed_paints_the_same_bytes_elsewhere(tmp_path: Path, tiny: Path) -> None:
    images = []
    for name in ("one", "other"):
        workspace = Workspace(tmp_path / name)
        frame = workspace.add_frame(street_frame(), "street.png")
        images.append([sample.image for sample in generate(workspace, frame, request(tiny))])
    assert images[0] == images[1]


def test_with_the_exposure_the_target_is_that_of_the_blur(workspace: Workspace, tiny: Path) -> None:
    frame, chosen = street_with_movers(workspace)
    [sample] = generate(workspace, frame, request(tiny, "sdxl+exposure", variants=1, setup=chosen))
    assert sample.scores["blur_px"] > 4
    change = np.abs(workspace.arrays.array(sample.target) - workspace.arrays.array(sample.sharp_target))
    assert change.max() > 1e-3 and (change[:40] == 0).all()  # the sky
    assert not can_repair(sample)
    with pytest.raises(InputError, match="simulated"):
        list(repair(workspace, [sample]))


def test_closing_stops_within_a_step_and_keeps_what_was_finished(workspace: Workspace, tiny: Path) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    many = replace(request(tiny), paint=replace(PAINT, steps=50))
    steps = generate_steps(workspace, frame, many)
    step = next(steps)
    assert isinstance(step, PaintStep) and step.done <= 2 and step.total == 50
    steps.close()  # type: ignore[attr-defined]
    assert workspace.store.samples.samples() == []
    # The painter is free again.
    assert len(list(generate(workspace, frame, request(tiny)))) == 2


def test_a_frame_that_is_too_wide_is_refused_before_anything_is_loaded(workspace: Workspace, tmp_path: Path) -> None:
    frame = workspace.add_frame(street_frame(0, 500, 100), "wide.png")
    with pytest.raises(InputError, match="500 x 100 pixels: SDXL paints up to 4 times as wide"):
        list(generate(workspace, frame, request(tmp_path / "nothing")))


def test_a_painted_variant_keeps_who_was_to_move(workspace: Workspace, tiny: Path) -> None:
    frame, chosen = street_with_movers(workspace)
    [sample] = generate(workspace, frame, request(tiny, variants=1, setup=chosen))
    assert np.array_equal(
        read_labels(workspace.pictures.path(sample.provenance["ids"]), (frame.height, frame.width)),
        workspace.object_ids(frame, chosen),
    )


def test_what_cannot_be_loaded_is_told_and_loses_nothing(workspace: Workspace, tmp_path: Path) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    with pytest.raises(ModelError):
        list(generate(workspace, frame, request(tmp_path / "nothing")))
    guarded = Workspace(tmp_path / "guarded", model_folders=False)
    with pytest.raises(ModelError, match="no model here"):
        guarded.painter(DiffusionModels.from_folder(tmp_path))


def street_with_movers(workspace: Workspace) -> tuple[Frame, Setup]:
    seen = render(make_street(5, "crossing", "noon"), 480, 160)
    frame = workspace.add_frame(encode_png(linear_to_srgb(np.clip(seen.linear, 0, 1))), "street.png")
    sizes = np.bincount(seen.object_ids.ravel(), minlength=256)
    largest = max(object_numbers(seen.object_ids), key=lambda number: int(sizes[number]))
    ids = (seen.object_ids == largest).astype(np.uint8)
    return frame, workspace.store.setups.add(Setup(frame.id, workspace.pictures.put_picture(ids), {1: (9.0, 0.0, 0.0)}))


def sharp_variant(workspace: Workspace) -> Sample:
    """What SDXL often gives: the scene as it was, and no blur."""
    frame, chosen = street_with_movers(workspace)
    _, inverse_depth = workspace.metres(frame, "bundled", chosen.scale)
    ids = workspace.object_ids(frame, chosen)
    reach = float(np.median(inverse_depth[ids > 0]))
    motion = Motion(chosen.scale.fov_x_deg, objects={1: (14 / 280 / reach, 0.0, 0.0)})
    look = workspace.pictures.picture(frame.image)
    scene = StillScene(look, inverse_depth, Movers(ids), chosen.scale)
    variant = painted.take_painted(scene, look, Plan(Condition(), motion, 1))
    notes = {
        "backend": "sdxl",
        "teacher": "bundled",
        "seed": 1,
        "condition": Condition().to_json(),
        "motion": motion.to_json(),
        "scale": chosen.scale.to_json(),
        "ids": workspace.pictures.put_picture(ids),
    }
    sample = keep_variant(workspace, "abc", frame, variant, inverse_depth, notes)
    workspace.store.verdicts.put(sample.id, judge(look, look, inverse_depth, motion, ids))
    return sample


def test_a_variant_that_stayed_sharp_is_found_and_repaired(workspace: Workspace) -> None:
    sample = sharp_variant(workspace)
    assert workspace.store.verdicts.of([sample.id])[sample.id].reasons == ("sharp",)
    assert failed(workspace, [sample]) == [sample]
    [repaired] = repair(workspace, [sample])
    assert workspace.store.verdicts.of([repaired.id])[repaired.id].words == "blur found"
    assert repaired.status == "pending" and repaired.provenance["repaired_from"] == sample.id
    frame = workspace.store.samples.frame(sample.frame_id)
    ids = workspace.object_ids(frame, street_with_movers(workspace)[1])
    before, after = (workspace.pictures.picture(each.image).astype(int) for each in (sample, repaired))
    assert np.abs(before - after)[ids > 0].mean() > 4 * np.abs(before - after)[ids == 0].mean()
    assert repaired.target != sample.target
    assert failed(workspace, [sample]) == []
    assert [again.id for again in repair(workspace, [sample])] == [repaired.id]
    # The old one is still there, as it was.
    assert workspace.store.samples.sample(sample.id) == sample


def test_the_repaired_target_differs_from_the_sharp_depth_where_things_move(workspace: Workspace) -> None:
    [repaired] = repair(workspace, [sharp_variant(workspace)])
    change = np.abs(workspace.arrays.array(repaired.target) - workspace.arrays.array(repaired.sharp_target))
    ids = workspace.object_ids(workspace.store.samples.frame(repaired.frame_id), street_with_movers(workspace)[1])
    around = cv2.dilate(ids, np.ones((5, 49), np.uint8)) > 0
    assert change[around].max() > 1e-3
    assert (change[~around] == 0).mean() > 0.99


def test_an_empty_picture_is_not_repaired(workspace: Workspace) -> None:
    sample = sharp_variant(workspace)
    black = workspace.pictures.put_picture(np.zeros((160, 480, 3), np.uint8))
    kept = workspace.store.samples.add_sample(replace(sample, id="black", image=black))
    with pytest.raises(InputError, match="empty"):
        list(repair(workspace, [kept]))


def test_words_for_a_sharp_picture_lose_their_blur() -> None:
    assert painted.still_words("motion blur", "") == ("motion blur", "motion blur, blurry")


def test_the_command_line_paints_and_repairs(tmp_path: Path, tiny: Path, frame_file: Path) -> None:
    def run(*arguments: str) -> dict[str, list[dict[str, object]]]:
        command = [sys.executable, "-m", "blurdepth", *arguments, "--data", str(tmp_path / "data"), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
        return result

    small = ("--steps", "2", "--short-side", "48", "--variants", "1")
    [made] = run("generate", str(frame_file), "--backend", "sdxl", "--sdxl", str(tiny), *small)["samples"]
    assert isinstance(made["verdict"], dict) and made["verdict"]["words"]
    repaired = run("repair")["samples"]
    assert len(repaired) == (0 if made["verdict"]["passed"] else 1)
    assert run("repair") == {"samples": []}


def test_what_is_empty_or_rejected_does_not_stand_in_the_way_of_repairing_the_others(workspace: Workspace) -> None:
    sample = sharp_variant(workspace)
    black = workspace.pictures.put_picture(np.zeros((160, 480, 3), np.uint8))
    kept = workspace.store.samples
    empty, rejected = (kept.add_sample(replace(sample, id=name, image=black)) for name in ("empty", "rejected"))
    workspace.store.verdicts.put("empty", Verdict(False, ("blank",), {}))
    workspace.store.verdicts.put("rejected", Verdict(False, ("sharp",), {}))
    kept.decide(["rejected"], "reject", "looks unreal")
    assert [each.id for each in failed(workspace, [empty, kept.sample(rejected.id), sample])] == [sample.id]


def test_another_scene_is_not_repaired(workspace: Workspace) -> None:
    sample = sharp_variant(workspace)
    workspace.store.verdicts.put(sample.id, Verdict(False, ("structure", "sharp"), {}))
    assert failed(workspace, [sample]) == []
    with pytest.raises(InputError, match="another scene"):
        list(repair(workspace, [sample]))
