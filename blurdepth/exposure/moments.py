"""When to look: how many sub-frames motion takes in each tile, and their weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import SHUTTERS, Motion
from blurdepth.exposure.arrays import F64, TILE_PX, Moments

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_SUBFRAMES, MAX_SUBFRAMES = 8, 96
STEP_PX, TURN_STEP_PX = 1.5, 0.6
"""How far something may move from one moment to the next; less where the camera only turns and a mover is near, as all
else is summed without steps there."""
EDGE_MOMENTS = 16
GATHERED_STEPS = 256
BEND_PX = 0.02
"""How far a pixel's way may be off the straight line between two knots when the camera turns."""
STILL_PX = 0.02


def tile_moments(world_px: F32, movers_px: F32, edges: Mask, motion: Motion, subframes: int | None) -> Moments:
    """The moments of each tile: one for each `STEP_PX` of motion.

    Args:
        world_px: (H, W) the longest motion of the world that may be seen at the pixel, pixels.
        movers_px: (H, W) the longest motion of objects and shadows there, 0 where there are none.
        edges: (H, W) where edges of the world may pass: their depth takes more moments than smooth light.
        motion: whose shutter and readout count.
        subframes: the same number everywhere, or None to choose.
    """
    longest = _tile_max(world_px)
    if subframes:
        looks, repeats = np.full((2, *longest.shape), subframes)
        repeats[:] = 1
    else:
        least = np.where(_tile_max(edges.astype(np.float32)) > 0, EDGE_MOMENTS, MIN_SUBFRAMES)
        step = STEP_PX if any(motion.translation_m) else TURN_STEP_PX
        looks = np.clip(np.ceil(longest / step), least, MAX_SUBFRAMES).astype(np.int64)
        looks[longest <= STILL_PX] = 1
        wanted = np.minimum(_tile_max(movers_px) / STEP_PX, MAX_SUBFRAMES)
        wanted = np.where(wanted > 0, np.maximum(wanted, MIN_SUBFRAMES), 1)
        repeats = np.ceil(wanted / looks).astype(np.int64)
    counts = looks * repeats
    time, weight = np.zeros((2, int(counts.max()) + 1, int(counts.max())))
    for n in np.union1d(counts, looks):
        moments = (np.arange(n) + 0.5) / n - 0.5
        shares = SHUTTERS[motion.shutter](moments)
        time[n, :n], weight[n, :n] = moments, shares / shares.sum()
    turn = np.radians(np.array(motion.rotation_deg))
    follows = not subframes and turn.any() and not any(motion.translation_m)
    # A point at radius r leaves its chord of angle a by r a^2 / 8.
    parts = math.ceil(float(np.linalg.norm(turn)) * math.sqrt(math.hypot(*world_px.shape) / 8 / BEND_PX))
    knots = np.linspace(-0.5, 0.5, parts + 1) if follows else np.zeros(0)
    stride = max(math.ceil(float(world_px.max()) / MAX_SUBFRAMES), 1)
    return Moments(counts, repeats, time, weight, turn, float(motion.readout), knots, _gathered(motion), stride)


def _gathered(motion: Motion) -> F64:
    """The share of the light that the shutter has let in until each of GATHERED_STEPS + 1 evenly spaced times."""
    edges = np.linspace(-0.5, 0.5, GATHERED_STEPS + 1)
    gathered = np.concatenate([[0.0], np.cumsum(SHUTTERS[motion.shutter]((edges[1:] + edges[:-1]) / 2))])
    return np.asarray(gathered / gathered[-1], np.float64)


def _tile_max(values: F32) -> F32:
    """The largest value of each tile."""
    height, width = values.shape
    rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
    padded = np.zeros((rows * TILE_PX, columns * TILE_PX), np.float32)
    padded[:height, :width] = values
    return padded.reshape(rows, TILE_PX, columns, TILE_PX).max(axis=(1, 3))
