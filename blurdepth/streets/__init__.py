"""Simple street scenes with exact inverse depth, rendered on a CPU.

`make_street` draws a street from a seed, `render` casts its rays at a moment of the exposure, `photograph`
turns light into a picture as a camera would.
"""

from blurdepth.streets.layout import KINDS, LIGHTS, make_street
from blurdepth.streets.render import Rendering, photograph, render, render_exposure
from blurdepth.streets.scene import Street

__all__ = ["KINDS", "LIGHTS", "Rendering", "Street", "make_street", "photograph", "render", "render_exposure"]
