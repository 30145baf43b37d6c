"""One ray after the other, compiled: what each pixel sees at each moment, and the sums over them.

Imported when first needed, as numba is heavy. Each row is summed by one thread, so that the number of threads can't
change a bit of the result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurdepth.compiling import clamp, compiled, inlined
from blurdepth.depth import CAP_M
from blurdepth.streets.cast import cast, in_shadow, to_local, to_world
from blurdepth.streets.ground import Plan, ground_albedo, meet_ground
from blurdepth.streets.scene import F32
from blurdepth.streets.shading import Air, Point, beneath_cars, lit, sky
from blurdepth.streets.solids import F64, TILE_PX, Lists, Solids, Sun
from blurdepth.streets.surfaces import Skin, skin_of

_OFF_M = 0.02
_CAR_SHADE_FAR_M = 90.0


class Scene(NamedTuple):
    """A street for the kernel; `moves` tells of each solid whether it does."""

    solids: Solids
    moves: NDArray[np.bool_]
    plan: Plan
    air: Air
    sun: Sun
    seen: Lists
    shadows: Lists


class Looks(NamedTuple):
    """The rays of each pixel: n of them, each at its moment and place in the pixel.

    Attributes:
        time, weight: (n,) from -0.5 to 0.5, and its share of the sum.
        across, down: (n,) place in the pixel, -0.5 to 0.5.
        position: (n, 3) of the camera, metres.
        rotation: (n, 3, 3) from camera axes to the world's.
        focal, cx, cy: of the camera, pixels.
    """

    time: F64
    weight: F64
    across: F64
    down: F64
    position: F64
    rotation: F64
    focal: float
    cx: float
    cy: float


class Hit(NamedTuple):
    """What a ray meets, and at which depth: solid `i` by its plane, or, if that is -1, the ground or the kerb there."""

    at: float
    i: int
    plane: int
    kerb: bool


class Sums(NamedTuple):
    """What comes of it: arrays (H, W) or (H, W, 3) that the kernel fills; see `Rendering`."""

    linear: F32
    inverse: F32
    depth_m: F32
    variance: F32
    near: F32
    far: F32
    moving: F32
    ids: NDArray[np.uint8]


@inlined
def _solid_look(scene: Scene, i: int, plane: int, time: float, p: Point, foot: float) -> tuple[Skin, Point]:
    """Skin and world normal of a point on solid `i`."""
    solids = scene.solids
    x, y, z = to_local(
        solids,
        i,
        p[0] - solids.place[i, 0] - solids.move[i, 0] * time,
        p[1] - solids.place[i, 1] - solids.move[i, 1] * time,
        p[2] - solids.place[i, 2] - solids.move[i, 2] * time,
    )
    if plane < 0:
        high = solids.high[i]
        nx, ny, nz = x / high[0] ** 2, y / high[1] ** 2, z / high[2] ** 2
        size = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
        nx, ny, nz = nx / size, ny / size, nz / size
    else:
        nx, ny, nz = solids.planes[plane, 0], solids.planes[plane, 1], solids.planes[plane, 2]
    return skin_of(solids, i, (x, y, z), (nx, ny, nz), foot), to_world(solids, i, nx, ny, nz)


@inlined
def _sunlit(scene: Scene, time: float, p: Point, n: Point) -> float:
    """Share of the sun's light at a point: by how much it faces the sun, unless something stands before it."""
    sun = scene.sun
    if not sun.shines:
        return 0.0
    facing = n[0] * sun.towards[0] + n[1] * sun.towards[1] + n[2] * sun.towards[2]
    if facing <= 0:
        return 0.0
    start = (p[0] + n[0] * _OFF_M, p[1] + n[1] * _OFF_M, p[2] + n[2] * _OFF_M)
    return 0.0 if in_shadow(scene.solids, sun, scene.shadows, time, start) else facing


@inlined
def _meet(scene: Scene, cell: int, time: float, o: Point, d: Point) -> Hit:
    at, i, plane = cast(scene.solids, scene.seen, cell, time, o, d)
    below, kerb = meet_ground(scene.plan, o[0], o[1], o[2], d[0], d[1], d[2])
    if below < at:
        return Hit(below, -1, -1, kerb)
    return Hit(at, i, plane, False)


@compiled
def _light_of(scene: Scene, time: float, o: Point, d: Point, hit: Hit, focal: float) -> Point:
    """Light along a ray from where it meets something."""
    at, i = hit.at, hit.i
    size = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    unit = (d[0] / size, d[1] / size, d[2] / size)
    p, foot = (o[0] + d[0] * at, o[1] + d[1] * at, o[2] + d[2] * at), at / focal
    if i < 0:
        red, green, blue = ground_albedo(scene.plan, p[0], p[2], foot, hit.kerb)
        skin, n = (red, green, blue, 0.0, 0.0), (0.0, -1.0, 0.0)
        open_sky = beneath_cars(scene.solids, time, p[0], p[2]) if at < _CAR_SHADE_FAR_M else 1.0
    else:
        skin, n = _solid_look(scene, i, hit.plane, time, p, foot)
        # What stands on the ground sees less sky towards its foot.
        open_sky = clamp(0.55 - 0.25 * p[1], 0.55, 1.0)
    light = lit(scene.air, skin, n, unit, _sunlit(scene, time, p, n), open_sky)
    through = math.exp(-scene.air.haze * at)
    far = scene.air.horizon
    return (
        light[0] * through + far[0] * (1 - through),
        light[1] * through + far[1] * (1 - through),
        light[2] * through + far[2] * (1 - through),
    )


@inlined
def _direction(looks: Looks, k: int, x: float, y: float) -> Point:
    """Direction in the world of the ray through a place in the frame; along it, distance is depth."""
    u, v, turn = (x - looks.cx) / looks.focal, (y - looks.cy) / looks.focal, looks.rotation[k]
    return (
        turn[0, 0] * u + turn[0, 1] * v + turn[0, 2],
        turn[1, 0] * u + turn[1, 1] * v + turn[1, 2],
        turn[2, 0] * u + turn[2, 1] * v + turn[2, 2],
    )


@inlined
def _pixel(scene: Scene, looks: Looks, sums: Sums, row: int, column: int) -> None:
    cell = (row // TILE_PX) * scene.seen.columns + column // TILE_PX
    red, green, blue, moving = 0.0, 0.0, 0.0, 0.0
    inverse, squared, metres = 0.0, 0.0, 0.0
    near, far, actor = 0.0, math.inf, 0
    for k in range(len(looks.time)):
        time, weight = looks.time[k], looks.weight[k]
        o = (looks.position[k, 0], looks.position[k, 1], looks.position[k, 2])
        d = _direction(looks, k, column + looks.across[k], row + looks.down[k])
        hit = _meet(scene, cell, time, o, d)
        if hit.at < math.inf:
            light = _light_of(scene, time, o, d, hit, looks.focal)
        else:
            size = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
            light = sky(scene.air, (d[0] / size, d[1] / size, d[2] / size))
        red, green, blue = red + light[0] * weight, green + light[1] * weight, blue + light[2] * weight
        here = 1 / max(hit.at, 1e-3)
        inverse, squared = inverse + here * weight, squared + here * here * weight
        metres += min(hit.at, CAP_M) * weight
        far = min(far, here)
        shown = scene.solids.actor[hit.i] if hit.i >= 0 else 0
        if shown and scene.moves[hit.i]:
            moving += weight
        if here > near or k == 0:
            near, actor = max(here, near), shown
    gain = scene.air.gain
    sums.linear[row, column, 0], sums.linear[row, column, 1] = red * gain, green * gain
    sums.linear[row, column, 2], sums.inverse[row, column] = blue * gain, inverse
    sums.depth_m[row, column], sums.variance[row, column] = metres, max(squared - inverse * inverse, 0.0)
    sums.near[row, column], sums.far[row, column] = near, far
    sums.moving[row, column], sums.ids[row, column] = moving, actor


@compiled
def fill_rows(scene: Scene, looks: Looks, sums: Sums, first: int, last: int) -> None:
    """Fill the rows from `first` to before `last`."""
    for row in range(first, last):
        for column in range(sums.inverse.shape[1]):
            _pixel(scene, looks, sums, row, column)
