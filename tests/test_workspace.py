"""A data folder: frames under their content, depth estimated once, variants with provenance, made once."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdepth.clips import Clip, clip_of_pictures
from blurdepth.errors import InputError, ModelError
from blurdepth.shutter import Shutter
from blurdepth.store.records import Counts
from blurdepth.workspace import BlendRequest, GenerationRequest, Workspace
from tests.conftest import sliding_pictures, street_frame, write_tiny_model

PROMPT = "cars speeding past in dense fog, motion blur"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


@pytest.fixture
def request_(tiny_model: Path) -> GenerationRequest:
    return GenerationRequest(PROMPT, "static cars", variants=3, seed=7, model=str(tiny_model))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Seven pictures of a street that slides by 6 px a picture."""
    return clip_of_pictures(sliding_pictures(tmp_path, 7, 6))


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
    samples = list(workspace.generate(frame, request_))
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
    first = [list(each.generate(each.add_frame(street_frame(), "x.png"), request_)) for each in (workspace, other)]
    assert [(one.id, one.image, one.target) for one in first[0]] == [
        (one.id, one.image, one.target) for one in first[1]
    ]


def test_asking_again_keeps_what_was_decided(workspace: Workspace, request_: GenerationRequest) -> None:
    frame = workspace.add_frame(street_frame(), "street.png")
    first = next(workspace.generate(frame, request_))
    workspace.store.samples.decide([first.id], "accept")
    assert [sample.status for sample in workspace.generate(frame, request_)] == ["accepted", "pending", "pending"]
    assert workspace.store.samples.counts().total == 3


def test_a_cancelled_request_keeps_what_is_finished(workspace: Workspace, request_: GenerationRequest) -> None:
    making = workspace.generate(workspace.add_frame(street_frame(), "street.png"), request_)
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
        list(workspace.generate(frame, GenerationRequest(prompt, model=str(tiny_model))))
    assert 20 < len(str(raised.value)) < 400
    assert workspace.store.samples.counts().total == 0


def test_training_samples_are_files_with_a_side(workspace: Workspace, request_: GenerationRequest) -> None:
    for seed in (0, 1):
        frame = workspace.add_frame(street_frame(seed), "street.png")
        workspace.store.samples.decide([sample.id for sample in workspace.generate(frame, request_)], "accept")
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
    sample = next(workspace.generate(workspace.add_frame(street_frame(), "street.png"), request_))
    path = workspace.target_picture(sample)
    before = path.stat().st_mtime_ns
    assert workspace.target_picture(sample).stat().st_mtime_ns == before
    with Image.open(workspace.thumbnail(sample.image)) as small:
        assert max(small.size) <= 320


def test_a_clip_becomes_one_pending_sample(workspace: Workspace, tiny_model: Path, clip: Clip) -> None:
    request = BlendRequest(Shutter(1, 5), model=str(tiny_model))
    steps = list(workspace.blend_clip(clip, request))
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9] and {step.total for step in steps} == {9}
    sample = steps[-1].sample
    assert sample is not None and workspace.store.samples.counts() == Counts(pending=1)
    sharp = workspace.pictures.picture(workspace.store.samples.frame(sample.frame_id).image)
    assert np.array_equal(sharp, clip.frame(3))
    made = sample.provenance
    assert (made["backend"], made["clip"], made["frames"]) == ("burst", clip.name, [1, 2, 3, 4, 5])
    assert made["teacher_revision"] and made["align"] is False and made["shutter"]["shape"] == "box"
    assert sample.scores["blur_px"] == pytest.approx(24, abs=4)
    target = workspace.arrays.array(sample.target)
    assert target.shape == sharp.shape[:2] and (target > 0).all()


def test_the_same_clip_and_shutter_are_blended_once(workspace: Workspace, tmp_path: Path, clip: Clip) -> None:
    # Metric, as a relative model of random weights may contradict itself from frame to frame, and is then refused.
    request = BlendRequest(Shutter(1, 3), model=str(write_tiny_model(tmp_path / "metric", metric=True)))
    first = list(workspace.blend_clip(clip, request))[-1].sample
    assert first is not None
    workspace.store.samples.decide([first.id], "accept")
    (again,) = workspace.blend_clip(clip, request)
    assert again.sample is not None and (again.sample.id, again.sample.status) == (first.id, "accepted")
    other = list(workspace.blend_clip(clip, replace(request, align=True)))[-1].sample
    assert other is not None and other.id != first.id


def test_a_cancelled_blend_leaves_no_sample(workspace: Workspace, tiny_model: Path, clip: Clip) -> None:
    making = workspace.blend_clip(clip, BlendRequest(Shutter(0, 4), model=str(tiny_model)))
    for _ in range(5):
        next(making)
    making.close()  # type: ignore[attr-defined]
    assert workspace.store.samples.counts().total == 0


def test_a_shutter_that_reaches_out_of_the_clip_is_refused_before_work(workspace: Workspace, clip: Clip) -> None:
    with pytest.raises(InputError, match="frames 4 to 8 but the clip has 7"):
        next(workspace.blend_clip(clip, BlendRequest(Shutter(4, 5), model="no/such-model")))
