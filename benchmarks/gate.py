"""How well the blur gate tells blurred variants from sharp ones and from ones out of focus.

Each pair is a rendered street whose largest mover crosses, or in which the camera pans or goes ahead, by 8 to 24 px;
by day in fog, rain, snow, haze, smog, on wet ground or in none of them. Held against it are the same picture without
motion, and the same out of focus. Night is counted apart.

usage: python benchmarks/gate.py [--pairs 200] [--night 60] [--seed 5000] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.blurcheck import check_variant
from blurdepth.camera import Motion, Pinhole
from blurdepth.exposure import expose, motion_flow
from blurdepth.images import Rgb, linear_to_srgb, srgb_to_linear
from blurdepth.streets import make_street, render
from blurdepth.weather import Weather, apply_falling, apply_scene, apply_sensor, look

F32 = NDArray[np.float32]

WIDTH, HEIGHT = 640, 192
KINDS, SHARES = ("objects", "pan", "ahead"), (0.6, 0.2, 0.2)
AIRS = ("fog", "rain", "snow", "haze", "wet", "smog")
MIN_MOVER_PX, EXPOSURE_S = 600, 1 / 15


@dataclass(frozen=True)
class Pair:
    """A sharp frame, the motion asked for, and three pictures of it in one weather.

    Attributes:
        source: (H, W, 3) the frame.
        flow: (H, W, 2) px.
        ids: (H, W) what moves by itself.
        blurred, sharp, defocused: (H, W, 3) with that motion, without it, and without it out of focus.
    """

    source: Rgb
    flow: F32
    ids: NDArray[np.uint8]
    blurred: Rgb
    sharp: Rgb
    defocused: Rgb


def make_pair(seed: int, *, night: bool = False) -> Pair:
    """A pair by its seed."""
    chance = np.random.default_rng(seed)
    kind, blur_px = str(chance.choice(KINDS, p=SHARES)), float(chance.uniform(8, 24))
    for street_seed in range(seed * 1000, (seed + 1) * 1000):
        street = make_street(street_seed, light="noon")
        seen = render(street, WIDTH, HEIGHT)
        sizes = np.bincount(seen.object_ids.ravel(), minlength=256)
        largest = max(street.motion.objects, key=lambda number: int(sizes[number]), default=0)
        if kind != "objects" or (largest and sizes[largest] >= MIN_MOVER_PX):
            break
    source = linear_to_srgb(np.clip(seen.linear, 0, 1))
    inverse_depth = seen.inverse_depth
    motion = _motion(kind, blur_px, street.motion.fov_x_deg, inverse_depth, seen.object_ids, largest, chance)
    ids = motion.moving(seen.object_ids)
    air = {str(chance.choice(AIRS)): float(chance.uniform(0.2, 0.8))} if chance.random() < 0.7 else {}
    weather = Weather(**air, night=float(chance.uniform(0.5, 1)) if night else 0.0)
    lens = disc(float(chance.uniform(2, 5)))
    still = Motion(motion.fov_x_deg)
    flow = motion_flow(Pinhole(WIDTH, HEIGHT, motion.fov_x_deg), inverse_depth, motion, ids)
    pictures = [
        _photograph(source, inverse_depth, ids, each, weather, seed, blur)
        for each, blur in ((motion, None), (still, None), (still, lens))
    ]
    return Pair(source, flow, ids, *pictures)


def _motion(
    kind: str,
    blur_px: float,
    fov_x_deg: float,
    inverse_depth: F32,
    ids: NDArray[np.uint8],
    largest: int,
    chance: np.random.Generator,
) -> Motion:
    camera, sign = Pinhole(WIDTH, HEIGHT, fov_x_deg), float(chance.choice([-1, 1]))
    if kind == "objects":
        metres = blur_px / camera.focal_px / float(np.median(inverse_depth[ids == largest]))
        return Motion(fov_x_deg, objects={largest: (sign * metres, 0.0, 0.0)})
    if kind == "pan":
        return Motion(fov_x_deg, rotation_deg=(0.0, sign * float(np.degrees(blur_px / camera.focal_px)), 0.0))
    metre = motion_flow(camera, inverse_depth, Motion(fov_x_deg, (0.0, 0.0, 1.0)), np.zeros_like(ids))
    usual = float(np.percentile(np.hypot(metre[..., 0], metre[..., 1]), 80))
    return Motion(fov_x_deg, (0.0, 0.0, blur_px / usual))


def disc(radius: float) -> F32:
    """What a lens out of focus makes of a point, its edge smooth."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    light = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return np.asarray(light / light.sum(), np.float32)


def _photograph(
    source: Rgb,
    inverse_depth: F32,
    ids: NDArray[np.uint8],
    motion: Motion,
    weather: Weather,
    seed: int,
    lens: F32 | None,
) -> Rgb:
    chance = np.random.default_rng([seed, 1])
    focal_px = Pinhole(WIDTH, HEIGHT, motion.fov_x_deg).focal_px
    linear = srgb_to_linear(source)
    scene = apply_scene(linear, look(linear, inverse_depth, focal_px), weather, chance)
    exposure = expose(scene, inverse_depth, motion, ids)
    light = exposure.linear
    if lens is not None:
        light = cv2.filter2D(light, -1, lens, borderType=cv2.BORDER_REPLICATE)
    light = apply_falling(light, exposure.mean_inverse_depth, weather, EXPOSURE_S, motion, chance)
    return linear_to_srgb(apply_sensor(light, weather, chance))


def judge(pairs: Iterator[Pair], count: int) -> dict[str, float]:
    """Shares of what the gate found, falsely found, and called out of focus."""
    found = false = defocus = taken = 0
    for pair in pairs:
        blurred, sharp, defocused = (
            check_variant(picture, pair.source, pair.flow, pair.ids)
            for picture in (pair.blurred, pair.sharp, pair.defocused)
        )
        found += blurred.passed and not blurred.reasons
        false += sharp.passed and not sharp.reasons
        defocus += "defocus" in defocused.reasons
        taken += defocused.passed and not defocused.reasons
    shares = {"found": found, "false_alarms": false, "told_defocus": defocus, "defocus_taken_for_motion": taken}
    return {name: round(value / count, 4) for name, value in shares.items()}


def main() -> None:
    """Judge pairs by day and by night, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--night", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    day = judge((make_pair(args.seed + k) for k in range(args.pairs)), args.pairs)
    night = judge((make_pair(args.seed + k, night=True) for k in range(args.night)), args.night)
    result = {"pairs": args.pairs, "day": day, "night_pairs": args.night, "night": night}
    if args.json:
        print(json.dumps(result))
        return
    for name, shares in (("by day", day), ("by night", night)):
        print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value:.1%}" for key, value in shares.items()))


if __name__ == "__main__":
    main()
