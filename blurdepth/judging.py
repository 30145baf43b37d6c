"""Holding kept samples against the motion that was asked of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurdepth.blurcheck import Verdict, check_variant
from blurdepth.camera import Motion, Pinhole
from blurdepth.exposure import motion_flow
from blurdepth.images import Rgb

F32 = NDArray[np.float32]
Ids = NDArray[np.uint8]


def judge(rgb: Rgb, sharp: Rgb, inverse_depth: F32, motion: Motion, ids: Ids, seen: F32 | None = None) -> Verdict:
    """What the gate says of a variant.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        sharp: (H, W, 3) uint8 sRGB, what it was made of.
        inverse_depth: (H, W) 1/m, of the sharp frame.
        motion: that was asked for.
        ids: (H, W) uint8, of the objects of `motion`; others may be there too.
        seen: (H, W) depth as a model sees it in the variant, larger = nearer, where the scene might be another.
    """
    camera, moving = Pinhole(rgb.shape[1], rgb.shape[0], motion.fov_x_deg), motion.moving(ids)
    flow = motion_flow(camera, inverse_depth, motion, moving)
    return check_variant(rgb, sharp, flow, moving, None if seen is None else (inverse_depth, seen))
