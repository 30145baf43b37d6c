"""What a camera with an open shutter sees: the image, and the inverse depth that belongs to it.

`simulate` walks the path, which is, by modules:

1. frame to layers: `highlights` get their light back, `shadows` of moving objects are taken off the ground, `layers`
   takes the objects out and finds the edges of the static world (`edges`: where in a pixel they run), `fill` fills in
   what both hide;
2. `motion`: how far things move; `moments`: when to look, tile by tile, for that, and how much each moment weighs;
3. `kernel` (of what is in `sampling`): at each moment the nearest layer of each pixel, summed.

`arrays` and `cutouts` are the forms in which layers go from 1 to 3, `result` is what comes out.
"""

from blurdepth.exposure.motion import motion_flow
from blurdepth.exposure.result import Exposure, regions
from blurdepth.exposure.simulate import expose, warm_up

__all__ = ["Exposure", "expose", "motion_flow", "regions", "warm_up"]
