"""What the surfaces of solids look like close by, compiled: albedo, gloss and own light at a point."""

from __future__ import annotations

import math

from blurdepth.compiling import clamp, compiled, inlined, mix
from blurdepth.streets.noise import cell_noise, fractal2, fractal3, noise2, noise3
from blurdepth.streets.scene import Surface
from blurdepth.streets.solids import Solids

Point = tuple[float, float, float]
Skin = tuple[float, float, float, float, float]
"""Albedo (red, green, blue), gloss as share of mirrored sky, glow as share of the lamps' light."""


@inlined
def band(value: float, half: float, foot: float) -> float:
    """Coverage of a band |value| < half by a pixel of width `foot`, 0 to 1."""
    return clamp((half - abs(value)) / max(foot, 1e-4) + 0.5, 0.0, 1.0)


@inlined
def detail(size: float, foot: float) -> float:
    """How much of a texture of `size` metres is left in a pixel of width `foot`, 0 to 1."""
    return clamp(1.5 - foot / size, 0.0, 1.0)


@inlined
def _mixed(skin: Point, red: float, green: float, blue: float, share: float) -> Point:
    return mix(skin[0], red, share), mix(skin[1], green, share), mix(skin[2], blue, share)


@inlined
def _times(skin: Point, share: float) -> Point:
    return skin[0] * share, skin[1] * share, skin[2] * share


@inlined
def _colour(solids: Solids, i: int) -> Point:
    return solids.colour[i, 0], solids.colour[i, 1], solids.colour[i, 2]


@inlined
def _skin(albedo: Point, gloss: float, glow: float) -> Skin:
    return albedo[0], albedo[1], albedo[2], gloss, glow


@inlined
def _along(p: Point, n: Point) -> float:
    """Horizontal coordinate on a wall: along z on the sides, along x on the ends."""
    return p[2] if abs(n[0]) > abs(n[2]) else p[0]


@inlined
def _facade_wall(solids: Solids, i: int, across: float, up: float, ground: bool, foot: float) -> Point:
    """Plaster or stone with stains, a ledge over the ground floor and one under the roof."""
    seed, storey = solids.look[i, 3], solids.look[i, 1]
    top = solids.high[i, 1] - solids.low[i, 1]
    stain = fractal2(across * 0.35 + seed, up * 0.12, 3)
    left = detail(0.12, foot)
    fine = (noise2(across * 9, up * 9) - 0.5) * left if left > 0 else 0.0
    tone = (0.72 + 0.45 * stain + 0.12 * fine) * (1 - 0.3 * band(up - storey * 1.02, 0.09, foot))
    tone *= (0.85 if ground else 1.0) * (1 + 0.25 * band(up - top + 0.35, 0.12, foot))
    return _times(_colour(solids, i), tone)


@inlined
def _facade(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    """Rows of windows with frames and sills, a ground floor, stains. look: bay, storey, open share, seed."""
    bay, storey, share, seed = solids.look[i, 0], solids.look[i, 1], solids.look[i, 2], solids.look[i, 3]
    across, up = _along(p, n), solids.high[i, 1] - p[1]
    column, row = math.floor(across / bay), math.floor(up / storey)
    is_wall, ground = abs(n[1]) < 0.5, row == 0
    wall = _facade_wall(solids, i, across, up, is_wall and ground, foot)
    shops = cell_noise(int(seed), 3, 0) > 0.35
    fits = is_wall and (row + 1) * storey < solids.high[i, 1] - solids.low[i, 1] and (row > 0 or shops)
    if not fits:
        return _skin(wall, 0.0, 0.0)
    x, y = across - (column + 0.5) * bay, up - (row + 0.55) * storey
    wide, tall = (bay * 0.42, storey * 0.36) if ground else (bay * share / 2, storey * 0.3)
    kind = cell_noise(int(column + seed * 7), int(row + seed * 13), 0)
    inside = band(x, wide, foot) * band(y, tall, foot)
    glass = inside * band(x, wide - 0.07, foot) * band(y, tall - 0.07, foot)
    if not ground:
        glass *= 1 - max(band(x, 0.035, foot), band(y - tall * 0.3, 0.03, foot))
    if abs(x) < wide + 0.1:
        wall = _times(wall, 1 + 0.25 * band(y + tall + 0.06, 0.06, foot))
    tint = solids.colour[i]
    if kind > 0.6:
        albedo = _mixed(wall, tint[0] * 0.4, tint[1] * 0.4, tint[2] * 0.4, inside)
    else:
        albedo = _mixed(wall, 0.6, 0.6, 0.58, inside)
    curtain = 0.7 * clamp((kind - 0.72) * 6, 0.0, 1.0) if y > -tall * 0.2 else 0.0
    dark = _mixed((0.02, 0.024, 0.028), 0.35, 0.33, 0.3, curtain)
    albedo = _mixed(albedo, dark[0], dark[1], dark[2], glass)
    lit = kind < (0.5 if ground else 0.28)
    return _skin(albedo, glass * (0.1 + 0.3 * kind), glass * (0.15 + kind) if lit else 0.0)


@inlined
def _roof(solids: Solids, i: int, p: Point, foot: float) -> Skin:
    rows = abs(math.sin(p[1] * 14)) * detail(0.2, foot)
    stain = fractal2(p[2] * 0.6 + solids.look[i, 3], p[1], 2)
    return _skin(_times(_colour(solids, i), 0.7 + 0.35 * stain + 0.2 * rows), 0.0, 0.0)


@inlined
def _car_side(solids: Solids, i: int, p: Point, foot: float) -> float:
    """How dark wheel arches, seams and handles make the side of a body, 0 to 1."""
    radius, front, rear = solids.look[i, 0], solids.look[i, 1], solids.look[i, 2]
    y, z, belt = p[1], p[2], solids.low[i, 1]
    arch = max(
        band(math.hypot(z - front, y + radius), radius * 1.16, foot),
        band(math.hypot(z - rear, y + radius), radius * 1.16, foot),
    )
    seam = band(z - 0.25, 0.012, foot) + band(z + 0.75, 0.012, foot)
    handle = band(y - belt * 0.82, 0.025, foot) * max(band(z + 0.55, 0.1, foot), band(z - 0.42, 0.1, foot))
    return arch + 0.5 * seam + 0.5 * handle


@inlined
def _car_body(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    """Paint with lamps, plates, seams and a dark sill. look: wheel radius, wheel z front, rear, seed."""
    x, y, half, belt = p[0], p[1], solids.high[i, 0], solids.low[i, 1]
    dark = clamp((y + solids.look[i, 0] * 0.95) / max(foot, 0.03), 0.0, 1.0)
    if abs(n[0]) > 0.6:
        dark = min(dark + _car_side(solids, i, p, foot), 1.0)
    albedo = _mixed(_colour(solids, i), 0.012, 0.012, 0.013, dark)
    lamp, ahead = 0.0, n[2] > 0
    if abs(n[2]) > 0.6:
        height = (y - belt) / (solids.high[i, 1] - belt)
        lamp = band(height - 0.3, 0.13, 0.04) * clamp((abs(x) - half * 0.58) * 20, 0.0, 1.0)
        if ahead:
            albedo = _mixed(albedo, 0.75, 0.75, 0.72, lamp)
            grille = band(height - 0.42, 0.14, 0.05) * band(x, half * 0.5, foot)
            albedo = _mixed(albedo, 0.02, 0.02, 0.022, grille)
        else:
            albedo = _mixed(albedo, 0.42, 0.012, 0.01, lamp)
        plate = band(height - 0.66, 0.08, 0.05) * band(x, 0.26, foot)
        albedo = _mixed(albedo, 0.7, 0.7, 0.66, plate)
    gloss = (1 - dark) * (1 - lamp) * (0.12 if n[1] < -0.5 else 0.05)
    glow = lamp * (1.6 if ahead else 0.35) if solids.look[i, 3] < 0.8 else 0.0
    return _skin(albedo, gloss, glow)


@inlined
def _car_cabin(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    """Glass between roof and pillars. look: pillar z, share of panels at the rear (vans), -, seed."""
    x, z = p[0], p[2]
    belt, roof = solids.high[i, 1], solids.low[i, 1]
    height = (belt - p[1]) / (belt - roof)
    length = solids.high[i, 2] - solids.low[i, 2]
    # How far in from the outline along z the slanted ends are is told by the normals alone, so pillars are drawn as a
    # margin to the top and the bottom and as upright bands.
    glass = clamp((height - 0.1) * 40, 0.0, 1.0) * clamp((0.88 - height) * 40, 0.0, 1.0)
    if n[1] < -0.93:
        glass = 0.0
    elif abs(n[0]) > 0.6:
        pillar = solids.look[i, 0]
        pillars = band(z - pillar, 0.05, foot) + band(z - pillar + 0.32 * length, 0.045, foot)
        glass *= 1 - min(pillars, 1.0)
        if z <= solids.low[i, 2] + solids.look[i, 1] * length:
            glass = 0.0
    else:
        half = solids.high[i, 0]
        glass *= band(x, half * 0.86 - 0.2 * height * half, foot)
        if n[2] <= 0 and solids.look[i, 1] >= 0.3:
            glass = 0.0
    return _skin(_mixed(_colour(solids, i), 0.012, 0.014, 0.016, glass), mix(0.07, 0.16, glass), 0.0)


@inlined
def _wheel(solids: Solids, i: int, p: Point, foot: float) -> Skin:
    y = p[1] - (solids.low[i, 1] + solids.high[i, 1]) / 2
    hub = band(math.hypot(y, p[2]), solids.high[i, 2] * 0.62, foot)
    tone = 0.3 * (0.4 + 0.6 * (0.5 + 0.5 * math.sin(math.atan2(y, p[2]) * 5)))
    return _skin(_mixed((0.012, 0.012, 0.012), tone, tone, tone * 1.03, hub), 0.0, 0.0)


@inlined
def _leaves(solids: Solids, i: int, p: Point) -> Skin:
    """Clumps, lighter outside and above than inside and below. look: grain, gaps, seed, yellowing."""
    grain, seed, yellow = solids.look[i, 0], solids.look[i, 2], solids.look[i, 3]
    x, y, z = p[0] / grain + seed, p[1] / grain + seed, p[2] / grain + seed
    clump, leaf = noise3(x * 0.9, y * 0.9, z * 0.9), noise3(x * 4.1, y * 4.1, z * 4.1)
    tint, tone = yellow * leaf, 0.15 + 0.7 * clump * clump + 1.7 * leaf**3
    red, green, blue = _colour(solids, i)
    return (
        red * mix(1.0, 1.7, tint) * tone,
        green * mix(1.0, 1.15, tint) * tone,
        blue * mix(1.0, 0.6, tint) * tone,
        0,
        0,
    )


@inlined
def _sign(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    """A coloured face with a rim and a mark; grey from behind. look: mark tone, -, -, seed."""
    if n[2] >= 0:
        return 0.16, 0.165, 0.17, 0.0, 0.0
    low, high = solids.low[i], solids.high[i]
    half_x, half_y = (high[0] - low[0]) / 2, (high[1] - low[1]) / 2
    x, y = p[0] - (low[0] + high[0]) / 2, p[1] - (low[1] + high[1]) / 2
    face = band(x, half_x * 0.86, foot) * band(y, half_y * 0.88, foot)
    turns = y / half_y * 2.2
    rows = band(turns - math.floor(turns) - 0.5, 0.2, foot) * band(x, half_x * 0.6, foot)
    red, green, blue = _colour(solids, i)
    mark = solids.look[i, 0]
    return _skin(_mixed(_mixed((0.65, 0.65, 0.65), red, green, blue, face), mark, mark, mark, rows * face), 0.0, 0.0)


@inlined
def _concrete(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    across = _along(p, n)
    stain = fractal2(across * 0.4 + solids.look[i, 3], p[1] * 1.4, 3)
    joint = band(across - 4 * math.floor(across / 4) - 2.0, 0.02, foot)
    return _skin(_times(_colour(solids, i), (0.65 + 0.6 * stain) * (1 - 0.5 * joint)), 0.0, 0.0)


@inlined
def _bark(solids: Solids, i: int, p: Point) -> Skin:
    return _skin(_times(_colour(solids, i), 0.6 + 0.8 * noise2(math.atan2(p[0], p[2]) * 6, p[1] * 2.5)), 0.0, 0.0)


@inlined
def _rail(solids: Solids, i: int, p: Point, foot: float) -> Skin:
    return _skin(_times(_colour(solids, i), 0.85 + 0.2 * math.cos(p[1] * 40) * detail(0.1, foot)), 0.1, 0.0)


@inlined
def _hill(solids: Solids, i: int, p: Point) -> Skin:
    woods = fractal3(p[0] * 0.05, p[1] * 0.12, p[2] * 0.05, 4)
    return _skin(_times(_colour(solids, i), 0.4 + 1.1 * woods), 0.0, 0.0)


@compiled
def skin_of(solids: Solids, i: int, p: Point, n: Point, foot: float) -> Skin:
    """The skin of solid `i` at a point and with a unit normal in its own axes, for a pixel `foot` metres wide there."""
    kind = solids.surface[i]
    skin = _skin(_colour(solids, i), solids.look[i, 3], 0.0)
    if kind == Surface.FACADE:
        skin = _facade(solids, i, p, n, foot)
    elif kind == Surface.LEAVES:
        skin = _leaves(solids, i, p)
    elif kind == Surface.CAR_BODY:
        skin = _car_body(solids, i, p, n, foot)
    elif kind == Surface.CAR_CABIN:
        skin = _car_cabin(solids, i, p, n, foot)
    elif kind == Surface.WHEEL:
        skin = _wheel(solids, i, p, foot)
    elif kind == Surface.ROOF:
        skin = _roof(solids, i, p, foot)
    elif kind == Surface.BARK:
        skin = _bark(solids, i, p)
    elif kind == Surface.SIGN:
        skin = _sign(solids, i, p, n, foot)
    elif kind == Surface.CONCRETE:
        skin = _concrete(solids, i, p, n, foot)
    elif kind == Surface.RAIL:
        skin = _rail(solids, i, p, foot)
    elif kind == Surface.HILL:
        skin = _hill(solids, i, p)
    elif kind == Surface.LAMP:
        skin = _skin(_colour(solids, i), 0.0, 3.0)
    return skin
