"""The sum over the exposure, compiled: for each pixel and moment, what the nearest layer there shows.

Imported when first needed, as numba is heavy. Each row is summed by one thread, so that the number of threads can't
change a bit of the result. Arrays are taken out of their tuples before the loops: each access to an array in a tuple
counts references, which costs more than the arithmetic.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from blurdepth.depth import CAP_M
from blurdepth.exposure.arrays import (
    CHANNELS,
    DEPTH_M,
    F32,
    F64,
    FAR,
    INSIDE,
    INVERSE,
    MOVING,
    NEAR,
    NEAREST,
    PASSED,
    SQUARE,
    TILE_PX,
    Cutouts,
    Ground,
    Ints,
    Lens,
    Moments,
    WorldPart,
)
from blurdepth.exposure.sampling import (
    EPSILON,
    Piece,
    Ray,
    bilinear,
    cast_ray,
    clamp,
    compiled,
    depth_at,
    inlined,
    piece_of,
    sample_piece,
    turn_matrix,
)

IN_FRONT = 0.97
FINE_STEPS, MAX_STEPS = 6, 96
MIN_SPAN_PX = 0.02
GROUND_ROOM = 0.15


@inlined
def _aside(split: float, offset: float, index: int, size: int) -> int:
    """The step to the neighbour that fills a pixel at `offset` from its middle."""
    if split > 0 and offset > 0.5 - split and index + 1 < size:
        return 1
    if split < 0 and offset < -0.5 - split and index > 0:
        return -1
    return 0


@inlined
def _meet(front: F32, behind: F32, row: int, column: int, ray: Ray, ex: float, ey: float) -> tuple[float, bool]:
    """Where the ray (x, y) + d (ex, ey) meets the world: d, and whether that lies behind an edge.

    From the nearest that is around its pixel, the ray goes on to the farthest by half pixels. It has met the front
    where that is at most a step off; where it is much nearer than the ray, the ray passes behind an edge, and meets
    what is there. Where all around is alike, two steps towards the surface find it.
    """
    height, width = front.shape[:2]
    near, far = float(front[row, column, 4]), float(front[row, column, 5])
    span = (near - far) * math.sqrt(ex * ex + ey * ey)
    if span < MIN_SPAN_PX:
        d = float(front[row, column, 3])
        for _ in range(2):
            d = depth_at(front, ray.x + d * ex, ray.y + d * ey)
        return d, False
    steps = min(int(span * 2) + 1, int(span) + FINE_STEPS, MAX_STEPS)
    step = (near - far) / steps
    limit = np.inf
    for k in range(steps + 1):
        d = near - step * k
        x, y = clamp(ray.x + d * ex, 0.0, width - 1.0), clamp(ray.y + d * ey, 0.0, height - 1.0)
        i, j = int(y + 0.5), int(x + 0.5)
        i, j = i + _aside(front[i, j, 7], y - i, i, height), j + _aside(front[i, j, 6], x - j, j, width)
        i, j = np.uintp(i), np.uintp(j)
        if d - step * 0.5 <= front[i, j, 3] <= limit:
            return float(front[i, j, 3]), False
        if d - step * 0.5 <= behind[i, j, 3] <= limit:
            return float(behind[i, j, 3]), True
        limit = d
    return far, True


@inlined
def _see_world(
    front: F32, behind: F32, lens: Lens, row: int, column: int, ray: Ray, look: F64
) -> tuple[float, float, float]:
    """Put the world into `look`; returns where in the middle frame it is from, x and y, and its inverse depth there."""
    height, width = front.shape[:2]
    look[MOVING], look[INSIDE], look[PASSED] = 0.0, 1.0, 0.0
    x, y = ray.x, ray.y
    if lens.moves:
        ex = (lens.focal * lens.x - lens.z * (x - lens.cx)) * ray.t
        ey = (lens.focal * lens.y - lens.z * (y - lens.cy)) * ray.t
        if ex or ey:
            d, hidden = _meet(front, behind, row, column, ray, ex, ey)
            x, y = x + d * ex, y + d * ey
            if hidden:
                bilinear(behind, x, y, look)
            else:
                bilinear(front, x, y, look)
        else:
            bilinear(front, x, y, look)
            d = look[INVERSE]
        look[INSIDE] = -1 < x < width and -1 < y < height
    else:
        for channel in range(4):
            look[channel] = front[row, column, channel]
        d = look[INVERSE]
    left = 1 - lens.z * ray.t * d
    look[PASSED] = left < NEAREST
    now = d * ray.gain / max(left, NEAREST)
    look[INVERSE] = look[NEAR] = look[FAR] = now
    look[SQUARE] = now * now
    look[DEPTH_M] = min(1 / max(now, EPSILON), CAP_M)
    return x, y, d


@inlined
def _shade(
    pool: F32,
    piece: Piece,
    lens: Lens,
    point: tuple[float, float, float],
    t: float,
    scratch: F64,
    seen: F64,
    look: F64,
    changed: bool,
) -> bool:
    """Dim `look` by a moving shadow at a point of the ground: x and y at mid exposure, inverse depth.

    `look` holds what is `seen` as soon as something has `changed` it; returns whether something has.
    """
    x, y, d = point
    left = 1 - piece.z * t * d
    if left < NEAREST:
        return changed
    x = lens.cx + (x - lens.cx - lens.focal * piece.x * t * d) / left - piece.left
    y = lens.cy + (y - lens.cy - lens.focal * piece.y * t * d) / left - piece.top
    if not (0 <= x < piece.width and 0 <= y < piece.height):
        return changed
    sample_piece(pool, piece, x, y, scratch)
    if not changed:
        _copy(seen, look)
    for channel in range(3):
        look[channel] *= scratch[0]
    return True


@inlined
def _lay_over(
    pool: F32,
    piece: Piece,
    lens: Lens,
    ray: Ray,
    size: tuple[int, int],
    body: F64,
    seen: F64,
    look: F64,
    changed: bool,
) -> bool:
    """Lay a mover over `look`, where it is in front; `seen`, `changed` and what it returns are those of `_shade`."""
    ex = (lens.focal * piece.x - piece.z * (ray.x - lens.cx)) * ray.t
    ey = (lens.focal * piece.y - piece.z * (ray.y - lens.cy)) * ray.t
    x, y, d = ray.x - piece.left, ray.y - piece.top, piece.depth
    for _ in range(2):
        i = int(clamp(y + d * ey + 0.5, 0.0, piece.height - 1.0))
        j = int(clamp(x + d * ex + 0.5, 0.0, piece.width - 1.0))
        d = float(pool[piece.start + i * piece.width + j, 3])
    x, y = x + d * ex, y + d * ey
    if not (-1 < x < piece.width and -1 < y < piece.height):
        return changed
    sample_piece(pool, piece, x, y, body)
    d, share = body[3], body[4]
    left = 1 - piece.z * ray.t * d
    now = d * ray.gain / max(left, NEAREST)
    nearest = look[INVERSE] if changed else seen[INVERSE]
    if share <= 0 or left <= 0 or now < nearest * IN_FRONT:
        return changed
    if not changed:
        _copy(seen, look)
    for channel in range(3):
        look[channel] += share * (body[channel] - look[channel])
    look[INVERSE] += share * (now - look[INVERSE])
    look[SQUARE] += share * (now * now - look[SQUARE])
    look[DEPTH_M] += share * (min(1 / max(now, EPSILON), CAP_M) - look[DEPTH_M])
    look[MOVING] += share * (1 - look[MOVING])
    if abs(piece.z) / 2 * d > 1 - NEAREST:
        look[PASSED] = 1.0
    if share > 0.5:
        x, y = x + piece.left, y + piece.top
        look[NEAR], look[FAR] = max(look[NEAR], now), now
        look[INSIDE] = -1 < x < size[1] and -1 < y < size[0]
    return True


@inlined
def _copy(of: F64, to: F64) -> None:
    # Slices would make an array object each time.
    for channel in range(CHANNELS):
        to[channel] = of[channel]


@inlined
def _add(look: F64, weight: float, total: F64) -> None:
    for channel in range(6):
        total[channel] += weight * look[channel]
    total[NEAR] = max(total[NEAR], look[NEAR])
    total[FAR] = min(total[FAR], look[FAR])
    total[MOVING] += weight * look[MOVING]
    total[INSIDE] += weight * look[INSIDE]
    total[PASSED] = max(total[PASSED], look[PASSED])


@inlined
def _reaching(swept: Ints, row: int, first: int, last: int, found: Ints) -> int:
    """Put which cut-outs may reach columns `first` to `last` of the row into `found`; returns how many."""
    count = 0
    for m in range(len(swept)):
        if swept[m, 0] <= row < swept[m, 1] and swept[m, 2] < last and swept[m, 3] > first:
            found[count] = m
            count += 1
    return count


@inlined
def _turn_all(rotation: F64, times: F64, count: int, late: float, turns: F64) -> int:
    for k in range(count):
        turn_matrix(rotation, times[count, k] + late, turns, k)
    return count


@compiled
def _sum_row(
    row: int,
    lens: Lens,
    moments: Moments,
    world: WorldPart,
    movers: Cutouts,
    shadows: Cutouts,
    ground: Ground,
    sums: F32,
) -> None:
    front, behind = world
    bodies, body_place, body_swept, body_travel, body_depth = movers
    shades, shade_place, shade_swept, shade_travel, shade_depth = shadows
    counts, repeats, times, weights, rotation, readout = moments
    height, width = front.shape[:2]
    seen, look, total, nothing = np.zeros((4, CHANNELS))
    nothing[FAR] = np.inf
    body = np.zeros(5)
    turns, world_turns = np.zeros((2, len(times), 3, 3))
    near, shaded = np.zeros(len(body_place), np.int64), np.zeros(len(shade_place), np.int64)
    late = readout * ((row + 0.5) / height - 0.5)
    turned = world_turned = 0
    for tile in range(counts.shape[1]):
        first, last = tile * TILE_PX, min((tile + 1) * TILE_PX, width)
        many, dark = _reaching(body_swept, row, first, last, near), _reaching(shade_swept, row, first, last, shaded)
        count, repeat = counts[row // TILE_PX, tile], repeats[row // TILE_PX, tile]
        looks = count // repeat
        # Neighbouring tiles mostly look at the same times.
        if count != turned:
            turned = _turn_all(rotation, times, count, late, turns)
        if looks != world_turned:
            world_turned = _turn_all(rotation, times, looks, late, world_turns)
        for column in range(first, last):
            _copy(nothing, total)
            for k in range(looks):
                ray = cast_ray(lens, world_turns, k, row, column, times[looks, k] + late)
                x, y, d = _see_world(front, behind, lens, row, column, ray, seen)
                level = ground.slope * (y - ground.horizon)
                shades_here = dark if abs(d - level) < GROUND_ROOM * level else 0
                unchanged = 0.0
                for moment in range(k * repeat, (k + 1) * repeat):
                    t, changed = times[count, moment] + late, False
                    for index in range(shades_here):
                        piece = piece_of(shade_place, shade_travel, shade_depth, shaded[index])
                        changed = _shade(shades, piece, lens, (x, y, d), t, body, seen, look, changed)
                    if many:
                        ray = cast_ray(lens, turns, moment, row, column, t)
                    for index in range(many):
                        piece = piece_of(body_place, body_travel, body_depth, near[index])
                        changed = _lay_over(bodies, piece, lens, ray, (height, width), body, seen, look, changed)
                    if changed:
                        _add(look, weights[count, moment], total)
                    else:
                        unchanged += weights[count, moment]
                if unchanged:
                    _add(seen, unchanged, total)
            sums[:, row, column] = total


@compiled
def _sum_rows(
    rows: Ints,
    lens: Lens,
    moments: Moments,
    world: WorldPart,
    movers: Cutouts,
    shadows: Cutouts,
    ground: Ground,
    sums: F32,
) -> None:
    for row in rows:
        _sum_row(row, lens, moments, world, movers, shadows, ground, sums)


def sum_exposure(
    lens: Lens,
    moments: Moments,
    world: WorldPart,
    movers: Cutouts,
    shadows: Cutouts,
    ground: Ground,
    threads: int,
) -> F32:
    """Sum all rows over all moments.

    Args:
        lens: the camera and how it moves.
        moments: when to look.
        world: the static layer.
        movers: with channels red, green, blue, inverse depth, coverage; travel of the camera against each.
        shadows: with one channel, the share of light that is left; travel of each in the world.
        ground: that shadows lie on.
        threads: 1 or more; has no influence on the result.

    Returns:
        (CHANNELS, H, W) weighted means; of NEAR and PASSED the largest, of FAR the smallest.
    """
    height, width = world.front.shape[:2]
    sums = np.empty((CHANNELS, height, width), np.float32)
    rest = (lens, moments, world, movers, shadows, ground, sums)
    if threads == 1:
        _sum_rows(np.arange(height), *rest)
        return sums
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(_sum_rows, np.arange(first, height, threads), *rest) for first in range(threads)]:
            done.result()
    return sums
