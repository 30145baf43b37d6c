"""The exposure simulator against a plain loop of sub-frames with cv2.remap on the same layers.

Two exposures of one street are compared: cars that cross before a camera at rest, and the same in a pan; `ratio` is
the lower of the two. Each way is compared with its own 512 sub-frames, and the plain loop gets the fewest sub-frames
with which it is as close to these, in light and in inverse depth, as the simulator to its own. A camera that goes ahead
is timed alone: the plain loop smears what that uncovers, and so doesn't do the same work. Times are those of layers and
sum together; both ways use --threads threads. The cost of the pan against resolution and blur length is written as an
SVG picture.

usage: python benchmarks/exposure.py [--seed 3] [--runs 5] [--threads 2] [--plot FILE.svg] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.camera import Motion, Pinhole, Vector
from blurdepth.exposure import expose, warm_up
from blurdepth.exposure.cutouts import Cutout
from blurdepth.exposure.highlights import boost_highlights
from blurdepth.exposure.layers import take_out_movers
from blurdepth.exposure.motion import against
from blurdepth.exposure.shadows import find_shadows
from blurdepth.streets import make_street, render

F32 = NDArray[np.float32]
REFERENCE = 512
CROSSING: Vector = (1.2, 0.0, 0.0)
SCENES: dict[str, tuple[Vector, Vector, bool]] = {
    "crossing": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), True),
    "pan": ((0.0, 0.0, 0.0), (0.0, 1.5, 0.0), True),
    "ahead": ((0.0, 0.0, 0.8), (0.0, 0.0, 0.0), False),
}
"""The camera's translation (m) and rotation (degrees) over the exposure, and whether cars cross."""
WIDTHS = (320, 640, 1242, 1920)
LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Frame:
    """A sharp frame, and how it moves."""

    linear: F32
    inverse_depth: F32
    ids: NDArray[np.uint8]
    motion: Motion

    def longer(self, times: float) -> Frame:
        """The same frame with an exposure `times` as long."""

        def scaled(vector: Vector) -> Vector:
            x, y, z = (part * times for part in vector)
            return x, y, z

        motion = replace(
            self.motion,
            translation_m=scaled(self.motion.translation_m),
            rotation_deg=scaled(self.motion.rotation_deg),
            objects={number: scaled(move) for number, move in self.motion.objects.items()},
        )
        return replace(self, motion=motion)


def make_frame(seed: int, width: int, scene: str) -> Frame:
    """One of `SCENES` in a street, of whose moving objects the two largest cross."""
    street = make_street(seed, "crossing", "noon")
    seen = render(street, width, round(width * 0.3))
    counts = np.bincount(seen.object_ids.ravel(), minlength=256)
    largest = sorted(street.motion.objects, key=lambda number: -int(counts[number]))[:2]
    translation, rotation, crossing = SCENES[scene]
    objects = dict.fromkeys(largest, CROSSING) if crossing else {}
    motion = Motion(street.motion.fov_x_deg, translation, rotation, objects)
    return Frame(np.clip(seen.linear, 0, 1), seen.inverse_depth, seen.object_ids, motion)


class PlainLoop:
    """Every sub-frame of every layer by backward warps of the whole frame, one after the other."""

    def __init__(self, frame: Frame) -> None:
        """Cut the layers."""
        self.motion, (height, width) = frame.motion, frame.inverse_depth.shape
        self.camera = Pinhole(width, height, frame.motion.fov_x_deg)
        moving = frame.motion.moving(frame.ids)
        light = boost_highlights(frame.linear)
        shadows, light, _ = find_shadows(light, frame.inverse_depth, moving, frame.motion)
        movers, light, depth = take_out_movers(light, frame.inverse_depth, moving)
        self.world = np.dstack([light, depth])
        self.movers = [(mover, *self._whole(mover)) for mover in movers]
        self.shadows = [(shadow.number, self._whole(shadow)[0]) for shadow in shadows]

    def _whole(self, part: Cutout) -> tuple[F32, F32]:
        """A cut-out's pixels and its own pixels' inverse depth, as whole frames; 1 where a shadow is not."""
        (left, top), (height, width) = part.corner, part.inverse_depth.shape
        padding = (top, self.camera.height - top - height, left, self.camera.width - left - width)
        edge = cv2.copyMakeBorder(part.inverse_depth, *padding, cv2.BORDER_REPLICATE)
        if part.pixels.shape[2] == 1:
            return cv2.copyMakeBorder(part.pixels[..., 0], *padding, cv2.BORDER_CONSTANT, value=1.0), edge
        body = cv2.copyMakeBorder(part.pixels[..., :4], *padding, cv2.BORDER_REPLICATE)
        coverage = cv2.copyMakeBorder(part.pixels[..., 4], *padding, cv2.BORDER_CONSTANT, value=0.0)
        return np.dstack([body, coverage]), edge

    def _rays(self, t: float) -> tuple[F32, F32, F32]:
        x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (self.camera.width, self.camera.height)))
        (cx, cy), focal = self.camera.centre_px, np.float32(self.camera.focal_px)
        turn = cv2.Rodrigues(np.radians(np.array(self.motion.rotation_deg)) * t)[0].astype(np.float32)
        u, v = (x - np.float32(cx)) / focal, (y - np.float32(cy)) / focal
        a, b, gain = (turn[i, 0] * u + turn[i, 1] * v + turn[i, 2] for i in range(3))
        return np.float32(cx) + focal * a / gain, np.float32(cy) + focal * b / gain, gain

    def _source(self, rays: tuple[F32, F32, F32], depth: F32, travel: Vector, t: float) -> tuple[F32, F32]:
        """Where what is seen comes from: three steps towards the surface."""
        (cx, cy), focal = self.camera.centre_px, self.camera.focal_px
        ex = np.float32(focal * travel[0] * t) - np.float32(travel[2] * t) * (rays[0] - np.float32(cx))
        ey = np.float32(focal * travel[1] * t) - np.float32(travel[2] * t) * (rays[1] - np.float32(cy))
        here = depth
        for _ in range(3):
            x, y = rays[0] + here * ex, rays[1] + here * ey
            here = cv2.remap(depth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return x, y

    def see(self, t: float) -> F32:
        """(H, W, 4) light and inverse depth at time `t`."""
        rays, camera = self._rays(t), self.motion.translation_m
        x, y = self._source(rays, np.ascontiguousarray(self.world[..., 3]), camera, t)
        look = cv2.remap(self.world, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for number, left in self.shadows:
            move, d = self.motion.objects[number], look[..., 3]
            (cx, cy), focal = self.camera.centre_px, self.camera.focal_px
            rest = 1 - np.float32(move[2] * t) * d
            at_x = np.float32(cx) + (x - np.float32(cx) - np.float32(focal * move[0] * t) * d) / rest
            at_y = np.float32(cy) + (y - np.float32(cy) - np.float32(focal * move[1] * t) * d) / rest
            look[..., :3] *= cv2.remap(left, at_x, at_y, cv2.INTER_LINEAR, borderValue=1.0)[..., None]
        look[..., 3] *= rays[2] / (1 - np.float32(camera[2] * t) * look[..., 3])
        for mover, whole, depth in self.movers:
            travel = against(self.motion, mover.number)
            x, y = self._source(rays, depth, travel, t)
            body = cv2.remap(whole[..., :4], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            share = cv2.remap(np.ascontiguousarray(whole[..., 4]), x, y, cv2.INTER_LINEAR)
            body[..., 3] *= rays[2] / (1 - np.float32(travel[2] * t) * body[..., 3])
            share *= body[..., 3] >= look[..., 3] * np.float32(0.97)
            look = cv2.blendLinear(body, look, share, 1 - share)
        return np.ascontiguousarray(look, np.float32)

    def expose(self, subframes: int) -> F32:
        """(H, W, 4) the mean of `subframes` moments."""
        total = np.zeros(self.world.shape, np.float32)
        for k in range(subframes):
            cv2.accumulate(self.see((k + 0.5) / subframes - 0.5), total)
        return total / np.float32(subframes)


def ours(frame: Frame, threads: int, subframes: int | None = None) -> F32:
    """(H, W, 4) light and mean inverse depth by the simulator."""
    ids = frame.motion.moving(frame.ids)
    made = expose(frame.linear, frame.inverse_depth, frame.motion, ids, subframes, threads)
    return np.dstack([made.linear, made.mean_inverse_depth])


def accuracy(made: F32, reference: F32) -> tuple[float, float]:
    """PSNR of the light in dB, and mean error of the inverse depth over its mean."""
    light = float(np.mean((made[..., :3] - reference[..., :3]) ** 2))
    depth = float(np.abs(made[..., 3] - reference[..., 3]).mean() / reference[..., 3].mean())
    return -10 * float(np.log10(max(light, 1e-12))), depth


def fewest(loop: PlainLoop, wanted: tuple[float, float]) -> tuple[int, tuple[float, float]]:
    """The fewest sub-frames, to about 5 %, that are as accurate as `wanted`, and how accurate they are."""
    reference, count = loop.expose(REFERENCE), 4
    while True:
        reached = accuracy(loop.expose(count), reference)
        if (reached[0] >= wanted[0] and reached[1] <= wanted[1]) or count >= REFERENCE:
            return count, reached
        count += max(1, count // 20)


def seconds(work: Callable[[], Any], runs: int) -> float:
    """Median time of `work`."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def plot(curves: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    """An SVG picture with one panel for each (title, x, seconds), both axes from 0."""
    panels = []
    for index, (title, across, up) in enumerate(curves):
        left, width, height = 70 + 420 * index, 320, 220
        points = [
            (left + width * x / max(across), 40 + height * (1 - y / max(up))) for x, y in zip(across, up, strict=True)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{s:.3f} s</text>'
            f'<text x="{x:.1f}" y="{height + 58}" text-anchor="middle">{value:g}</text>'
            for (x, y), s, value in zip(points, up, across, strict=True)
        )
        frame = f'<path d="M{left} 40V{40 + height}H{left + width}" fill="none" stroke="grey"/>'
        panels.append(f'{frame}<polyline points="{line}" fill="none" stroke="#a60"/>{marks}')
        panels.append(f'<text x="{left + width / 2}" y="{height + 82}" text-anchor="middle">{title}</text>')
    body = "".join(panels)
    size = f'width="{420 * len(curves) + 20}" height="320" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{body}</svg>'


def main() -> None:
    """Compare both, measure the cost, and print and plot it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=Path(tempfile.gettempdir()) / "blurdepth-exposure-cost.svg")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    warm_up()
    scenes = {name: compare(make_frame(args.seed, 640, name), args.threads, args.runs) for name in ("crossing", "pan")}
    ahead = seconds(partial(ours, make_frame(args.seed, 640, "ahead"), args.threads), args.runs)
    sizes = {
        width: seconds(partial(ours, make_frame(args.seed, width, "pan"), args.threads), args.runs) for width in WIDTHS
    }
    pan = make_frame(args.seed, 640, "pan")
    lengths = {times: seconds(partial(ours, pan.longer(times), args.threads), args.runs) for times in LENGTHS}
    pixels = [width * round(width * 0.3) / 1e6 for width in WIDTHS]
    curves = [
        ("megapixels", pixels, list(sizes.values())),
        ("exposure, times as long", LENGTHS, list(lengths.values())),
    ]
    args.plot.write_text(plot(curves))
    result = {
        "ratio": min(scene["ratio"] for scene in scenes.values()),
        **scenes,
        "seconds_ahead": round(ahead, 4),
        "seconds_by_width": {width: round(value, 4) for width, value in sizes.items()},
        "seconds_by_length": {times: round(value, 4) for times, value in lengths.items()},
        "plot": str(args.plot),
    }
    if args.json:
        print(json.dumps(result))
        return
    for name, scene in scenes.items():
        words = "{seconds} s, the plain loop {baseline_seconds} s with {baseline_subframes} sub-frames: ratio {ratio}"
        print(f"{name}: {words.format(**scene)}")
    widths, times = result["seconds_by_width"], result["seconds_by_length"]
    print(f"ahead: {result['seconds_ahead']} s; cost of the pan by width {widths}, by length {times}: {args.plot}")


def compare(frame: Frame, threads: int, runs: int) -> dict[str, Any]:
    """Time both ways of one exposure at equal accuracy."""
    reached = accuracy(ours(frame, threads), ours(frame, threads, REFERENCE))
    count, plain = fewest(PlainLoop(frame), reached)
    fast = seconds(partial(ours, frame, threads), runs)
    slow = seconds(lambda: PlainLoop(frame).expose(count), runs)
    return {
        "seconds": round(fast, 4),
        "baseline_seconds": round(slow, 4),
        "ratio": round(slow / fast, 2),
        "baseline_subframes": count,
        "psnr_db": [round(reached[0], 1), round(plain[0], 1)],
        "inverse_depth_error": [round(reached[1], 6), round(plain[1], 6)],
    }


if __name__ == "__main__":
    main()
