"""Learn the outlines of people and vehicles from rendered streets, for `blurdepth/movers/outlines.npz`.

Renders the streets, gathers what people and vehicles look like at the templates' scale and what else stands there,
and fits one linear template a view by logistic regression, in rounds that add what the last one mistook.

usage: python scripts/train_outlines.py [--out FILE.npz]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.ground import fit_ground
from blurdepth.images import Rgb
from blurdepth.movers.cells import CELL, CHANNELS, edge_cells
from blurdepth.movers.outlines import FOOT_ROW, ROWS, WEIGHTS, Level, search_levels, windows
from blurdepth.streets import make_street, photograph, render
from blurdepth.streets.scene import Surface

F32 = NDArray[np.float32]
Ids = NDArray[np.uint8]

SCENES, FIRST_SEED = 100, 500_000
WIDTH, HEIGHT = 1242, 375
ROUNDS, STEPS = 3, 60
DECAY, POSITIVE_WEIGHT = 1e-4, 0.3
RANDOM_PER_LEVEL, MISTAKES_PER_LEVEL = 14, 8
LEAST_PIXELS, LEAST_HEIGHT = 150, 14
SHAPE_SIDE = 16


@dataclass
class View:
    """What one template is learned from.

    Attributes:
        kind: person or vehicle.
        size: (height, width) in cells.
        aspect: widths by height that belong to this view, from and below.
        seen: features of things.
        other: features of everything else.
        shapes: masks of the things.
        weights: of the template, and its bias last.
    """

    kind: str
    size: tuple[int, int]
    aspect: tuple[float, float]
    seen: list[F32] = field(default_factory=list)
    other: list[F32] = field(default_factory=list)
    shapes: list[F32] = field(default_factory=list)
    weights: F32 | None = None


@dataclass(frozen=True)
class Scene:
    """A rendered street; `people` are the ids of people, all other ids are vehicles."""

    rgb: Rgb
    ids: Ids
    inverse_depth: F32
    people: frozenset[int]
    horizon: float

    def mirrored(self) -> Scene:
        """Left and right exchanged."""
        rgb, ids = np.ascontiguousarray(self.rgb[:, ::-1]), np.ascontiguousarray(self.ids[:, ::-1])
        return Scene(rgb, ids, np.ascontiguousarray(self.inverse_depth[:, ::-1]), self.people, self.horizon)


def views() -> list[View]:
    """People, and vehicles from behind to from the side."""
    cars = [(6, (0.95, 1.5)), (9, (1.5, 2.05)), (12, (2.05, 2.65)), (15, (2.65, 3.6))]
    return [View("person", (6, 3), (0.25, 0.75))] + [View("vehicle", (5, wide), aspect) for wide, aspect in cars]


def read_scene(seed: int) -> Scene | None:
    """Render a street; None if its depth shows no ground."""
    street = make_street(seed)
    seen = render(street, WIDTH, HEIGHT)
    ground = fit_ground(seen.inverse_depth)
    vehicles = {shape.actor for shape in street.shapes if shape.surface in (Surface.CAR_BODY, Surface.CONCRETE)}
    people = frozenset({shape.actor for shape in street.shapes if shape.actor} - vehicles)
    if ground is None:
        return None
    return Scene(photograph(street, seen.linear), seen.object_ids, seen.inverse_depth, people, ground.horizon)


def photographed(rgb: Rgb, rng: Generator) -> Rgb:
    """As another camera would have taken it: exposure, contrast, sharpness, noise."""
    light = np.clip(rgb.astype(np.float32) / 255 * rng.uniform(0.6, 1.5), 0, 1) ** rng.uniform(0.7, 1.5)
    if rng.random() < 0.5:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.4, 1.3))
    light += rng.normal(0, rng.uniform(0, 0.04), light.shape)
    return (np.clip(light, 0, 1) * 255).astype(np.uint8)


def gather_things(scene: Scene, all_views: list[View], rng: Generator) -> None:
    """Add every person and vehicle that is seen whole, as it is and a little displaced."""
    rgb = photographed(scene.rgb, rng)
    for number, (left, top, right, bottom) in whole_things(scene):
        kind = "person" if number in scene.people else "vehicle"
        aspect = (right - left) / (bottom - top)
        for view in all_views:
            if view.kind == kind and view.aspect[0] <= aspect < view.aspect[1]:
                box = (left, top, right, bottom)
                view.seen += [outline(rgb, box, view.size, rng, displaced) for displaced in (0.0, 1.0)]
                mask = (scene.ids[top:bottom, left:right] == number).astype(np.float32)
                view.shapes.append(cv2.resize(mask, (SHAPE_SIDE, SHAPE_SIDE), interpolation=cv2.INTER_AREA))


def whole_things(scene: Scene) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Ids and boxes of what is large enough and not covered by anything or cut by the frame."""
    for number in np.unique(scene.ids[scene.ids > 0]).tolist():
        mask = scene.ids == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        area = np.count_nonzero(mask)
        cut = left == 0 or right == WIDTH or bottom == HEIGHT
        if area < LEAST_PIXELS or bottom - top < LEAST_HEIGHT or cut or area < 0.45 * (bottom - top) * (right - left):
            continue
        beside = (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mask
        higher = np.nonzero(beside)[0] < bottom - 0.2 * (bottom - top)
        nearer = scene.inverse_depth[beside] > 1.06 * np.median(scene.inverse_depth[mask])
        if (nearer & higher).mean() <= 0.1:
            yield number, (left, top, right, bottom)


def outline(rgb: Rgb, box: tuple[int, int, int, int], size: tuple[int, int], rng: Generator, displaced: float) -> F32:
    """Features of a box as a template of `size` sees it; `displaced` times a cell's fraction off and out of scale."""
    left, top, right, bottom = box
    height, width = size
    stretch = np.exp(displaced * rng.normal(0, 0.06))
    wide, high = stretch * width * CELL / (right - left), stretch * height * CELL / (bottom - top)
    across, down = displaced * rng.normal(0, 1.2, 2)
    grid = np.array(
        [
            [wide, 0, (width + 2) / 2 * CELL - wide * (left + right) / 2 + across + (wide - 1) / 2],
            [0, high, FOOT_ROW * CELL - high * bottom + down + (high - 1) / 2],
        ]
    )
    source = cv2.GaussianBlur(rgb, (0, 0), 0.35 / high) if high < 0.7 else rgb
    patch = cv2.warpAffine(source, grid, ((width + 2) * CELL, ROWS * CELL), borderMode=cv2.BORDER_REPLICATE)
    return edge_cells(np.asarray(patch, np.uint8)).ravel()


def gather_others(scene: Scene, all_views: list[View], rng: Generator) -> None:
    """Add places without people and vehicles: any at first, later those that the templates take for one."""
    # Found horizons are some pixels off, and so must the templates be used to it.
    for level in search_levels(photographed(scene.rgb, rng), scene.horizon + rng.normal(0, 15)):
        for view in all_views:
            height, width = view.size
            places = windows(level.cells, width + 2)
            free = np.argwhere(is_free(level, scene.ids, height, width, places.shape[:2]))
            if not len(free):
                continue
            if view.weights is None:
                picked = free[rng.choice(len(free), min(RANDOM_PER_LEVEL, len(free)), replace=False)]
            else:
                scores = (places @ view.weights[:-1] + view.weights[-1])[free[:, 0], free[:, 1]]
                worst = np.argsort(-scores)[:MISTAKES_PER_LEVEL]
                picked = free[worst[scores[worst] > -1]]
            # A view would keep all places of the level in memory.
            view.other += [places[row, column].copy() for row, column in picked]


def is_free(level: Level, ids: Ids, height: int, width: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """For each place of a template, whether nearly no person or vehicle is in its box."""
    sums = cv2.integral((ids > 0).astype(np.uint8))
    row, column = np.mgrid[: shape[0], : shape[1]]
    left, top = level.place(row + FOOT_ROW - height, column + 1)
    right, foot = level.place(row + FOOT_ROW, column + 1 + width)
    left, right = (np.clip(each, 0, ids.shape[1]).astype(int) for each in (left, right))
    top, foot = (np.clip(each, 0, ids.shape[0]).astype(int) for each in (top, foot))
    area = (right - left) * (foot - top)
    taken = sums[foot, right] - sums[top, right] - sums[foot, left] + sums[top, left]
    return np.asarray((area > 100) & (taken < 0.12 * area))


def fit(view: View) -> None:
    """Logistic regression, both classes weighted by what they cost, from the last round's weights."""
    features = torch.tensor(np.vstack([view.seen, view.other]))
    sign = torch.cat([torch.ones(len(view.seen)), -torch.ones(len(view.other))])
    share = torch.where(sign > 0, POSITIVE_WEIGHT / len(view.seen), 0.5 / len(view.other))
    start = np.zeros(features.shape[1] + 1, np.float32) if view.weights is None else view.weights
    weights = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scores = features @ weights[:-1] + weights[-1]
        value = (share * torch.nn.functional.softplus(-sign * scores)).sum() + DECAY * weights[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    view.weights = weights.detach().numpy().copy()


def save(all_views: list[View], path: Path) -> None:
    """Write the templates as `outlines.load_templates` reads them."""
    arrays: dict[str, NDArray[np.generic]] = {"names": np.array([str(number) for number in range(len(all_views))])}
    for number, view in enumerate(all_views):
        assert view.weights is not None
        arrays[f"{number}.kind"] = np.array(view.kind)
        arrays[f"{number}.size"] = np.array(view.size)
        shape = (ROWS, view.size[1] + 2, CHANNELS)
        arrays[f"{number}.weights"] = view.weights[:-1].reshape(shape).astype(np.float16)
        arrays[f"{number}.bias"] = view.weights[-1:].astype(np.float32).reshape(())
        arrays[f"{number}.shape"] = np.mean(view.shapes, axis=0).astype(np.float16)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def main() -> None:
    """Render, gather, fit, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where to write (default: what ships)")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    all_views = views()
    scenes = [scene for seed in range(FIRST_SEED, FIRST_SEED + SCENES) if (scene := read_scene(seed)) is not None]
    for scene in scenes:
        for each in (scene, scene.mirrored()):
            gather_things(each, all_views, rng)
    for turn in range(ROUNDS):
        # Mistakes are looked for in every other scene, and in the others the next time.
        for scene in scenes if turn == 0 else scenes[turn % 2 :: 2]:
            gather_others(scene.mirrored() if rng.random() < 0.5 else scene, all_views, rng)
        for view in all_views:
            fit(view)
            print(f"round {turn}: {view.kind} {view.size}, {len(view.seen)} seen, {len(view.other)} others", flush=True)
        save(all_views, args.out)


if __name__ == "__main__":
    main()
