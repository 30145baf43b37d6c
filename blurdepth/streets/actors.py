"""The things in a street, each as a handful of shapes."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from blurdepth.streets.scene import F32, Shape, Surface, box, ellipsoid, extrusion, f32, post

# Paints of real traffic: mostly white, black, grey and silver, then muted colours.
_PAINTS = (
    ((0.62, 0.62, 0.6), 5),
    ((0.015, 0.015, 0.017), 5),
    ((0.3, 0.31, 0.32), 5),
    ((0.1, 0.105, 0.115), 5),
    ((0.02, 0.04, 0.12), 3),
    ((0.28, 0.02, 0.018), 3),
    ((0.05, 0.1, 0.2), 2),
    ((0.03, 0.08, 0.05), 1),
    ((0.35, 0.28, 0.18), 1),
    ((0.5, 0.3, 0.03), 0.6),
)


def _pick(rng: Generator, choices: tuple[tuple[tuple[float, float, float], float], ...]) -> F32:
    weights = np.array([weight for _, weight in choices], float)
    colour = choices[rng.choice(len(choices), p=weights / weights.sum())][0]
    return (f32(*colour) * rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3)).astype(np.float32)


def car(rng: Generator, place: F32, yaw: float, actor: int) -> list[Shape]:
    """A saloon, hatchback, estate, van or lorry whose front is along its local z."""
    kind = rng.choice(["saloon", "hatch", "estate", "van", "lorry"], p=[0.33, 0.33, 0.19, 0.12, 0.03])
    if kind == "lorry":
        return _lorry(rng, place, yaw, actor)
    tall = 1.25 if kind == "van" else rng.uniform(0.96, 1.1)
    length = {"saloon": 4.6, "hatch": 4.0, "estate": 4.6, "van": 4.9}[kind] * rng.uniform(0.95, 1.06)
    half, paint = rng.uniform(0.86, 0.94), _pick(rng, _PAINTS)
    rear, front, belt, roof = -length / 2, length / 2, -0.92 * tall, -1.46 * tall
    radius = 0.31 * rng.uniform(0.97, 1.1)
    wheels = (front - 0.82, rear + 0.8)
    hood = 0.22 * length if kind != "van" else 0.1 * length
    body = [(rear + 0.03, -0.22), (rear, -0.55), (rear + 0.08, belt), (front - hood * 1.25, belt)]
    body += [(front - 0.25, belt * 0.8), (front, -0.58), (front - 0.05, -0.22)]
    tail = {"saloon": 0.62, "hatch": 0.06, "estate": 0.04, "van": 0.02}[kind]
    slope = {"saloon": 0.75, "hatch": 0.45, "estate": 0.35, "van": 0.08}[kind]
    screen = 0.85 if kind != "van" else 0.6
    cabin = [(rear + tail, belt + 0.02), (rear + tail + slope, roof), (front - hood * 1.2 - screen, roof)]
    cabin += [(front - hood * 1.2, belt + 0.02)]
    panels = 0.5 if kind == "van" and rng.random() < 0.6 else 0.0
    made = [
        extrusion(
            Surface.CAR_BODY,
            place,
            yaw,
            body,
            half,
            paint,
            lean=0.04,
            actor=actor,
            look=f32(radius, *wheels, rng.random()),
        ),
        extrusion(
            Surface.CAR_CABIN,
            place,
            yaw,
            cabin,
            half - 0.05,
            paint,
            lean=0.22,
            actor=actor,
            look=f32(0.05 * length, panels, 0, 0),
        ),
    ]
    return made + _wheels(place, yaw, wheels, half, radius, actor)


def _wheels(place: F32, yaw: float, along: tuple[float, ...], half: float, radius: float, actor: int) -> list[Shape]:
    made = []
    angles = np.arange(14) * 2 * math.pi / 14
    profile = [(radius * math.cos(a), -radius + radius * math.sin(a)) for a in angles]
    for z in along:
        for side in (-1, 1):
            x = side * (half - 0.09)
            offset = f32(x * math.cos(yaw) + z * math.sin(yaw), 0, -x * math.sin(yaw) + z * math.cos(yaw))
            made.append(extrusion(Surface.WHEEL, place + offset, yaw, profile, 0.115, f32(1, 1, 1), actor=actor))
    return made


def _lorry(rng: Generator, place: F32, yaw: float, actor: int) -> list[Shape]:
    length, height = rng.uniform(6.5, 9.5), rng.uniform(2.9, 3.6)
    paint, load = _pick(rng, _PAINTS), f32(0.5, 0.5, 0.48) * rng.uniform(0.5, 1.2)
    front, rear = length / 2, -length / 2
    cab = [(front - 1.9, -0.45), (front - 1.9, -2.5), (front - 0.35, -2.5), (front, -1.3), (front, -0.45)]
    cargo = [(rear, -0.75), (rear, -height), (front - 2.0, -height), (front - 2.0, -0.75)]
    frame = [(rear + 0.2, -0.45), (rear + 0.2, -0.8), (front - 1.5, -0.8), (front - 1.5, -0.45)]
    dark = f32(0.02, 0.02, 0.02)
    made = [
        extrusion(
            Surface.CAR_CABIN,
            place,
            yaw,
            cab,
            1.15,
            paint,
            lean=0.04,
            actor=actor,
            look=f32(front - 0.5, 0, 0, 0),
        ),
        extrusion(Surface.CONCRETE, place, yaw, cargo, 1.22, load.astype(np.float32), actor=actor),
        extrusion(Surface.PLAIN, place, yaw, frame, 0.9, dark, actor=actor),
    ]
    return made + _wheels(place, yaw, (front - 1.0, rear + 1.2), 1.15, 0.45, actor)


def person(rng: Generator, place: F32, yaw: float, actor: int) -> list[Shape]:
    """Somebody who walks: two legs, a torso, arms, a head."""
    height = rng.uniform(1.55, 1.88)
    top = f32(*rng.uniform(0.02, 0.35, 3)) * rng.uniform(0.4, 1.2)
    grey = top.mean()
    top = (grey + (top - grey) * 0.7).astype(np.float32)
    legs = (f32(0.03, 0.035, 0.06) * rng.uniform(0.5, 3)).astype(np.float32)
    skin = (f32(0.42, 0.27, 0.19) * rng.uniform(0.35, 1.15)).astype(np.float32)
    hair = (f32(0.06, 0.045, 0.03) * rng.uniform(0.3, 2)).astype(np.float32)
    forward, across = f32(math.sin(yaw), 0, math.cos(yaw)), f32(math.cos(yaw), 0, -math.sin(yaw))
    stride = rng.uniform(0.05, 0.3)
    made = []
    for side in (-1, 1):
        foot = place + across * (0.09 * side) + forward * (stride * side)
        lean = [(-0.075, 0.0), (-0.075 - stride * side, -0.5 * height)]
        lean += [(0.1 - stride * side, -0.5 * height), (0.13, 0.0)]
        made.append(extrusion(Surface.PLAIN, foot, yaw, lean, 0.085, legs, actor=actor))
        arm = place + across * (0.25 * side) + f32(0, -0.62 * height, 0) - forward * (stride * 0.4 * side)
        made.append(ellipsoid(Surface.PLAIN, arm, (0.06, 0.33, 0.075), top, actor=actor))
    chest = place + f32(0, -0.66 * height, 0)
    made.append(ellipsoid(Surface.PLAIN, chest, (0.235, 0.37, 0.16), top, actor=actor))
    made.append(ellipsoid(Surface.PLAIN, place + f32(0, -0.93 * height, 0), (0.095, 0.13, 0.11), skin, actor=actor))
    made.append(ellipsoid(Surface.PLAIN, place + f32(0, -0.96 * height, 0), (0.103, 0.1, 0.118), hair, actor=actor))
    return made


def foliage(rng: Generator) -> F32:
    """An albedo of leaves."""
    tone = rng.uniform(0.5, 1.3)
    return (f32(rng.uniform(0.05, 0.11), rng.uniform(0.085, 0.13), rng.uniform(0.02, 0.045)) * tone).astype(np.float32)


def tree(rng: Generator, place: F32, height: float) -> list[Shape]:
    """A trunk that forks under a crown of several overlapping clumps."""
    trunk, leaves = height * rng.uniform(0.22, 0.4), foliage(rng)
    radius = height * rng.uniform(0.018, 0.03)
    bark = (f32(0.11, 0.085, 0.065) * rng.uniform(0.5, 1.3)).astype(np.float32)
    made = [post(Surface.BARK, place, radius, trunk + height * 0.25, bark)]
    spread, yellow = height * rng.uniform(0.2, 0.34), max(rng.normal(0, 0.4), 0)
    for _ in range(rng.integers(4, 10)):
        rise = rng.uniform(0.05, 0.95)
        around = rng.normal(0, spread * 0.6 * (1.2 - rise), 2)
        middle = place + f32(around[0], -trunk - (height - trunk) * (0.15 + 0.62 * rise), around[1])
        half = (spread * rng.uniform(0.35, 0.75, 3) * (1.15 - 0.4 * rise)).tolist()
        look = f32(rng.uniform(0.16, 0.42), rng.uniform(0.28, 0.44), rng.uniform(0, 90), yellow)
        tint = (leaves * rng.uniform(0.8, 1.2)).astype(np.float32)
        made.append(ellipsoid(Surface.LEAVES, middle, half, tint, look=look))
    return made


def bush(rng: Generator, place: F32, height: float, leaves: F32) -> list[Shape]:
    """A clump of leaves down to the ground."""
    half = (height * rng.uniform(0.6, 1.3), height * rng.uniform(0.7, 1.0), height * rng.uniform(0.6, 1.3))
    look = f32(rng.uniform(0.12, 0.34), rng.uniform(0.2, 0.36), rng.uniform(0, 90), max(rng.normal(-0.1, 0.4), 0))
    tint = (leaves * rng.uniform(0.75, 1.25)).astype(np.float32)
    return [ellipsoid(Surface.LEAVES, place + f32(0, -height * 0.25, 0), half, tint, look=look)]


def street_lamp(rng: Generator, place: F32, side: float) -> list[Shape]:
    """A mast with an arm over the road (`side` 1: towards +x) and a lamp."""
    height, reach = rng.uniform(6, 9), rng.uniform(0.8, 2.2)
    metal = (f32(0.2, 0.21, 0.21) * rng.uniform(0.4, 1.6)).astype(np.float32)
    head = place + f32(side * reach, -height + 0.05, 0)
    return [
        post(Surface.PLAIN, place, rng.uniform(0.06, 0.12), height, metal),
        box(Surface.PLAIN, place + f32(side * reach / 2, -height + 0.08, 0), 0.0, (reach, 0.07, 0.07), metal),
        box(Surface.LAMP, head, 0.0, (0.5, 0.12, 0.22), f32(0.4, 0.4, 0.38)),
    ]


def road_sign(rng: Generator, place: F32) -> list[Shape]:
    """A sign on a post that faces the camera."""
    colours = (
        (0.02, 0.09, 0.32),
        (0.45, 0.02, 0.02),
        (0.6, 0.6, 0.58),
        (0.62, 0.42, 0.03),
        (0.02, 0.18, 0.09),
    )
    colour = f32(*colours[rng.integers(len(colours))])
    width, tall, height = rng.uniform(0.45, 0.9), rng.uniform(0.45, 0.9), rng.uniform(2.0, 2.7)
    mark = f32(0.05 if colour.mean() > 0.5 else 0.7, 0, 0, 0)
    return [
        post(Surface.PLAIN, place, 0.035, height + tall, f32(0.25, 0.26, 0.26)),
        box(
            Surface.SIGN,
            place + f32(0, -height, -0.06),
            rng.normal(0, 0.12),
            (width, tall, 0.03),
            colour,
            look=mark,
        ),
    ]


def signal(rng: Generator, place: F32) -> list[Shape]:
    """A traffic light."""
    dark, height = f32(0.02, 0.02, 0.02), rng.uniform(2.4, 3.2)
    made = [
        post(Surface.PLAIN, place, 0.055, height + 0.3, f32(0.12, 0.12, 0.12)),
        box(Surface.PLAIN, place + f32(0, -height, -0.1), 0.0, (0.3, 0.9, 0.18), dark),
    ]
    lit = rng.integers(2)
    colours = (f32(0.9, 0.05, 0.03), f32(0.05, 0.7, 0.3))
    for index, up in enumerate((0.72, 0.16)):
        tone = colours[index] * (1.0 if index == lit else 0.08)
        where = place + f32(0, -height - up, -0.2)
        made.append(ellipsoid(Surface.PLAIN, where, (0.1, 0.1, 0.03), tone.astype(np.float32)))
    return made


def building(rng: Generator, place: F32, yaw: float, size: tuple[float, float, float]) -> list[Shape]:
    """A house of `size` (depth across, height, length along the road), with a flat or a pitched roof."""
    tones = (
        (0.42, 0.37, 0.3),
        (0.34, 0.32, 0.29),
        (0.5, 0.48, 0.43),
        (0.28, 0.17, 0.12),
        (0.36, 0.28, 0.17),
        (0.3, 0.31, 0.33),
        (0.4, 0.3, 0.24),
    )
    wall = (f32(*tones[rng.integers(len(tones))]) * rng.uniform(0.55, 1.25)).astype(np.float32)
    depth, height, length = size
    look = f32(rng.uniform(1.7, 3.8), rng.uniform(2.8, 3.6), rng.uniform(0.35, 0.65), float(rng.integers(0, 5000)))
    made = [box(Surface.FACADE, place, yaw, (depth, height, length), wall, look=look)]
    if height < 14 and rng.random() < 0.75:
        rise, over = rng.uniform(1.5, 4), 0.4
        tile = f32(0.2, 0.09, 0.055) if rng.random() < 0.6 else f32(0.07, 0.07, 0.075)
        tile = (tile * rng.uniform(0.6, 1.3)).astype(np.float32)
        slant = (depth / 2 + over) / rise * 0.97
        ends = length / 2 + 0.2
        profile = [(-ends, -height), (-ends, -height - rise), (ends, -height - rise), (ends, -height)]
        roof = extrusion(
            Surface.ROOF,
            place,
            yaw,
            profile,
            depth / 2 + over,
            tile,
            lean=slant,
            look=f32(0, 0, 0, rng.uniform(0, 50)),
        )
        made.append(roof)
    return made
