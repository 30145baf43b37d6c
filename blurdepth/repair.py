"""Mending a variant whose blur failed: its look stays, the simulator gives it the exposure and the right depth."""

from __future__ import annotations

import json
from collections.abc import Iterator

from blurdepth.blurcheck import is_blank
from blurdepth.camera import motion_from_json, scale_from_json
from blurdepth.errors import InputError
from blurdepth.generation import keep_variant
from blurdepth.generators import painted
from blurdepth.generators.exposure import Movers, Plan, StillScene
from blurdepth.images import content_hash, read_labels
from blurdepth.judging import judge
from blurdepth.prompts import Condition
from blurdepth.store.records import Sample
from blurdepth.workspace import Workspace

_BEYOND_REPAIR = {"blank", "structure"}
"""Reasons for which a look isn't worth keeping: there is none, or the depth of the frame is not its depth."""


def can_repair(sample: Sample) -> bool:
    """Whether the exposure of a sample was painted, so that the simulator can do better."""
    return sample.provenance.get("backend") == painted.BACKEND


def failed(workspace: Workspace, samples: list[Sample]) -> list[Sample]:
    """Those samples whose blur failed, that can be repaired, and have neither been nor been rejected."""
    verdicts = workspace.store.verdicts.of([sample.id for sample in samples])
    return [
        sample
        for sample in samples
        if can_repair(sample)
        and sample.status != "rejected"
        and sample.id in verdicts
        and not verdicts[sample.id].passed
        and not set(verdicts[sample.id].reasons) & _BEYOND_REPAIR
        and not workspace.store.samples.has_sample(_repaired_id(sample))
    ]


def repair(workspace: Workspace, samples: list[Sample]) -> Iterator[Sample]:
    """Repair samples one after the other: each becomes a new pending sample beside the old one.

    Raises:
        InputError: a sample can't be repaired: it is empty, or its exposure was simulated already.
    """
    for sample in samples:
        yield _repair(workspace, sample)


def _repaired_id(sample: Sample) -> str:
    return content_hash(f"repaired {sample.id}".encode())[:12]


def _repair(workspace: Workspace, sample: Sample) -> Sample:
    if not can_repair(sample):
        raise InputError(f"The exposure of sample {sample.id} was simulated: there is nothing to repair.")
    look = workspace.pictures.picture(sample.image)
    if is_blank(look):
        raise InputError(f"Sample {sample.id} is empty: there is no look to keep. Reject it, and generate another.")
    verdict = workspace.store.verdicts.of([sample.id]).get(sample.id)
    if verdict and "structure" in verdict.reasons:
        raise InputError(f"Sample {sample.id} shows another scene: the frame's depth isn't its depth. Reject it.")
    if workspace.store.samples.has_sample(_repaired_id(sample)):
        return workspace.store.samples.sample(_repaired_id(sample))
    made = sample.provenance
    frame = workspace.store.samples.frame(sample.frame_id)
    inverse_depth = workspace.arrays.array(sample.sharp_target)
    motion = motion_from_json(json.dumps(made["motion"]))
    ids = read_labels(workspace.pictures.path(made["ids"]), (frame.height, frame.width))
    plan = Plan(Condition.from_json(made["condition"]), motion, int(made["seed"]))
    scene = StillScene(look, inverse_depth, Movers(ids), scale_from_json(made["scale"]))
    variant = painted.expose_painted(scene, look, plan)
    verdict = judge(variant.rgb, look, inverse_depth, motion, ids)
    notes = {"backend": variant.backend, "repaired_from": sample.id}
    repaired = keep_variant(workspace, _repaired_id(sample), frame, variant, inverse_depth, made | notes)
    workspace.store.verdicts.put(repaired.id, verdict)
    return repaired
