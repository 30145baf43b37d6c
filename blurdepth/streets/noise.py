"""Value noise: smooth seeded randomness at any point, the stuff of asphalt, leaves and clouds; compiled."""

from __future__ import annotations

import math

from blurdepth.compiling import inlined


@inlined
def cell_noise(x: int, y: int, z: int) -> float:
    """One random number in [0, 1) for each whole-numbered cell.

    Source: the primes of Teschner et al. 2003, "Optimized Spatial Hashing", and a xorshift multiply to mix them.
    """
    mixed = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791)
    mixed = ((mixed ^ (mixed >> 15)) * 739982445) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 12)) * 695872825) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 15)) & 0xFFFFFF) / 16777216.0


@inlined
def _smooth(part: float) -> float:
    return part * part * (3 - 2 * part)


@inlined
def noise2(x: float, y: float) -> float:
    """Noise in [0, 1), smooth over cells of size 1."""
    left, top = math.floor(x), math.floor(y)
    u, v = _smooth(x - left), _smooth(y - top)
    i, j = int(left), int(top)
    upper = cell_noise(i, j, 0) * (1 - u) + cell_noise(i + 1, j, 0) * u
    lower = cell_noise(i, j + 1, 0) * (1 - u) + cell_noise(i + 1, j + 1, 0) * u
    return upper * (1 - v) + lower * v


@inlined
def _slice3(i: int, j: int, k: int, u: float, v: float) -> float:
    upper = cell_noise(i, j, k) * (1 - u) + cell_noise(i + 1, j, k) * u
    lower = cell_noise(i, j + 1, k) * (1 - u) + cell_noise(i + 1, j + 1, k) * u
    return upper * (1 - v) + lower * v


@inlined
def noise3(x: float, y: float, z: float) -> float:
    """Noise in [0, 1), smooth over cells of size 1."""
    left, top, front = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = _smooth(x - left), _smooth(y - top), _smooth(z - front)
    i, j, k = int(left), int(top), int(front)
    return _slice3(i, j, k, u, v) * (1 - w) + _slice3(i, j, k + 1, u, v) * w


@inlined
def fractal2(x: float, y: float, octaves: int) -> float:
    """Sum of `octaves` noises, each twice as fine and half as strong; in [0, 1), mean about 0.5."""
    total, size, weight = 0.0, 1.0, 1.0
    for octave in range(octaves):
        total += noise2(x * size + 17.3 * octave, y * size + 17.3 * octave) * weight
        size, weight = size * 2, weight / 2
    return total / (2 - 2 * weight)


@inlined
def fractal3(x: float, y: float, z: float, octaves: int) -> float:
    """The same in three axes."""
    total, size, weight = 0.0, 1.0, 1.0
    for octave in range(octaves):
        shift = 17.3 * octave
        total += noise3(x * size + shift, y * size + shift, z * size + shift) * weight
        size, weight = size * 2, weight / 2
    return total / (2 - 2 * weight)
