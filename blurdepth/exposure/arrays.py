"""The arrays that the layers are handed to the kernel in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Ints = NDArray[np.int64]

TILE_PX = 16
NEAREST = 0.05
"""Share of its distance at mid exposure below which a surface counts as passing through the camera."""


class Lens(NamedTuple):
    """The camera: focal length and centre in pixels; its translation (3,) m and rotation (3,) rad an exposure."""

    focal: float
    cx: float
    cy: float
    travel: F64
    turn: F64
    moves: bool


class Moments(NamedTuple):
    """When each tile of TILE_PX is sampled.

    Attributes:
        count: (rows, columns) samples of each tile.
        level: (rows, columns) the tile's row in `time` and `weight`.
        time, weight: (levels, most samples) from -0.5 to 0.5, and weights that sum to 1.
        readout: how much later the last row is exposed than the first, in exposures.
    """

    count: Ints
    level: Ints
    time: F64
    weight: F64
    readout: float


class WorldPart(NamedTuple):
    """The static world.

    Attributes:
        front: (H, W, 4) linear light and inverse depth, moving objects taken out.
        behind: the same, with the near side of depth edges taken out too.
        nearest, farthest: (H, W) between which inverse depths to search for what a pixel sees.
    """

    front: F32
    behind: F32
    nearest: F32
    farthest: F32


class Cutouts(NamedTuple):
    """M cut-outs of different sizes in one array, from far to near.

    Attributes:
        pool: (N, C) their pixels, row by row, one cut-out after the other.
        place: (M, 5) left, top, width, height in the frame, and where they begin in `pool`.
        swept: (M, 4) top, bottom, left, right of what they may reach.
        travel: (M, 3) metres over the exposure.
        depth: (M,) inverse depth of their middles.
    """

    pool: F32
    place: Ints
    swept: Ints
    travel: F64
    depth: F64


class Sums(NamedTuple):
    """Weighted sums over the exposure, (H, W) each, (H, W, 3) for light."""

    linear: F32
    inverse_depth: F32
    square: F32
    depth_m: F32
    nearest: F32
    farthest: F32
    moving: F32
    inside: F32
    passed: NDArray[np.bool_]
