"""Generators turn a sharp frame and its inverse depth into variants: other weather, light and motion.

Each generator is a function of the frame, its inverse depth, a condition and a seed; the same arguments give the
same bytes. `exposure` simulates the camera on any processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion
from blurdepth.prompts import Condition


@dataclass(frozen=True)
class Variant:
    """A generated image with its target and how it came about.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB.
        mean_inverse_depth: (H, W) float32 1/m over the exposure: the target.
        regions: (H, W) uint8 as by `exposure.regions`.
        condition: what was shown in the end; may differ from what was asked by chance and to keep blur visible.
        motion: all motion over the exposure.
        seed: where chance began.
        backend: the generator's name.
        scores: "blur_px" (95th percentile of the motion in what moves), "mixed_share", "moving_share" (of the
            frame), "subframes".
    """

    rgb: NDArray[np.uint8]
    mean_inverse_depth: NDArray[np.float32]
    regions: NDArray[np.uint8]
    condition: Condition
    motion: Motion
    seed: int
    backend: str
    scores: dict[str, float]
