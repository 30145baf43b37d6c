"""What surfaces look like close by: albedo, gloss and own light at points of shapes and ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.streets.noise import cell_noise, fractal_noise, value_noise
from blurdepth.streets.scene import F32, Road, Surface


@dataclass(frozen=True)
class Patch:
    """N points of one kind of surface.

    Attributes:
        local: (3, N) in the axes of the shape, metres.
        normal: (3, N) local unit normals.
        low, high: (3, N) local bounds of the shape.
        colour: (3, N) its albedo.
        look: (4, N) its numbers.
        foot: (N,) width of a pixel there, metres.
    """

    local: F32
    normal: F32
    low: F32
    high: F32
    colour: F32
    look: F32
    foot: F32


@dataclass
class Skin:
    """Albedo (3, N), gloss (N,) as share of mirrored sky, glow (N,) as share of the lamps' light."""

    albedo: F32
    gloss: Any = 0.0
    glow: Any = 0.0


def _band(value: Any, half: Any, foot: Any) -> Any:
    """Coverage of a band |value| < half by a pixel of width `foot`, 0 to 1."""
    return np.clip((half - np.abs(value)) / np.maximum(foot, 1e-4) + 0.5, 0, 1)


def _detail(size: float, foot: Any) -> Any:
    """How much of a texture of `size` metres is left in a pixel of width `foot`, 0 to 1."""
    return np.clip(1.5 - foot / size, 0, 1)


def _mix(a: Any, b: Any, share: Any) -> Any:
    return a + (b - a) * share


def _along(patch: Patch) -> Any:
    """Horizontal coordinate on a wall: along z on the sides, along x on the ends."""
    return np.where(np.abs(patch.normal[0]) > np.abs(patch.normal[2]), patch.local[2], patch.local[0])


def _grey(*values: float) -> F32:
    return np.array(values, np.float32)[:, None]


def _plain(patch: Patch) -> Skin:
    return Skin(patch.colour, gloss=patch.look[3])


def _facade(patch: Patch) -> Skin:
    """Rows of windows with frames and sills, a ground floor, stains. look: bay, storey, open share, seed."""
    bay, storey, share, seed = patch.look
    across, up = _along(patch), patch.high[1] - patch.local[1]
    column, row = np.floor(across / bay), np.floor(up / storey)
    x, y = across - (column + 0.5) * bay, up - (row + 0.55) * storey
    wide, tall = bay * share / 2, storey * 0.3
    is_wall = np.abs(patch.normal[1]) < 0.5
    top = patch.high[1] - patch.low[1]
    fits = is_wall & ((row + 1) * storey < top) & (cell_noise(seed, 3) + (row > 0) > 0.35)
    ground = is_wall & (row == 0)
    wide, tall = np.where(ground, bay * 0.42, wide), np.where(ground, storey * 0.36, tall)
    inside = _band(x, wide, patch.foot) * _band(y, tall, patch.foot) * fits
    glass = inside * _band(x, wide - 0.07, patch.foot) * _band(y, tall - 0.07, patch.foot)
    bars = np.maximum(_band(x, 0.035, patch.foot), _band(y - tall * 0.3, 0.03, patch.foot)) * (~ground)
    glass = glass * (1 - bars)
    kind = cell_noise(column + seed * 7, row + seed * 13)
    stain = fractal_noise(across * 0.35 + seed, up * 0.12, octaves=3)
    fine = (value_noise(across * 9, up * 9) - 0.5) * _detail(0.12, patch.foot)
    wall = patch.colour * (0.72 + 0.45 * stain + 0.12 * fine)
    wall = wall * (1 - 0.3 * _band(up - storey * 1.02, 0.09, patch.foot)) * np.where(ground, 0.85, 1.0)
    ledge = (
        _band(up - top + 0.35, 0.12, patch.foot)
        + _band(y + tall + 0.06, 0.06, patch.foot) * (np.abs(x) < wide + 0.1) * fits
    )
    wall = wall * (1 + 0.25 * np.clip(ledge, 0, 1))
    albedo = _mix(wall, _mix(_grey(0.6, 0.6, 0.58), patch.colour * 0.4, kind > 0.6), inside)
    curtain = np.clip((kind - 0.72) * 6, 0, 1) * (y > -tall * 0.2)
    albedo = _mix(albedo, _mix(_grey(0.02, 0.024, 0.028), _grey(0.35, 0.33, 0.3), curtain * 0.7), glass)
    return Skin(
        albedo,
        gloss=glass * (0.1 + 0.3 * kind),
        glow=glass * (0.15 + kind) * (kind < np.where(ground, 0.5, 0.28)),
    )


def _roof(patch: Patch) -> Skin:
    rows = np.abs(np.sin(patch.local[1] * 14)) * _detail(0.2, patch.foot)
    stain = fractal_noise(patch.local[2] * 0.6 + patch.look[3], patch.local[1], octaves=2)
    return Skin(patch.colour * (0.7 + 0.35 * stain + 0.2 * rows))


def _car_body(patch: Patch) -> Skin:
    """Paint with lamps, plates, seams and a dark sill. look: wheel radius, wheel z front, rear, seed."""
    x, y, z = patch.local
    radius, front, rear, seed = patch.look
    half = patch.high[0]
    belt, side = patch.low[1], np.abs(patch.normal[0]) > 0.6
    paint = patch.colour
    arch = np.maximum(
        _band(np.hypot(z - front, y + radius), radius * 1.16, patch.foot),
        _band(np.hypot(z - rear, y + radius), radius * 1.16, patch.foot),
    )
    seam = _band(z - 0.25, 0.012, patch.foot) + _band(z + 0.75, 0.012, patch.foot)
    handle = _band(y - belt * 0.82, 0.025, patch.foot) * np.maximum(
        _band(z + 0.55, 0.1, patch.foot), _band(z - 0.42, 0.1, patch.foot)
    )
    sill = np.clip((y + radius * 0.95) / np.maximum(patch.foot, 0.03), 0, 1)
    dark = np.clip(np.where(side, arch + 0.5 * seam + 0.5 * handle, 0) + sill, 0, 1)
    albedo = _mix(paint, _grey(0.012, 0.012, 0.013), dark)
    ends = np.abs(patch.normal[2]) > 0.6
    ahead = patch.normal[2] > 0
    height = (y - belt) / (patch.high[1] - belt)
    lamp = ends * _band(height - 0.3, 0.13, 0.04) * np.clip((np.abs(x) - half * 0.58) * 20, 0, 1)
    albedo = _mix(albedo, np.where(ahead, _grey(0.75, 0.75, 0.72), _grey(0.42, 0.012, 0.01)), lamp)
    grille = ends * ahead * _band(height - 0.42, 0.14, 0.05) * _band(x, half * 0.5, patch.foot)
    albedo = _mix(albedo, _grey(0.02, 0.02, 0.022), grille)
    plate = ends * _band(height - 0.66, 0.08, 0.05) * _band(x, 0.26, patch.foot)
    albedo = _mix(albedo, _grey(0.7, 0.7, 0.66), plate)
    gloss = (1 - dark) * (1 - lamp) * np.where(patch.normal[1] < -0.5, 0.12, 0.05)
    return Skin(albedo, gloss=gloss, glow=lamp * np.where(ahead, 1.6, 0.35) * (seed < 0.8))


def _car_cabin(patch: Patch) -> Skin:
    """Glass between roof and pillars. look: pillar z, share of panels at the rear (vans), -, seed."""
    x, y, z = patch.local
    belt, roof = patch.high[1], patch.low[1]
    height = (belt - y) / (belt - roof)
    side = np.abs(patch.normal[0]) > 0.6
    length = patch.high[2] - patch.low[2]
    # The slanted ends: how far in from the outline along z at this height is told by the normals alone, so
    # pillars are drawn as a margin to the top and the bottom and as one upright band.
    rows = np.clip((height - 0.1) * 40, 0, 1) * np.clip((0.88 - height) * 40, 0, 1)
    pillars = _band(z - patch.look[0], 0.05, patch.foot) + _band(z - patch.look[0] + 0.32 * length, 0.045, patch.foot)
    side_glass = rows * (1 - np.clip(pillars, 0, 1)) * (z > patch.low[2] + patch.look[1] * length)
    end_glass = rows * _band(x, patch.high[0] * 0.86 - 0.2 * height * patch.high[0], patch.foot)
    end_glass = end_glass * ((patch.normal[2] > 0) | (patch.look[1] < 0.3))
    glass = np.where(patch.normal[1] < -0.93, 0, np.where(side, side_glass, end_glass))
    albedo = _mix(patch.colour, _grey(0.012, 0.014, 0.016), glass)
    return Skin(albedo, gloss=_mix(0.07, 0.16, glass))


def _wheel(patch: Patch) -> Skin:
    _, y, z = patch.local
    radius = patch.high[2]
    hub = _band(np.hypot(y - (patch.low[1] + patch.high[1]) / 2, z), radius * 0.62, patch.foot)
    spokes = 0.5 + 0.5 * np.sin(np.arctan2(y - (patch.low[1] + patch.high[1]) / 2, z) * 5)
    return Skin(_mix(_grey(0.012, 0.012, 0.012), _grey(0.3, 0.3, 0.31) * (0.4 + 0.6 * spokes), hub))


def _leaves(patch: Patch) -> Skin:
    """Clumps, lighter outside and above than inside and below. look: grain, gaps, seed, yellowing."""
    grain, _, seed, yellow = patch.look
    x, y, z = patch.local / grain + seed
    clump = value_noise(x * 0.9, y * 0.9, z * 0.9)
    leaf = value_noise(x * 4.1, y * 4.1, z * 4.1)
    tint = _mix(np.ones((3, 1), np.float32), _grey(1.7, 1.15, 0.6), yellow * leaf)
    return Skin(patch.colour * tint * (0.15 + 0.7 * clump * clump + 1.7 * leaf**3))


def _bark(patch: Patch) -> Skin:
    angle = np.arctan2(patch.local[0], patch.local[2])
    return Skin(patch.colour * (0.6 + 0.8 * value_noise(angle * 6, patch.local[1] * 2.5)))


def _sign(patch: Patch) -> Skin:
    """A coloured face with a rim and a mark; grey from behind. look: mark tone, -, -, seed."""
    centre = (patch.low + patch.high) / 2
    x, y = patch.local[0] - centre[0], patch.local[1] - centre[1]
    half_x, half_y = patch.high[0] - centre[0], patch.high[1] - centre[1]
    face = _band(x, half_x * 0.86, patch.foot) * _band(y, half_y * 0.88, patch.foot)
    rows = _band(np.mod(y / half_y * 2.2, 1) - 0.5, 0.2, patch.foot) * _band(x, half_x * 0.6, patch.foot)
    albedo = _mix(_grey(0.65, 0.65, 0.65), patch.colour, face)
    albedo = _mix(albedo, patch.look[0] * _grey(1, 1, 1), rows * face)
    return Skin(np.where(patch.normal[2] < 0, albedo, _grey(0.16, 0.165, 0.17)))


def _concrete(patch: Patch) -> Skin:
    across = _along(patch)
    stain = fractal_noise(across * 0.4 + patch.look[3], patch.local[1] * 1.4, octaves=3)
    joint = _band(np.mod(across, 4.0) - 2.0, 0.02, patch.foot)
    return Skin(patch.colour * (0.65 + 0.6 * stain) * (1 - 0.5 * joint))


def _rail(patch: Patch) -> Skin:
    wave = np.cos(patch.local[1] * 40) * _detail(0.1, patch.foot)
    return Skin(patch.colour * (0.85 + 0.2 * wave), gloss=0.1)


def _lamp(patch: Patch) -> Skin:
    return Skin(patch.colour, glow=3.0)


def _hill(patch: Patch) -> Skin:
    woods = fractal_noise(patch.local[0] * 0.05, patch.local[1] * 0.12, patch.local[2] * 0.05, octaves=4)
    return Skin(patch.colour * (0.4 + 1.1 * woods))


SKINS: dict[Surface, Callable[[Patch], Skin]] = {
    Surface.PLAIN: _plain,
    Surface.FACADE: _facade,
    Surface.ROOF: _roof,
    Surface.CAR_BODY: _car_body,
    Surface.CAR_CABIN: _car_cabin,
    Surface.WHEEL: _wheel,
    Surface.LEAVES: _leaves,
    Surface.BARK: _bark,
    Surface.SIGN: _sign,
    Surface.CONCRETE: _concrete,
    Surface.RAIL: _rail,
    Surface.LAMP: _lamp,
    Surface.HILL: _hill,
}


def on_road(road: Road, x: Any, z: Any) -> NDArray[np.bool_]:
    """Which points of the plan are asphalt."""
    left, right = road.edges_m
    across = x - road.middle(z)
    asphalt: NDArray[np.bool_] = ((across > left) & (across < right)) | (np.abs(z - road.cross_m[0]) < road.cross_m[1])
    return asphalt


def ground(road: Road, x: Any, z: Any, foot: Any, kerb: Any) -> Skin:
    """The ground at points (N,) of the plan; `kerb` marks those on the kerb's face."""
    across = x - road.middle(z)
    is_road = on_road(road, x, z)
    left, right = road.edges_m
    beyond = np.maximum(left - across, across - right)
    asphalt = _asphalt(road, x, z, across, foot)
    paving = _paving(road, x, z, foot)
    grass = _grass(road, x, z, foot)
    walk = _band(beyond - road.walk_m / 2, road.walk_m / 2, foot) if road.walk_m > 0 else 0.0
    beside = paving if road.paved else _mix(grass, paving, walk)
    stone = (_band(beyond - 0.08, 0.08, foot) if road.walk_m > 0 else 0.0) * (~is_road)
    beside = _mix(beside, _grey(1, 1, 1) * road.tone[1] * 1.15, stone)
    albedo = np.where(is_road, asphalt, beside)
    return Skin(np.where(kerb, road.tone[1] * 0.7 * _grey(1, 1, 0.97), albedo).astype(np.float32))


def _asphalt(road: Road, x: Any, z: Any, across: Any, foot: Any) -> Any:
    seed = road.seed
    lane = np.mod(across, road.lane_m) / road.lane_m - 0.5
    tracks = np.exp(-(((np.abs(lane) - 0.24) / 0.09) ** 2))
    oil = np.exp(-((lane / 0.1) ** 2))
    broad = fractal_noise(across * 0.3 + seed, z * 0.07, octaves=3) - 0.5
    grain = (value_noise(x * 21, z * 21) - 0.5) * _detail(0.06, foot)
    grain = grain + (value_noise(x * 6, z * 6) - 0.5) * 0.5 * _detail(0.2, foot)
    mended = value_noise(across * 0.25 + seed, z * 0.05 + seed) > 0.78
    crack = _band(value_noise(across * 0.6 + 5, z * 0.25 + seed) - 0.5, 0.004, foot * 0.4) * _detail(0.08, foot)
    tone = 1 + 0.35 * broad + 0.3 * grain - 0.1 * tracks - 0.07 * oil - 0.12 * mended - 0.2 * crack
    albedo = road.tone[0] * tone * _grey(1.0, 0.99, 0.975)
    worn = 0.55 + 0.45 * np.clip(fractal_noise(x * 1.7, z * 1.7, octaves=2) * 2.2 - 0.3, 0, 1)
    white, yellow = _grey(0.62, 0.62, 0.6), _grey(0.58, 0.4, 0.06)
    centre, other = _markings(road, across, z, foot)
    albedo = _mix(albedo, yellow if road.yellow else white, centre * worn)
    return _mix(albedo, white, other * worn)


def _markings(road: Road, across: Any, z: Any, foot: Any) -> tuple[Any, Any]:
    """Coverage by the centre line, and by lane lines, edge lines and the crossing's stripes."""
    period, length = road.dash_m
    # Along the road a pixel is much longer than wide; four times is a fair mean for these cameras.
    dashes = _band(np.mod(z, period) - period / 2, length / 2, foot * 4)
    left, right = road.edges_m
    lane_line = np.abs(across - np.round(across / road.lane_m) * road.lane_m)
    inner = (np.abs(across) > road.lane_m / 2) & (across > left + 0.5) & (across < right - 0.5)
    edge = _band(across - left - 0.25, 0.07, foot) + _band(across - right + 0.25, 0.07, foot)
    centre_on = _band(across, 0.07, foot) * (1.0 if road.yellow else dashes) * road.marks[0]
    other = _band(lane_line, 0.06, foot) * dashes * inner * road.marks[1] + edge * road.marks[2]
    if road.cross_m[1] > 0:
        ahead = road.cross_m[0] - road.cross_m[1]
        clear = (np.abs(z - road.cross_m[0]) > road.cross_m[1] + 4.5) * 1.0
        stripes = _band(np.mod(across, 1.0) - 0.5, 0.25, foot) * _band(z - ahead + 2.2, 1.5, foot * 4)
        stop = _band(z - ahead + 4.9, 0.2, foot * 4) * (across > 0)
        inside = (across > left + 0.2) & (across < right - 0.2)
        return centre_on * clear, np.clip(other * clear + (stripes + stop) * inside * 0.9, 0, 1)
    return centre_on, np.clip(other, 0, 1)


def _paving(road: Road, x: Any, z: Any, foot: Any) -> Any:
    slab = cell_noise(np.floor(x / 0.5), np.floor(z / 0.5)) - 0.5
    joint = np.maximum(_band(np.mod(x, 0.5) - 0.25, 0.008, foot), _band(np.mod(z, 0.5) - 0.25, 0.008, foot * 3))
    broad = fractal_noise(x * 0.25 + road.seed, z * 0.25, octaves=3) - 0.5
    fade = _detail(0.4, foot * 2)
    tone = road.tone[1] * (1 + 0.4 * broad + (0.16 * slab - 0.3 * joint) * fade)
    return tone * _grey(1.0, 0.97, 0.93)


def _grass(road: Road, x: Any, z: Any, foot: Any) -> Any:
    broad = fractal_noise(x * 0.15 + road.seed, z * 0.15, octaves=4)
    blade = (value_noise(x * 13, z * 13) - 0.5) * _detail(0.08, foot) + (value_noise(x * 3, z * 3) - 0.5) * 0.6
    dry = np.clip((broad - 0.5) * 3, 0, 1)
    return _mix(_grey(*road.grass), _grey(0.2, 0.16, 0.09), dry) * (0.65 + 0.5 * broad + 0.7 * blade)
