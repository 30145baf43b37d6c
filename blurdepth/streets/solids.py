"""A street as arrays for the kernel: its solids, and which of them a tile of the frame or a ray of sun can meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Pinhole
from blurdepth.streets.scene import Street, Surface

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]

TILE_PX = 16
NEAR_M = 0.3
SUN_SPAN_M, SUN_CELL_M = 160.0, 1.25
"""Side of the square around the near street in which shadows fall, and of its cells, across the sun's rays."""
_CORNERS = np.array(list(product((0, 1), repeat=3)), np.float64)


class Solids(NamedTuple):
    """N convex solids and ellipsoids; see `Shape`.

    Attributes:
        first: (N + 1,) rows of `planes` that belong to each; none for an ellipsoid.
        planes: (P, 4).
        place, move: (N, 3) world position at mid exposure, and travel over the exposure, metres.
        turn: (N, 2) cosine and sine of the yaw.
        low, high, colour: (N, 3).
        look: (N, 4).
        surface, actor: (N,).
        cars: (C,) which of them are bodies of cars, under which it is dark.
    """

    first: Ints
    planes: F64
    place: F64
    move: F64
    turn: F64
    low: F64
    high: F64
    colour: F64
    look: F64
    surface: Ints
    actor: Ints
    cars: Ints


class Lists(NamedTuple):
    """For each cell of a grid the solids that it may meet: those of cell c are solids[start[c] : start[c + 1]].

    Attributes:
        columns: cells in a row of the grid.
        start: (cells + 1,).
        solids: by their nearest point.
        nearest: the distance of that, beside each.
    """

    columns: int
    start: Ints
    solids: Ints
    nearest: F64


class Sun(NamedTuple):
    """Where the sun stands, and the grid across its rays.

    Attributes:
        towards: (3,) unit vector.
        across: (2, 3) the grid's axes.
        corner: (2,) where the grid begins along them, metres.
        shines: whether there are shadows.
    """

    towards: F64
    across: F64
    corner: F64
    shines: bool


def solids_of(street: Street) -> Solids:
    """The shapes of a street."""
    shapes, turn = street.shapes, street.pose.rotation()
    counts = [0 if shape.planes is None else len(shape.planes) for shape in shapes]
    planes = [shape.planes for shape in shapes if shape.planes is not None]
    surface = np.array([shape.surface for shape in shapes], np.int64)
    return Solids(
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        planes=np.concatenate([np.zeros((0, 4)), *planes]).astype(np.float64),
        place=_table([shape.place for shape in shapes], 3),
        move=_table([turn @ street.motion.objects.get(shape.actor, (0.0, 0.0, 0.0)) for shape in shapes], 3),
        turn=_table([(math.cos(shape.yaw), math.sin(shape.yaw)) for shape in shapes], 2),
        low=_table([shape.low for shape in shapes], 3),
        high=_table([shape.high for shape in shapes], 3),
        colour=_table([shape.colour for shape in shapes], 3),
        look=_table([shape.look for shape in shapes], 4),
        surface=surface,
        actor=np.array([shape.actor for shape in shapes], np.int64),
        cars=np.flatnonzero(surface == Surface.CAR_BODY),
    )


def _table(rows: Sequence[object], width: int) -> F64:
    return np.array(rows, np.float64).reshape(-1, width)


def corners_at(solids: Solids, time: float) -> F64:
    """(N, 8, 3) world corners of the boxes around the solids at `time`."""
    local = solids.low[:, None] + _CORNERS * (solids.high - solids.low)[:, None]
    cos, sin = solids.turn[:, None, 0], solids.turn[:, None, 1]
    x, y, z = np.moveaxis(local, 2, 0)
    turned = np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=2)
    return np.asarray(turned + (solids.place + solids.move * time)[:, None])


def seen_lists(solids: Solids, pinhole: Pinhole, cameras: Sequence[tuple[float, F64, F64]]) -> Lists:
    """For each tile the solids that may be seen in it at any of the moments.

    Args:
        solids: N of them.
        pinhole: the camera.
        cameras: (time, position (3,), rotation (3, 3) to world axes) at the moments; what lies between two of them is
            within a pixel or two of the box around both.
    """
    columns, rows = -(-pinhole.width // TILE_PX), -(-pinhole.height // TILE_PX)
    count = len(solids.place)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    nearest = np.full(count, np.inf)
    centre = np.array(pinhole.centre_px)
    for time, position, rotation in cameras:
        at = (corners_at(solids, time) - position) @ rotation
        depth = at[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = at[..., :2] / depth[..., None] * pinhole.focal_px + centre
        # What reaches behind the camera may be seen anywhere.
        cut = depth.min(axis=1) < NEAR_M
        pixels[cut, :4], pixels[cut, 4:] = -np.inf, np.inf
        ahead = depth.max(axis=1) >= NEAR_M
        low[ahead] = np.minimum(low, pixels.min(axis=1))[ahead]
        high[ahead] = np.maximum(high, pixels.max(axis=1))[ahead]
        nearest[ahead] = np.minimum(nearest, depth.min(axis=1))[ahead]
    margin = 2.0
    return _fill(low - margin, high + margin, nearest, float(TILE_PX), (columns, rows))


def sun_of(street: Street) -> Sun:
    """The sun of a street."""
    towards = np.array(street.light.sun, np.float64)
    right = np.cross(towards, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    across = np.stack([right, np.cross(towards, right)])
    middle = np.array([0.0, 0.0, SUN_SPAN_M / 2 - 10])
    return Sun(towards, across, across @ middle - SUN_SPAN_M / 2, any(street.light.sun_rgb))


def shadow_lists(solids: Solids, sun: Sun, times: Sequence[float]) -> Lists:
    """For each cell across the sun's rays the solids that may throw a shadow through it."""
    side = round(SUN_SPAN_M / SUN_CELL_M)
    count = len(solids.place)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    if sun.shines:
        for time in times:
            flat = corners_at(solids, time) @ sun.across.T - sun.corner
            low, high = np.minimum(low, flat.min(axis=1)), np.maximum(high, flat.max(axis=1))
    return _fill(low, high, np.zeros(count), SUN_CELL_M, (side, side))


def _fill(low: F64, high: F64, nearest: F64, size: float, cells: tuple[int, int]) -> Lists:
    columns, rows = cells
    last = np.array([columns - 1, rows - 1])
    begin = np.clip(np.floor(low / size), 0, last + 1).astype(np.int64)
    end = np.clip(np.floor(high / size), -1, last).astype(np.int64)
    order = np.argsort(nearest, kind="stable")
    wide, tall = (np.maximum(end - begin + 1, 0)).T
    pairs = wide * tall
    solid = np.repeat(order, pairs[order])
    step = np.arange(len(solid)) - np.repeat(np.cumsum(pairs[order]) - pairs[order], pairs[order])
    across = np.maximum(wide[solid], 1)
    cell = (begin[solid, 1] + step // across) * columns + begin[solid, 0] + step % across
    by_cell = np.argsort(cell, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=columns * rows))])
    return Lists(columns, start.astype(np.int64), solid[by_cell], nearest[solid[by_cell]])
