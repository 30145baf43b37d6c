"""Variants of a frame as pending samples: what is asked, what was made before, and a look ahead."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.blurcheck import Verdict
from blurdepth.camera import ScaleAssumption
from blurdepth.diffusion import DiffusionModels, Painter, PaintSettings, PaintStep, control_map, paint_size, paint_steps
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED
from blurdepth.generators import Variant, painted
from blurdepth.generators import exposure as simulated
from blurdepth.generators.exposure import Movers, Plan, StillScene, plan_variant, take_variant
from blurdepth.images import Rgb, content_hash, object_numbers
from blurdepth.judging import judge
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.setups import Setup
from blurdepth.store.records import Frame, Sample
from blurdepth.workspace import NewSample, Workspace

_log = logging.getLogger(__name__)
MAX_VARIANTS = 50
MADE_AHEAD = 2
"""Variants that are simulated at a time: half of the work on one is done by a single thread."""
BACKENDS = (simulated.BACKEND, painted.BACKEND, painted.EXPOSED_BACKEND)


@dataclass(frozen=True)
class GenerationRequest:
    """What is asked of a generator. Variant k of it has the seed `seed + k`.

    Attributes:
        condition: as set by hand, in place of what the prompt says; None for the prompt's.
        setup: who moves and the assumption of scale; None for proposals, chance and the usual camera.
        finder: the segmentation model that proposes who could move; "" for the proposals that need none.
        painters: the diffusion models of the SDXL backends.
        paint: how these paint.
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
    painters: DiffusionModels = field(default_factory=DiffusionModels)
    paint: PaintSettings = field(default_factory=PaintSettings)

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
    def paints(self) -> bool:
        """Whether a diffusion model is asked for."""
        return self.backend != simulated.BACKEND

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

    def check_frame(self, frame: Frame) -> None:
        """Refuse a frame that can't be painted before anything is downloaded or loaded for it.

        Raises:
            InputError: it is too wide; see `paint_size`.
        """
        if self.paints:
            paint_size(frame.width, frame.height, self.paint.short_side_px)


def generate(workspace: Workspace, frame: Frame, request: GenerationRequest) -> Iterator[Sample]:
    """Make the variants of a request; like `generate_steps`, without the steps."""
    return (each for each in generate_steps(workspace, frame, request) if isinstance(each, Sample))


def generate_steps(workspace: Workspace, frame: Frame, request: GenerationRequest) -> Iterator[Sample | PaintStep]:
    """Make the variants of a request, each kept as a pending sample before it is handed out; what was painted, judged.

    A variant that was made before (same frame, words, hand, seed, models and code) is handed out as it is kept, with
    whatever was decided about it. Closing the iterator cancels what is left, within one step of a painting.

    Raises:
        InputError: the prompt is refused, or nothing can be made of this frame; see `plan_variant` and `take_variant`.
        ModelError, MemoryLimitError: a model can't be loaded or used.
    """
    condition = request.read()
    request.check_frame(frame)
    teacher, inverse_depth = workspace.metres(frame, request.model, request.scale)
    movers, rgb = _movers(workspace, frame, request, condition), workspace.pictures.picture(frame.image)
    scene = StillScene(rgb, inverse_depth, movers, request.scale, not teacher.relative)
    painter = workspace.painter(request.painters) if request.paints else None
    origin = _origin(workspace, request, teacher.revision, painter, movers.ids)
    asked = {seed: _asked(request, seed) | origin for seed in range(request.seed, request.seed + request.variants)}
    ids = {
        seed: content_hash(json.dumps([frame.id, each], sort_keys=True).encode())[:12] for seed, each in asked.items()
    }
    missing = [seed for seed, sample_id in ids.items() if not workspace.store.samples.has_sample(sample_id)]
    plan = partial(plan_variant, scene, condition)
    steps = _painted(workspace, scene, plan, missing, request, painter) if painter else _simulated(scene, plan, missing)
    with closing(steps):
        for seed, sample_id in ids.items():
            if seed not in missing:
                yield workspace.store.samples.sample(sample_id)
                continue
            for step in steps:
                if isinstance(step, PaintStep):
                    yield step
                    continue
                yield _keep(workspace, sample_id, frame, step, inverse_depth, asked[seed])
                break


@dataclass(frozen=True)
class _Made:
    """A variant that isn't kept yet."""

    plan: Plan
    variant: Variant
    verdict: Verdict | None = None


def _simulated(scene: StillScene, plan: Callable[[int], Plan], seeds: Sequence[int]) -> Generator[_Made]:
    """Variants by the simulator alone, in order; while one is kept and looked at, the next are made."""

    def make(seed: int) -> _Made:
        planned = plan(seed)
        return _Made(planned, take_variant(scene, planned))

    # Somebody waits for the first: it has all cores to itself.
    yield from map(make, seeds[:1])
    left = iter(seeds[1:])
    with ThreadPoolExecutor(MADE_AHEAD) as pool:
        waiting = deque(pool.submit(make, seed) for seed in islice(left, MADE_AHEAD))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(make, seed) for seed in islice(left, 1))
                yield made
        finally:
            pool.shutdown(cancel_futures=True)


def _painted(
    workspace: Workspace,
    scene: StillScene,
    plan: Callable[[int], Plan],
    seeds: Sequence[int],
    request: GenerationRequest,
    painter: Painter,
) -> Generator[PaintStep | _Made]:
    """Variants that a diffusion model paints, in order, with the steps of each, and judged."""
    exposes = request.backend == painted.EXPOSED_BACKEND
    words = request.prompt, request.negative
    if exposes:
        words = painted.still_words(*words)
    guide = control_map(scene.inverse_depth)
    for seed in seeds:
        planned, picture = plan(seed), scene.rgb
        for step in paint_steps(painter, guide, *words, seed, request.paint):
            if isinstance(step, PaintStep):
                yield step
            else:
                picture = step
        variant = (painted.expose_painted if exposes else painted.take_painted)(scene, picture, planned)
        # What the simulator exposed is held against what it was given, what is only painted against the frame.
        sharp = picture if exposes else scene.rgb
        seen = workspace.estimator(request.model).predict_inverse(variant.rgb)
        verdict = judge(variant.rgb, sharp, scene.inverse_depth, planned.motion, scene.movers.ids, seen)
        yield _Made(planned, variant, verdict)


def _keep(
    workspace: Workspace,
    sample_id: str,
    frame: Frame,
    made: _Made,
    inverse_depth: NDArray[np.float32],
    asked: dict[str, object],
) -> Sample:
    notes: dict[str, object] = {"condition": made.plan.condition.to_json(), "motion": made.plan.motion.to_json()}
    if made.plan.camera_instead:
        notes["camera_instead"] = True
    sample = keep_variant(workspace, sample_id, frame, made.variant, inverse_depth, asked | notes)
    _log.info("made sample %s of %s", sample.id, frame.name)
    if made.verdict:
        workspace.store.verdicts.put(sample.id, made.verdict)
    return sample


def keep_variant(
    workspace: Workspace,
    sample_id: str,
    frame: Frame,
    variant: Variant,
    inverse_depth: NDArray[np.float32],
    provenance: dict[str, object],
) -> Sample:
    """Keep a variant of a frame, whose sharp inverse depth is given, as a pending sample."""
    return workspace.keep_sample(
        NewSample(
            id=sample_id,
            frame_id=frame.id,
            rgb=variant.rgb,
            target=variant.mean_inverse_depth,
            sharp_target=inverse_depth,
            regions=variant.regions,
            scores=variant.scores,
            provenance=provenance,
        )
    )


def preview(workspace: Workspace, frame: Frame, request: GenerationRequest, width: int) -> Rgb:
    """The first variant of a request as it would come out, at most `width` pixels wide; nothing is kept.

    The words of the request are read only where it has no condition by hand.
    """
    condition = request.condition or request.read()
    teacher, inverse_depth = workspace.metres(frame, request.model, request.scale)
    movers, rgb = _movers(workspace, frame, request, condition), workspace.pictures.picture(frame.image)
    scene = StillScene(rgb, inverse_depth, movers, request.scale, not teacher.relative)
    plan = plan_variant(scene, condition, request.seed)
    if width < frame.width:
        size = (width, max(1, round(width * frame.height / frame.width)))
        rgb, inverse_depth = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (rgb, inverse_depth))
        ids = cv2.resize(movers.ids, size, interpolation=cv2.INTER_NEAREST)
        scene = replace(scene, rgb=rgb, inverse_depth=inverse_depth, movers=replace(movers, ids=ids))
        plan = replace(plan, motion=plan.motion.only(object_numbers(ids)))
    return take_variant(scene, plan).rgb


def _movers(workspace: Workspace, frame: Frame, request: GenerationRequest, condition: Condition) -> Movers:
    chosen = request.chosen_movers
    if chosen is not None:
        return Movers(workspace.object_ids(frame, chosen), chosen.velocities_mps)
    if condition.object_speed_mps:
        return Movers(workspace.proposed_ids(frame, request.model, request.finder))
    return Movers(np.zeros((frame.height, frame.width), np.uint8))


def _origin(
    workspace: Workspace,
    request: GenerationRequest,
    teacher_revision: str,
    painter: Painter | None,
    ids: NDArray[np.uint8],
) -> dict[str, object]:
    """Which models have a part in it."""
    origin: dict[str, object] = {"teacher": request.model, "teacher_revision": teacher_revision}
    if request.finder:
        origin |= {"finder": request.finder, "finder_revision": workspace.segmenter(request.finder).revision}
    if painter:
        origin |= {
            # A repair must move the same ones, whatever finds them by then.
            "ids": workspace.pictures.put_picture(ids),
            "painters": asdict(request.painters),
            "painters_revision": painter.revision,
            # Decoding in tiles changes the picture.
            "painters_mode": painter.mode,
            "paint": asdict(request.paint),
        }
    return origin


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
