"""Proposals of what could move, clicks, and the brush: on made streets, and on rendered ones whose ids are known."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdepth.errors import InputError
from blurdepth.ground import Ground, fit_ground
from blurdepth.movers import (
    Proposal,
    Stroke,
    distinct,
    find_movers,
    mend_mask,
    mover_at,
    propose_movers,
    to_ids,
)
from blurdepth.streets import make_street, photograph, render

HEIGHT, WIDTH = 192, 640
GROUND = Ground(slope=1 / (1.65 * 380), horizon=95)


def street(cars: tuple[tuple[int, int], ...] = (), wall: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, inverse depth and ids of a street with cars (4 m wide, 1.5 m high) by (left edge, foot row)."""
    inverse = np.repeat(np.maximum(GROUND.inverse_depth(HEIGHT), 1 / 80), WIDTH, 1).astype(np.float32)
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    if wall:
        inverse[:130, :150] = GROUND.inverse_depth(HEIGHT)[130]
    for number, (left, foot) in enumerate(cars, start=1):
        nearness = float(GROUND.inverse_depth(HEIGHT)[foot, 0])
        width, height = round(4 * 380 * nearness), round(1.5 * 380 * nearness)
        inverse[foot - height : foot, left : left + width] = nearness
        ids[foot - height : foot, left : left + width] = number
    rgb = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    rgb[:95] = (170, 190, 220)
    for number in range(1, len(cars) + 1):
        rgb[ids == number] = (40 * number, 30, 30)
    return rgb, inverse, ids


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def test_cars_on_the_road_are_found_and_told_apart() -> None:
    rgb, inverse, ids = street(((60, 150), (420, 135)))
    found = propose_movers(rgb, inverse)
    assert found.max() == 2
    for number in (1, 2):
        assert max(overlap(found == candidate, ids == number) for candidate in (1, 2)) > 0.8


def test_a_model_s_soft_and_noisy_depth_will_do() -> None:
    rgb, inverse, ids = street(((60, 150), (420, 140)))
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 0.004, inverse.shape), (0, 0), 3)
    soft = cv2.GaussianBlur(inverse, (0, 0), 1.5) * (1 + noise.astype(np.float32))
    assert overlap(propose_movers(rgb, soft.astype(np.float32)) > 0, ids > 0) > 0.7


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_the_scale_of_the_depth_does_not_matter(scale: float) -> None:
    rgb, inverse, _ = street(((60, 150),))
    assert np.array_equal(propose_movers(rgb, inverse), propose_movers(rgb, inverse * np.float32(scale)))


def test_a_larger_frame_gives_the_same_movers() -> None:
    rgb, inverse, ids = street(((60, 150),))
    large, depth, truth = (
        cv2.resize(each, (2560, 768), interpolation=cv2.INTER_NEAREST) for each in (rgb, inverse, ids)
    )
    found = propose_movers(large, depth)
    assert found.shape == depth.shape
    assert overlap(found > 0, truth > 0) > 0.8


GREY = np.full((96, 160, 3), 128, np.uint8)


@pytest.mark.parametrize(
    ("rgb", "inverse"),
    [
        street()[:2],
        street(wall=True)[:2],
        (GREY, np.zeros((96, 160), np.float32)),
        (GREY, np.full((96, 160), 0.1, np.float32)),
        (GREY[:16, :16], np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)),
        (GREY[:1, :1], np.ones((1, 1), np.float32)),
    ],
    ids=["empty road", "a house", "only sky", "a wall", "tiny", "one pixel"],
)
def test_nothing_is_proposed_where_nothing_could_move(rgb: np.ndarray, inverse: np.ndarray) -> None:
    found = propose_movers(rgb, inverse)
    assert found.dtype == np.uint8 and found.shape == inverse.shape
    assert not found.any()


def test_no_more_than_the_limit_the_largest_first() -> None:
    rgb, inverse, ids = street(((20, 120), (120, 130), (250, 150), (500, 140)))
    found = propose_movers(rgb, inverse)
    areas = [np.count_nonzero(found == number) for number in range(1, found.max() + 1)]
    assert areas == sorted(areas, reverse=True)
    assert overlap(found == 1, ids == 3) > 0.7
    assert propose_movers(rgb, inverse, limit=2).max() == 2


@pytest.fixture(scope="module")
def rendered() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Picture, inverse depth and ids of streets that the outlines were not learned on."""
    made = []
    for seed, kind in enumerate(("avenue", "suburb", "highway", "crossing"), 3_000_000):
        scene = make_street(seed, kind, "noon")
        seen = render(scene, 1242, 375)
        made.append((photograph(scene, seen.linear), seen.inverse_depth, seen.object_ids))
    return made


def blind(inverse: np.ndarray) -> np.ndarray:
    """What a poor model sees: the ground alone."""
    ground = fit_ground(inverse)
    assert ground is not None
    return np.repeat(ground.inverse_depth(len(inverse)), inverse.shape[1], axis=1)


def large_ones(ids: np.ndarray) -> list[np.ndarray]:
    return [ids == number for number in np.unique(ids) if number and np.count_nonzero(ids == number) > 1200]


@pytest.mark.parametrize("sees", ["all", "only the ground"])
def test_most_proposals_on_rendered_streets_are_people_and_vehicles(rendered: list, sees: str) -> None:
    right = wrong = 0
    for rgb, inverse, ids in rendered:
        for proposal in find_movers(rgb, inverse if sees == "all" else blind(inverse)):
            covers = np.count_nonzero(ids[proposal.mask]) / np.count_nonzero(proposal.mask)
            right, wrong = right + (covers > 0.7), wrong + (covers <= 0.7)
    assert right >= 8
    assert right > 2 * wrong


@pytest.mark.parametrize(("sees", "least"), [("all", 0.55), ("only the ground", 0.4)])
def test_a_click_on_the_middle_takes_the_thing(rendered: list, sees: str, least: float) -> None:
    scores = []
    for rgb, inverse, ids in rendered:
        for truth in large_ones(ids)[:3]:
            row, column = np.unravel_index(
                cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5).argmax(), truth.shape
            )
            try:
                found = mover_at(rgb, inverse if sees == "all" else blind(inverse), (float(column), float(row)))
            except InputError:
                found = np.zeros_like(truth)
            scores.append(overlap(found, truth))
    assert len(scores) >= 6
    assert np.mean(scores) > least


def test_the_same_bytes_come_out_in_any_thread(rendered: list) -> None:
    rgb, inverse, _ = rendered[0]
    first = propose_movers(rgb, inverse)
    others: list[np.ndarray] = []

    def run() -> None:
        cv2.setRNGSeed(7)
        others.append(propose_movers(rgb, inverse))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(others) == 2 and all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("point", [(320, 20), (320, 180), (-1, 5), (640, 5), (float("nan"), 5)])
def test_a_click_on_sky_or_bare_road_or_outside_says_so(point: tuple[float, float]) -> None:
    rgb, inverse, _ = street()
    with pytest.raises(InputError, match="click"):
        mover_at(rgb, inverse, point)


def test_frames_and_depths_that_do_not_fit_are_refused() -> None:
    rgb, inverse, _ = street()
    for ask in (find_movers, lambda *given: mover_at(*given, (5, 5))):
        with pytest.raises(InputError, match="estimate it again"):
            ask(rgb, inverse[:-1])
        with pytest.raises(InputError, match="not finite"):
            ask(rgb, np.full_like(inverse, np.nan))


def test_proposals_share_no_pixel_and_the_surer_of_a_double_stays() -> None:
    masks = np.zeros((3, 20, 20), bool)
    masks[0, :10], masks[1, :9], masks[2, 9:] = True, True, True
    kept = distinct([Proposal(mask, score, "car") for mask, score in zip(masks, (0.9, 0.8, 0.7), strict=True)], 8)
    assert [each.score for each in kept] == [0.7, 0.9] or [each.score for each in kept] == [0.9, 0.7]
    assert not (kept[0].mask & kept[1].mask).any()
    assert set(np.unique(to_ids(kept, (20, 20)))) <= {0, 1, 2}


def test_what_two_surer_ones_cover_together_is_no_proposal() -> None:
    masks = np.zeros((3, 20, 20), bool)
    masks[0, :10], masks[1, 10:], masks[2, 6:14] = True, True, True
    kept = distinct([Proposal(mask, score, "car") for mask, score in zip(masks, (0.9, 0.8, 0.7), strict=True)], 8)
    assert [np.count_nonzero(each.mask) for each in kept] == [200, 200]


points = st.lists(st.tuples(st.floats(-20, 60), st.floats(-20, 60)), min_size=1, max_size=4).map(tuple)


@settings(max_examples=50, deadline=None)
@given(points, st.floats(0.3, 15), st.integers(0, 2**32 - 1))
def test_a_stroke_paints_what_is_within_its_radius_and_nothing_else(points: tuple, radius: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((30, 40)) < 0.5
    before = mask.copy()
    y, x = np.mgrid[:30, :40]
    distance = np.full((30, 40), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        for along in np.linspace(0, 1, 400):
            distance = np.minimum(distance, np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)))
    # The reference samples the line, so that within a fifth of a pixel of the border it may differ.
    added, erased = mend_mask(mask, [Stroke(points, radius)]), mend_mask(mask, [Stroke(points, radius, erase=True)])
    inside, outside = distance <= radius, distance > radius + 0.2
    assert added[inside].all() and not erased[inside].any()
    assert np.array_equal(added[outside], before[outside]) and np.array_equal(erased[outside], before[outside])
    assert np.array_equal(mask, before)


def test_strokes_count_in_their_order() -> None:
    dab, rubber = Stroke(((5, 5),), 3), Stroke(((5, 5),), 3, erase=True)
    nothing = np.zeros((10, 10), bool)
    assert not mend_mask(nothing, [dab, rubber]).any()
    assert np.array_equal(mend_mask(nothing, [rubber, dab]), mend_mask(nothing, [dab]))


@pytest.mark.parametrize(
    "stroke", [Stroke((), 3), Stroke(((5, 5),), 0), Stroke(((float("nan"), 5),), 3), Stroke(((1e9, 5),), 3)]
)
def test_strokes_that_are_none_are_refused(stroke: Stroke) -> None:
    with pytest.raises(InputError, match=r"stroke|brush"):
        mend_mask(np.zeros((10, 10), bool), [stroke])


def test_the_ground_of_exact_depth_is_found_to_a_few_rows(rendered: list) -> None:
    for seed, (_, inverse, _) in enumerate(rendered, 3_000_000):
        kind = ("avenue", "suburb", "highway", "crossing")[seed - 3_000_000]
        pose = make_street(seed, kind, "noon").pose
        ground = fit_ground(inverse)
        assert ground is not None
        focal_px = make_street(seed, kind, "noon").motion.fov_x_deg
        focal_px = 1242 / 2 / np.tan(np.radians(focal_px / 2))
        assert ground.slope * focal_px * pose.height_m == pytest.approx(1, abs=0.1)
