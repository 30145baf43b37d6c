"""Frames of a clip, blended into one blurred frame and kept as a pending sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.bursts import Blending, BurstExposure, check_frames, regions, score
from blurdepth.camera import ScaleAssumption
from blurdepth.clips import Clip
from blurdepth.estimators import BUNDLED
from blurdepth.images import content_hash, linear_to_srgb
from blurdepth.pretrained import OnBytes
from blurdepth.shutter import Shutter
from blurdepth.store.records import Frame, Sample
from blurdepth.workspace import NewSample, Workspace, reduce_frame


@dataclass(frozen=True)
class BlendRequest:
    """How frames of a clip are to become one blurred frame."""

    shutter: Shutter
    align: bool = False
    model: str = BUNDLED
    scale: ScaleAssumption = field(default_factory=ScaleAssumption)


@dataclass(frozen=True)
class BlendStep:
    """How far `blend_clip` is: `done` of `total`, what was done in words, at last the sample."""

    done: int
    total: int
    words: str
    sample: Sample | None = None


def blend_clip(
    workspace: Workspace, clip: Clip, request: BlendRequest, on_bytes: OnBytes | None = None
) -> Iterator[BlendStep]:
    """Make one blurred frame out of frames of a clip, kept as a pending sample that the last step hands out.

    A sample that was made before (same frames, shutter, teacher and code) is handed out as it is kept. Closing the
    iterator cancels; the teacher's depth of the frames seen so far stays kept.

    Raises:
        InputError: the shutter reaches out of the clip, or see `check_frames` and `Blending`.
    """
    request.shutter.check(clip.count)
    numbers, total = request.shutter.frames, 2 * request.shutter.length - 1
    pictures = [reduce_frame(clip.frame(number)) for number in numbers]
    check_frames(pictures, request.shutter.start)
    revision = workspace.estimator(request.model, on_bytes).revision
    named = zip(numbers, pictures, strict=True)
    frames = [workspace.keep_frame(rgb, f"{clip.name}, frame {number + 1}") for number, rgb in named]
    asked = _asked(request, [frame.id for frame in frames], revision)
    sample_id = content_hash(json.dumps(asked, sort_keys=True).encode())[:12]
    if workspace.store.samples.has_sample(sample_id):
        yield BlendStep(total, total, "made before", workspace.store.samples.sample(sample_id))
        return
    inverse_depths = []
    for done, frame in enumerate(frames, 1):
        teacher, values = workspace.estimate(frame, request.model)
        inverse_depths.append(values)
        yield BlendStep(done, total, f"depth of frame {done} of {len(frames)}")
    middle, drifting = request.shutter.middle - request.shutter.start, teacher.relative
    _, inverse_depths[middle] = workspace.metres(frames[middle], request.model, request.scale)
    blending = Blending(
        pictures,
        inverse_depths,
        request.shutter.shape,
        align=request.align,
        drifting=drifting,
        first=request.shutter.start,
    )
    for done in blending.steps():
        yield BlendStep(len(frames) + done, total, f"motion {done} of {len(frames) - 1}")
    about = {"clip": clip.name, "frames": list(numbers), "shutter": asdict(request.shutter)}
    made = _new_sample(sample_id, frames[middle], blending.finish(), inverse_depths[middle], asked | about)
    yield BlendStep(total, total, "done", workspace.keep_sample(made))


def _asked(request: BlendRequest, frame_ids: list[str], revision: str) -> dict[str, object]:
    """All that decides the sample, in the form of its provenance; there is no prompt and no chance in it."""
    return {
        "prompt": "",
        "negative": "",
        "seed": 0,
        "backend": "burst",
        "frame_ids": frame_ids,
        "shutter_shape": request.shutter.shape,
        "align": request.align,
        "scale": request.scale.to_json(),
        "teacher": request.model,
        "teacher_revision": revision,
        "code_version": __version__,
    }


def _new_sample(
    sample_id: str,
    frame: Frame,
    exposure: BurstExposure,
    inverse_depth: NDArray[np.float32],
    provenance: dict[str, object],
) -> NewSample:
    return NewSample(
        id=sample_id,
        frame_id=frame.id,
        rgb=linear_to_srgb(exposure.linear),
        target=exposure.mean_inverse_depth,
        sharp_target=inverse_depth,
        regions=regions(exposure),
        scores=score(exposure),
        provenance=provenance,
    )
