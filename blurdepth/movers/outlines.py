"""Cars and people known by their outlines: linear templates, learned on rendered streets, slid along the road.

The ground tells how large a thing is that stands on a row, so each row is searched at one scale only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import Rgb
from blurdepth.movers.cells import CELL, CHANNELS, edge_cells

F32 = NDArray[np.float32]

WEIGHTS = Path(__file__).resolve().parent / "outlines.npz"
ROWS, FOOT_ROW = 8, 7
"""Cells of every template from top to bottom, and how many of them lie above the foot."""
HEIGHT_PX = 33.0
"""What one camera height is scaled to, so that a car of 1.5 m is 5 cells high."""
LEVEL_STEP = 1.25
FOOT_SPAN = (0.8, 1.3)
"""Where a foot is looked for, in camera heights below the horizon, at the scale of 1: it overlaps the next level."""
MIN_HEIGHT_SHARE = 0.019
"""The smallest camera height that is searched, as a share of the frame's width."""
DOUBLE, ALIKE = 0.35, 0.55
_PAD_CELLS = 2
_RIM = 4
SOFTNESS = 1.2
"""How unsure the border of a box is, in 16ths of its sides."""


@dataclass(frozen=True)
class Template:
    """One view of one kind of thing.

    Attributes:
        kind: person or vehicle.
        size: (height, width) of the thing itself, in cells.
        weights: (ROWS, width + 2, CHANNELS), with one cell of what is around it.
        bias: added to the product.
        shape: (16, 16) how often each part of the box belongs to the thing, [0, 1].
    """

    kind: str
    size: tuple[int, int]
    weights: F32
    bias: float
    shape: F32


@dataclass(frozen=True)
class Sighting:
    """Where a template fits: a box in pixels of the frame, which may reach over its border."""

    template: Template
    score: float
    left: float
    top: float
    right: float
    foot: float

    def moved(self, across: float) -> Sighting:
        """The same, so many pixels farther to the right."""
        return replace(self, left=self.left + across, right=self.right + across)

    def likely(self, height: int, width: int) -> F32:
        """(height, width) how likely each pixel of the frame belongs to the thing, [0, 1], with soft borders."""
        side = len(self.template.shape)
        soft = np.pad(self.template.shape, _RIM)
        soft = cv2.GaussianBlur(soft, (0, 0), SOFTNESS)
        wide, high = (self.right - self.left) / side, (self.foot - self.top) / side
        grid = np.array(
            [[1 / wide, 0, _RIM - 0.5 - (self.left - 0.5) / wide], [0, 1 / high, _RIM - 0.5 - (self.top - 0.5) / high]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(soft, grid, (width, height), flags=flags), np.float32)


@dataclass(frozen=True)
class Level:
    """The strip of a frame in which things stand at one distance, scaled to the templates' size.

    Attributes:
        scale: strip pixels for one of the frame.
        left, top: of the strip, in pixels of the frame.
        cells: its edges.
    """

    scale: float
    left: float
    top: float
    cells: F32

    def place(self, row: float, column: float) -> tuple[float, float]:
        """(x, y) in the frame of a corner of the cell grid."""
        return self.left + column * CELL / self.scale, self.top + row * CELL / self.scale


def search_levels(rgb: Rgb, horizon: float) -> Iterator[Level]:
    """Strips for all distances at which something could stand, from far to near."""
    height, width = rgb.shape[:2]
    half = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    drop = MIN_HEIGHT_SHARE * width
    top_cells = int(np.ceil((FOOT_ROW * CELL - FOOT_SPAN[0] * HEIGHT_PX) / CELL))
    rows = top_cells + int(np.ceil(FOOT_SPAN[1] * HEIGHT_PX / CELL)) + ROWS - FOOT_ROW
    while drop * FOOT_SPAN[0] < height - horizon:
        scale = HEIGHT_PX / drop
        source, factor = (half, 2.0) if scale < 0.7 else (rgb, 1.0)
        columns = int(np.ceil(width * scale / CELL)) + 2 * _PAD_CELLS
        left, top = -_PAD_CELLS * CELL / scale, horizon - top_cells * CELL / scale
        step = 1 / (scale * factor)
        middle = (step - 1) / 2
        grid = np.array([[step, 0, left / factor + middle], [0, step, top / factor + middle]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        strip = cv2.warpAffine(
            source, grid, (columns * CELL, rows * CELL), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        yield Level(scale, left, top, edge_cells(np.asarray(strip, np.uint8)))
        drop *= LEVEL_STEP


def windows(cells: F32, width: int) -> F32:
    """(rows, columns, ROWS * width * CHANNELS): what a template of this width sees at each place."""
    if cells.shape[1] < width:
        return np.zeros((cells.shape[0] - ROWS + 1, 0, ROWS * width * CHANNELS), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(cells, (ROWS, width), axis=(0, 1))
    return view.transpose(0, 1, 3, 4, 2).reshape(*view.shape[:2], -1)


@lru_cache(maxsize=1)
def load_templates() -> tuple[Template, ...]:
    """The templates that come with the package."""
    with np.load(WEIGHTS) as data:
        return tuple(
            Template(
                str(data[f"{name}.kind"]),
                (int(data[f"{name}.size"][0]), int(data[f"{name}.size"][1])),
                data[f"{name}.weights"].astype(np.float32),
                float(data[f"{name}.bias"]),
                data[f"{name}.shape"].astype(np.float32),
            )
            for name in data["names"].tolist()
        )


def sight(rgb: Rgb, horizon: float, least: float) -> list[Sighting]:
    """All places where a template's score is at least `least` and the highest nearby, the best first."""
    found: list[Sighting] = []
    for level in search_levels(rgb, horizon):
        for template in load_templates():
            width = template.size[1] + 2
            seen = windows(level.cells, width)
            scores = seen @ template.weights.ravel() + np.float32(template.bias)
            for row, column in np.argwhere(scores >= least):
                left, top = level.place(row + FOOT_ROW - template.size[0], column + 1)
                right, foot = level.place(row + FOOT_ROW, column + width - 1)
                found.append(Sighting(template, float(scores[row, column]), left, top, right, foot))
    return _without_doubles(found, least)


def _without_doubles(found: list[Sighting], least: float) -> list[Sighting]:
    """One sighting for each thing: the best, in the box that those like it agree on."""
    kept: list[tuple[Sighting, list[Sighting]]] = []
    for sighting in sorted(found, key=lambda each: -each.score):
        overlaps = [_overlap(sighting, best) for best, _ in kept]
        for (best, alike), overlap in zip(kept, overlaps, strict=True):
            if overlap > ALIKE and sighting.template is best.template:
                alike.append(sighting)
        if all(overlap < DOUBLE for overlap in overlaps):
            kept.append((sighting, [sighting]))
    return [_agreed(best, alike, least) for best, alike in kept]


def _agreed(best: Sighting, alike: list[Sighting], least: float) -> Sighting:
    weights = np.array([each.score - least + 0.1 for each in alike])
    boxes = np.array([(each.left, each.top, each.right, each.foot) for each in alike])
    left, top, right, foot = (float(side) for side in weights @ boxes / weights.sum())
    return replace(best, left=left, top=top, right=right, foot=foot)


def _overlap(one: Sighting, two: Sighting) -> float:
    """Shared area by the smaller of the two boxes' areas, softened towards their union."""
    wide = min(one.right, two.right) - max(one.left, two.left)
    high = min(one.foot, two.foot) - max(one.top, two.top)
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(each.right - each.left) * (each.foot - each.top) for each in (one, two)]
    return wide * high / (0.5 * min(areas) + 0.5 * (sum(areas) - wide * high))
