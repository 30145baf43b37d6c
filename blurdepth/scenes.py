"""Street scenes with exact truth: what a camera sees while its shutter is open, and how far all of it is."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.camera import Motion, Pinhole, motion_from_json
from blurdepth.depth import inverse_to_depth_m, to_inverse_depth
from blurdepth.errors import InputError
from blurdepth.exposure.motion import motion_flow
from blurdepth.exposure.result import Exposure
from blurdepth.files import write_atomically
from blurdepth.images import Linear, linear_to_srgb, object_numbers
from blurdepth.streets import make_street, render, render_exposure
from blurdepth.streets.scene import Street

Map = NDArray[np.float32]
Ids = NDArray[np.uint8]
TIMES = 16
SCENE_KEYS = ("sharp_linear", "blur_linear", "depth_m", "mean_inverse_depth")
_MORE_KEYS = ("mover_fraction", "mean_depth_m", "near_inverse_depth", "far_inverse_depth", "deviation_inverse_depth")
MAX_SIDE_PX = 4096
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, MemoryError, RecursionError, InputError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What numpy, zip and JSON raise where a file is no scene."""
_CHANGED = 15 / 255
_STANDS_M, _TURNS_DEG = 0.02, 0.05


@dataclass(frozen=True)
class Scene:
    """One street, sharp at mid exposure, and what is true of the whole exposure.

    Attributes:
        sharp_linear: (H, W, 3) float32 linear light.
        depth_m: (H, W) float32 metres at mid exposure, inf for the sky.
        ids: (H, W) uint8 objects at mid exposure, 0 for the static world.
        exposure: the blurred picture and its depths, exact, as the exposure simulator has them. Of a scene of another
            maker that doesn't tell of nearest, farthest and variance, they are what sharp and mean depth show; of one
            without motion, the flow is 0, and what changes its colour counts as covered by what moves.
        meta: `scene` (its seed), `kind` of motion, `width`, `height`, the motion as `Motion.to_json` has it, and more.
    """

    sharp_linear: Linear
    depth_m: Map
    ids: Ids
    exposure: Exposure
    meta: dict[str, Any]

    @property
    def inverse_depth(self) -> Map:
        """(H, W) float32 at mid exposure, 1/m, 0 for the sky."""
        return to_inverse_depth(self.depth_m, "depth_m")

    @property
    def motion(self) -> Motion | None:
        """Of camera and objects over the exposure; None where a scene of another maker doesn't say."""
        return _motion_of(self.meta)


def render_scene(seed: int, width: int, height: int) -> Scene:
    """Render the street of a seed.

    The same seed and size give the same scene. All of it is seen through the middle of each pixel: what nothing moves
    is the same in the sharp and the blurred frame. What is told of the exposure is over `TIMES` moments.

    Raises:
        InputError: the size is not 1 to `MAX_SIDE_PX` pixels a side, or the seed is negative.
    """
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise InputError(f"A scene of {width} x {height} can't be rendered: give 1 to {MAX_SIDE_PX} pixels a side.")
    if seed < 0:
        raise InputError(f"The seed is {seed}: give 0 or more.")
    street = make_street(seed)
    sharp, seen = render(street, width, height), render_exposure(street, width, height, TIMES)
    exposure = Exposure(
        linear=seen.linear,
        mean_inverse_depth=seen.inverse_depth,
        mean_depth_m=seen.depth_m,
        nearest_inverse_depth=seen.near,
        farthest_inverse_depth=seen.far,
        variance=seen.variance,
        moving_fraction=seen.moving_share,
        flow=motion_flow(
            Pinhole(width, height, street.motion.fov_x_deg), sharp.inverse_depth, street.motion, sharp.object_ids
        ),
        valid=np.ones((height, width), bool),
        subframes=TIMES,
    )
    with np.errstate(divide="ignore"):
        depth_m = np.float32(1) / sharp.inverse_depth
    meta = _meta(street, width, height, sharp.object_ids)
    return Scene(sharp.linear, depth_m, sharp.object_ids, exposure, meta)


def _meta(street: Street, width: int, height: int, ids: NDArray[np.uint8]) -> dict[str, Any]:
    seen = street.motion.only(object_numbers(ids))
    return {
        "scene": street.seed,
        "kind": motion_kind(seen),
        "street": street.kind,
        "width": width,
        "height": height,
        **seen.to_json(),
        "times": TIMES,
        "code_version": __version__,
    }


def motion_kind(motion: Motion) -> str:
    """How the camera moves, and whether anything else does.

    >>> motion_kind(Motion(80.0, (0.0, 0.0, 0.5), objects={1: (1.0, 0.0, 0.0)}))
    'driving, objects'
    """
    camera = "standing"
    if np.linalg.norm(motion.translation_m) > _STANDS_M:
        camera = "driving"
    elif np.linalg.norm(motion.rotation_deg) > _TURNS_DEG:
        camera = "turning"
    moves = any(np.linalg.norm(move) > _STANDS_M for move in motion.objects.values())
    return f"{camera}, objects" if moves else camera


def write_scene(path: Path, scene: Scene) -> None:
    """Keep a scene as .npz, in half precision; the same scene gives the same bytes.

    Raises:
        StorageError: it can't be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **scene_arrays(scene), meta=np.array(json.dumps(scene.meta)))
    write_atomically(path, buffer.getvalue())


def scene_arrays(scene: Scene) -> dict[str, Any]:
    """The arrays of a scene's file by name: float16, and `ids` uint8."""
    exposure = scene.exposure
    maps = {
        "sharp_linear": scene.sharp_linear,
        "blur_linear": exposure.linear,
        "depth_m": scene.depth_m,
        "mean_inverse_depth": exposure.mean_inverse_depth,
        "mover_fraction": exposure.moving_fraction,
        "mean_depth_m": exposure.mean_depth_m,
        "near_inverse_depth": exposure.nearest_inverse_depth,
        "far_inverse_depth": exposure.farthest_inverse_depth,
        # The variance of what is far is too small for half precision.
        "deviation_inverse_depth": np.sqrt(exposure.variance),
    }
    # Ground so near the horizon that half precision has no number for it counts as the sky.
    with np.errstate(over="ignore"):
        halved = {name: value.astype(np.float16) for name, value in maps.items()}
    return {**halved, "ids": scene.ids}


def read_scene(path: Path) -> Scene:
    """Read a scene, of ours or of another maker with the same keys.

    Raises:
        InputError: it is not readable, or lacks one of `SCENE_KEYS`.
    """
    try:
        # numpy leaves a file open that it opened and can't read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            # What another maker adds is left alone.
            known = [*SCENE_KEYS, *(name for name in _MORE_KEYS if name in kept.files)]
            arrays = {name: kept[name].astype(np.float32) for name in known}
            shape = arrays["depth_m"].shape
            ids = kept["ids"].astype(np.uint8) if "ids" in kept.files else np.zeros(shape, np.uint8)
            meta = json.loads(str(kept["meta"])) if "meta" in kept.files else {}
        colours = {"sharp_linear", "blur_linear"}
        if any(each.shape != (*shape, 3) if name in colours else each.shape != shape for name, each in arrays.items()):
            raise ValueError("its arrays differ in size")
        if ids.shape != shape or not isinstance(meta, dict):
            raise ValueError("its ids differ in size, or its meta is no object")
        exposure = _exposure_of(arrays, ids, _motion_of(meta))
    except _UNREADABLE as error:
        raise InputError(f"{path} is not a scene ({error}): it needs {', '.join(SCENE_KEYS)}.") from error
    return Scene(arrays["sharp_linear"], arrays["depth_m"], ids, exposure, meta)


def _exposure_of(arrays: dict[str, Map], ids: Ids, motion: Motion | None) -> Exposure:
    sharp, mean = to_inverse_depth(arrays["depth_m"], "depth_m"), arrays["mean_inverse_depth"]
    height, width = sharp.shape
    flow = np.zeros((height, width, 2), np.float32)
    if motion is not None:
        flow = motion_flow(Pinhole(width, height, motion.fov_x_deg), sharp, motion, ids)
    return Exposure(
        linear=arrays["blur_linear"],
        mean_inverse_depth=mean,
        mean_depth_m=arrays.get("mean_depth_m", inverse_to_depth_m(mean)),
        nearest_inverse_depth=arrays.get("near_inverse_depth", np.maximum(sharp, mean)),
        farthest_inverse_depth=arrays.get("far_inverse_depth", np.minimum(sharp, mean)),
        variance=np.square(arrays.get("deviation_inverse_depth", sharp - mean)),
        moving_fraction=arrays.get("mover_fraction", _changed(arrays) if motion is None else np.zeros_like(mean)),
        flow=flow,
        valid=np.ones((height, width), bool),
        subframes=TIMES,
    )


def _changed(arrays: dict[str, Map]) -> Map:
    """1 where the exposure changes the picture visibly, else 0."""
    sharp, blurred = (linear_to_srgb(arrays[name]) / np.float32(255) for name in ("sharp_linear", "blur_linear"))
    return (np.abs(sharp - blurred).max(axis=-1) > _CHANGED).astype(np.float32)


def _motion_of(meta: dict[str, Any]) -> Motion | None:
    parts = {key: meta[key] for key in ("fov_x_deg", "camera", "objects", "shutter", "readout") if key in meta}
    return motion_from_json(json.dumps(parts)) if "fov_x_deg" in parts else None


def scene_path(folder: Path, seed: int, width: int, height: int) -> Path:
    """Where `render_scenes` keeps a street."""
    return folder / f"street_{seed}_{width}x{height}.npz"


def street_seed(name: str) -> int | None:
    """The seed in the name of a file as `scene_path` names it; None of another.

    >>> street_seed(scene_path(Path(), 7, 640, 192).stem), street_seed("scene7")
    (7, None)
    """
    found = re.match(r"street_(\d+)_", name)
    return int(found[1]) if found else None


def render_scenes(folder: Path, seeds: range, width: int, height: int) -> Iterator[Path]:
    """Render the streets of `seeds` into a folder, one file each; what is there already is kept.

    Raises:
        InputError: see `render_scene`.
        StorageError: a file can't be written.
    """
    for seed in seeds:
        path = scene_path(folder, seed, width, height)
        if not path.is_file():
            write_scene(path, render_scene(seed, width, height))
        yield path
