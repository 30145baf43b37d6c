"""Street scenes with exact truth: what a camera sees while its shutter is open, and how far all of it is."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.camera import Motion
from blurdepth.errors import InputError
from blurdepth.files import write_atomically
from blurdepth.images import Linear, object_numbers
from blurdepth.streets import make_street, render, render_exposure
from blurdepth.streets.scene import Street

Map = NDArray[np.float32]
TIMES = 16
SCENE_KEYS = ("sharp_linear", "blur_linear", "depth_m", "mean_inverse_depth")
_MORE_KEYS = ("near_inverse_depth", "far_inverse_depth", "mover_fraction")
MAX_SIDE_PX = 4096
_STANDS_M, _TURNS_DEG = 0.02, 0.05


@dataclass(frozen=True)
class Scene:
    """One street, sharp at mid exposure and over the whole exposure.

    Attributes:
        sharp_linear, blur_linear: (H, W, 3) float32 linear light.
        depth_m: (H, W) float32 metres at mid exposure, inf for the sky.
        ids: (H, W) uint8 objects at mid exposure, 0 for the static world.
        mean_inverse_depth: (H, W) float32, 1/m, the mean over the exposure.
        near_inverse_depth, far_inverse_depth: (H, W) float32, 1/m, of the nearest and farthest surface seen in it; None
            where a scene of another maker doesn't say.
        mover_fraction: (H, W) float32, share of the exposure in which something that moves is seen.
        meta: `scene` (its seed), `kind` of motion, `width`, `height`, the motion as `Motion.to_json` has it, and more.
    """

    sharp_linear: Linear
    blur_linear: Linear
    depth_m: Map
    ids: NDArray[np.uint8]
    mean_inverse_depth: Map
    near_inverse_depth: Map | None
    far_inverse_depth: Map | None
    mover_fraction: Map
    meta: dict[str, Any]


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
    sharp, exposed = render(street, width, height), render_exposure(street, width, height, TIMES)
    with np.errstate(divide="ignore"):
        depth_m = np.float32(1) / sharp.inverse_depth
    return Scene(
        sharp.linear,
        exposed.linear,
        depth_m,
        sharp.object_ids,
        exposed.inverse_depth,
        exposed.near,
        exposed.far,
        exposed.moving_share,
        _meta(street, width, height, sharp.object_ids),
    )


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
    # Ground so near the horizon that half precision has no number for it counts as the sky.
    with np.errstate(over="ignore"):
        arrays: dict[str, Any] = {
            name: value.astype(np.float16)
            for name, value in vars(scene).items()
            if isinstance(value, np.ndarray) and name != "ids"
        }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, ids=scene.ids, meta=np.array(json.dumps(scene.meta)))
    write_atomically(path, buffer.getvalue())


def read_scene(path: Path) -> Scene:
    """Read a scene, of ours or of another maker with the same keys.

    Raises:
        InputError: it is not readable, or lacks one of `SCENE_KEYS`.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            # What another maker adds is left alone.
            known = [*SCENE_KEYS, *(name for name in _MORE_KEYS if name in kept.files)]
            arrays = {name: kept[name].astype(np.float32) for name in known}
            shape = arrays["depth_m"].shape
            ids = kept["ids"] if "ids" in kept.files else np.zeros(shape, np.uint8)
            meta = json.loads(str(kept["meta"])) if "meta" in kept.files else {}
    except (OSError, ValueError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a scene ({error}): it needs {', '.join(SCENE_KEYS)}.") from error
    return Scene(
        arrays["sharp_linear"],
        arrays["blur_linear"],
        arrays["depth_m"],
        ids,
        arrays["mean_inverse_depth"],
        arrays.get("near_inverse_depth"),
        arrays.get("far_inverse_depth"),
        arrays.get("mover_fraction", np.zeros(shape, np.float32)),
        meta,
    )


def render_scenes(folder: Path, seeds: range, width: int, height: int) -> Iterator[Path]:
    """Render the streets of `seeds` into a folder, one file each; what is there already is kept.

    Raises:
        InputError: see `render_scene`.
        StorageError: a file can't be written.
    """
    for seed in seeds:
        path = folder / f"street_{seed}_{width}x{height}.npz"
        if not path.is_file():
            write_scene(path, render_scene(seed, width, height))
        yield path
