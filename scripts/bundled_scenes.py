"""Rendered scenes to train the bundled model on: kept as files, and made to look like other photographs."""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.parsed_code import parsed_code
from blurdepth import streets
from blurdepth.images import Rgb

SHAPES = (((640, 194), (448, 128)), ((528, 294), (320, 192)), ((424, 318), (256, 192)))
"""(width, height) of the rendered frame and of the crop that is trained on, for each aspect ratio in turn."""
SAMPLES = 2
"""Rays a side of each pixel: real cameras don't show stairs at edges, and what shows them would be learnt."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Map = NDArray[np.float32]


def scene_folder(cache: Path) -> Path:
    """Where scenes are kept: another folder whenever the code of `streets` has changed, or what is asked of it."""
    sources = sorted(Path(streets.__file__).parent.glob("*.py"))
    code = f"{[size for size, _ in SHAPES]} {SAMPLES} {parsed_code(sources)}"
    return cache / f"streets-{hashlib.sha256(code.encode()).hexdigest()[:12]}"


def render_scene(path: Path) -> None:
    """Render the street whose seed is the file's name; nothing if the file is there."""
    if path.exists():
        return
    seed = int(path.stem)
    width, height = SHAPES[seed % len(SHAPES)][0]
    street = streets.make_street(seed)
    seen = streets.render(street, width, height, samples=SAMPLES)
    partial_path = path.with_suffix(f".{os.getpid()}.tmp")
    with partial_path.open("wb") as file:
        np.savez(
            file,
            rgb=streets.photograph(street, seen.linear),
            inverse_depth=seen.inverse_depth.astype(np.float16),
        )
    partial_path.replace(path)


def render_scenes(paths: list[Path], threads: int) -> None:
    """Render what is missing, on `threads` processes."""
    missing = [path for path in paths if not path.exists()]
    for folder in {path.parent for path in missing}:
        folder.mkdir(parents=True, exist_ok=True)
    if threads < 2 or len(missing) < threads:
        for path in missing:
            render_scene(path)
        return
    with ProcessPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(render_scene, missing, chunksize=4), 1):
            if done % 100 == 0:
                print(f"{done} of {len(missing)} scenes rendered", flush=True)


def read_scene(path: Path) -> tuple[Rgb, Map]:
    """(H, W, 3) uint8 sRGB and (H, W) float32 inverse depth in 1/m."""
    with np.load(path) as data:
        return data["rgb"], data["inverse_depth"].astype(np.float32)


def augment(rgb: Rgb, inverse_depth: Map, size: tuple[int, int], rng: np.random.Generator) -> tuple[Map, Map]:
    """A random crop of `size` (width, height), seen through another camera on another day.

    Returns:
        (3, h, w) float32 as the model takes it, and (h, w) float32 inverse depth.
    """
    rgb, inverse_depth = _crop(rgb, inverse_depth, size, rng)
    picture = _develop(_weather(np.divide(rgb, 255, dtype=np.float32), inverse_depth, rng), rng)
    picture = _degrade(picture, rng)
    pixels = ((picture - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels), np.ascontiguousarray(inverse_depth)


def _crop(rgb: Rgb, inverse_depth: Map, size: tuple[int, int], rng: np.random.Generator) -> tuple[Rgb, Map]:
    height, width = inverse_depth.shape
    share = rng.uniform(0.6, 1.0)
    wide = round(width * share)
    tall = min(height, round(wide * size[1] / size[0] * math.exp(rng.normal(0, 0.06))))
    left, top = rng.integers(width - wide + 1), rng.integers(height - tall + 1)
    window = slice(top, top + tall), slice(left, left + wide)
    turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
    how = cv2.INTER_AREA if wide >= size[0] else cv2.INTER_LINEAR
    return (
        cv2.resize(np.ascontiguousarray(rgb[window][:, turn]), size, interpolation=how),
        cv2.resize(np.ascontiguousarray(inverse_depth[window][:, turn]), size, interpolation=how),
    )


def _weather(picture: Map, inverse_depth: Map, rng: np.random.Generator) -> Map:
    """Haze, and patches of light and shade that have nothing to do with the shapes."""
    if rng.random() < 0.25:
        extinction = math.exp(rng.uniform(math.log(0.001), math.log(0.015)))
        through = np.exp(-extinction / np.maximum(inverse_depth, 1e-3))[..., None]
        picture = np.asarray(picture * through + rng.uniform(0.6, 1.0) * (1 - through), np.float32)
    if rng.random() < 0.35:
        coarse = rng.normal(0, 0.35, (int(rng.integers(2, 6)), int(rng.integers(2, 9)))).astype(np.float32)
        patches = cv2.resize(coarse, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        picture = picture * np.exp(patches)[..., None]
    return picture


def _develop(picture: Map, rng: np.random.Generator) -> Map:
    """Exposure, contrast, tint and saturation."""
    curved = np.clip(picture, 0, 1) ** np.float32(math.exp(rng.normal(0, 0.25)))
    picture = (curved - 0.5) * math.exp(rng.normal(0, 0.22)) + 0.5 + rng.normal(0, 0.06)
    picture *= np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(grey + (picture - grey) * rng.uniform(0, 1.5), 0, 1), np.float32)


def _degrade(picture: Map, rng: np.random.Generator) -> Map:
    """Defocus, sensor noise and JPEG."""
    if rng.random() < 0.4:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2)), np.float32)
    if rng.random() < 0.6:
        picture = picture + rng.normal(0, rng.uniform(0, 0.035), picture.shape).astype(np.float32)
    stored = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))])
        stored = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.divide(stored, 255, dtype=np.float32)
