"""The sum over the exposure, compiled: for each pixel and moment, what the nearest layer there shows.

Imported when first needed, as numba is heavy. Each row is summed by one thread, so that the number of threads can't
change a bit of the result.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import platformdirs
from numpy.typing import NDArray

from blurdepth.depth import CAP_M
from blurdepth.exposure.arrays import NEAREST, TILE_PX, Cutouts, Lens, Moments, Sums, WorldPart

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Ints = NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

IN_FRONT = 0.97
MAX_STEPS = 128
MIN_SPAN_PX = 0.02
GROUND_ROOM = 0.15

# Compiled code goes to the user's cache, never beside the source; a user's own choice stands.
if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = str(platformdirs.user_cache_path("blurdepth") / "kernels")

_compiled: Callable[[Function], Function] = numba.njit(cache=True, nogil=True, error_model="numpy")
_inlined: Callable[[Function], Function] = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)


@_inlined
def _turn(rotation: F64, t: float, out: F64) -> None:
    """(3, 3) matrix of the rotation vector `rotation` times `t`. Source: Rodrigues' formula."""
    x, y, z = rotation[0] * t, rotation[1] * t, rotation[2] * t
    angle = math.sqrt(x * x + y * y + z * z)
    out[:] = 0.0
    out[0, 0] = out[1, 1] = out[2, 2] = 1.0
    if angle < 1e-12:
        return
    x, y, z = x / angle, y / angle, z / angle
    s, c = math.sin(angle), 1 - math.cos(angle)
    out[0, 0] -= c * (y * y + z * z)
    out[1, 1] -= c * (x * x + z * z)
    out[2, 2] -= c * (x * x + y * y)
    out[0, 1] = c * x * y - s * z
    out[1, 0] = c * x * y + s * z
    out[0, 2] = c * x * z + s * y
    out[2, 0] = c * x * z - s * y
    out[1, 2] = c * y * z - s * x
    out[2, 1] = c * y * z + s * x


@_inlined
def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@_inlined
def _bilinear(image: F32, x: float, y: float, out: F64) -> None:
    """The four channels of `image` at a position; outside, its nearest border pixel."""
    height, width = image.shape[:2]
    x, y = _clamp(x, 0.0, width - 1.0), _clamp(y, 0.0, height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    for channel in range(4):
        above = image[top, left, channel] * (1 - a) + image[top, right, channel] * a
        below = image[bottom, left, channel] * (1 - a) + image[bottom, right, channel] * a
        out[channel] = above * (1 - b) + below * b


@_inlined
def _depth_at(image: F32, x: float, y: float) -> float:
    """The inverse depth of `image` at a position; outside, of its nearest border pixel."""
    height, width = image.shape[:2]
    x, y = _clamp(x, 0.0, width - 1.0), _clamp(y, 0.0, height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    above = image[top, left, 3] * (1 - a) + image[top, right, 3] * a
    below = image[bottom, left, 3] * (1 - a) + image[bottom, right, 3] * a
    return above * (1 - b) + below * b


@_inlined
def _mix(pool: F32, width: int, height: int, start: int, x: float, y: float, first: int, out: F64) -> None:
    """Channels from `first` on of a cut-out at a position in it; outside, its nearest border pixel."""
    x, y = _clamp(x, 0.0, width - 1.0), _clamp(y, 0.0, height - 1.0)
    left, top = int(x), int(y)
    a, b = x - left, y - top
    right, below = min(left + 1, width - 1) - left, (min(top + 1, height - 1) - top) * width
    at = start + top * width + left
    for channel in range(first, pool.shape[1]):
        above = pool[at, channel] * (1 - a) + pool[at + right, channel] * a
        under = pool[at + below, channel] * (1 - a) + pool[at + below + right, channel] * a
        out[channel] = above * (1 - b) + under * b


@_inlined
def _meet(
    world: WorldPart, near: float, far: float, own: float, x: float, y: float, ex: float, ey: float
) -> tuple[float, bool]:
    """Where the ray (x, y) + d (ex, ey) meets the world: d, and whether that lies behind an edge.

    From `near`, the near end of what is around, the ray goes on to `far` by half pixels. It has met the front where that
    is at most a step off; where it is much nearer than the ray, the ray passes behind an edge, and meets what is there.
    Where all around is as far as the pixel's `own`, two steps towards the surface find it.
    """
    height, width = world.nearest.shape
    span = (near - far) * math.sqrt(ex * ex + ey * ey)
    if span < MIN_SPAN_PX:
        for _ in range(2):
            own = _depth_at(world.front, x + own * ex, y + own * ey)
        return own, False
    steps = min(int(span * 2) + 1, MAX_STEPS)
    step = (near - far) / steps
    limit = np.inf
    for k in range(steps + 1):
        d = near - step * k
        i = int(_clamp(y + d * ey + 0.5, 0.0, height - 1.0))
        j = int(_clamp(x + d * ex + 0.5, 0.0, width - 1.0))
        front = world.front[i, j, 3]
        if d - step * 0.5 <= front <= limit:
            return float(front), False
        behind = world.behind[i, j, 3]
        if d - step * 0.5 <= behind <= limit:
            return float(behind), True
        limit = d
    return far, True


@_inlined
def _shade(
    shadows: Cutouts, ground: tuple[float, float], lens: Lens, x: float, y: float, d: float, t: float, scratch: F64
) -> float:
    """What moving shadows leave of the light at a world point, seen at (x, y) at mid exposure."""
    level = ground[0] * (y - ground[1])
    if level <= 0 or abs(d - level) > GROUND_ROOM * level:
        return 1.0
    light = 1.0
    for m in range(len(shadows.place)):
        left = 1 - shadows.travel[m, 2] * t * d
        if left < NEAREST:
            continue
        at_x = lens.cx + (x - lens.cx - lens.focal * shadows.travel[m, 0] * t * d) / left - shadows.place[m, 0]
        at_y = lens.cy + (y - lens.cy - lens.focal * shadows.travel[m, 1] * t * d) / left - shadows.place[m, 1]
        width, height = shadows.place[m, 2], shadows.place[m, 3]
        if 0 <= at_x < width and 0 <= at_y < height:
            _mix(shadows.pool, width, height, shadows.place[m, 4], at_x, at_y, 0, scratch)
            light *= scratch[0]
    return light


@_inlined
def _add_mover(
    movers: Cutouts, m: int, lens: Lens, ray: F64, t: float, look: F64, body: F64, size: tuple[int, int]
) -> tuple[float, bool, bool]:
    """Lay mover `m` over `look`; returns its share, and whether it comes from the frame and passes the camera."""
    left, top, width, height, start = (
        movers.place[m, 0],
        movers.place[m, 1],
        movers.place[m, 2],
        movers.place[m, 3],
        movers.place[m, 4],
    )
    x, y, forward = ray[0], ray[1], movers.travel[m, 2]
    ex = (lens.focal * movers.travel[m, 0] - forward * (x - lens.cx)) * t
    ey = (lens.focal * movers.travel[m, 1] - forward * (y - lens.cy)) * t
    x, y = x - left, y - top
    d = movers.depth[m]
    for _ in range(2):
        i = int(_clamp(y + d * ey + 0.5, 0.0, height - 1.0))
        j = int(_clamp(x + d * ex + 0.5, 0.0, width - 1.0))
        d = movers.pool[start + i * width + j, 3]
    at_x, at_y = x + d * ex, y + d * ey
    if not (-1 < at_x < width and -1 < at_y < height):
        return 0.0, True, False
    _mix(movers.pool, width, height, start, at_x, at_y, 0, body)
    share, d = body[4], body[3]
    rest = 1 - forward * t * d
    now = d * ray[2] / max(rest, NEAREST)
    if share <= 0 or rest <= 0 or now < look[3] * IN_FRONT:
        return 0.0, True, False
    for channel in range(3):
        look[channel] += share * (body[channel] - look[channel])
    look[4] += share * (now * now - look[4])
    look[5] += share * (min(1 / max(now, 1e-9), CAP_M) - look[5])
    if share > 0.5:
        look[6] = max(look[6], now)
        look[7] = now
    look[3] += share * (now - look[3])
    at_x, at_y = at_x + left, at_y + top
    return share, -1 < at_x < size[1] and -1 < at_y < size[0], 1 - abs(forward) / 2 * d < NEAREST


@_inlined
def _add_world(
    world: WorldPart, shadows: Cutouts, ground: tuple[float, float], lens: Lens, pixel: tuple[int, int], ray: F64,
    t: float, look: F64, scratch: F64,
) -> tuple[bool, bool]:
    """Put the world into `look`; returns whether it comes from inside the frame, and whether it passes the camera."""
    row, column = pixel
    height, width = world.nearest.shape
    x, y, gain = ray[0], ray[1], ray[2]
    inside, passes = True, False
    if lens.moves:
        ex = (lens.focal * lens.travel[0] - lens.travel[2] * (x - lens.cx)) * t
        ey = (lens.focal * lens.travel[1] - lens.travel[2] * (y - lens.cy)) * t
        d, hidden = _meet(
            world, world.nearest[row, column], world.farthest[row, column], world.front[row, column, 3], x, y, ex, ey
        )
        at_x, at_y = x + d * ex, y + d * ey
        _bilinear(world.behind if hidden else world.front, at_x, at_y, look)
        inside = -1 < at_x < width and -1 < at_y < height
        d = look[3]
        left = 1 - lens.travel[2] * t * d
        passes = left < NEAREST
        look[3] = d * gain / max(left, NEAREST)
    else:
        at_x, at_y = x, y
        for channel in range(4):
            look[channel] = world.front[row, column, channel]
        d = look[3]
    if len(shadows.place):
        light = _shade(shadows, ground, lens, at_x, at_y, d, t, scratch)
        for channel in range(3):
            look[channel] *= light
    look[4] = look[3] * look[3]
    look[5] = min(1 / max(look[3], 1e-9), CAP_M)
    look[6] = look[7] = look[3]
    return inside, passes


@_compiled
def _sum_row(
    row: int, lens: Lens, moments: Moments, world: WorldPart, movers: Cutouts, shadows: Cutouts,
    ground: tuple[float, float], sums: Sums,
) -> None:
    height, width = world.nearest.shape
    look, body, ray, turn = np.zeros(8), np.zeros(5), np.zeros(3), np.zeros((3, 3))
    late = moments.readout * ((row + 0.5) / height - 0.5)
    near_by = np.zeros(len(movers.place), np.int64)
    for tile in range(moments.count.shape[1]):
        first, last = tile * TILE_PX, min((tile + 1) * TILE_PX, width)
        found = 0
        for m in range(len(movers.place)):
            rows = movers.swept[m, 0] <= row < movers.swept[m, 1]
            if rows and movers.swept[m, 2] < last and movers.swept[m, 3] > first:
                near_by[found] = m
                found += 1
        level = moments.level[row // TILE_PX, tile]
        for k in range(moments.count[row // TILE_PX, tile]):
            t, weight = moments.time[level, k] + late, moments.weight[level, k]
            _turn(lens.turn, t, turn)
            for column in range(first, last):
                u, v = (column - lens.cx) / lens.focal, (row - lens.cy) / lens.focal
                gain = turn[2, 0] * u + turn[2, 1] * v + turn[2, 2]
                ray[0] = lens.cx + lens.focal * (turn[0, 0] * u + turn[0, 1] * v + turn[0, 2]) / gain
                ray[1] = lens.cy + lens.focal * (turn[1, 0] * u + turn[1, 1] * v + turn[1, 2]) / gain
                ray[2] = gain
                inside, passes = _add_world(world, shadows, ground, lens, (row, column), ray, t, look, body)
                covered = 0.0
                for index in range(found):
                    share, from_frame, too_near = _add_mover(
                        movers, near_by[index], lens, ray, t, look, body, (height, width)
                    )
                    covered += (1 - covered) * share
                    if share > 0.5:
                        inside = from_frame
                    passes = passes or too_near
                for channel in range(3):
                    sums.linear[row, column, channel] += weight * look[channel]
                sums.inverse_depth[row, column] += weight * look[3]
                sums.square[row, column] += weight * look[4]
                sums.depth_m[row, column] += weight * look[5]
                sums.nearest[row, column] = max(sums.nearest[row, column], look[6])
                sums.farthest[row, column] = min(sums.farthest[row, column], look[7])
                sums.moving[row, column] += weight * covered
                sums.inside[row, column] += weight * inside
                sums.passed[row, column] |= passes


@_compiled
def _sum_rows(
    first: int, stride: int, lens: Lens, moments: Moments, world: WorldPart, movers: Cutouts, shadows: Cutouts,
    ground: tuple[float, float], sums: Sums,
) -> None:
    for row in range(first, len(world.nearest), stride):
        _sum_row(row, lens, moments, world, movers, shadows, ground, sums)


def sum_exposure(
    lens: Lens,
    moments: Moments,
    world: WorldPart,
    movers: Cutouts,
    shadows: Cutouts,
    ground: tuple[float, float],
    threads: int,
) -> Sums:
    """Sum all rows over all moments.

    Args:
        lens: the camera and how it moves.
        moments: when to look.
        world: the static layer.
        movers: with channels red, green, blue, inverse depth, coverage; travel of the camera against each.
        shadows: with one channel, the share of light that is left; travel of each in the world.
        ground: slope (1/m a row) and horizon (row) of the ground that shadows lie on.
        threads: 1 or more; has no influence on the result.
    """
    height, width = world.nearest.shape
    zeros = [np.zeros((height, width), np.float32) for _ in range(6)]
    sums = Sums(
        np.zeros((height, width, 3), np.float32),
        *zeros[:4],
        np.full((height, width), np.inf, np.float32),
        *zeros[4:6],
        np.zeros((height, width), np.bool_),
    )
    rest = (lens, moments, world, movers, shadows, ground, sums)
    if threads == 1:
        _sum_rows(0, 1, *rest)
        return sums
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(_sum_rows, first, threads, *rest) for first in range(threads)]:
            done.result()
    return sums
