"""A data folder: frames under their content, depth estimated once, variants with provenance, made once."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdepth.errors import InputError, ModelError
from blurdepth.generation import GenerationRequest, generate
from blurdepth.store.records import Counts
from blurdepth.workspace import Workspace
from tests.conftest import street_frame

PROMPT = "cars speeding past in dense fog, motion blur"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


@pytest.fixture
def request_(tiny_model: Path) -> GenerationRequest:
    return GenerationRequest(PROMPT, "static cars", variants=3, seed=7, model=str(tiny_model))


def test_one_picture_is_one_frame_whatever_its_file(workspace: Workspace) -> None:
    png = street_frame()
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).save(buffer, "TIFF")
    first, second = workspace.add_frame(png, "a.png"), workspace.add_frame(buffer.getvalue(), "b.tif")
    assert first == second
    assert first.name == "a.png"
    assert (first.width, first.height) == (196, 84)


def test_a_huge_frame_is_reduced_and_keeps_its_shape(workspace: Workspace) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000), "teal").save(buffer, "JPEG")
    frame = workspace.add_frame(buffer.getvalue(), "big.jpg")
    assert frame.width * frame.height <= 1920 * 1088 + 4000
    assert frame.width / frame.height == pytest.approx(4 / 3, rel=0.01)


def test_depth_is_estimated_once_a_revision(workspace: Workspace, tiny_model: Path) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    kept, values = workspace.estimate(frame, str(tiny_model))
    again, same = workspace.estimate(frame, str(tiny_model))
    assert kept == again
    assert np.array_equal(values, same)
    assert len(list((workspace.folder / "arrays").rglob("*.npy"))) == 1


def test_variants_are_pending_samples_with_their_origin(workspace: Workspace, request_: GenerationRequest) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    samples = list(generate(workspace, frame, request_))
    assert workspace.store.samples.counts() == Counts(pending=3)
    for number, sample in enumerate(samples):
        made = sample.provenance
        assert (made["prompt"], made["negative"], made["seed"]) == (PROMPT, "static cars", 7 + number)
        assert made["teacher"] == request_.model and made["teacher_revision"]
        assert made["condition"]["weather"]["fog"] > 0
        assert made["scale"]["camera_height_m"] > 0 and made["motion"]["fov_x_deg"] > 0 and made["code_version"]
        image = workspace.pictures.picture(sample.image)
        target = workspace.arrays.array(sample.target)
        assert image.shape == (84, 196, 3) and target.shape == (84, 196)
        assert (target > 0).all()
        assert sample.scores["blur_px"] > 0


def test_the_same_seed_gives_the_same_variant_in_any_folder(
    workspace: Workspace, request_: GenerationRequest, tmp_path: Path
) -> None:
    other = Workspace(tmp_path / "other")
    first = [list(generate(each, each.add_frame(street_frame(), "x.png"), request_)) for each in (workspace, other)]
    assert [(one.id, one.image, one.target) for one in first[0]] == [
        (one.id, one.image, one.target) for one in first[1]
    ]


def test_a_variant_is_the_same_whichever_are_made_beside_it(
    workspace: Workspace, request_: GenerationRequest, tmp_path: Path
) -> None:
    together = list(generate(workspace, workspace.add_frame(street_frame(), "x.png"), replace(request_, variants=6)))
    assert [sample.provenance["seed"] for sample in together] == list(range(7, 13))
    other = Workspace(tmp_path / "other")
    frame = other.add_frame(street_frame(), "x.png")
    for sample in reversed(together):
        [alone] = generate(other, frame, replace(request_, variants=1, seed=sample.provenance["seed"]))
        assert (alone.id, alone.image, alone.target) == (sample.id, sample.image, sample.target)
    again = list(generate(other, frame, replace(request_, variants=8, seed=5)))
    assert [sample.id for sample in again[2:]] == [sample.id for sample in together]


def test_asking_again_keeps_what_was_decided(workspace: Workspace, request_: GenerationRequest) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    first = next(generate(workspace, frame, request_))
    workspace.store.samples.decide([first.id], "accept")
    assert [sample.status for sample in generate(workspace, frame, request_)] == ["accepted", "pending", "pending"]
    assert workspace.store.samples.counts().total == 3


def test_a_cancelled_request_keeps_what_is_finished(workspace: Workspace, request_: GenerationRequest) -> None:
    making = generate(workspace, workspace.add_frame(street_frame(), "street.png"), request_)
    next(making)
    making.close()  # type: ignore[attr-defined]
    assert workspace.store.samples.counts() == Counts(pending=1)


def test_strangers_may_not_name_folders_as_models(tmp_path: Path, tiny_model: Path) -> None:
    hosted = Workspace(tmp_path / "data", model_folders=False)
    for name in (str(tiny_model), "../secrets", "~/models", ".ssh/x"):
        with pytest.raises(ModelError, match="no model here"):
            hosted.resolve_model(name)
    assert hosted.resolve_model("depth-anything/Depth-Anything-V2-Small-hf").endswith("hf")


@pytest.mark.parametrize(
    "values", [{"variants": "2"}, {"seed": 1.5}, {"variants": 0}, {"variants": 51}, {"seed": -1}, {"backend": "magic"}]
)
def test_a_bad_request_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        GenerationRequest(PROMPT, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 10_000, "<script>alert(1)</script> fog", "浓雾 夜晚"])
def test_a_bad_prompt_makes_nothing(workspace: Workspace, tiny_model: Path, prompt: str) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    with pytest.raises(InputError) as raised:
        list(generate(workspace, frame, GenerationRequest(prompt, model=str(tiny_model))))
    assert 20 < len(str(raised.value)) < 400
    assert workspace.store.samples.counts().total == 0


def test_training_samples_are_files_with_a_side(workspace: Workspace, request_: GenerationRequest) -> None:
    for seed in (0, 1):
        frame = workspace.add_frame(street_frame(seed), "street.png")
        workspace.store.samples.decide([sample.id for sample in generate(workspace, frame, request_)], "accept")
    version = workspace.store.versions.snapshot()
    samples = workspace.training_samples(version.id, "by_frame", 0.2, seed=0)
    assert {sample.split for sample in samples} == {"train", "val"}
    assert len({(sample.frame_id, sample.split) for sample in samples}) == 2
    assert all(path.is_file() for sample in samples for path in (sample.image, sample.target, sample.sharp_image))


def test_a_job_without_checkpoint_is_no_model(workspace: Workspace) -> None:
    workspace.store.jobs.add("finetune", {})
    with pytest.raises(ModelError, match="j1 is queued"):
        workspace.resolve_model("j1")


def test_pictures_of_depth_are_drawn_once(workspace: Workspace, request_: GenerationRequest) -> None:
    sample = next(generate(workspace, workspace.add_frame(street_frame(), "street.png"), request_))
    path = workspace.target_picture(sample)
    before = path.stat().st_mtime_ns
    assert workspace.target_picture(sample).stat().st_mtime_ns == before
    with Image.open(workspace.thumbnail(sample.image)) as small:
        assert max(small.size) <= 320


def test_the_page_shows_the_pictures_that_a_fine_tune_has_now(workspace: Workspace) -> None:
    drawn = workspace.folder / "jobs" / "j1" / "probes"
    drawn.mkdir(parents=True)
    for name in ("0000-0.png", "0007-0.png"):
        (drawn / name).write_bytes(b"of the run before")
    shown = workspace.probe_pictures("j1")
    assert {path.name for path in shown.iterdir()} == {"0000-0.png", "0007-0.png"}
    (drawn / "0007-0.png").unlink()
    (drawn / "0000-0.png").write_bytes(b"drawn anew")
    os.utime(drawn / "0000-0.png", (2e9, 2e9))
    workspace.probe_pictures("j1")
    assert {path.name: path.read_bytes() for path in shown.iterdir()} == {"0000-0.png": b"drawn anew"}
