"""Proposals of what could move, and the thing under a click, from a frame and its depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError
from blurdepth.ground import Ground, fit_ground
from blurdepth.images import Rgb
from blurdepth.movers.cutout import SURE, cut_out
from blurdepth.movers.outlines import Sighting, sight
from blurdepth.movers.proposal import Ids, Mask, Proposal, distinct, to_ids
from blurdepth.movers.standing import standing_surfaces

F32 = NDArray[np.float32]

WORK_WIDTH, DEPTH_WIDTH = 1280, 640
MIN_SIDE = 32
PERSON_MAX_WIDTH = 0.6
"""In camera heights; what is wider is a vehicle."""
STANDING_SCORE = 0.8
LEAST_SIGHT, LEAST_SIGHT_AT_CLICK = 1.1, -1.0
MAX_CUTS, MIN_HEIGHT_PX = 12, 14
AROUND = ((1.0, 0.5), (2.0, 0.85))
"""Sizes that are tried by colour alone, in cars, and how much of the border must then lie on edges."""
NEARLY = 0.75
LEAST_AGREEMENT = 0.6
UNLIKE_DEPTH = 0.5
MAX_CUT_OFF, MAX_SHARE = 0.12, 0.25
EDGE, LEAST_EDGES = 20, 0.3


@dataclass(frozen=True)
class _Scene:
    """A frame and its inverse depth at working size, and the ground in it, if there is one."""

    rgb: Rgb
    inverse_depth: F32
    ground: Ground | None

    @property
    def horizon(self) -> float:
        """Where the ground meets what is farthest in the frame, which an assumed scale doesn't put at infinity."""
        if self.ground is None:
            return 0.0
        return self.ground.horizon + float(np.percentile(self.inverse_depth, 0.5)) / self.ground.slope


def propose_movers(rgb: Rgb, inverse_depth: F32, limit: int = 8) -> Ids:
    """`find_movers` as one map: (H, W) ids from 1, the largest first, 0 elsewhere."""
    return to_ids(find_movers(rgb, inverse_depth, limit), rgb.shape[:2])


def find_movers(rgb: Rgb, inverse_depth: F32, limit: int = 8) -> list[Proposal]:
    """People and vehicles that stand on the ground, each cut out, the largest first; the same every time.

    Two things are looked for: surfaces that stand out in depth, and outlines of people and vehicles in the picture
    at the size that the ground gives them. A frame whose depth shows no ground has none.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        inverse_depth: (H, W) 1/m, any scale will do, may be a model's prediction.
        limit: how many at most.

    Raises:
        InputError: frame and depth differ in size, or the depth has values that are not finite.
    """
    scene = _reduce(rgb, inverse_depth)
    if scene.ground is None:
        return []
    found = _standing(scene, scene.ground, 2 * limit) + _sighted(scene)
    return [_at_full_size(rgb, proposal) for proposal in distinct(found, limit)]


def mover_at(rgb: Rgb, inverse_depth: F32, point: tuple[float, float]) -> Mask:
    """The thing under a clicked pixel, whatever it is, cut out.

    Taken as the thing is, in this order: the surface standing out in depth there; the best outline of a person or
    vehicle around the point; else what has the point's colours within the size that the ground gives a car there.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        inverse_depth: (H, W) 1/m, any scale will do.
        point: (x, y) in pixels.

    Returns:
        (H, W), one piece that holds the point.

    Raises:
        InputError: the point lies outside the frame, or on bare road or sky, where there is nothing to take; or frame
            and depth don't fit each other.
    """
    scene = _reduce(rgb, inverse_depth)
    x, y = point
    if not (0 <= x < rgb.shape[1] and 0 <= y < rgb.shape[0]):
        raise InputError(f"The click at {point} lies outside the frame of {rgb.shape[1]} x {rgb.shape[0]} pixels.")
    factor = scene.rgb.shape[1] / rgb.shape[1]
    column = min(int(x * factor), scene.rgb.shape[1] - 1)
    row = min(int(y * factor), scene.rgb.shape[0] - 1)
    mask = _under(scene, row, column)
    if mask is None:
        raise InputError(
            f"Nothing stands out from what is around it at {point[0]:.0f}, {point[1]:.0f}: click on a car or a person, "
            "or paint it with the brush."
        )
    return _at_full_size(rgb, Proposal(mask, 1.0, "")).mask


def _under(scene: _Scene, row: int, column: int) -> Mask | None:
    if scene.ground is not None:
        here = [_near(scene.rgb, each) for each in _surfaces(scene, scene.ground) if each[row, column]]
        here = [each for each in here if each[row, column]]
        if here:
            return min(here, key=np.count_nonzero)
        for sighting in _sightings_at(scene, row, column):
            mask = _cut_sighting(scene.rgb, sighting, (row, column))
            if mask is not None and mask[row, column]:
                return mask
    for size, least_edges in AROUND:
        mask = _cut_around(scene, row, column, size)
        if mask is not None and _edge_share(scene.rgb, mask) > least_edges:
            return mask
    return None


def _reduce(rgb: Rgb, inverse_depth: F32) -> _Scene:
    if rgb.shape[:2] != inverse_depth.shape:
        raise InputError(f"The frame is {rgb.shape[:2]} but its depth {inverse_depth.shape}: estimate it again.")
    if not np.isfinite(inverse_depth).all():
        raise InputError("The depth has values that are not finite: estimate it again.")
    height, width = inverse_depth.shape
    scale = min(1.0, WORK_WIDTH / max(height, width))
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        inverse_depth = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_AREA)
    inverse_depth = np.ascontiguousarray(inverse_depth, np.float32)
    ground = fit_ground(inverse_depth) if min(rgb.shape[:2]) >= MIN_SIDE else None
    return _Scene(np.ascontiguousarray(rgb), inverse_depth, ground)


def _surfaces(scene: _Scene, ground: Ground) -> list[Mask]:
    """What stands out in depth, the largest first."""
    height, width = scene.inverse_depth.shape
    scale = min(1.0, DEPTH_WIDTH / width)
    size = (round(width * scale), max(round(height * scale), 1))
    small = cv2.resize(scene.inverse_depth, size, interpolation=cv2.INTER_AREA) if scale < 1 else scene.inverse_depth
    at_size = Ground(ground.slope / scale, ground.horizon * scale)
    found = sorted(standing_surfaces(small, at_size), key=lambda each: -np.count_nonzero(each))
    return [
        cv2.resize(each.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5 for each in found
    ]


def _standing(scene: _Scene, ground: Ground, limit: int) -> list[Proposal]:
    """The largest of what stands out in depth, its border drawn along the picture's edges."""
    found = []
    for rough in _surfaces(scene, ground)[:limit]:
        mask = _near(scene.rgb, rough)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        wide = len(columns) / max(rows[-1] - scene.horizon, 1.0)
        found.append(Proposal(mask, STANDING_SCORE, "person" if wide < PERSON_MAX_WIDTH else "vehicle"))
    return found


def _near(rgb: Rgb, rough: Mask) -> Mask:
    """The mask that the picture's edges give, if it is nearly the rough one; else the rough one."""
    side = max(3, round(0.04 * np.sqrt(np.count_nonzero(rough))))
    pixels = rough.astype(np.uint8)
    kernel = np.ones((2 * side + 1, 2 * side + 1), np.uint8)
    likely = np.where(rough, 0.7, 0.3).astype(np.float32)
    likely[cv2.erode(pixels, kernel) > 0] = 1
    likely[cv2.dilate(pixels, kernel) == 0] = 0
    cut = cut_out(rgb, likely)
    if cut is None or np.count_nonzero(cut & rough) < NEARLY * np.count_nonzero(cut | rough):
        return rough
    return cut


def _sighted(scene: _Scene) -> list[Proposal]:
    """People and vehicles by their outlines."""
    found = []
    for sighting in sight(scene.rgb, scene.horizon, LEAST_SIGHT)[:MAX_CUTS]:
        mask = _cut_sighting(scene.rgb, sighting) if sighting.foot - sighting.top > MIN_HEIGHT_PX else None
        if mask is not None:
            score = float(1 / (1 + np.exp(-sighting.score)))
            found.append(Proposal(mask, round(score, 4), sighting.template.kind))
    return found


def _sightings_at(scene: _Scene, row: int, column: int) -> list[Sighting]:
    """Outlines that hold a pixel well inside, the best first."""
    reach = 3 * (row - scene.horizon) + 0.2 * len(scene.rgb)
    left, right = (int(np.clip(column + side * reach, 0, scene.rgb.shape[1])) for side in (-1, 1))
    if right - left < MIN_SIDE:
        return []
    part = np.ascontiguousarray(scene.rgb[:, left:right])
    found = []
    for each in sight(part, scene.horizon, LEAST_SIGHT_AT_CLICK):
        across = (column - left - each.left) / (each.right - each.left)
        down = (row - each.top) / (each.foot - each.top)
        if 0.08 < across < 0.92 and 0.05 < down < 0.95:
            found.append(each.moved(left))
    return found[:2]


def _cut_sighting(rgb: Rgb, sighting: Sighting, point: tuple[int, int] | None = None) -> Mask | None:
    """The thing that a template found, or None where the picture doesn't bear it out."""
    expected = sighting.likely(rgb.shape[0], rgb.shape[1])
    likely = expected.copy()
    if point is not None:
        _mark(likely, point)
    mask = cut_out(rgb, likely)
    if mask is None:
        return None
    usual = expected > 0.5
    agreement = np.count_nonzero(mask & usual) / max(int(np.count_nonzero(mask | usual)), 1)
    return mask if agreement > LEAST_AGREEMENT and _edge_share(rgb, mask) > LEAST_EDGES else None


def _mark(likely: F32, point: tuple[int, int], radius: int = 2) -> None:
    row, column = point
    likely[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1] = SURE


def _cut_around(scene: _Scene, row: int, column: int, size: float) -> Mask | None:
    """What has the point's colours, within `size` times a car at its distance; None for bare road and sky."""
    height, width = scene.inverse_depth.shape
    drop = row - scene.horizon if scene.ground is not None else 0.0
    unit = size * float(np.clip(1.4 * drop, 0.12 * height, 0.5 * height))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot((columns - column) / (1.5 * unit), (rows - row) / unit)
    here = scene.inverse_depth[row, column]
    unlike = np.abs(scene.inverse_depth - here) > UNLIKE_DEPTH * max(float(here), 1e-6)
    likely = np.clip(0.95 - 0.6 * away, 0.1, 0.7).astype(np.float32)
    likely[(away > 1) | unlike] = 0
    _mark(likely, (row, column), max(2, round(0.04 * unit)))
    mask = cut_out(scene.rgb, likely)
    if mask is None or not mask[row, column]:
        return None
    # Road and sky go on to the border of what was looked at; a thing ends before, at an edge.
    cut_off = np.count_nonzero(_rim(mask) & (away > 0.93)) / max(int(np.count_nonzero(_rim(mask))), 1)
    large = np.count_nonzero(mask) > MAX_SHARE * mask.size
    return None if cut_off > MAX_CUT_OFF or large else mask


def _rim(mask: Mask) -> Mask:
    pixels = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(pixels > 0)


def _edge_share(rgb: Rgb, mask: Mask) -> float:
    """How much of a mask's border lies on edges of the picture, [0, 1]."""
    step = cv2.morphologyEx(cv2.GaussianBlur(rgb, (0, 0), 1), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float((step.max(axis=2)[_rim(mask)] > EDGE).mean())


def _at_full_size(rgb: Rgb, proposal: Proposal) -> Proposal:
    """A proposal at working size, at the frame's."""
    size = rgb.shape[1::-1]
    if proposal.mask.shape == rgb.shape[:2]:
        return proposal
    rough = cv2.resize(proposal.mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return Proposal(rough > 0.5, proposal.score, proposal.name)
