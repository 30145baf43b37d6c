"""Variants of a frame as pending samples: what is asked, what was made before, and a look ahead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from blurdepth import __version__
from blurdepth.camera import ScaleAssumption
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED
from blurdepth.generators.exposure import Movers, plan_variant, take_variant
from blurdepth.images import Rgb, content_hash, object_numbers
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.setups import Setup
from blurdepth.store.records import Frame, Sample
from blurdepth.workspace import NewSample, Workspace

MAX_VARIANTS = 50
BACKENDS = ("exposure",)


@dataclass(frozen=True)
class GenerationRequest:
    """What is asked of a generator. Variant k of it has the seed `seed + k`.

    Attributes:
        condition: as set by hand, in place of what the prompt says; None for the prompt's.
        setup: who moves and the assumption of scale; None for proposals, chance and the usual camera.
        finder: the segmentation model that proposes who could move; "" for the proposals that need none.
    """

    prompt: str
    negative: str = ""
    variants: int = 4
    seed: int = 0
    backend: str = "exposure"
    model: str = BUNDLED
    condition: Condition | None = None
    setup: Setup | None = None
    finder: str = ""

    def __post_init__(self) -> None:
        for name in ("variants", "seed"):
            if type(getattr(self, name)) is not int:
                raise InputError(f"{name} is {getattr(self, name)!r}: give a whole number.")
        if not 1 <= self.variants <= MAX_VARIANTS:
            raise InputError(f"{self.variants} variants were asked for: choose 1 to {MAX_VARIANTS}.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"The seed is {self.seed}: choose a whole number from 0 to {2**31 - 1}.")
        if self.backend not in BACKENDS:
            raise InputError(f"The backend {self.backend!r} is not known: use {' or '.join(BACKENDS)}.")

    @property
    def scale(self) -> ScaleAssumption:
        """What is assumed where the depth model knows no metres."""
        return self.setup.scale if self.setup else ScaleAssumption()

    @property
    def chosen_movers(self) -> Setup | None:
        """The setup, if it says who moves."""
        return self.setup if self.setup and self.setup.velocities_mps else None

    def read(self) -> Condition:
        """What to show.

        Raises:
            InputError: the prompt is refused; see `parse_prompt`.
        """
        words = parse_prompt(self.prompt, self.negative).condition
        return self.condition or words


def generate(workspace: Workspace, frame: Frame, request: GenerationRequest) -> Iterator[Sample]:
    """Make the variants of a request, each kept as a pending sample before it is handed out.

    A variant that was made before (same frame, words, hand, seed, teacher and code) is handed out as it is kept, with
    whatever was decided about it. Closing the iterator cancels what is left.

    Raises:
        InputError: the prompt is refused, or nothing can be made of this frame; see `plan_variant` and `take_variant`.
    """
    condition = request.read()
    teacher, inverse_depth = workspace.metres(frame, request.model, request.scale)
    movers = _movers(workspace, frame, request, condition)
    origin: dict[str, object] = {"teacher": request.model, "teacher_revision": teacher.revision}
    if request.finder:
        origin |= {"finder": request.finder, "finder_revision": workspace.segmenter(request.finder).revision}
    rgb = workspace.pictures.picture(frame.image)
    for seed in range(request.seed, request.seed + request.variants):
        asked = _asked(request, seed) | origin
        sample_id = content_hash(json.dumps([frame.id, asked], sort_keys=True).encode())[:12]
        if workspace.store.samples.has_sample(sample_id):
            yield workspace.store.samples.sample(sample_id)
            continue
        plan = plan_variant(inverse_depth, condition, seed, request.scale, movers)
        variant = take_variant(rgb, inverse_depth, movers.ids, plan, request.scale, not teacher.relative)
        notes: dict[str, object] = {"condition": plan.condition.to_json(), "motion": plan.motion.to_json()}
        if plan.camera_instead:
            notes["camera_instead"] = True
        yield workspace.keep_sample(
            NewSample(
                id=sample_id,
                frame_id=frame.id,
                rgb=variant.rgb,
                target=variant.mean_inverse_depth,
                sharp_target=inverse_depth,
                regions=variant.regions,
                scores=variant.scores,
                provenance=asked | notes,
            )
        )


def preview(workspace: Workspace, frame: Frame, request: GenerationRequest, width: int) -> Rgb:
    """The first variant of a request as it would come out, at most `width` pixels wide; nothing is kept.

    The words of the request are read only where it has no condition by hand.
    """
    condition = request.condition or request.read()
    teacher, inverse_depth = workspace.metres(frame, request.model, request.scale)
    movers = _movers(workspace, frame, request, condition)
    plan = plan_variant(inverse_depth, condition, request.seed, request.scale, movers)
    rgb, ids = workspace.pictures.picture(frame.image), movers.ids
    if width < frame.width:
        size = (width, max(1, round(width * frame.height / frame.width)))
        rgb, inverse_depth = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (rgb, inverse_depth))
        ids = cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        plan = replace(plan, motion=plan.motion.only(object_numbers(ids)))
    return take_variant(rgb, inverse_depth, ids, plan, request.scale, not teacher.relative).rgb


def _movers(workspace: Workspace, frame: Frame, request: GenerationRequest, condition: Condition) -> Movers:
    chosen = request.chosen_movers
    if chosen is not None:
        return Movers(workspace.object_ids(frame, chosen), chosen.velocities_mps)
    if condition.object_speed_mps:
        return Movers(workspace.proposed_ids(frame, request.model, request.finder))
    return Movers(np.zeros((frame.height, frame.width), np.uint8))


def _asked(request: GenerationRequest, seed: int) -> dict[str, object]:
    """All that decides a variant, for its id and its provenance."""
    asked: dict[str, object] = {
        "prompt": request.prompt,
        "negative": request.negative,
        "seed": seed,
        "backend": request.backend,
        "scale": request.scale.to_json(),
        "code_version": __version__,
    }
    if request.condition is not None:
        asked["condition_by_hand"] = request.condition.to_json()
    if request.chosen_movers is not None:
        asked["movers_by_hand"] = request.chosen_movers.to_json()
    return asked
