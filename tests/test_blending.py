"""Blending: a clip becomes one pending sample, once, with the frame in its middle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blurdepth.blending import BlendRequest, blend_clip
from blurdepth.clips import Clip, clip_of_pictures
from blurdepth.errors import InputError
from blurdepth.shutter import Shutter
from blurdepth.store.records import Counts
from blurdepth.workspace import Workspace
from tests.conftest import sliding_pictures, write_tiny_model


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Seven pictures of a street that slides by 6 px a picture."""
    return clip_of_pictures(sliding_pictures(tmp_path, 7, 6))


def test_a_clip_becomes_one_pending_sample(workspace: Workspace, tiny_model: Path, clip: Clip) -> None:
    request = BlendRequest(Shutter(1, 5), model=str(tiny_model))
    steps = list(blend_clip(workspace, clip, request))
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
    first = list(blend_clip(workspace, clip, request))[-1].sample
    assert first is not None
    workspace.store.samples.decide([first.id], "accept")
    (again,) = blend_clip(workspace, clip, request)
    assert again.sample is not None and (again.sample.id, again.sample.status) == (first.id, "accepted")
    other = list(blend_clip(workspace, clip, replace(request, align=True)))[-1].sample
    assert other is not None and other.id != first.id


def test_a_cancelled_blend_leaves_no_sample(workspace: Workspace, tiny_model: Path, clip: Clip) -> None:
    making = blend_clip(workspace, clip, BlendRequest(Shutter(0, 4), model=str(tiny_model)))
    for _ in range(5):
        next(making)
    making.close()  # type: ignore[attr-defined]
    assert workspace.store.samples.counts().total == 0


def test_a_shutter_that_reaches_out_of_the_clip_is_refused_before_work(workspace: Workspace, clip: Clip) -> None:
    with pytest.raises(InputError, match="frames 4 to 8 but the clip has 7"):
        next(blend_clip(workspace, clip, BlendRequest(Shutter(4, 5), model="no/such-model")))
