"""What a street is made of: a camera, a road, light, and solid shapes.

World axes: x right, y down, z forward, metres; the ground is y = 0 and the camera stands above (0, 0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion, Vector

F32 = NDArray[np.float32]


class Surface(IntEnum):
    """What a shape looks like; the shader has one function for each."""

    PLAIN = 0
    FACADE = 1
    ROOF = 2
    CAR_BODY = 3
    CAR_CABIN = 4
    WHEEL = 5
    LEAVES = 6
    BARK = 7
    SIGN = 8
    CONCRETE = 9
    RAIL = 10
    LAMP = 11
    HILL = 12


@dataclass(frozen=True, eq=False)
class Shape:
    """A convex solid, or an ellipsoid, turned by `yaw` about the vertical and placed at `place`.

    Attributes:
        surface: what it looks like.
        place: world position of its local origin, (3,) metres.
        yaw: turn about the vertical, radians; 0 leaves local z along world z.
        low, high: local bounds, (3,) metres; an ellipsoid fills them.
        planes: (F, 4) local (normal, d), inside where normal . x <= d; None for an ellipsoid.
        colour: (3,) linear albedo.
        look: (4,) numbers that its surface understands.
        actor: object id, 0 for the static world.
    """

    surface: Surface
    place: F32
    yaw: float
    low: F32
    high: F32
    planes: F32 | None
    colour: F32
    look: F32
    actor: int = 0


def f32(*values: float) -> F32:
    """The values as a float32 vector."""
    return np.array(values, np.float32)


def box(surface: Surface, place: F32, yaw: float, size: Sequence[float], colour: F32, **rest: Any) -> Shape:
    """A box of `size` (width, height, length) that stands on `place`."""
    width, height, length = size
    profile = [(-length / 2, 0.0), (-length / 2, -height), (length / 2, -height), (length / 2, 0.0)]
    return extrusion(surface, place, yaw, profile, width / 2, colour, **rest)


def extrusion(
    surface: Surface,
    place: F32,
    yaw: float,
    profile: Sequence[tuple[float, float]],
    half_width: float,
    colour: F32,
    *,
    lean: float = 0.0,
    **rest: Any,
) -> Shape:
    """A convex outline in the local (z, y) plane, drawn out along x.

    Args:
        surface: what it looks like.
        place: world position of its local origin.
        yaw: turn about the vertical, radians.
        profile: (z, y) corners, clockwise as seen with z to the right and y down, convex.
        half_width: half the width at the lowest point of the outline, metres.
        colour: linear albedo.
        lean: how far the sides lean inward for each metre of height.
        **rest: `look` and `actor` of the shape.
    """
    points = np.array(profile, np.float32)
    edges = np.roll(points, -1, axis=0) - points
    normals = np.stack([np.zeros(len(points)), -edges[:, 0], edges[:, 1]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = normals[:, 1] * points[:, 1] + normals[:, 2] * points[:, 0]
    # A corner order of the other sense would turn the solid inside out: make every normal point outward.
    inside = points.mean(axis=0)
    outward = np.sign(distances - normals[:, 1] * inside[1] - normals[:, 2] * inside[0])
    rows = np.column_stack([normals, distances]) * outward[:, None]
    bottom = points[:, 1].max()
    scale = 1 / math.hypot(1, lean)
    sides = [(sign * scale, -lean * scale, 0.0, (half_width - lean * bottom) * scale) for sign in (1.0, -1.0)]
    low = f32(-half_width, points[:, 1].min(), points[:, 0].min())
    high = f32(half_width, bottom, points[:, 0].max())
    planes = np.concatenate([rows, np.array(sides)]).astype(np.float32)
    look = rest.pop("look", f32(0, 0, 0, 0))
    return Shape(surface, place, yaw, low, high, planes, colour, look, **rest)


def ellipsoid(surface: Surface, place: F32, half: Sequence[float], colour: F32, **rest: Any) -> Shape:
    """An ellipsoid with semi-axes `half`, its middle at `place`."""
    extent = np.array(half, np.float32)
    look = rest.pop("look", f32(0, 0, 0, 0))
    return Shape(surface, place, 0.0, -extent, extent, None, colour, look, **rest)


def post(surface: Surface, place: F32, radius: float, height: float, colour: F32, **rest: Any) -> Shape:
    """An upright post with eight sides that stands on `place`."""
    look = rest.pop("look", f32(0, 0, 0, 0))
    angles = np.arange(8) * math.pi / 4
    sides = np.column_stack([np.cos(angles), np.zeros(8), np.sin(angles), np.full(8, radius)])
    planes = np.vstack([sides, [0, 1, 0, 0], [0, -1, 0, height]]).astype(np.float32)
    low, high = f32(-radius, -height, -radius) * f32(1.1, 1, 1.1), f32(radius, 0, radius) * f32(1.1, 1, 1.1)
    return Shape(surface, place, 0.0, low, high, planes, colour, look, **rest)


@dataclass(frozen=True)
class Pose:
    """Where the camera stands at mid exposure: metres above the ground, and degrees off the z axis."""

    height_m: float
    pitch_deg: float
    yaw_deg: float
    roll_deg: float

    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) turn from camera axes to world axes; a positive pitch looks down."""
        pitch, yaw, roll = (math.radians(v) for v in (self.pitch_deg, self.yaw_deg, self.roll_deg))
        about_x = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
        about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        turn: NDArray[np.float64] = about_y @ about_x @ about_z
        return turn


@dataclass(frozen=True)
class Road:
    """The ground's plan. The middle of the road is x = start + slope z + bend z^2 / 2.

    Attributes:
        start_m, slope, bend: the middle line.
        lane_m: width of one lane.
        lanes: how many on each side (left, right).
        dash_m: period and length of the dashes.
        marks: strength of centre line, lane lines and edge lines, 0 to 1.
        yellow: whether the centre line is yellow.
        kerb_m: height of all that is not road.
        walk_m: width of the pavement; beyond it grows grass, or more pavement when `paved`.
        paved: whether no grass grows beside the road.
        cross_m: z of a crossing street's middle and half its width (0 for none).
        tone: albedo of the asphalt, and of the pavement.
        grass: albedo of the grass.
        seed: of the textures.
    """

    start_m: float
    slope: float
    bend: float
    lane_m: float
    lanes: tuple[int, int]
    dash_m: tuple[float, float]
    marks: Vector
    yellow: bool
    kerb_m: float
    walk_m: float
    paved: bool
    cross_m: tuple[float, float]
    tone: tuple[float, float]
    grass: Vector
    seed: int

    def middle(self, z: Any) -> Any:
        """Where the middle line is at `z`, as x in metres."""
        return self.start_m + self.slope * z + self.bend / 2 * z * z

    def heading(self, z: float) -> float:
        """Direction of the middle line at `z`, as a yaw in radians."""
        return math.atan(self.slope + self.bend * z)

    @property
    def edges_m(self) -> tuple[float, float]:
        """Left and right edge of the asphalt, from the middle line."""
        return -self.lanes[0] * self.lane_m, self.lanes[1] * self.lane_m


@dataclass(frozen=True)
class Light:
    """Sun, sky and camera response.

    Attributes:
        sun: unit vector towards the sun (world axes).
        sun_rgb: light of the sun on a surface that faces it (0 for an overcast sky).
        zenith_rgb, horizon_rgb: the sky's light above and at the horizon.
        clouds: share of the sky that clouds cover, 0 to 1.
        haze_per_m: extinction of the air.
        lamps: light of lamps and lit windows, 0 by day.
        gain: exposure.
        contrast: of the camera's curve, 1 is none.
        noise: standard deviation of the sensor's noise in light of 1; it grows with the root of the light.
        seed: of clouds.
    """

    sun: Vector
    sun_rgb: Vector
    zenith_rgb: Vector
    horizon_rgb: Vector
    clouds: float
    haze_per_m: float
    lamps: float
    gain: float
    contrast: float
    noise: float
    seed: int


@dataclass(frozen=True, eq=False)
class Street:
    """One street at mid exposure, and what moves in it."""

    seed: int
    kind: str
    pose: Pose
    road: Road
    light: Light
    shapes: tuple[Shape, ...]
    motion: Motion
