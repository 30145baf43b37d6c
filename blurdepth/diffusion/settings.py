"""How a picture is painted, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from blurdepth.errors import InputError

PREVIEW_STEPS = 6
PREVIEW_GUIDANCE = 1.0

_RANGES = {
    "steps": (1, 150),
    "guidance": (1.0, 30.0),
    "adapter_scale": (0.0, 2.0),
    "adapter_factor": (0.0, 1.0),
    "short_side_px": (16, 1536),
}


@dataclass(frozen=True)
class PaintSettings:
    """The settings of SDXL and its adapter; those of the paper if nothing is given.

    Attributes:
        steps: of denoising.
        guidance: weight of the prompt against the negative prompt; at 1 the negative prompt has no effect.
        adapter_scale: how strictly the picture follows the control map.
        adapter_factor: for which share of the steps, from the first, it does so.
        short_side_px: what the frame's short side becomes before it is painted.
        preview: few steps, by the preview LoRA where the models have one.

    Raises:
        InputError: a value is out of its range.
    """

    steps: int = 30
    guidance: float = 7.5
    adapter_scale: float = 1.0
    adapter_factor: float = 1.0
    short_side_px: int = 576
    preview: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise InputError(f"{name} is {value}: use {least} to {most}.")

    def in_effect(self, has_lora: bool) -> PaintSettings:
        """What is really done: a preview takes at most `PREVIEW_STEPS`, and with its LoRA hardly any guidance.

        >>> PaintSettings(preview=True).in_effect(has_lora=True).guidance
        1.0
        """
        if not self.preview:
            return self
        # An LCM has the guidance distilled into it, and is spoilt by more.
        guidance = min(self.guidance, PREVIEW_GUIDANCE) if has_lora else self.guidance
        return replace(self, steps=min(self.steps, PREVIEW_STEPS), guidance=guidance)
