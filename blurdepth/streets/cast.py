"""Casting rays at shapes: from the camera, and from the sun for the shadows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Pinhole
from blurdepth.streets.noise import value_noise
from blurdepth.streets.scene import F32, Shape, Surface

NEAR_M = 0.3
Window = tuple[slice, slice]
_CORNERS = np.array(list(product((0, 1), repeat=3)), np.float32)


class View(Protocol):
    """Rays in rows and columns: along each, a point is origin + distance * direction."""

    shape: tuple[int, int]
    forward: F32

    def window(self, corners: F32) -> Window | None:
        """The rows and columns that can meet a solid with these (8, 3) corners; None if none can."""

    def rays(self, window: Window) -> tuple[F32, F32]:
        """Origins and directions, (3, N) or (3, 1) each."""


class CameraView:
    """A pinhole camera's rays; the distance along each is the depth z."""

    def __init__(self, pinhole: Pinhole, position: F32, rotation: F32) -> None:
        """Stand at `position` (3,), turned by `rotation` (3, 3) from camera to world axes."""
        self.pinhole, self.position, self.rotation = pinhole, position, rotation
        self.shape = (pinhole.height, pinhole.width)
        self.forward = rotation[:, 2]
        centre_x, centre_y = pinhole.centre_px
        x = (np.arange(pinhole.width) - centre_x) / pinhole.focal_px
        y = (np.arange(pinhole.height) - centre_y) / pinhole.focal_px
        grid = np.stack([*np.meshgrid(x, y), np.ones(self.shape)])
        self.directions = np.einsum("ij,jhw->ihw", rotation, grid).astype(np.float32)

    def window(self, corners: F32) -> Window | None:
        """See `View`."""
        x, y, z = self.rotation.T @ (corners - self.position).T
        if z.max() < NEAR_M:
            return None
        if z.min() < NEAR_M:
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        (centre_x, centre_y), focal = self.pinhole.centre_px, self.pinhole.focal_px
        return _clip(x / z * focal + centre_x, y / z * focal + centre_y, self.shape)

    def rays(self, window: Window) -> tuple[F32, F32]:
        """See `View`."""
        return self.position[:, None], self.directions[:, *window].reshape(3, -1)


class SunView:
    """Parallel rays from the sun over a square around the near street."""

    SPAN_M = 110.0
    BACK_M = 300.0

    def __init__(self, sun: Sequence[float], side: int, middle_m: F32) -> None:
        """`side` rays a side, over `SPAN_M` metres around `middle_m` (3,)."""
        towards = np.array(sun, np.float32)
        right = np.cross(towards, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        self.axes = np.stack([right, np.cross(towards, right), -towards]).astype(np.float32)
        self.forward = self.axes[2]
        self.shape = (side, side)
        self.scale = side / self.SPAN_M
        self.offset = self.axes @ middle_m
        steps = (np.arange(side, dtype=np.float32) + 0.5) / self.scale - self.SPAN_M / 2
        u, v = np.meshgrid(steps + self.offset[0], steps + self.offset[1])
        start = np.full_like(u, self.offset[2] - self.BACK_M)
        self.origins = np.einsum("ji,jhw->ihw", self.axes, np.stack([u, v, start])).astype(np.float32)

    def place(self, points: F32) -> F32:
        """Column, row and distance of (3, N) world points."""
        local = self.axes @ points - self.offset[:, None]
        flat = (local[:2] + self.SPAN_M / 2) * self.scale - 0.5
        return np.concatenate([flat, local[2:] + self.BACK_M])

    def window(self, corners: F32) -> Window | None:
        """See `View`."""
        column, row, _ = self.place(corners.T)
        return _clip(column, row, self.shape)

    def rays(self, window: Window) -> tuple[F32, F32]:
        """See `View`."""
        return self.origins[:, *window].reshape(3, -1), self.axes[2][:, None]


def _clip(x: Any, y: Any, shape: tuple[int, int]) -> Window | None:
    left, right = max(math.floor(x.min()), 0), min(math.ceil(x.max()) + 1, shape[1])
    top, bottom = max(math.floor(y.min()), 0), min(math.ceil(y.max()) + 1, shape[0])
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


@dataclass(frozen=True)
class Hits:
    """What each ray meets first.

    Attributes:
        distance: (H, W) float32 along the ray, inf for nothing.
        shape: (H, W) int16 index of the shape, -1 for none.
        face: (H, W) int8 index of its plane, -1 on an ellipsoid.
    """

    distance: F32
    shape: NDArray[np.int16]
    face: NDArray[np.int8]


def cast(shapes: Sequence[Shape], places: F32, view: View) -> Hits:
    """Meet every ray of `view` with every shape, each standing at its row of `places` (N, 3)."""
    hits = Hits(
        np.full(view.shape, np.inf, np.float32),
        np.full(view.shape, -1, np.int16),
        np.full(view.shape, -1, np.int8),
    )
    # From near to far, so that leaves that are hidden anyway need not be told from gaps.
    for index in np.argsort(places @ view.forward, kind="stable"):
        shape, place = shapes[index], places[index]
        corners = shape.low + _CORNERS * (shape.high - shape.low)
        turn = yaw_matrix(shape.yaw)
        window = view.window(corners @ turn.T + place)
        if window is None:
            continue
        origin, direction = view.rays(window)
        local = turn.T @ (origin - place[:, None]), turn.T @ direction
        known = hits.distance[window]
        if shape.planes is None:
            distance, face = _meet_ellipsoid(shape, *local, known.reshape(-1))
        else:
            distance, face = _meet_convex(shape, *local)
        distance = distance.reshape(known.shape)
        nearer = distance < known
        known[nearer] = distance[nearer]
        hits.shape[window][nearer] = index
        hits.face[window][nearer] = face.reshape(known.shape)[nearer]
    return hits


def yaw_matrix(yaw: float) -> F32:
    """(3, 3) turn about the vertical, from local to world axes."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)


def _meet_convex(shape: Shape, origin: F32, direction: F32) -> tuple[F32, NDArray[np.int8]]:
    """Distance to where each ray enters the solid (inf for a miss), and by which plane."""
    assert shape.planes is not None
    normals, limits = shape.planes[:, :3], shape.planes[:, 3:]
    along = normals @ direction
    along = np.where(np.abs(along) < 1e-9, np.float32(1e-9), along)
    at = (limits - normals @ origin) / along
    inward = np.where(along < 0, at, -np.inf)
    face = inward.argmax(axis=0)
    enter = np.take_along_axis(inward, face[None], axis=0)[0]
    leave = np.where(along > 0, at, np.inf).min(axis=0)
    return np.where((enter < leave) & (enter > NEAR_M), enter, np.inf), face.astype(np.int8)


def _meet_ellipsoid(shape: Shape, origin: F32, direction: F32, known: F32) -> tuple[F32, NDArray[np.int8]]:
    """Distance to the ellipsoid where that is below `known`; leaves have gaps that show what is behind."""
    o, d = origin / shape.high[:, None], direction / shape.high[:, None]
    a, b, c = (d * d).sum(axis=0), (o * d).sum(axis=0), (o * o).sum(axis=0) - 1
    root = b * b - a * c
    hit = root > 0
    half = np.sqrt(np.where(hit, root, 0))
    # All ways through a ball are (half / sqrt(a)) long: 1 through the middle, 0 at the outline.
    thickness = np.minimum(half / np.sqrt(a), 1)
    best = np.full(hit.shape, np.inf, np.float32)
    for sign in (-1.0, 1.0):
        at = (-b + sign * half) / a
        good = hit & (at > NEAR_M) & (at < np.minimum(best, known))
        if shape.surface == Surface.LEAVES:
            rows = np.flatnonzero(good)
            good[rows] = _is_leaf(shape, (origin + at * direction)[:, rows], thickness[rows])
        best = np.where(good, at, best)
    return best, np.full(best.shape, -1, np.int8)


def _is_leaf(shape: Shape, points: F32, thickness: F32) -> NDArray[np.bool_]:
    """Which points of a crown are leaves: the thinner the crown along the ray, the more gaps."""
    grain, gaps, seed = shape.look[0], shape.look[1], shape.look[2]
    x, y, z = points / grain + seed
    noise = 0.6 * value_noise(x, y, z) + 0.4 * value_noise(x * 2.7, y * 2.7, z * 2.7)
    return noise > gaps + 0.5 * (1 - thickness) ** 1.5
