"""Meeting solids with rays, compiled: what is seen first, and whether anything stands before the sun."""

from __future__ import annotations

import math

from blurdepth.compiling import inlined
from blurdepth.streets.noise import noise3
from blurdepth.streets.scene import Surface
from blurdepth.streets.solids import NEAR_M, SUN_CELL_M, SUN_SPAN_M, Lists, Solids, Sun

Point = tuple[float, float, float]
_LEAVES = int(Surface.LEAVES)
_SUN_CELLS = round(SUN_SPAN_M / SUN_CELL_M)
_SHADOW_START_M = 0.02


@inlined
def to_local(solids: Solids, i: int, x: float, y: float, z: float) -> Point:
    """A direction of the world in the axes of solid `i`."""
    cos, sin = solids.turn[i, 0], solids.turn[i, 1]
    return cos * x - sin * z, y, sin * x + cos * z


@inlined
def to_world(solids: Solids, i: int, x: float, y: float, z: float) -> Point:
    """A direction in the axes of solid `i` in those of the world."""
    cos, sin = solids.turn[i, 0], solids.turn[i, 1]
    return cos * x + sin * z, y, cos * z - sin * x


@inlined
def _meet_convex(solids: Solids, i: int, o: Point, d: Point, start: float) -> tuple[float, int]:
    """Distance to where the ray enters the solid (inf for a miss), and by which of its planes."""
    enter, leave, face = -math.inf, math.inf, -1
    for row in range(solids.first[i], solids.first[i + 1]):
        nx, ny, nz = solids.planes[row, 0], solids.planes[row, 1], solids.planes[row, 2]
        along = nx * d[0] + ny * d[1] + nz * d[2]
        room = solids.planes[row, 3] - (nx * o[0] + ny * o[1] + nz * o[2])
        if abs(along) < 1e-12:
            if room < 0:
                return math.inf, -1
            continue
        at = room / along
        if along < 0:
            if at > enter:
                enter, face = at, row
        else:
            leave = min(leave, at)
        if enter >= leave:
            return math.inf, -1
    if enter <= start:
        return math.inf, -1
    return enter, face


@inlined
def _is_leaf(solids: Solids, i: int, p: Point, thickness: float) -> bool:
    """Whether a point of a crown is a leaf: the thinner the crown along the ray, the more gaps."""
    grain, gaps, seed = solids.look[i, 0], solids.look[i, 1], solids.look[i, 2]
    x, y, z = p[0] / grain + seed, p[1] / grain + seed, p[2] / grain + seed
    noise = 0.6 * noise3(x, y, z) + 0.4 * noise3(x * 2.7, y * 2.7, z * 2.7)
    return noise > gaps + 0.5 * (1 - thickness) ** 1.5


@inlined
def _meet_ellipsoid(solids: Solids, i: int, o: Point, d: Point, start: float, best: float) -> float:
    """Distance to the ellipsoid where that is below `best`; leaves have gaps that show what is behind."""
    hx, hy, hz = solids.high[i, 0], solids.high[i, 1], solids.high[i, 2]
    ox, oy, oz, dx, dy, dz = o[0] / hx, o[1] / hy, o[2] / hz, d[0] / hx, d[1] / hy, d[2] / hz
    a, b, c = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - 1
    root = b * b - a * c
    if root <= 0:
        return math.inf
    half = math.sqrt(root)
    # All ways through a ball are (half / sqrt(a)) long: 1 through the middle, 0 at the outline.
    thickness = min(half / math.sqrt(a), 1.0)
    for sign in (-1.0, 1.0):
        at = (-b + sign * half) / a
        if at <= start or at >= best:
            continue
        p = (o[0] + at * d[0], o[1] + at * d[1], o[2] + at * d[2])
        if solids.surface[i] != _LEAVES or _is_leaf(solids, i, p, thickness):
            return at
    return math.inf


@inlined
def meet(solids: Solids, i: int, time: float, o: Point, d: Point, start: float, best: float) -> tuple[float, int]:
    """Distance along the ray to solid `i` at `time`, beyond `start` and below `best`, and by which plane.

    A plane of -1 is that of an ellipsoid.
    """
    x = o[0] - solids.place[i, 0] - solids.move[i, 0] * time
    y = o[1] - solids.place[i, 1] - solids.move[i, 1] * time
    z = o[2] - solids.place[i, 2] - solids.move[i, 2] * time
    origin, direction = to_local(solids, i, x, y, z), to_local(solids, i, d[0], d[1], d[2])
    if solids.first[i] == solids.first[i + 1]:
        return _meet_ellipsoid(solids, i, origin, direction, start, best), -1
    return _meet_convex(solids, i, origin, direction, start)


@inlined
def cast(solids: Solids, lists: Lists, cell: int, time: float, o: Point, d: Point) -> tuple[float, int, int]:
    """Distance to the nearest solid of a cell's list (inf for none), which it is, and by which plane."""
    best, solid, plane = math.inf, -1, -1
    for entry in range(lists.start[cell], lists.start[cell + 1]):
        if lists.nearest[entry] >= best:
            break
        i = lists.solids[entry]
        at, face = meet(solids, i, time, o, d, NEAR_M, best)
        if at < best:
            best, solid, plane = at, i, face
    return best, solid, plane


@inlined
def in_shadow(solids: Solids, sun: Sun, lists: Lists, time: float, p: Point) -> bool:
    """Whether anything stands between a point and the sun."""
    u = sun.across[0, 0] * p[0] + sun.across[0, 1] * p[1] + sun.across[0, 2] * p[2] - sun.corner[0]
    v = sun.across[1, 0] * p[0] + sun.across[1, 1] * p[1] + sun.across[1, 2] * p[2] - sun.corner[1]
    column, row = math.floor(u / SUN_CELL_M), math.floor(v / SUN_CELL_M)
    if column < 0 or row < 0 or column >= _SUN_CELLS or row >= _SUN_CELLS:
        return False
    cell = int(row) * lists.columns + int(column)
    towards = (sun.towards[0], sun.towards[1], sun.towards[2])
    for entry in range(lists.start[cell], lists.start[cell + 1]):
        at, _ = meet(solids, lists.solids[entry], time, p, towards, _SHADOW_START_M, math.inf)
        if at < math.inf:
            return True
    return False
