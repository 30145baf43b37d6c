"""Pictures that SDXL paints along the depth of a frame (T2I-Adapter); heavy libraries come with the first one."""

from blurdepth.diffusion.frames import Fit, control_map, paint_size
from blurdepth.diffusion.loading import load_painter
from blurdepth.diffusion.models import DiffusionModels, find_painter
from blurdepth.diffusion.painter import Painter
from blurdepth.diffusion.plan import MemoryMode, Plan, plan_painting
from blurdepth.diffusion.settings import PaintSettings
from blurdepth.diffusion.steps import PaintStep, paint_steps

__all__ = [
    "DiffusionModels",
    "Fit",
    "MemoryMode",
    "PaintSettings",
    "PaintStep",
    "Painter",
    "Plan",
    "control_map",
    "find_painter",
    "load_painter",
    "paint_size",
    "paint_steps",
    "plan_painting",
]
