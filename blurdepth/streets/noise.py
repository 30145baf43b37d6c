"""Value noise: smooth seeded randomness at any point, the stuff of asphalt, leaves and clouds."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_PRIMES = (73856093, 19349663, 83492791)
_TABLE: F32 = np.random.default_rng(20).random(1 << 16, dtype=np.float32)


def cell_noise(*cells: Any) -> F32:
    """One random number in [0, 1) for each whole-numbered cell; more axes are more cells.

    >>> bool(cell_noise(np.arange(3), np.arange(3)).std() > 0)
    True
    """
    return _TABLE[_mix(*cells)]


def _mix(*cells: Any) -> NDArray[np.int64]:
    mixed: Any = 0
    for cell, prime in zip(cells, _PRIMES, strict=False):
        mixed = mixed ^ (np.asarray(cell).astype(np.int64) * prime)
    return (mixed ^ (mixed >> 15)) & 0xFFFF


def value_noise(*axes: Any) -> F32:
    """Noise in [0, 1), smooth over cells of size 1, at points given by two or three coordinate arrays."""
    cells = [np.floor(axis) for axis in axes]
    parts = [axis - cell for axis, cell in zip(axes, cells, strict=True)]
    parts = [part * part * (3 - 2 * part) for part in parts]
    first = [cell.astype(np.int32) * np.int32(prime) for cell, prime in zip(cells, _PRIMES, strict=False)]
    terms = [(low, low + np.int32(prime)) for low, prime in zip(first, _PRIMES, strict=False)]
    total: Any = 0.0
    for corner in product((0, 1), repeat=len(axes)):
        mixed: Any = 0
        weight: Any = 1.0
        for term, part, side in zip(terms, parts, corner, strict=True):
            mixed = mixed ^ term[side]
            weight = weight * (part if side else 1 - part)
        total = total + _TABLE[(mixed ^ (mixed >> 15)) & 0xFFFF] * weight
    return np.asarray(total, np.float32)


def fractal_noise(*axes: Any, octaves: int = 3) -> F32:
    """Sum of `octaves` noises, each twice as fine and half as strong; in [0, 1), mean about 0.5."""
    total: Any = 0.0
    for octave in range(octaves):
        total = total + value_noise(*(axis * 2**octave + 17.3 * octave for axis in axes)) / 2**octave
    return np.asarray(total / (2 - 2 ** (1 - octaves)), np.float32)
