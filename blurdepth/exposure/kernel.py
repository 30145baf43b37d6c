"""The sum over the exposure, compiled: for each pixel and moment, what the nearest layer there shows.

Imported when first needed, as numba is heavy. Each row is summed by one thread, so that the number of threads can't
change a bit of the result.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from blurdepth.compiling import clamp, compiled, inlined, mix
from blurdepth.depth import CAP_M
from blurdepth.exposure.arrays import (
    F32,
    F64,
    NEAREST,
    TILE_PX,
    Cutouts,
    Ints,
    Lens,
    Look,
    Moments,
    Scratch,
    Shot,
    WorldPart,
)
from blurdepth.exposure.sampling import (
    EPSILON,
    Piece,
    Ray,
    bilinear,
    body_at,
    cast_ray,
    depth_at,
    light_left_at,
    own_depth,
    piece_of,
    turn_matrix,
    unsigned,
)

IN_FRONT = 0.97
SOLID = 0.99
"""Share of a pixel from which a mover hides all that is behind it."""
FINE_STEPS, MAX_STEPS = 6, 96
MIN_SPAN_PX = 0.02
GROUND_ROOM = 0.15
SLANT, GAUSS = 0.25, 0.5 / math.sqrt(3)
NOTHING = Look(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.inf, 0.0, 0.0, 0.0)


@inlined
def _aside(split: float, offset: float, index: int, size: int) -> int:
    """The step to the neighbour that fills a pixel at `offset` from its middle."""
    if split > 0 and offset > 0.5 - split and index + 1 < size:
        return 1
    if split < 0 and offset < -0.5 - split and index > 0:
        return -1
    return 0


@inlined
def _meet(
    front: F32, behind: F32, row: int, column: int, ray: Ray, ex: float, ey: float, guess: float
) -> tuple[float, bool]:
    """Where the ray (x, y) + d (ex, ey) meets the world: d, and whether that lies behind an edge.

    From the nearest that is around its pixel, the ray goes on to the farthest by half pixels. It has met the front
    where that is at most a step off; where it is much nearer than the ray, the ray passes behind an edge, and meets
    what is there. Where all around is alike, one step from `guess` towards the surface finds it.
    """
    height, width = front.shape[:2]
    near, far = float(front[row, column, 4]), float(front[row, column, 5])
    span = (near - far) * math.sqrt(ex * ex + ey * ey)
    if span < MIN_SPAN_PX:
        return depth_at(front, ray.x + guess * ex, ray.y + guess * ey), False
    steps = min(int(span * 2) + 1, int(span) + FINE_STEPS, MAX_STEPS)
    step = (near - far) / steps
    limit = np.inf
    for k in range(steps + 1):
        d = near - step * k
        x, y = clamp(ray.x + d * ex, 0.0, width - 1.0), clamp(ray.y + d * ey, 0.0, height - 1.0)
        i, j = int(y + 0.5), int(x + 0.5)
        right, below = _aside(front[i, j, 6], x - j, j, width), _aside(front[i, j, 7], y - i, i, height)
        i, j = unsigned(i + below), unsigned(j + right)
        if d - step * 0.5 <= front[i, j, 3] <= limit:
            return float(front[i, j, 3]), False
        if d - step * 0.5 <= behind[i, j, 3] <= limit:
            return float(behind[i, j, 3]), True
        limit = d
    return far, True


@inlined
def _see_world(
    world: WorldPart, lens: Lens, row: int, column: int, ray: Ray, guess: float
) -> tuple[Look, float, float, float]:
    """What of the world is seen, and where in the middle frame that is from: x, y, and its inverse depth there.

    `guess` is about that inverse depth, where the camera travels.
    """
    front, behind = world
    height, width = front.shape[:2]
    x, y, inside = ray.x, ray.y, True
    if lens.moves:
        ex = (lens.focal * lens.x - lens.z * (x - lens.cx)) * ray.t
        ey = (lens.focal * lens.y - lens.z * (y - lens.cy)) * ray.t
        if ex or ey:
            d, hidden = _meet(front, behind, row, column, ray, ex, ey, guess)
            x, y = x + d * ex, y + d * ey
            red, green, blue, _ = bilinear(behind, x, y) if hidden else bilinear(front, x, y)
        else:
            red, green, blue, d = bilinear(front, x, y)
        inside = -1 < x < width and -1 < y < height
    else:
        red, green, blue = float(front[row, column, 0]), float(front[row, column, 1]), float(front[row, column, 2])
        d = float(front[row, column, 3])
    left = 1 - lens.z * ray.t * d
    now = d * ray.gain / max(left, NEAREST)
    passed = 1.0 if left < NEAREST else 0.0
    depth_m = min(1 / max(now, EPSILON), CAP_M)
    look = Look(red, green, blue, now, now * now, depth_m, now, now, 0.0, 1.0 if inside else 0.0, passed)
    return look, x, y, d


@inlined
def _shade(look: Look, pool: F32, piece: Piece, lens: Lens, point: tuple[float, float, float], t: float) -> Look:
    """Dimmed by a moving shadow at a point of the ground: x and y at mid exposure, inverse depth."""
    x, y, d = point
    rest = 1 - piece.z * t * d
    if rest < NEAREST:
        return look
    x = lens.cx + (x - lens.cx - lens.focal * piece.x * t * d) / rest - piece.left
    y = lens.cy + (y - lens.cy - lens.focal * piece.y * t * d) / rest - piece.top
    if not (0 <= x < piece.width and 0 <= y < piece.height):
        return look
    left = light_left_at(pool, piece, x, y)
    return Look(look.red * left, look.green * left, look.blue * left, *look[3:])


@inlined
def _lay_over(look: Look, pool: F32, piece: Piece, lens: Lens, ray: Ray, size: tuple[int, int], late: float) -> Look:
    """Under a mover, where that is in front; `late` is by how much the row's exposure is."""
    ex = (lens.focal * piece.x - piece.z * (ray.x - lens.cx)) * ray.t
    ey = (lens.focal * piece.y - piece.z * (ray.y - lens.cy)) * ray.t
    x, y = ray.x - piece.left, ray.y - piece.top
    d = own_depth(pool, piece, x + piece.depth * ex, y + piece.depth * ey)
    d = own_depth(pool, piece, x + d * ex, y + d * ey)
    x, y = x + d * ex, y + d * ey
    if not (-1 < x < piece.width and -1 < y < piece.height):
        return look
    red, green, blue, d, share = body_at(pool, piece, x, y)
    left = 1 - piece.z * ray.t * d
    now = d * ray.gain / max(left, NEAREST)
    if share <= 0 or left <= 0 or now < look.inverse_depth * IN_FRONT:
        return look
    nearest, farthest, inside = max(look.nearest, now), min(look.farthest, now), look.inside
    if share > SOLID:
        nearest = farthest = now
    if share > 0.5:
        x, y = x + piece.left, y + piece.top
        inside = 1.0 if -1 < x < size[1] and -1 < y < size[0] else 0.0
    return Look(
        mix(look.red, red, share),
        mix(look.green, green, share),
        mix(look.blue, blue, share),
        mix(look.inverse_depth, now, share),
        mix(look.square, now * now, share),
        mix(look.depth_m, min(1 / max(now, EPSILON), CAP_M), share),
        nearest,
        farthest,
        mix(look.moving, 1.0, share),
        inside,
        1.0 if piece.z * (late + math.copysign(0.5, piece.z)) * d > 1 - NEAREST else look.passed,
    )


@inlined
def _add(total: Look, look: Look, weight: float) -> Look:
    return Look(
        total.red + weight * look.red,
        total.green + weight * look.green,
        total.blue + weight * look.blue,
        total.inverse_depth + weight * look.inverse_depth,
        total.square + weight * look.square,
        total.depth_m + weight * look.depth_m,
        max(total.nearest, look.nearest),
        min(total.farthest, look.farthest),
        total.moving + weight * look.moving,
        total.inside + weight * look.inside,
        max(total.passed, look.passed),
    )


@inlined
def _reaching(cutouts: Cutouts, row: int, first: int, last: int, found: Ints) -> int:
    """Put which cut-outs may reach columns `first` to `last` of the row into `found`; returns how many."""
    count = 0
    for m in range(len(cutouts.swept)):
        top, bottom, left, right = cutouts.swept[m]
        if top <= row < bottom and left < last and right > first:
            found[count] = m
            count += 1
    return count


@inlined
def _turn_all(moments: Moments, count: int, late: float, turns: F64) -> int:
    for k in range(count):
        turn_matrix(moments.turn, moments.time[count, k] + late, turns, k)
    return count


@inlined
def _ray_between(one: Ray, other: Ray, share: float) -> Ray:
    return Ray(mix(one.x, other.x, share), mix(one.y, other.y, share), mix(one.gain, other.gain, share), other.t)


@inlined
def _crossings(begin: float, end: float, stride: int) -> tuple[int, float, float]:
    """How many lines of pixels a way crosses; where the first, and how far it is to each next, as shares of the way."""
    way = abs(end - begin)
    if end < begin:
        begin, end = -begin, -end
    line = math.floor(begin / stride)
    # Counted, so that rounding can't lose one that lies where one way ends and the next begins.
    count = math.floor(end / stride) - line
    if count == 0:
        return 0, np.inf, np.inf
    return count, min((stride * (line + 1) - begin) / way, 1.0), stride / way


@inlined
def _gathered(moments: Moments, t: float) -> float:
    """The share of the light that has come in until `t`."""
    place = (t + 0.5) * (len(moments.gathered) - 1)
    before = min(int(place), len(moments.gathered) - 2)
    return mix(moments.gathered[before], moments.gathered[before + 1], place - before)


@inlined
def _follow(world: WorldPart, lens: Lens, moments: Moments, turns: F64, row: int, column: int) -> Look:
    """The exposure of a pixel when the camera only turns: the integral over the way that the pixel goes in the frame.

    Between two lines of pixels, what bilinear samples show along a column or row is a straight line, whose mean is in
    its middle; along a slanting way it is a parabola, whose mean two samples tell (Gauss and Legendre's).
    """
    total, last = NOTHING, len(moments.knots) - 1
    start = cast_ray(lens, turns, 0, row, column, 0.0)
    before, gathered = start, 0.0
    for k in range(1, last + 1):
        end = cast_ray(lens, turns, k, row, column, 0.0)
        columns, next_column, column_step = _crossings(start.x, end.x, moments.stride)
        rows, next_row, row_step = _crossings(start.y, end.y, moments.stride)
        samples = 2 if SLANT * columns <= rows <= columns / SLANT and rows else 1
        for _ in range(columns + rows + (k == last)):
            share = min(next_column, next_row, 1.0)
            if next_column < next_row:
                next_column += column_step
            else:
                next_row += row_step
            after = _ray_between(start, end, share)
            until = _gathered(moments, mix(moments.knots[k - 1], moments.knots[k], share))
            for sample in range(samples):
                ray = _ray_between(before, after, 0.5 + (2 * sample + 1 - samples) * GAUSS)
                look, _, _, _ = _see_world(world, lens, row, column, ray, 0.0)
                total = _add(total, look, (until - gathered) / samples)
            before, gathered = after, until
        start = end
    return total


@compiled
def _sum_row(row: int, shot: Shot, sums: F32, scratch: Scratch) -> None:
    lens, moments, world, movers, shadows, ground = shot
    height, width = world.front.shape[:2]
    late = moments.readout * ((row + 0.5) / height - 0.5)
    turned = world_turned = 0
    for k in range(len(moments.knots)):
        turn_matrix(moments.turn, moments.knots[k] + late, scratch.knot_turns, k)
    for tile in range(moments.counts.shape[1]):
        first, last = tile * TILE_PX, min((tile + 1) * TILE_PX, width)
        near = _reaching(movers, row, first, last, scratch.near)
        dark = _reaching(shadows, row, first, last, scratch.dark)
        count, repeat = moments.counts[row // TILE_PX, tile], moments.repeats[row // TILE_PX, tile]
        looks = count // repeat
        # Neighbouring tiles mostly look at the same times.
        if count != turned:
            turned = _turn_all(moments, count, late, scratch.turns)
        if looks != world_turned:
            world_turned = _turn_all(moments, looks, late, scratch.world_turns)
        follows = len(moments.knots) > 0 and not near and not dark
        for column in range(first, last):
            total = NOTHING
            if follows:
                total, looks = _follow(world, lens, moments, scratch.knot_turns, row, column), 0
            d = float(world.front[row, column, 3])
            for k in range(looks):
                ray = cast_ray(lens, scratch.world_turns, k, row, column, moments.time[looks, k] + late)
                # From one moment to the next it hardly changes.
                seen, x, y, d = _see_world(world, lens, row, column, ray, d)
                level = ground.slope * (y - ground.horizon)
                dark_here = dark if abs(d - level) < GROUND_ROOM * level else 0
                for moment in range(k * repeat, (k + 1) * repeat):
                    t, look = moments.time[count, moment] + late, seen
                    for index in range(dark_here):
                        look = _shade(look, shadows.pool, piece_of(shadows, scratch.dark[index]), lens, (x, y, d), t)
                    if near:
                        ray = cast_ray(lens, scratch.turns, moment, row, column, t)
                    for index in range(near):
                        piece = piece_of(movers, scratch.near[index])
                        look = _lay_over(look, movers.pool, piece, lens, ray, (height, width), late)
                    total = _add(total, look, moments.weight[count, moment])
            for channel, value in enumerate(total):
                sums[channel, row, column] = value


@compiled
def _sum_rows(first: int, step: int, shot: Shot, sums: F32, scratch: Scratch) -> None:
    for row in range(first, len(shot.world.front), step):
        _sum_row(row, shot, sums, scratch)


def sum_exposure(shot: Shot, threads: int) -> F32:
    """Sum all rows over all moments.

    Args:
        shot: what is seen, and when.
        threads: 1 or more; has no influence on the result.

    Returns:
        (fields of `Look`, H, W) weighted means; the largest of `nearest` and `passed`, the smallest of `farthest`.
    """
    sums = np.empty((len(Look._fields), *shot.world.front.shape[:2]), np.float32)

    def work(first: int) -> None:
        turns, world_turns = np.zeros((2, len(shot.moments.time), 3, 3))
        knot_turns = np.zeros((len(shot.moments.knots), 3, 3))
        near, dark = (np.zeros(len(cutouts.place), np.int64) for cutouts in (shot.movers, shot.shadows))
        _sum_rows(first, threads, shot, sums, Scratch(turns, world_turns, knot_turns, near, dark))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return sums
