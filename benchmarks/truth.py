"""How near the exposure simulator comes to the truth on rendered streets.

Each scene is a street that was rendered at many moments of the exposure. The simulator has the sharp frame as an 8-bit
picture, depth, ids and motion, as a person would hand them over, and is held against the mean of those moments:

  psnr          of the picture where the blur changes it by more than 0.06, in dB
  sharp psnr    of the sharp frame there: what doing nothing gives
  target error  mean relative error of the mean inverse depth where the sharp frame's is wrong by over 5 %, as a share
                of that of the sharp frame's

A second table has the target error by how far things move around a pixel. Of motion by a pixel or two it is mostly that
of edges, of which the sharp frame and its depth show but the pixel's middle.

usage: python benchmarks/truth.py [--scenes 50] [--seed 700000] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.exposure import expose
from blurdepth.images import linear_to_srgb, srgb_to_linear
from blurdepth.scenes import Scene, render_scene

WIDTH, HEIGHT = 640, 192
CHANGED, WRONG = 0.06, 0.05
LENGTHS_PX = (0, 1, 2, 4, 8, 16, np.inf)
AROUND_PX = 4
LEAST_SHARE = 0.001

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Score:
    """What one scene gives; None where too little of it is blurred, or shows mixed depths."""

    kind: str
    psnr: float | None
    sharp_psnr: float | None
    target_error: float | None
    by_length: list[list[float]]
    """For each of `LENGTHS_PX` but the last: sums of the relative error of the simulator and of the sharp frame."""


def score(scene: Scene) -> Score:
    """Expose the sharp frame of a scene, and hold it against the truth."""
    sharp, blurred = (linear_to_srgb(light) for light in (scene.sharp_linear, scene.exposure.linear))
    inverse_depth, motion = scene.inverse_depth, scene.motion
    assert motion is not None, "a scene of ours tells what moves"
    exposed = expose(srgb_to_linear(sharp), inverse_depth, motion, scene.ids)
    frame, aim, got = (np.divide(each, 255) for each in (sharp, blurred, linear_to_srgb(exposed.linear)))
    truth = scene.exposure.mean_inverse_depth
    floor = np.maximum(truth, 1e-2)
    changed = np.abs(frame - aim).max(axis=2) > CHANGED
    wrong = np.abs(truth - inverse_depth) > WRONG * floor
    enough = changed.mean() > LEAST_SHARE
    errors = [np.abs(guess - truth) / floor * wrong for guess in (exposed.mean_inverse_depth, inverse_depth)]
    error = float(errors[0].sum() / errors[1].sum()) if wrong.mean() > LEAST_SHARE else None
    around = np.ones((2 * AROUND_PX + 1,) * 2, np.uint8)
    bins = np.digitize(cv2.dilate(scene.exposure.flow_px, around), LENGTHS_PX[1:])
    sums = [[float(each[bins == k].sum()) for each in errors] for k in range(len(LENGTHS_PX) - 1)]
    return Score(
        scene.meta["kind"],
        psnr(got, aim, changed) if enough else None,
        psnr(frame, aim, changed) if enough else None,
        error,
        sums,
    )


def psnr(one: Floats, other: Floats, where: NDArray[np.bool_]) -> float:
    """Peak signal to noise ratio of two pictures of 0 to 1 in some pixels, dB."""
    return float(-10 * np.log10(np.mean((one - other)[where] ** 2)))


def table(scores: list[Score]) -> dict[str, dict[str, float]]:
    """Means by kind of motion, and over all."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for each in scores:
        groups[each.kind].append(each)
    rows = {}
    for kind, members in [*sorted(groups.items()), ("all", scores)]:
        rows[kind] = {"scenes": float(len(members))}
        for name in ("psnr", "sharp_psnr", "target_error"):
            known = [value for member in members if (value := getattr(member, name)) is not None]
            rows[kind][name] = round(float(np.mean(known)), 3) if known else float("nan")
    return rows


def by_length(scores: list[Score]) -> dict[str, float]:
    """The target error of all scenes together, by motion in pixels."""
    sums = np.array([each.by_length for each in scores]).sum(axis=0)
    names = [f"{low:g} to {high:g} px" for low, high in itertools.pairwise(LENGTHS_PX)]
    return {name: round(float(ours / max(sharp, 1e-9)), 3) for name, (ours, sharp) in zip(names, sums, strict=True)}


def main(arguments: list[str] | None = None) -> int:
    """Render, expose, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=50, help="how many, default 50")
    parser.add_argument("--seed", type=int, default=700_000, help="of the first street")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.scenes)
    scores = [score(render_scene(seed, WIDTH, HEIGHT)) for seed in seeds]
    rows = table(scores)
    if options.json:
        lengths = by_length(scores)
        print(json.dumps({"by_kind": rows, "by_length": lengths, "scenes": [asdict(each) for each in scores]}))
        return 0
    print(f"{'motion':22}{'scenes':>8}{'psnr':>8}{'sharp':>8}{'target error':>14}")
    for kind, row in rows.items():
        numbers = f"{row['scenes']:8.0f}{row['psnr']:8.1f}{row['sharp_psnr']:8.1f}{row['target_error']:14.3f}"
        print(f"{kind:22}{numbers}")
    print(f"\n{'motion around':22}{'target error':>14}")
    for length, value in by_length(scores).items():
        print(f"{length:22}{value:14.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
