"""Variants that a diffusion model painted: as they are, or with the simulator's exposure of them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from blurdepth.camera import Pinhole
from blurdepth.exposure import motion_flow
from blurdepth.exposure.result import BLURRED_PX, label_regions
from blurdepth.generators import Variant
from blurdepth.generators.exposure import Plan, StillScene, take_variant
from blurdepth.images import Rgb
from blurdepth.weather import Weather

BACKEND, EXPOSED_BACKEND = "sdxl", "sdxl+exposure"
_STILL_NEGATIVE = "motion blur, blurry"
_BLUR = re.compile(r"\bblur", re.IGNORECASE)
_NO_BLUR = re.compile(r"\b(static|sharp)\b", re.IGNORECASE)


def take_painted(scene: StillScene, painted: Rgb, plan: Plan) -> Variant:
    """A painted picture as it is, with the sharp frame's depth as its target, as in the paper.

    What is mixed in it, nobody knows: regions tell only where motion was asked for.

    Args:
        scene: the sharp frame.
        painted: (H, W, 3) uint8 sRGB.
        plan: that was asked for.
    """
    ids, inverse_depth = scene.movers.ids, scene.inverse_depth
    moving = plan.motion.moving(ids)
    camera = Pinhole(ids.shape[1], ids.shape[0], plan.motion.fov_x_deg)
    flow = motion_flow(camera, inverse_depth, plan.motion, moving)
    blurred = np.hypot(flow[..., 0], flow[..., 1]) >= BLURRED_PX
    nothing, everything = np.zeros(ids.shape, bool), np.ones(ids.shape, bool)
    regions = label_regions(blurred, nothing, everything)
    scores = {"blur_px": 0.0, "moving_share": round(float((moving > 0).mean()), 4)}
    return Variant(painted, inverse_depth, regions, plan.condition, plan.motion, plan.seed, BACKEND, scores)


def expose_painted(scene: StillScene, painted: Rgb, plan: Plan) -> Variant:
    """The simulator's exposure of a painted picture, which brings its weather and light along; see `take_variant`."""
    condition = replace(plan.condition, weather=Weather())
    variant = take_variant(replace(scene, rgb=painted), replace(plan, condition=condition))
    return replace(variant, condition=plan.condition, backend=EXPOSED_BACKEND)


def still_words(prompt: str, negative: str) -> tuple[str, str]:
    """Prompt and negative prompt for a picture that is sharp, as the exposure comes afterwards.

    >>> still_words("cars on a foggy street, strong motion blur", "static cars, cartoon")
    ('cars on a foggy street', 'cartoon, motion blur, blurry')
    >>> still_words("a foggy street", "unsharp, Sharp car details")
    ('a foggy street', 'unsharp, motion blur, blurry')
    """
    wanted = [part for part in prompt.split(",") if not _BLUR.search(part)]
    unwanted = [part.strip() for part in negative.split(",") if part.strip() and not _NO_BLUR.search(part)]
    return ",".join(wanted).strip() or prompt, ", ".join([*unwanted, _STILL_NEGATIVE])
