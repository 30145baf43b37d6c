"""What the ground looks like, compiled: asphalt with its markings, pavement, grass."""

from __future__ import annotations

import math
from typing import NamedTuple

from blurdepth.compiling import clamp, compiled, inlined, mix
from blurdepth.streets.noise import cell_noise, fractal2, noise2
from blurdepth.streets.scene import Road
from blurdepth.streets.surfaces import band, detail

Albedo = tuple[float, float, float]


class Plan(NamedTuple):
    """A road for the kernel; see `Road`."""

    start: float
    slope: float
    bend: float
    lane: float
    left: float
    right: float
    period: float
    dash: float
    centre_mark: float
    lane_mark: float
    edge_mark: float
    yellow: bool
    kerb: float
    walk: float
    paved: bool
    cross: float
    cross_half: float
    tone: float
    walk_tone: float
    grass: Albedo
    seed: float


def plan_of(road: Road) -> Plan:
    """A road for the kernel."""
    left, right = road.edges_m
    red, green, blue = map(float, road.grass)
    return Plan(
        start=float(road.start_m),
        slope=float(road.slope),
        bend=float(road.bend),
        lane=float(road.lane_m),
        left=float(left),
        right=float(right),
        period=float(road.dash_m[0]),
        dash=float(road.dash_m[1]),
        centre_mark=float(road.marks[0]),
        lane_mark=float(road.marks[1]),
        edge_mark=float(road.marks[2]),
        yellow=bool(road.yellow),
        kerb=float(road.kerb_m),
        walk=float(road.walk_m),
        paved=bool(road.paved),
        cross=float(road.cross_m[0]),
        cross_half=float(road.cross_m[1]),
        tone=float(road.tone[0]),
        walk_tone=float(road.tone[1]),
        grass=(red, green, blue),
        seed=float(road.seed),
    )


@inlined
def _modulo(value: float, period: float) -> float:
    return value - period * math.floor(value / period)


@inlined
def across_road(plan: Plan, x: float, z: float) -> float:
    """Metres to the right of the middle line."""
    return x - (plan.start + plan.slope * z + plan.bend / 2 * z * z)


@inlined
def on_road(plan: Plan, x: float, z: float) -> bool:
    """Whether a point of the plan is asphalt."""
    across = across_road(plan, x, z)
    return plan.left < across < plan.right or abs(z - plan.cross) < plan.cross_half


@inlined
def meet_ground(plan: Plan, x: float, y: float, z: float, dx: float, dy: float, dz: float) -> tuple[float, bool]:
    """Distance to the ground along a ray (inf for none), and whether it is the kerb's face that is met.

    A face is taken to be where the ray meets the road's level behind it: too far by at most the kerb's share of the
    camera's height, 5 % on average.
    """
    if dy <= 1e-6:
        return math.inf, False
    low, high = -y / dy, (-plan.kerb - y) / dy
    if not on_road(plan, x + dx * high, z + dz * high):
        return high, False
    return low, not on_road(plan, x + dx * low, z + dz * low)


@inlined
def _markings(plan: Plan, across: float, z: float, foot: float) -> tuple[float, float]:
    """Coverage by the centre line, and by lane lines, edge lines and the crossing's stripes."""
    # Along the road a pixel is much longer than wide; four times is a fair mean for these cameras.
    dashes = band(_modulo(z, plan.period) - plan.period / 2, plan.dash / 2, foot * 4)
    centre = band(across, 0.07, foot) * (1.0 if plan.yellow else dashes) * plan.centre_mark
    edge = band(across - plan.left - 0.25, 0.07, foot) + band(across - plan.right + 0.25, 0.07, foot)
    other = edge * plan.edge_mark
    if abs(across) > plan.lane / 2 and plan.left + 0.5 < across < plan.right - 0.5:
        line = _modulo(across + plan.lane / 2, plan.lane) - plan.lane / 2
        other += band(line, 0.06, foot) * dashes * plan.lane_mark
    if plan.cross_half <= 0:
        return centre, min(other, 1.0)
    if abs(z - plan.cross) <= plan.cross_half + 4.5:
        centre, other = 0.0, 0.0
    if plan.left + 0.2 < across < plan.right - 0.2:
        ahead = plan.cross - plan.cross_half
        stripes = band(_modulo(across, 1.0) - 0.5, 0.25, foot) * band(z - ahead + 2.2, 1.5, foot * 4)
        stop = band(z - ahead + 4.9, 0.2, foot * 4) if across > 0 else 0.0
        other += (stripes + stop) * 0.9
    return centre, min(other, 1.0)


@inlined
def _asphalt(plan: Plan, x: float, z: float, across: float, foot: float) -> Albedo:
    lane = _modulo(across, plan.lane) / plan.lane - 0.5
    tracks, oil = math.exp(-(((abs(lane) - 0.24) / 0.09) ** 2)), math.exp(-((lane / 0.1) ** 2))
    broad = fractal2(across * 0.3 + plan.seed, z * 0.07, 3) - 0.5
    fine, coarse, thin = detail(0.06, foot), detail(0.2, foot), detail(0.08, foot)
    grain, crack = 0.0, 0.0
    if fine > 0:
        grain = (noise2(x * 21, z * 21) - 0.5) * fine
    if coarse > 0:
        grain += (noise2(x * 6, z * 6) - 0.5) * 0.5 * coarse
    if thin > 0:
        crack = band(noise2(across * 0.6 + 5, z * 0.25 + plan.seed) - 0.5, 0.004, foot * 0.4) * thin
    mended = 0.12 if noise2(across * 0.25 + plan.seed, z * 0.05 + plan.seed) > 0.78 else 0.0
    tone = plan.tone * (1 + 0.35 * broad + 0.3 * grain - 0.1 * tracks - 0.07 * oil - mended - 0.2 * crack)
    red, green, blue = tone, tone * 0.99, tone * 0.975
    centre, other = _markings(plan, across, z, foot)
    if centre + other > 0:
        worn = 0.55 + 0.45 * clamp(fractal2(x * 1.7, z * 1.7, 2) * 2.2 - 0.3, 0.0, 1.0)
        share = centre * worn
        paint = (0.58, 0.4, 0.06) if plan.yellow else (0.62, 0.62, 0.6)
        red, green, blue = mix(red, paint[0], share), mix(green, paint[1], share), mix(blue, paint[2], share)
        share = other * worn
        red, green, blue = mix(red, 0.62, share), mix(green, 0.62, share), mix(blue, 0.6, share)
    return red, green, blue


@inlined
def _paving(plan: Plan, x: float, z: float, foot: float) -> Albedo:
    broad = fractal2(x * 0.25 + plan.seed, z * 0.25, 3) - 0.5
    tone, left = 1 + 0.4 * broad, detail(0.4, foot * 2)
    if left > 0:
        slab = cell_noise(math.floor(x / 0.5), math.floor(z / 0.5), 0) - 0.5
        joint = max(
            band(_modulo(x, 0.5) - 0.25, 0.008, foot),
            band(_modulo(z, 0.5) - 0.25, 0.008, foot * 3),
        )
        tone += (0.16 * slab - 0.3 * joint) * left
    tone *= plan.walk_tone
    return tone, tone * 0.97, tone * 0.93


@inlined
def _grass(plan: Plan, x: float, z: float, foot: float) -> Albedo:
    broad, left = fractal2(x * 0.15 + plan.seed, z * 0.15, 4), detail(0.08, foot)
    blade = (noise2(x * 3, z * 3) - 0.5) * 0.6
    if left > 0:
        blade += (noise2(x * 13, z * 13) - 0.5) * left
    dry, tone = clamp((broad - 0.5) * 3, 0.0, 1.0), 0.65 + 0.5 * broad + 0.7 * blade
    red, green, blue = plan.grass
    return mix(red, 0.2, dry) * tone, mix(green, 0.16, dry) * tone, mix(blue, 0.09, dry) * tone


@compiled
def ground_albedo(plan: Plan, x: float, z: float, foot: float, kerb: bool) -> Albedo:
    """Albedo of the ground at a point of the plan, or of the kerb's face there."""
    if kerb:
        return plan.walk_tone * 0.7, plan.walk_tone * 0.7, plan.walk_tone * 0.679
    across = across_road(plan, x, z)
    if on_road(plan, x, z):
        return _asphalt(plan, x, z, across, foot)
    beyond = max(plan.left - across, across - plan.right)
    walk = band(beyond - plan.walk / 2, plan.walk / 2, foot) if plan.walk > 0 else 0.0
    if plan.paved:
        walk = 1.0
    red, green, blue = 0.0, 0.0, 0.0
    if walk < 1:
        red, green, blue = _grass(plan, x, z, foot)
    if walk > 0:
        r, g, b = _paving(plan, x, z, foot)
        red, green, blue = mix(red, r, walk), mix(green, g, walk), mix(blue, b, walk)
    stone = band(beyond - 0.08, 0.08, foot) if plan.walk > 0 else 0.0
    tone = plan.walk_tone * 1.15
    return mix(red, tone, stone), mix(green, tone, stone), mix(blue, tone, stone)
