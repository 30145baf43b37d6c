"""What a camera with an open shutter sees: the image, and the inverse depth that belongs to it.

The path, in the order of the modules: the sharp frame is cut into layers (`layers`, with what they hide filled in by
`fill`), the moments at which each tile is looked at are chosen (`moments`), and the kernel sums what the nearest
layer shows at each of them (`kernel`). `simulate` walks it.
"""

from blurdepth.exposure.moments import choose_subframes, motion_flow
from blurdepth.exposure.result import Exposure, regions
from blurdepth.exposure.simulate import expose, warm_up

__all__ = ["Exposure", "choose_subframes", "expose", "motion_flow", "regions", "warm_up"]
