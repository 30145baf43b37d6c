"""A frame cut into layers that can move apart: the static world, what it hides, and each moving object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Pinhole, Vector

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Grid = tuple[F32, F32]

EDGE_PX = 0.5
MAX_BAND_PX = 64
MAX_STEPS = 24
SAME_SURFACE = 0.1
NEAREST = np.float32(0.05)
"""Share of its distance at mid exposure below which a surface counts as passing through the camera."""


@dataclass(frozen=True)
class Warp:
    """Where the points of one rigid layer come from, for a camera that turned by R and moved by T t.

    A target pixel p at inverse depth d (as it was at mid exposure) comes from q = r(p) + d e(p), where r is p
    turned back and e = (f T_xy - T_z (r - c)) t. It is linear in d: searching along the epipolar line is
    cheap.

    Attributes:
        x, y: r in pixels; each may be (H, W), or a row or column that broadcasts to it.
        shift_x, shift_y: e in pixel metres, likewise.
        forward_m: T_z t, metres.
        gain: the third coordinate of the turned ray, by which inverse depth grows; (H, W) or (1, 1).
    """

    x: F32
    y: F32
    shift_x: F32
    shift_y: F32
    forward_m: float
    gain: F32

    def source(self, inverse_depth: F32) -> tuple[F32, F32]:
        """Where points of that inverse depth were at mid exposure: x and y in pixels, (H, W) each."""
        return self.x + self.shift_x * inverse_depth, self.y + self.shift_y * inverse_depth

    def seen(self, inverse_depth: F32) -> F32:
        """The inverse depth, now, of points that had `inverse_depth` at mid exposure."""
        if not self.forward_m and self.gain.size == 1:
            return inverse_depth
        return np.asarray(inverse_depth * self.gain / np.maximum(self.left(inverse_depth), NEAREST), np.float32)

    def left(self, inverse_depth: F32) -> F32:
        """What is left, now, of the distance along z at mid exposure, as a share; below 0 it is behind the camera."""
        return np.asarray(np.float32(1) - np.float32(self.forward_m) * inverse_depth, np.float32)


def make_warp(camera: Pinhole, grid: Grid, travel: Vector, turn_deg: Vector, t: float) -> Warp:
    """The warp at time `t` (-0.5 to 0.5) of a layer against which the camera travels by `travel` metres.

    Source: X' = R(t)^T (X - T t) in pixels, solved for the pixel of X at a given inverse depth.
    """
    right, down, forward = (component * t for component in travel)
    x, y, gain = _turn_back(camera, grid, turn_deg, t)
    cx, cy = camera.centre_px
    shift_x = np.float32(camera.focal_px * right + forward * cx) - np.float32(forward) * x
    shift_y = np.float32(camera.focal_px * down + forward * cy) - np.float32(forward) * y
    return Warp(x, y, shift_x, shift_y, forward, gain)


def make_grid(rows: slice, columns: slice) -> Grid:
    """The pixel coordinates of a rectangle: x as one row, y as one column, float32."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None]
    return x, np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]


def _turn_back(camera: Pinhole, grid: Grid, turn_deg: Vector, t: float) -> tuple[F32, F32, F32]:
    x, y = grid
    if not any(turn_deg):
        return x, y, np.ones((1, 1), np.float32)
    rotation = cv2.Rodrigues(np.radians(np.array(turn_deg, np.float64)) * t)[0]
    cx, cy = camera.centre_px
    intrinsic = np.array([[camera.focal_px, 0, cx], [0, camera.focal_px, cy], [0, 0, 1]])
    rays = (intrinsic @ rotation @ np.linalg.inv(intrinsic)).astype(np.float32)
    u, v, gain = (row[0] * x + (row[1] * y + row[2]) for row in rays)
    return u / gain, v / gain, gain


def fetch(image: F32, x: F32, y: F32, nearest: bool = False) -> F32:
    """`image` at pixel positions `x` and `y`, (H, W) each; outside, its nearest border pixel."""
    mode = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    fetched: F32 = cv2.remap(image, x, y, mode, borderMode=cv2.BORDER_REPLICATE)
    return fetched


@dataclass(frozen=True)
class Band:
    """The pixels near depth edges, where something may appear or vanish, and what to search there.

    Attributes:
        index: flat indices of the N pixels.
        nearest, farthest: (N,) inverse depth from which, and to which, to search.
        span_px: (N,) how far these two part until the shutter closes.
    """

    index: NDArray[np.intp]
    nearest: F32
    farthest: F32
    span_px: F32


@dataclass(frozen=True)
class World:
    """The static world: what is seen, and what is behind it.

    Attributes:
        front: (H, W, 4) linear light and inverse depth, moving objects taken out.
        behind: the same, with the near side of depth edges taken out too.
        band: where `behind` may come into view.
        depth: (H, W) inverse depth of `front`.
        depths: (H * W, 2) inverse depth of `front` and `behind`.
    """

    front: F32
    behind: F32
    band: Band
    depth: F32
    depths: F32

    def seen(self, warp: Warp, t: float) -> tuple[F32, F32, F32]:
        """Light and inverse depth at time `t`, (H, W, 4), and where they come from: x and y in pixels."""
        depth = self.depth
        x, y = warp.source(depth)
        for _ in range(2):
            x, y = warp.source(fetch(depth, x, y, nearest=True))
        index = self.band.index
        if not index.size:
            return fetch(self.front, x, y), x, y
        band_x, band_y, hidden = self._search(warp, t)
        x.ravel()[index], y.ravel()[index] = band_x, band_y
        look = fetch(self.front, x, y)
        if hidden.any():
            look.reshape(-1, 4)[index[hidden]] = _fetch_points(self.behind, band_x[hidden], band_y[hidden])
        return look, x, y

    def _search(self, warp: Warp, t: float) -> tuple[F32, F32, Mask]:
        """March along each band pixel's epipolar line from near to far until a surface is met."""
        band, (height, width) = self.band, self.depth.shape
        rays = [
            np.broadcast_to(part, (height, width)).ravel()[band.index]
            for part in (warp.x, warp.y, warp.shift_x, warp.shift_y)
        ]
        steps = np.clip(np.ceil(band.span_px * np.float32(3 * abs(t))), 2, MAX_STEPS)
        step = (band.nearest - band.farthest) / steps
        met, hidden = band.farthest.copy(), np.ones(len(band.index), bool)
        open_ = np.arange(len(band.index))
        for k in range(MAX_STEPS + 1):
            now = band.nearest[open_] - step[open_] * np.float32(k)
            x, y, shift_x, shift_y = (part[open_] for part in rays)
            column = np.clip(x + shift_x * now + np.float32(0.5), 0, width - 1).astype(np.int32)
            row = np.clip(y + shift_y * now + np.float32(0.5), 0, height - 1).astype(np.int32)
            front, behind = self.depths[row * width + column].T
            limit = now + step[open_] * np.float32(1.5) if k else np.float32(np.inf)
            at_front = (front >= now) & (front <= limit)
            hit = at_front | ((behind >= now) & (behind <= limit))
            met[open_[hit]] = np.where(at_front, front, behind)[hit]
            hidden[open_[hit]] = ~at_front[hit]
            open_ = open_[~hit & (k < steps[open_])]
        x, y, shift_x, shift_y = rays
        return x + shift_x * met, y + shift_y * met, hidden


def _fetch_points(image: F32, x: F32, y: F32) -> F32:
    """Bilinear samples of (H, W, C) `image` at N positions, as (N, C)."""
    rows = -(-len(x) // 1024)
    maps = np.zeros((2, rows * 1024), np.float32)
    maps[0, : len(x)], maps[1, : len(x)] = x, y
    samples = fetch(image, *maps.reshape(2, rows, 1024))
    return samples.reshape(-1, image.shape[2])[: len(x)]


@dataclass(frozen=True)
class Mover:
    """One moving object, cut out with a margin: what it looks like, also just outside of its outline.

    Attributes:
        corner: x and y of the cut-out in the frame.
        body: (h, w, 4) linear light and inverse depth.
        depth: (h, w) its inverse depth alone.
        coverage: (h, w) in [0, 1].
        travel: how the camera travels against it over the exposure, metres.
    """

    corner: tuple[int, int]
    body: F32
    depth: F32
    coverage: F32
    travel: Vector
    inverse_depth: float


def cut_world(linear: F32, inverse_depth: F32, moving: Mask, shift_px: F32) -> World:
    """The static world of a frame.

    Args:
        linear: (H, W, 3) linear light.
        inverse_depth: (H, W) 1/m.
        moving: (H, W) pixels of moving objects.
        shift_px: (H, W) pixel metres: how far a point of inverse depth 1 shifts until the shutter closes.
    """
    depth = inverse_depth
    if moving.any():
        moving = cv2.dilate(moving.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        depth = fill_rows(depth, moving)
        linear = fill_colour(linear, moving)
    near, far, reach = _find_edges(depth, shift_px)
    front = np.dstack([linear, depth])
    if not reach.any():
        nothing = np.empty(0, np.float32)
        return World(front, front, Band(np.empty(0, np.intp), nothing, nothing, nothing), depth, nothing)
    nearest, farthest, zone = _spread_edges(depth, near, far, reach)
    hidden = zone & ((depth - farthest) * shift_px > EDGE_PX)
    behind_depth = np.where(hidden, farthest, depth).astype(np.float32)
    behind = np.dstack([fill_colour(linear, hidden), behind_depth])
    index = np.flatnonzero(zone)
    span = ((nearest - farthest) * shift_px).ravel()[index]
    band = Band(index, nearest.ravel()[index], farthest.ravel()[index], span)
    return World(front, behind, band, depth, np.column_stack([depth.ravel(), behind_depth.ravel()]))


def _find_edges(depth: F32, shift_px: F32) -> tuple[F32, F32, F32]:
    """Nearest and farthest inverse depth of each pixel's neighbourhood, and how far they part, in pixels."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    near, far = cv2.dilate(depth, cross), cv2.erode(depth, cross)
    reach = (near - far) * shift_px
    return near, far, np.where(reach > EDGE_PX, reach, 0).astype(np.float32)


def _spread_edges(depth: F32, near: F32, far: F32, reach: F32) -> tuple[F32, F32, Mask]:
    """What edges may bring to the pixels around: nearest and farthest inverse depth, and which pixels."""
    nearest, farthest = depth.copy(), depth.copy()
    zone = np.zeros(depth.shape, bool)
    for low, high in ((0, 3), (3, 10), (10, 30), (30, np.inf)):
        edge = (reach > low) & (reach <= high)
        if not edge.any():
            continue
        radius = int(min(np.ceil(reach[edge].max()), MAX_BAND_PX)) + 1
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        np.maximum(nearest, cv2.dilate(np.where(edge, near, 0).astype(np.float32), kernel), out=nearest)
        np.minimum(farthest, cv2.erode(np.where(edge, far, np.inf).astype(np.float32), kernel), out=farthest)
        zone |= cv2.dilate(edge.astype(np.uint8), kernel) > 0
    return nearest, farthest, zone


def fill_rows(depth: F32, hole: Mask) -> F32:
    """Fill `hole` row by row: between ends of one surface on a line, else with the farther end.

    >>> fill_rows(np.array([[1, 9, 9, 4]], np.float32), np.array([[False, True, True, False]])).tolist()
    [[1.0, 1.0, 1.0, 4.0]]
    """
    height, width = depth.shape
    columns = np.broadcast_to(np.arange(width), (height, width))
    left = np.maximum.accumulate(np.where(hole, -1, columns), axis=1)
    right = np.minimum.accumulate(np.where(hole, width, columns)[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(height)[:, None]
    at_left = np.where(left >= 0, depth[rows, np.maximum(left, 0)], np.inf)
    at_right = np.where(right < width, depth[rows, np.minimum(right, width - 1)], np.inf)
    low, high = np.minimum(at_left, at_right), np.maximum(at_left, at_right)
    share = (columns - left) / np.maximum(right - left, 1)
    same = high <= low * (1 + SAME_SURFACE)
    line = np.where(same, at_left, 0) * (1 - share) + np.where(same, at_right, 0) * share
    filled = np.where(same, line, np.where(np.isfinite(low), low, 0))
    return np.where(hole, filled, depth).astype(np.float32)


def fill_colour(linear: F32, hole: Mask) -> F32:
    """Fill `hole` with what is around it: (H, W, 3) linear light."""
    if not hole.any():
        return linear
    small = 0.5
    stored = np.sqrt(np.clip(linear, 0, 1)) * 255
    size = (max(1, round(linear.shape[1] * small)), max(1, round(linear.shape[0] * small)))
    thumb = cv2.resize(stored, size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
    mask = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    painted = cv2.inpaint(thumb, mask, 3, cv2.INPAINT_TELEA)
    back = cv2.resize(painted.astype(np.float32) / 255, linear.shape[1::-1], interpolation=cv2.INTER_LINEAR) ** 2
    return np.where(hole[..., None], back, linear).astype(np.float32)


def cut_mover(linear: F32, inverse_depth: F32, mask: Mask, travel: Vector) -> Mover:
    """The moving object at `mask`, (H, W) with at least one pixel."""
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x0, x1 = max(columns[0] - 2, 0), min(columns[-1] + 3, width)
    y0, y1 = max(rows[0] - 2, 0), min(rows[-1] + 3, height)
    inside = mask[y0:y1, x0:x1]
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = np.flatnonzero(inside)
    source = np.zeros(labels.max() + 1, np.intp)
    source[labels.ravel()[flat]] = flat
    nearest = source[labels]
    body = np.dstack([linear[y0:y1, x0:x1], inverse_depth[y0:y1, x0:x1]]).reshape(-1, 4)[nearest]
    middle = float(np.median(inverse_depth[mask]))
    depth = np.ascontiguousarray(body[..., 3])
    return Mover((int(x0), int(y0)), body, depth, inside.astype(np.float32), travel, middle)
