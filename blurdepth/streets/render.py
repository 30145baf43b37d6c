"""From a street to light, inverse depth and object ids at one moment; and from light to a photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Pinhole
from blurdepth.errors import InputError
from blurdepth.images import Linear, Rgb, linear_to_srgb
from blurdepth.streets.cast import CameraView, Hits, SunView, cast, yaw_matrix
from blurdepth.streets.noise import fractal_noise
from blurdepth.streets.scene import F32, Light, Shape, Street, Surface
from blurdepth.streets.surfaces import SKINS, Patch, Skin, ground, on_road

LAMP_RGB = (1.0, 0.72, 0.42)


@dataclass(frozen=True)
class Rendering:
    """What the camera sees at one moment.

    Attributes:
        linear: (H, W, 3) float32 linear light, 0 to about 1, before the camera's curve and noise.
        inverse_depth: (H, W) float32, 1/m, 0 for the sky.
        object_ids: (H, W) uint8, 0 for the static world.
    """

    linear: Linear
    inverse_depth: NDArray[np.float32]
    object_ids: NDArray[np.uint8]


@dataclass(frozen=True)
class _Points:
    """What N rays meet: world point (3, N), depth (N,), unit direction to it (3, N), width of a pixel there (N,)."""

    world: F32
    distance: F32
    direction: F32
    foot: F32


def render(street: Street, width: int, height: int, time: float = 0.0, samples: int = 1) -> Rendering:
    """Cast the rays of one frame.

    Args:
        street: from `make_street`.
        width: of the frame, pixels.
        height: of the frame, pixels.
        time: -0.5 to 0.5, in exposures; moves the camera and the objects by the street's motion.
        samples: rays a side of each pixel; light and inverse depth are their means, the id is the nearest's.

    Returns:
        Linear light, inverse depth (of the depth z, not of the ray's length), and ids.

    Raises:
        InputError: the frame has no pixels, or `samples` is below 1.
    """
    if min(width, height, samples) < 1:
        raise InputError(f"A frame of {width} x {height} with {samples} samples can't be rendered: give 1 or more.")
    pinhole = Pinhole(width * samples, height * samples, street.motion.fov_x_deg)
    view, places = _at(street, pinhole, time)
    hits = cast(street.shapes, places, view)
    on_ground, kerb, distance = _meet_ground(street, view, hits.distance)
    hits = Hits(distance, np.where(on_ground, -1, hits.shape), hits.face)
    light = _shade(street, view, hits, places, on_ground, kerb)
    inverse = np.where(np.isfinite(distance), 1 / np.maximum(distance, 1e-3), 0).astype(np.float32)
    actors = np.array([shape.actor for shape in street.shapes] + [0], np.uint8)
    return _gather(light, inverse, actors[hits.shape], samples)


def _gather(light: F32, inverse: F32, ids: NDArray[np.uint8], samples: int) -> Rendering:
    if samples == 1:
        return Rendering(light, inverse, ids)
    height, width = inverse.shape[0] // samples, inverse.shape[1] // samples
    blocks = inverse.reshape(height, samples, width, samples).transpose(0, 2, 1, 3).reshape(height, width, -1)
    of_ids = ids.reshape(height, samples, width, samples).transpose(0, 2, 1, 3).reshape(height, width, -1)
    nearest = blocks.argmax(axis=2)[..., None]
    colours = light.reshape(height, samples, width, samples, 3).mean(axis=(1, 3), dtype=np.float32)
    return Rendering(
        colours, blocks.mean(axis=2, dtype=np.float32), np.take_along_axis(of_ids, nearest, axis=2)[..., 0]
    )


def _at(street: Street, pinhole: Pinhole, time: float) -> tuple[CameraView, F32]:
    """The camera and the places of all shapes at `time`."""
    turn = street.pose.rotation()
    start = np.array([0.0, -street.pose.height_m, 0.0])
    position = start + turn @ np.array(street.motion.translation_m) * time
    rotation = turn @ rotation_matrix(np.array(street.motion.rotation_deg) * time)
    moves = np.zeros((256, 3))
    for actor, move in street.motion.objects.items():
        moves[actor] = turn @ np.array(move) * time
    places = np.array([shape.place + moves[shape.actor] for shape in street.shapes], np.float32).reshape(-1, 3)
    return CameraView(pinhole, position.astype(np.float32), rotation.astype(np.float32)), places


def rotation_matrix(vector_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) turn by a rotation vector in degrees.

    Source: Rodrigues' formula.
    """
    angle = math.radians(float(np.linalg.norm(vector_deg)))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = np.radians(vector_deg) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: NDArray[np.float64] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return turn


def _meet_ground(street: Street, view: CameraView, known: F32) -> tuple[NDArray[np.bool_], NDArray[np.bool_], F32]:
    """Which rays end on the ground, which of them on the kerb's face, and the distance of all rays."""
    road = street.road
    down = view.directions[1]
    with np.errstate(divide="ignore"):
        low = np.where(down > 1e-6, -view.position[1] / down, np.inf)
        high = np.where(down > 1e-6, (-road.kerb_m - view.position[1]) / down, np.inf)
    meets = np.isfinite(low)
    safe_low, safe_high = np.where(meets, low, 1.0), np.where(meets, high, 1.0)
    x, z = view.position[0], view.position[2]
    high_is_road = on_road(road, x + view.directions[0] * safe_high, z + view.directions[2] * safe_high)
    low_is_road = on_road(road, x + view.directions[0] * safe_low, z + view.directions[2] * safe_low)
    kerb = high_is_road & ~low_is_road & meets
    distance = np.where(high_is_road, low, high).astype(np.float32)
    on_ground = distance < known
    return on_ground, kerb & on_ground, np.minimum(distance, known)


def _shade(street: Street, view: CameraView, hits: Hits, places: F32, on_ground: Any, kerb: Any) -> F32:
    """(H, W, 3) linear light."""
    light = street.light
    directions = view.directions.reshape(3, -1)
    distance, shape = hits.distance.reshape(-1), hits.shape.reshape(-1)
    unit = directions / np.linalg.norm(directions, axis=0)
    picture = sky(light, unit)
    solid = np.flatnonzero(np.isfinite(distance))
    direction, away = directions[:, solid], distance[solid]
    world = view.position[:, None] + direction * away
    points = _Points(world, away, unit[:, solid], away / np.float32(view.pinhole.focal_px))
    normal, skin = _look(street, points, shape[solid], hits.face.reshape(-1)[solid], places, kerb.reshape(-1)[solid])
    lit = 1 - _shadow(street, places, points, normal)
    ground_rows = on_ground.reshape(-1)[solid]
    under = _beneath_cars(street, places, points, ground_rows)
    colour = _illuminate(light, skin, normal, lit, under, points, ground_rows)
    through = np.exp(-light.haze_per_m * away)
    horizon = np.array(light.horizon_rgb, np.float32)[:, None]
    picture[:, solid] = colour * through + horizon * (1 - through)
    height, width = hits.distance.shape
    return (picture * light.gain).T.reshape(height, width, 3).astype(np.float32)


def _look(street: Street, points: _Points, shape: Any, face: Any, places: F32, kerb: Any) -> tuple[F32, Skin]:
    """World normals and skins of all points."""
    count = points.distance.size
    normal = np.zeros((3, count), np.float32)
    normal[1] = -1.0
    skin = Skin(np.zeros((3, count), np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32))
    rows = np.flatnonzero(shape < 0)
    below = ground(street.road, points.world[0, rows], points.world[2, rows], points.foot[rows], kerb[rows])
    skin.albedo[:, rows] = below.albedo
    tables = _tables(street.shapes)
    surfaces = np.where(shape < 0, -1, tables["surface"][shape])
    for surface in np.unique(surfaces[surfaces >= 0]):
        rows = np.flatnonzero(surfaces == surface)
        patch, turned = _patch(points, rows, shape[rows], face[rows], places, tables)
        made = SKINS[Surface(int(surface))](patch)
        normal[:, rows] = turned
        skin.albedo[:, rows], skin.gloss[rows], skin.glow[rows] = made.albedo, made.gloss, made.glow
    return normal, skin


def _tables(shapes: Sequence[Shape]) -> dict[str, Any]:
    """Attributes of all shapes, each as one array to be indexed by shape."""
    faces = max((len(s.planes) for s in shapes if s.planes is not None), default=1)
    normals = np.zeros((len(shapes), faces, 3), np.float32)
    for index, shape in enumerate(shapes):
        if shape.planes is not None:
            normals[index, : len(shape.planes)] = shape.planes[:, :3]
    return {
        "surface": np.array([s.surface for s in shapes] + [0]),
        "turn": np.array([yaw_matrix(s.yaw) for s in shapes]).reshape(-1, 3, 3),
        "low": np.array([s.low for s in shapes]).reshape(-1, 3),
        "high": np.array([s.high for s in shapes]).reshape(-1, 3),
        "colour": np.array([s.colour for s in shapes]).reshape(-1, 3),
        "look": np.array([s.look for s in shapes]).reshape(-1, 4),
        "normals": normals,
    }


def _patch(points: _Points, rows: Any, shape: Any, face: Any, places: F32, tables: Any) -> tuple[Patch, F32]:
    """The points of `rows` in the axes of their shapes, and their normals in the world's."""
    turn = tables["turn"][shape]
    offset = points.world[:, rows].T - places[shape]
    local = np.einsum("nji,nj->in", turn, offset)
    high = tables["high"][shape].T
    round_normal = local / np.where(face < 0, high, 1) ** 2
    round_normal /= np.linalg.norm(round_normal, axis=0) + 1e-9
    normal = np.where(face < 0, round_normal, tables["normals"][shape, face].T)
    patch = Patch(
        local,
        normal,
        tables["low"][shape].T,
        high,
        tables["colour"][shape].T,
        tables["look"][shape].T,
        points.foot[rows],
    )
    return patch, np.einsum("nij,jn->in", turn, normal)


def _shadow(street: Street, places: F32, points: _Points, normal: F32) -> Any:
    """Share of the sun that other shapes hide at each point, from a depth map seen by the sun."""
    if not any(street.light.sun_rgb):
        return 0.0
    middle = np.array([0.0, 0.0, SunView.SPAN_M / 2 - 8], np.float32)
    finest = float(np.median(points.foot)) if points.foot.size else 1.0
    side = int(np.clip(SunView.SPAN_M / max(2.5 * finest, 0.05), 400, 1600))
    view = SunView(street.light.sun, side, middle)
    hits = cast(street.shapes, places, view)
    column, row, depth = view.place(points.world + normal * 0.06)
    inside = (column > 0) & (row > 0) & (column < side - 1.01) & (row < side - 1.01)
    left, top = np.where(inside, column, 0).astype(int), np.where(inside, row, 0).astype(int)
    across, down = np.where(inside, column - left, 0), np.where(inside, row - top, 0)
    hidden: Any = 0.0
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (across if dx else 1 - across) * (down if dy else 1 - down)
        hidden = hidden + weight * (hits.distance[top + dy, left + dx] < depth - 0.12)
    return np.where(inside, hidden, 0.0)


def _beneath_cars(street: Street, places: F32, points: _Points, on_ground: Any) -> F32:
    """Share of the sky's light, (N,), that reaches the ground around and under cars; 1 elsewhere."""
    reach_m = 0.5
    left = np.ones(points.distance.size, np.float32)
    rows = np.flatnonzero(on_ground & (points.distance < 90))
    x, z = points.world[0, rows], points.world[2, rows]
    for shape, place in zip(street.shapes, places, strict=True):
        if shape.surface != Surface.CAR_BODY:
            continue
        cos, sin = math.cos(shape.yaw), math.sin(shape.yaw)
        near = np.flatnonzero(np.maximum(np.abs(x - place[0]), np.abs(z - place[2])) < shape.high[2] + 1.0)
        dx, dz = x[near] - place[0], z[near] - place[2]
        out = np.maximum(np.abs(cos * dx - sin * dz) - shape.high[0], np.abs(sin * dx + cos * dz) - shape.high[2])
        left[rows[near]] *= 1 - 0.85 * np.exp(-((np.clip(out + 0.25, 0, None) / reach_m) ** 2))
    return left


def _illuminate(light: Light, skin: Skin, normal: F32, lit: Any, under: Any, points: _Points, on_ground: Any) -> F32:
    """Sun, sky and the ground's bounce on the albedo, mirrored sky, and what glows itself."""
    sun, sun_rgb = np.array(light.sun, np.float32), np.array(light.sun_rgb, np.float32)[:, None]
    zenith, horizon = np.array(light.zenith_rgb, np.float32), np.array(light.horizon_rgb, np.float32)
    ambient = (0.5 * zenith + 0.3 * horizon)[:, None]
    facing = np.clip(np.where(on_ground, -normal[1], normal.T @ sun), 0, 1)
    facing = np.where(on_ground, max(float(-sun[1]), 0.0), facing)
    up = 0.5 - 0.5 * normal[1]
    # What stands on the ground sees less sky towards its foot.
    open_sky = np.where(on_ground, under, np.clip(0.55 - 0.25 * points.world[1], 0.55, 1.0))
    received = sun_rgb * facing * lit + ambient * (0.3 + 0.7 * up) * open_sky + 0.12 * sun_rgb * (1 - up)
    mirrored = points.direction - 2 * (normal * points.direction).sum(axis=0) * normal
    above = np.clip(0.5 - 4 * mirrored[1], 0, 1)
    seen = (0.18 * (1 - above) + (0.75 - 0.35 * np.clip(-mirrored[1], 0, 1)) * above) * horizon[:, None]
    lamps = np.array(LAMP_RGB, np.float32)[:, None] * light.lamps
    return skin.albedo * received * (1 - skin.gloss) + skin.gloss * seen + skin.glow * lamps


def sky(light: Light, directions: F32) -> F32:
    """Light (3, N) that comes from unit `directions` (3, N) far away."""
    rise = np.clip(-directions[1], 0, 1)
    zenith, horizon = (np.array(v, np.float32)[:, None] for v in (light.zenith_rgb, light.horizon_rgb))
    blend = np.clip(rise * 2.2, 0, 1) ** 0.6
    colour = horizon + (zenith - horizon) * blend
    flat = 1 / (rise + 0.12)
    cloud = fractal_noise(directions[0] * flat * 1.3 + light.seed, directions[2] * flat * 1.3, octaves=5)
    share = np.clip((cloud - 1 + light.clouds) * 4, 0, 1) * np.clip(rise * 8, 0, 1)
    shade = 0.75 + 0.5 * (cloud - 0.5)
    bright = np.array(light.horizon_rgb, np.float32)[:, None] * 1.05 * shade
    colour = colour + (bright - colour) * share * 0.85
    towards = np.clip(np.array(light.sun, np.float32) @ directions, 0, 1)
    glow = 0.35 * towards**6 + 1.2 * towards**80
    return np.asarray(colour + glow * np.array(light.sun_rgb, np.float32)[:, None] * 0.35, np.float32)


def photograph(street: Street, linear: Linear, seed: int = 0) -> Rgb:
    """What a camera makes of the light: a curve, slightly darker corners, noise of shot and sensor.

    Args:
        street: whose light and camera it is.
        linear: (H, W, 3) float32 linear light from `render`, or the mean of several.
        seed: of the noise, on top of the street's own.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    height, width = linear.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = linear * (1 - 0.12 * (x * x + y * y) / 2)[..., None].astype(np.float32)
    rng = np.random.default_rng((street.seed, seed))
    spread = street.light.noise * np.sqrt(np.clip(light, 0.002, 1))
    light = light + spread * rng.standard_normal(light.shape, dtype=np.float32)
    # A filmic shoulder keeps bright walls from clipping at once; the power below is the camera's contrast.
    light = np.clip(light, 0, None)
    shoulder = light * (1 + light / 4.0) / (1 + light * 0.45)
    middle = np.float32(0.18)
    return linear_to_srgb(middle * (shoulder / middle) ** np.float32(street.light.contrast))
