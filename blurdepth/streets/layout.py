"""Drawing a street from a seed: its road, its light, and what stands, parks and moves in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from blurdepth.camera import Motion, Vector
from blurdepth.errors import InputError
from blurdepth.streets import actors
from blurdepth.streets.scene import F32, Light, Pose, Road, Shape, Street, Surface, box, ellipsoid, f32

KINDS = ("avenue", "suburb", "country", "highway", "crossing")
LIGHTS = ("noon", "low_sun", "overcast", "dusk")
FAR_M = 190.0
CAMERA_CLEAR_M = 6.0
SHORTEST_S, LONGEST_S = 0.002, 0.2
"""How long a shutter is open, drawn evenly in the logarithm: from next to still to a car's length."""


def make_street(seed: int, kind: str | None = None, light: str | None = None) -> Street:
    """Draw a street.

    Args:
        seed: the same seed and choices give the same street.
        kind: one of `KINDS`; drawn by the seed if None.
        light: one of `LIGHTS`; drawn by the seed if None.

    Returns:
        The street at mid exposure.

    Raises:
        InputError: the kind or the light is not known.
    """
    rng = np.random.default_rng((seed, 1))
    drawn = (
        str(rng.choice(KINDS, p=[0.28, 0.2, 0.2, 0.16, 0.16])),
        str(rng.choice(LIGHTS, p=[0.45, 0.2, 0.28, 0.07])),
    )
    kind, light = kind or drawn[0], light or drawn[1]
    if kind not in KINDS or light not in LIGHTS:
        raise InputError(f"A street {kind!r} in {light!r} is not known: use {', '.join(KINDS)}; {', '.join(LIGHTS)}.")
    plan = _Plan(rng, kind, _road(rng, kind), -1.0 if rng.random() < 0.3 else 1.0)
    pose = Pose(_camera_height(rng), rng.normal(1.0, 2.5), rng.normal(0, 2.5), rng.normal(0, 0.6))
    plan.furnish()
    motion = _motion(plan, pose, float(np.exp(rng.uniform(math.log(SHORTEST_S), math.log(LONGEST_S)))))
    return Street(seed, kind, pose, plan.road, _light(rng, light), tuple(plan.shapes), motion)


def _camera_height(rng: Generator) -> float:
    """Metres above the ground: of a car mostly; else of anything from a scooter to a lorry."""
    return rng.uniform(1.2, 2.0) if rng.random() < 0.7 else rng.uniform(0.7, 3.2)


def _motion(plan: _Plan, pose: Pose, exposure_s: float) -> Motion:
    """Everything's speed, as a translation over the exposure in camera axes."""
    rng, turn = plan.rng, pose.rotation()

    def over_exposure(velocity: F32) -> Vector:
        x, y, z = turn.T @ velocity * exposure_s
        return float(x), float(y), float(z)

    speed = 0.0 if rng.random() < 0.3 else rng.uniform(2, 16 if plan.kind != "highway" else 28)
    heading = plan.road.heading(0.0)
    shake = rng.normal(0, 1, 3) * (4.0, 5.0, 1.0) * exposure_s
    return Motion(
        fov_x_deg=float(rng.uniform(50, 100)),
        translation_m=over_exposure(f32(speed * math.sin(heading), 0, speed * math.cos(heading))),
        rotation_deg=(float(shake[0]), float(shake[1]), float(shake[2])),
        objects={actor: over_exposure(velocity) for actor, velocity in plan.speeds.items()},
    )


def _road(rng: Generator, kind: str) -> Road:
    lane = rng.uniform(2.7, 3.7)
    many = {"highway": (2, 4), "avenue": (1, 3), "crossing": (1, 3)}.get(kind, (1, 2))
    lanes = int(rng.integers(*many)), int(rng.integers(*many))
    country = kind in ("country", "highway")
    ours = int(rng.integers(lanes[1]))
    dash = rng.uniform(5, 12)
    walk = rng.uniform(1.6, 5.0) if not country else 0.0
    crossing = (rng.uniform(14, 34), rng.uniform(3.5, 7.5)) if kind == "crossing" else (0.0, 0.0)
    green = rng.uniform(0.6, 1.4)
    return Road(
        start_m=-(ours + 0.5) * lane + rng.normal(0, 0.35),
        slope=rng.normal(0, 0.03),
        bend=rng.normal(0, 0.0016) if kind != "crossing" else 0.0,
        lane_m=lane,
        lanes=lanes,
        dash_m=(dash, dash * rng.uniform(0.3, 0.6)),
        marks=(float(rng.random() < 0.85), 1.0, float(rng.random() < (0.85 if country else 0.3))),
        yellow=bool(rng.random() < 0.2),
        kerb_m=rng.uniform(0.08, 0.16) if walk else 0.02,
        walk_m=walk,
        paved=bool(rng.random() < 0.75) if kind in ("avenue", "crossing") else False,
        cross_m=crossing,
        tone=(rng.uniform(0.07, 0.2), rng.uniform(0.16, 0.36)),
        grass=(0.075 * green, 0.1 * green, 0.03 * green),
        seed=int(rng.integers(100_000)),
    )


def _light(rng: Generator, name: str) -> Light:
    height = math.radians({"noon": rng.uniform(28, 65), "low_sun": rng.uniform(9, 24)}.get(name, 30.0))
    around = rng.uniform(-math.pi, math.pi)
    sun = (math.cos(height) * math.sin(around), -math.sin(height), math.cos(height) * math.cos(around))
    bright = rng.uniform(0.8, 1.25)
    blue = rng.uniform(0.5, 1.1)
    sun_rgb, zenith, horizon, clouds, lamps = {
        "noon": (
            (3.1, 2.95, 2.7),
            (0.75 - 0.4 * blue, 0.85 - 0.22 * blue, 1.05),
            (1.05, 1.1, 1.15),
            0.55,
            0.0,
        ),
        "low_sun": ((2.3, 1.6, 0.95), (0.35, 0.45, 0.65), (1.0, 0.85, 0.66), 0.5, 0.15),
        "overcast": ((0.0, 0.0, 0.0), (1.15, 1.18, 1.22), (1.35, 1.37, 1.4), 0.95, 0.0),
        "dusk": ((0.0, 0.0, 0.0), (0.15, 0.2, 0.34), (0.5, 0.44, 0.46), 0.45, 0.55),
    }[name]
    return Light(
        sun=sun,
        sun_rgb=sun_rgb,
        zenith_rgb=zenith,
        horizon_rgb=horizon,
        clouds=float(np.clip(clouds + rng.normal(0, 0.18), 0, 1)),
        haze_per_m=float(np.exp(rng.uniform(math.log(0.0004), math.log(0.004)))),
        lamps=lamps,
        gain=bright * {"noon": 0.56, "low_sun": 0.8, "overcast": 0.8, "dusk": 1.7}[name],
        contrast=rng.uniform(1.1, 1.8),
        noise=rng.uniform(0.002, 0.02),
        seed=int(rng.integers(100_000)),
    )


@dataclass
class _Plan:
    """A street while it is being furnished. `side` is 1 where traffic keeps right, and lanes[1] is ours."""

    rng: Generator
    kind: str
    road: Road
    side: float
    shapes: list[Shape] = field(default_factory=list)
    speeds: dict[int, F32] = field(default_factory=dict)
    actors: int = 0
    bustle: float = 1.0

    def furnish(self) -> None:
        """Put in all that the kind of street asks for."""
        rng = self.rng
        self.bustle = rng.uniform(0.15, 1.0)
        town = self.kind in ("avenue", "crossing", "suburb")
        for edge in (-1, 1):
            if self.kind in ("avenue", "crossing"):
                self._terrace(edge)
            elif self.kind == "suburb":
                self._houses(edge)
            if not town or rng.random() < 0.5:
                self._barrier(edge)
            self._trees(edge)
            self._furniture(edge)
            if town:
                self._parked(edge)
                self._people(edge)
        self._background()
        self._traffic()
        if self.kind == "crossing":
            self._crossing_traffic()

    def _spot(self, across: float, z: float) -> F32:
        return f32(self.road.middle(z) + across, 0, z)

    def _beside(self, edge: int, out: float) -> float:
        """Distance from the middle line of what is `out` metres beyond the asphalt on the side `edge`."""
        return edge * (abs(self.road.edges_m[(edge + 1) // 2]) + out)

    def _in_crossing(self, z: float, margin: float) -> bool:
        return abs(z - self.road.cross_m[0]) < self.road.cross_m[1] + margin and self.road.cross_m[1] > 0

    def _terrace(self, edge: int) -> None:
        rng, z = self.rng, self.rng.uniform(-8, 0)
        usual = rng.uniform(7, 19)
        back = self.road.walk_m + (rng.uniform(0, 6) if rng.random() < 0.35 else 0)
        while z < FAR_M:
            length, depth = rng.uniform(9, 24), rng.uniform(9, 14)
            middle = z + length / 2
            if not self._in_crossing(middle, length / 2 + 1.5) and rng.random() < 0.92:
                place = self._spot(self._beside(edge, back + depth / 2 + rng.uniform(0, 0.5)), middle)
                size = (depth, max(4.0, usual * rng.uniform(0.65, 1.35)), length * 0.995)
                self.shapes += actors.building(rng, place, self.road.heading(middle), size)
            z += length
        self._cross_terrace(edge)

    def _cross_terrace(self, edge: int) -> None:
        """Houses along the crossing street, beyond the corner."""
        if self.road.cross_m[1] == 0:
            return
        rng, (middle, half) = self.rng, self.road.cross_m
        for index in range(1, 4):
            out = 16 * index + 12
            place = self._spot(self._beside(edge, out), middle + half + self.road.walk_m + 5)
            self.shapes += actors.building(rng, place, 0.0, (15.8, rng.uniform(8, 20), 10))

    def _houses(self, edge: int) -> None:
        rng, z = self.rng, self.rng.uniform(-2, 8)
        back = self.road.walk_m + rng.uniform(2, 8)
        leaves = actors.foliage(rng)
        hedge = rng.random() < 0.6
        while z < FAR_M:
            length, depth = rng.uniform(8, 16), rng.uniform(8, 12)
            middle = z + length / 2
            place = self._spot(self._beside(edge, back + depth / 2), middle)
            self.shapes += actors.building(
                rng,
                place,
                self.road.heading(middle) + rng.normal(0, 0.05),
                (depth, rng.uniform(3.5, 8), length),
            )
            if hedge and z < 70:
                for step in np.arange(z, z + length, 1.6):
                    spot = self._spot(self._beside(edge, self.road.walk_m + 0.9), float(step))
                    self.shapes += actors.bush(rng, spot, rng.uniform(0.8, 1.5), leaves)
            z += length + rng.uniform(2, 12)

    def _barrier(self, edge: int) -> None:
        """A guard rail, a wall or a fence along the road, in straight pieces."""
        rng = self.rng
        kind = rng.choice(["rail", "wall", "fence", "none"], p=[0.4, 0.25, 0.15, 0.2])
        if kind == "none" or self.kind in ("avenue", "crossing"):
            return
        out = self.road.walk_m + rng.uniform(0.5, 2.5)
        height, length = (rng.uniform(0.7, 2.2) if kind == "wall" else 0.75), 6.0
        tone = (f32(0.34, 0.33, 0.31) * rng.uniform(0.5, 1.4)).astype(np.float32)
        for z in np.arange(-6, 130, length):
            place, yaw = (
                self._spot(self._beside(edge, out), z + length / 2),
                self.road.heading(z + length / 2),
            )
            if kind == "wall":
                self.shapes.append(box(Surface.CONCRETE, place, yaw, (0.25, height, length + 0.05), tone))
                continue
            heights = (0.45,) if kind == "rail" else (0.35, 0.7, 1.05)
            for up in heights:
                bar = (0.06, 0.32 if kind == "rail" else 0.05, length + 0.05)
                self.shapes.append(box(Surface.RAIL, place - f32(0, up, 0), yaw, bar, tone))
            for step in (-2.0, 0.0, 2.0) if z < 50 else (0.0,):
                post_at = self._spot(self._beside(edge, out + 0.08), z + length / 2 + step)
                self.shapes.append(
                    box(Surface.RAIL, post_at, yaw, (0.09, height + 0.3 * (kind == "fence"), 0.09), tone * 0.8)
                )

    def _trees(self, edge: int) -> None:
        """A row along the road, and out of town a wood or bushes behind it."""
        rng = self.rng
        town = self.kind in ("avenue", "crossing")
        chance = {"avenue": 0.6, "crossing": 0.4, "suburb": 0.75, "country": 0.85, "highway": 0.7}[self.kind]
        if rng.random() < chance:
            out = max(self.road.walk_m - rng.uniform(0.7, 1.2), 0.8) if town else rng.uniform(3, 9)
            usual, gap = (rng.uniform(5, 10) if town else rng.uniform(5, 15)), rng.uniform(7, 20)
            for z in np.arange(rng.uniform(1, 12), 140, gap):
                if not self._in_crossing(z, 2.0) and rng.random() < 0.85:
                    spot = self._spot(
                        self._beside(edge, out + rng.normal(0, 0.2 if town else 1.5)), z + rng.normal(0, 1)
                    )
                    self.shapes += actors.tree(rng, spot, usual * rng.uniform(0.75, 1.25))
        if not town and rng.random() < 0.65:
            self._thicket(edge, actors.foliage(rng))

    def _thicket(self, edge: int, leaves: F32) -> None:
        rng = self.rng
        out, usual = rng.uniform(4, 14), rng.uniform(1.2, 5.5)
        z = rng.uniform(0, 15)
        while z < 150:
            height = usual * rng.uniform(0.6, 1.4)
            self.shapes += actors.bush(
                rng, self._spot(self._beside(edge, out + rng.normal(0, 1) + height), z), height, leaves
            )
            z += height * rng.uniform(0.5, 1.3)

    def _furniture(self, edge: int) -> None:
        rng = self.rng
        out = 0.5 if self.road.walk_m else 1.3
        if rng.random() < 0.6:
            gap = rng.uniform(18, 40)
            for z in np.arange(rng.uniform(3, 20), 150, gap):
                self.shapes += actors.street_lamp(rng, self._spot(self._beside(edge, out), z), -edge)
        for _ in range(rng.poisson(1.5)):
            z = rng.uniform(7, 60)
            if not self._in_crossing(z, 1.0):
                self.shapes += actors.road_sign(rng, self._spot(self._beside(edge, out), z))
        if self.kind == "crossing":
            z = self.road.cross_m[0] - self.road.cross_m[1] - 1
            self.shapes += actors.signal(rng, self._spot(self._beside(edge, 0.5), z))

    def _next_actor(self) -> int:
        self.actors = min(self.actors + 1, 255)
        return self.actors

    def _add_car(self, across: float, z: float, turn: float, speed: float) -> None:
        """A car on the road at `z`; `turn` is its heading off the road's, `speed` in m/s."""
        actor, yaw = self._next_actor(), self.road.heading(z) + turn
        self.shapes += actors.car(self.rng, self._spot(across, z), yaw, actor)
        if speed:
            self.speeds[actor] = f32(speed * math.sin(yaw), 0, speed * math.cos(yaw))

    def _parked(self, edge: int) -> None:
        rng, z = self.rng, self.rng.uniform(2, 10)
        if rng.random() < 0.35:
            return
        density = rng.uniform(0.3, 0.95)
        # Where the lane is wide there is room at the kerb, else cars stand half on the pavement.
        out = -1.05 if abs(self.road.edges_m[(edge + 1) // 2]) > 3.9 else 0.35
        while z < 110:
            across = self._beside(edge, out + rng.normal(0, 0.1))
            in_our_way = abs(self.road.middle(z) + across) < 2.3 and z < 14
            if rng.random() < density and not self._in_crossing(z, 6.0) and not in_our_way:
                self._add_car(across, z, math.pi * (edge < 0) + rng.normal(0, 0.02), 0.0)
            z += rng.uniform(5.2, 7.5)

    def _people(self, edge: int) -> None:
        rng = self.rng
        for _ in range(rng.poisson(4 * self.bustle)):
            z, back = rng.uniform(5, 55), rng.random() < 0.5
            actor, yaw = self._next_actor(), self.road.heading(z) + math.pi * back + rng.normal(0, 0.2)
            spot = self._spot(self._beside(edge, rng.uniform(0.6, max(self.road.walk_m - 0.4, 0.8))), z)
            self.shapes += actors.person(rng, spot - f32(0, self.road.kerb_m, 0), yaw, actor)
            pace = rng.uniform(0, 1.8)
            self.speeds[actor] = f32(pace * math.sin(yaw), 0, pace * math.cos(yaw))

    def _background(self) -> None:
        """Hills and far woods, so that the road doesn't always run into the open sky."""
        rng = self.rng
        green = rng.uniform(0.5, 1.3)
        for _ in range(rng.poisson(3)):
            z, x = rng.uniform(260, 700), rng.uniform(-420, 420)
            half = (rng.uniform(60, 260), rng.uniform(8, 45), rng.uniform(60, 160))
            tone = f32(0.06, 0.075, 0.045) * green
            self.shapes.append(ellipsoid(Surface.HILL, f32(x, 0, z), half, tone.astype(np.float32)))
        if rng.random() < 0.7:
            leaves = actors.foliage(rng)
            for x in np.arange(-130, 130, rng.uniform(7, 16)):
                sizes = rng.uniform(4, 11, 3).tolist()
                look = f32(1.4, 0.25, rng.uniform(0, 90), 0)
                spot = f32(x + self.road.middle(FAR_M), -sizes[1] * 0.5, FAR_M + rng.uniform(0, 60))
                self.shapes.append(ellipsoid(Surface.LEAVES, spot, sizes, leaves, look=look))

    def _traffic(self) -> None:
        """Cars in the lanes: ours go with us, the others come towards us."""
        rng, road = self.rng, self.road
        brisk = 25 if self.kind == "highway" else 11
        for lane in range(-road.lanes[0], road.lanes[1]):
            across = (lane + 0.5) * road.lane_m
            ours = lane >= 0
            near = abs(across + road.start_m) < 2.4
            z = (rng.uniform(11, 30) if near else rng.uniform(CAMERA_CLEAR_M, 22)) / self.bustle
            while z < 150:
                if not self._in_crossing(z, 4.0):
                    speed = brisk * rng.uniform(0.3, 1.3) * (rng.random() < 0.85)
                    self._add_car(across + rng.normal(0, 0.2), z, 0.0 if ours else math.pi, float(speed))
                z += rng.uniform(9, 40) / self.bustle

    def _crossing_traffic(self) -> None:
        rng, (middle, half) = self.rng, self.road.cross_m
        for way in (-1, 1):
            x = rng.uniform(-22, -4) if way > 0 else rng.uniform(-8, 14)
            while x < 40:
                actor, yaw = self._next_actor(), way * math.pi / 2 + rng.normal(0, 0.05)
                spot = f32(x, 0, middle + way * half * 0.45)
                self.shapes += actors.car(rng, spot, yaw, actor)
                self.speeds[actor] = f32(rng.uniform(3, 12) * math.sin(yaw), 0, 0)
                x += rng.uniform(7, 25)
