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
    """The camera: focal length and centre in pixels; its translation over the exposure, m, and whether it moves."""

    focal: float
    cx: float
    cy: float
    x: float
    y: float
    z: float
    moves: bool


class Moments(NamedTuple):
    """When each tile of TILE_PX is sampled.

    Attributes:
        counts: (rows, columns) samples of each tile.
        repeats: (rows, columns) for how many of them on end the world is looked at only once.
        time, weight: (n, k) the k-th of n moments, from -0.5 to 0.5, and its weight; the weights of n sum to 1.
        turn: (3,) the camera's rotation over the exposure, a rotation vector, rad.
        readout: how much later the last row is exposed than the first, in exposures.
        knots: (K + 1,) times from -0.5 to 0.5 between which each pixel's way is a straight line; empty where the
            camera doesn't just turn, or every tile has its number of samples.
        gathered: (n,) the share of the light, from 0 to 1, that has come in until n evenly spaced times.
        stride: how many columns or rows that way crosses from look to look.
    """

    counts: Ints
    repeats: Ints
    time: F64
    weight: F64
    turn: F64
    readout: float
    knots: F64
    gathered: F64
    stride: int


class WorldPart(NamedTuple):
    """The static world.

    Attributes:
        front: (H, W, 8) linear light and inverse depth, moving objects taken out; the nearest and the farthest inverse
            depth to search for what a pixel sees; and how far its neighbours reach into it (`edges.find_splits`).
        behind: (H, W, 4 or more) light and inverse depth with the near side of depth edges taken out too; where nothing
            is uncovered, `front` itself.
    """

    front: F32
    behind: F32


class Cutouts(NamedTuple):
    """M cut-outs of different sizes in one array, from far to near.

    Attributes:
        pool: (N, C) their pixels, row by row, one cut-out after the other.
        place: (M, 5) left, top, width, height in the frame, and where they begin in `pool`.
        swept: (M, 4) top, bottom, left, right of what they may reach.
        travel: (M, 3) metres over the exposure.
        depth: (M,) inverse depth of their middles, 1/m.
    """

    pool: F32
    place: Ints
    swept: Ints
    travel: F64
    depth: F64


class Ground(NamedTuple):
    """Where shadows lie: inverse depth `slope` (row - `horizon`), 1/m."""

    slope: float
    horizon: float


class Shot(NamedTuple):
    """All that is summed over.

    Attributes:
        lens: the camera and how it moves.
        moments: when to look.
        world: the static layer.
        movers: with channels red, green, blue, inverse depth, coverage; travel of the camera against each.
        shadows: with one channel, the share of light that is left; travel of each in the world.
        ground: that shadows lie on.
    """

    lens: Lens
    moments: Moments
    world: WorldPart
    movers: Cutouts
    shadows: Cutouts
    ground: Ground


class Scratch(NamedTuple):
    """What one thread notes down: turns of the camera at all times (k, 3, 3), and which cut-outs are near (M,)."""

    turns: F64
    world_turns: F64
    knot_turns: F64
    near: Ints
    dark: Ints


class Look(NamedTuple):
    """What a pixel shows at one moment, or over all of them.

    Attributes:
        red, green, blue: linear light.
        inverse_depth, square: 1/m, and its square.
        depth_m: metres, at most `depth.CAP_M`.
        nearest, farthest: inverse depth, over all moments the largest and the smallest, 1/m.
        moving: share of moving objects, [0, 1].
        inside: 1 if it comes from inside the frame, else 0; over all moments their share.
        passed: 1 if it is, at any time, of a surface that passes through the camera, else 0.
    """

    red: float
    green: float
    blue: float
    inverse_depth: float
    square: float
    depth_m: float
    nearest: float
    farthest: float
    moving: float
    inside: float
    passed: float
