"""The benchmark: a fixed set of street scenes with exact truth in three splits, rendered, checked and read.

Each split has seeds of its own, so no street and no motion of one is in another. The manifest that comes with the
project tells what each scene holds, so that figures of two places are known to be of the same pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError
from blurdepth.scenes import Scene, read_scene, render_scenes, scene_arrays, scene_path

Split = Literal["train", "val", "test"]
SPLITS: dict[Split, range] = {
    "train": range(1_000_000, 1_000_200),
    "val": range(2_000_000, 2_000_040),
    "test": range(3_000_000, 3_000_100),
}
"""The seeds of each split."""
WIDTH, HEIGHT = 640, 192
MANIFEST = Path(__file__).resolve().parent.parent / "assets" / "benchmark.json"

_TOLERANCE, _LEAST = 1e-3, 1e-6
"""Share, and amount, by which a mean may differ where a processor rounds otherwise; those of other streets do more."""


@dataclass(frozen=True)
class Check:
    """How scenes compare to the manifest.

    Attributes:
        same: how many are the same to the bit.
        rounded: how many differ by what another processor or library rounds otherwise.
    """

    same: int
    rounded: int


def render_benchmark(folder: Path, split: Split) -> Iterator[Path]:
    """Render a split into `folder`/`split`, one file a scene; what is there already is kept.

    Raises:
        StorageError: a file can't be written.
    """
    yield from render_scenes(folder / split, SPLITS[split], WIDTH, HEIGHT)


def read_benchmark(folder: Path, split: Split) -> Iterator[Scene]:
    """The scenes of a split in the order of their seeds.

    Raises:
        InputError: one is missing or damaged.
    """
    for path in _paths(folder, split):
        yield read_scene(path)


def describe(scene: Scene) -> dict[str, Any]:
    """What the manifest keeps of a scene: a hash of all that it holds, and the mean of each quarter of each array.

    Half precision is what counts, as in its file; the sky's infinite depth is left out of the means.
    """
    digest, means = hashlib.sha256(), []
    for name, values in sorted(scene_arrays(scene).items()):
        digest.update(f"{name} {values.shape} {values.dtype}".encode() + values.tobytes())
        halves = np.array_split(values, 2)
        means += [_mean(quarter) for half in halves for quarter in np.array_split(half, 2, axis=1)]
    size = [*scene.depth_m.shape, scene.meta.get("times")]
    return {"scene": scene.meta.get("scene"), "size": size, "sha256": digest.hexdigest(), "means": means}


def _mean(values: NDArray[Any]) -> float:
    """Of what is finite, to five digits."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(f"{finite.mean() if finite.size else 0.0:.5g}")


def check_benchmark(folder: Path, split: Split) -> Check:
    """Hold the scenes of a split against the manifest.

    Raises:
        InputError: a scene is missing or damaged, or shows something else.
    """
    known = {each["scene"]: each for each in json.loads(MANIFEST.read_text(encoding="utf-8"))[split]}
    same, rounded, other = 0, 0, []
    for seed, path in zip(SPLITS[split], _paths(folder, split), strict=True):
        found, wanted = describe(read_scene(path)), known[seed]
        if found["sha256"] == wanted["sha256"]:
            same += 1
        elif found["size"] == wanted["size"] and np.allclose(found["means"], wanted["means"], _TOLERANCE, _LEAST):
            rounded += 1
        else:
            other.append(path)
    if other:
        raise InputError(
            f"{other[0]} and {len(other) - 1} more scenes are not those of the benchmark. If another version rendered "
            f"them, remove the folder {folder / split} and run `python -m blurdepth benchmark --out {folder}`."
        )
    return Check(same, rounded)


def require_whole(folder: Path) -> None:
    """Nothing, unless the folder holds a part of a split only, as a rendering that was stopped leaves it.

    Raises:
        InputError: a part of a split is missing; figures of the rest would not be those of the benchmark.
    """
    for split, seeds in SPLITS.items():
        whole = folder.resolve()
        if whole.name == split and any(scene_path(whole, seed, WIDTH, HEIGHT).exists() for seed in seeds):
            _paths(whole.parent, split)


def _paths(folder: Path, split: Split) -> list[Path]:
    paths = [scene_path(folder / split, seed, WIDTH, HEIGHT) for seed in SPLITS[split]]
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(
            f"{missing[0]} and {len(missing) - 1} more scenes of the benchmark are missing: "
            f"run `python -m blurdepth benchmark --out {folder}`."
        )
    return paths
