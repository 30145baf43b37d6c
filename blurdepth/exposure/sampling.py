"""What the kernel is made of: rays, and samples of images; compiled into it.

Imported with the kernel, when first needed, as numba is heavy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from blurdepth.compiling import clamp, inlined
from blurdepth.exposure.arrays import F32, F64, Cutouts, Lens

Corners = tuple[int, int, int, int]
Shares = tuple[np.float32, np.float32, np.float32, np.float32]

EPSILON = 1e-9


class Ray(NamedTuple):
    """A pixel at time `t`: turned back to mid exposure, x and y, and by what the turn makes inverse depth grow."""

    x: float
    y: float
    gain: float
    t: float


class Piece(NamedTuple):
    """One cut-out: its place in the frame and in the pool, its travel, and its inverse depth."""

    left: int
    top: int
    width: int
    height: int
    start: int
    x: float
    y: float
    z: float
    depth: float


@inlined
def unsigned(index: int) -> int:
    """The same index without a sign: one with a sign is checked each time for whether it counts from the end."""
    return np.uintp(index)  # type: ignore[return-value]


@inlined
def turn_matrix(rotation: F64, t: float, out: F64, k: int) -> None:
    """Put the (3, 3) matrix of the rotation vector `rotation` times `t` into `out[k]`. Source: Rodrigues' formula."""
    x, y, z = rotation[0] * t, rotation[1] * t, rotation[2] * t
    angle = math.sqrt(x * x + y * y + z * z)
    out[k] = 0.0
    out[k, 0, 0] = out[k, 1, 1] = out[k, 2, 2] = 1.0
    if angle < EPSILON:
        return
    x, y, z = x / angle, y / angle, z / angle
    s, c = math.sin(angle), 1 - math.cos(angle)
    out[k, 0, 0] -= c * (y * y + z * z)
    out[k, 1, 1] -= c * (x * x + z * z)
    out[k, 2, 2] -= c * (x * x + y * y)
    out[k, 0, 1], out[k, 1, 0] = c * x * y - s * z, c * x * y + s * z
    out[k, 0, 2], out[k, 2, 0] = c * x * z + s * y, c * x * z - s * y
    out[k, 1, 2], out[k, 2, 1] = c * y * z - s * x, c * y * z + s * x


@inlined
def cast_ray(lens: Lens, turns: F64, k: int, row: int, column: int, t: float) -> Ray:
    """The ray of a pixel at time `t`, in exposures, when the camera has turned by the matrix `turns[k]`."""
    u, v = (column - lens.cx) / lens.focal, (row - lens.cy) / lens.focal
    gain = turns[k, 2, 0] * u + turns[k, 2, 1] * v + turns[k, 2, 2]
    scale = lens.focal / gain
    x = lens.cx + scale * (turns[k, 0, 0] * u + turns[k, 0, 1] * v + turns[k, 0, 2])
    y = lens.cy + scale * (turns[k, 1, 0] * u + turns[k, 1, 1] * v + turns[k, 1, 2])
    return Ray(x, y, gain, t)


@inlined
def _between(x: float, y: float, width: int, height: int) -> tuple[Corners, Shares]:
    """The four pixels around a position, the nearest ones where it is outside, and their shares."""
    x, y = clamp(x, 0.0, width - 1.0), clamp(y, 0.0, height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = np.float32(x - left), np.float32(y - top)
    c, d = np.float32(1) - a, np.float32(1) - b
    return (unsigned(left), unsigned(right), unsigned(top), unsigned(bottom)), (c * d, a * d, c * b, a * b)


@inlined
def _weigh(image: F32, corners: Corners, shares: Shares, channel: int) -> float:
    left, right, top, bottom = corners
    upper = image[top, left, channel] * shares[0] + image[top, right, channel] * shares[1]
    return upper + image[bottom, left, channel] * shares[2] + image[bottom, right, channel] * shares[3]


@inlined
def bilinear(image: F32, x: float, y: float) -> tuple[float, float, float, float]:
    """Light and inverse depth of `image` at a position; outside, of its nearest border pixel."""
    corners, shares = _between(x, y, image.shape[1], image.shape[0])
    red, green = _weigh(image, corners, shares, 0), _weigh(image, corners, shares, 1)
    return red, green, _weigh(image, corners, shares, 2), _weigh(image, corners, shares, 3)


@inlined
def depth_at(image: F32, x: float, y: float) -> float:
    """Inverse depth of `image` at a position; outside, of its nearest border pixel."""
    corners, shares = _between(x, y, image.shape[1], image.shape[0])
    return _weigh(image, corners, shares, 3)


@inlined
def _in_pool(piece: Piece, x: float, y: float) -> tuple[Corners, Shares]:
    """The four pixels of a cut-out around a position, as rows of the pool, and their shares."""
    (left, right, top, bottom), shares = _between(x, y, piece.width, piece.height)
    start, width = unsigned(piece.start), unsigned(piece.width)
    upper, lower = start + top * width, start + bottom * width
    return (upper + left, upper + right, lower + left, lower + right), shares


@inlined
def _blend(pool: F32, corners: Corners, shares: Shares, channel: int) -> float:
    upper = pool[corners[0], channel] * shares[0] + pool[corners[1], channel] * shares[1]
    return upper + pool[corners[2], channel] * shares[2] + pool[corners[3], channel] * shares[3]


@inlined
def body_at(pool: F32, piece: Piece, x: float, y: float) -> tuple[float, float, float, float, float]:
    """Light, inverse depth and coverage of an object at a position in it; outside, of its nearest border pixel."""
    at, shares = _in_pool(piece, x, y)
    red, green, blue = _blend(pool, at, shares, 0), _blend(pool, at, shares, 1), _blend(pool, at, shares, 2)
    return red, green, blue, _blend(pool, at, shares, 3), _blend(pool, at, shares, 4)


@inlined
def light_left_at(pool: F32, piece: Piece, x: float, y: float) -> float:
    """The share of light that a shadow leaves at a position in it."""
    corners, shares = _in_pool(piece, x, y)
    return _blend(pool, corners, shares, 0)


@inlined
def own_depth(pool: F32, piece: Piece, x: float, y: float) -> float:
    """Inverse depth of the pixel of an object that is nearest to a position."""
    row = unsigned(int(clamp(y + 0.5, 0.0, piece.height - 1.0)))
    column = unsigned(int(clamp(x + 0.5, 0.0, piece.width - 1.0)))
    return pool[unsigned(piece.start) + row * unsigned(piece.width) + column, 3]


@inlined
def piece_of(cutouts: Cutouts, m: int) -> Piece:
    """Cut-out `m`."""
    left, top, width, height, start = cutouts.place[m]
    x, y, z = cutouts.travel[m]
    return Piece(left, top, width, height, start, x, y, z, cutouts.depth[m])
