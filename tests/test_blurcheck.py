"""Blur is found, told from defocus, and given its direction; a variant is held against the motion asked of it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.gate import Pair, disc, make_pair
from blurdepth.blurcheck import check_variant, is_blank, measure_blur
from blurdepth.blurcheck.gate import order_kept
from blurdepth.errors import InputError
from blurdepth.images import Rgb, encode_png, linear_to_srgb
from blurdepth.streets import make_street, render


@cache
def picture(seed: int = 0, width: int = 480) -> Rgb:
    return linear_to_srgb(np.clip(render(make_street(seed, light="noon"), width, width // 2).linear, 0, 1))


def moved(rgb: Rgb, length: int, degrees: float) -> Rgb:
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    step = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * length / 2
    ends = [tuple(np.round((length + sign * step) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def defocused(rgb: Rgb) -> Rgb:
    return np.asarray(cv2.filter2D(rgb, -1, disc(4)), np.uint8)


def test_sharp_moved_and_defocused_pictures_are_told_apart() -> None:
    readings = [
        [measure_blur(each) for each in (rgb, moved(rgb, 14, 20), defocused(rgb))] for rgb in map(picture, range(8))
    ]
    for sharp, blurred, soft in readings:
        assert (sharp.kind, blurred.kind) == ("sharp", "motion")
        assert sharp.blur_score < min(blurred.blur_score, soft.blur_score)
        assert soft.kind != "sharp"
    assert sum(soft.kind == "defocus" for _, _, soft in readings) >= 6


@pytest.mark.parametrize("degrees", [0, 35, 90, 140])
def test_the_direction_of_blur_is_found(degrees: float) -> None:
    off = [abs(measure_blur(moved(picture(seed), 16, degrees)).direction_deg - degrees) for seed in range(3)]
    assert np.median([min(each, 180 - each) for each in off]) <= 10


def test_more_blur_scores_higher() -> None:
    scores = [measure_blur(moved(picture(1), length, 0)).blur_score for length in (3, 6, 12, 24)]
    assert scores == sorted(scores)


def test_against_its_source_a_picture_is_as_sharp_as_itself_and_local_blur_is_found() -> None:
    rgb = picture(2)
    assert measure_blur(rgb, rgb).blur_score == pytest.approx(1)
    part = rgb.copy()
    part[60:200, 100:300] = moved(rgb, 16, 0)[60:200, 100:300]
    reading = measure_blur(part, rgb)
    assert reading.kind == "motion" and min(reading.direction_deg, 180 - reading.direction_deg) <= 10


def test_noise_and_darkness_do_not_hide_blur() -> None:
    rgb = picture(3)
    noise = np.random.default_rng(0).normal(0, 6, rgb.shape)
    for shown, kind in ((rgb, "sharp"), (moved(rgb, 16, 0), "motion")):
        assert measure_blur(np.clip(shown + noise, 0, 255).astype(np.uint8)).kind == kind
        assert measure_blur((shown // 5).astype(np.uint8)).kind == kind


def test_a_large_photograph_is_measured_like_a_small_one() -> None:
    rgb = picture(1, 960)
    large = np.asarray(cv2.resize(rgb, (2400, 1200), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert measure_blur(large).kind == "sharp"
    assert measure_blur(moved(large, 50, 0)).kind == "motion"


def test_pictures_of_nothing_and_of_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="all but one colour"):
        measure_blur(np.full((40, 60, 3), 90, np.uint8))
    with pytest.raises(InputError, match=r"480 x 240.*320 x 160"):
        measure_blur(picture(), picture(width=320))
    assert measure_blur(picture()[150:170, 100:105]).kind in ("sharp", "motion", "defocus")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [make_pair(seed) for seed in range(9000, 9008)]


def test_the_gate_finds_blur_where_it_was_asked_for_and_says_what_else_it_sees(pairs: list[Pair]) -> None:
    verdicts = [
        [check_variant(each, pair.source, pair.flow, pair.ids) for each in (pair.blurred, pair.sharp, pair.defocused)]
        for pair in pairs
    ]
    blurred, sharp, soft = zip(*verdicts, strict=True)
    assert sum(each.passed for each in blurred) >= 7
    assert not any(each.passed for each in sharp)
    assert sum("sharp" in each.reasons for each in sharp) >= 7
    assert not any(each.passed for each in soft) and sum("defocus" in each.reasons for each in soft) >= 6


def test_blur_the_wrong_way_a_blurred_background_and_an_empty_picture_are_told() -> None:
    rgb = picture(6)
    flow = np.zeros((*rgb.shape[:2], 2), np.float32)
    flow[60:200, 100:300, 0] = 14
    ids = (flow[..., 0] > 0).astype(np.uint8)
    part = np.where(ids[..., None] > 0, moved(rgb, 14, 0), rgb)
    upright = np.where(ids[..., None] > 0, moved(rgb, 14, 90), rgb)
    assert check_variant(part, rgb, flow, ids).words == "blur found"
    assert "direction" in check_variant(upright, rgb, flow, ids).reasons
    assert "background" in check_variant(moved(rgb, 14, 0), rgb, flow, ids).reasons
    assert check_variant(np.zeros_like(rgb), rgb, flow, ids).words == "the picture is empty or black"
    assert is_blank(np.full_like(rgb, 255)) and not is_blank(rgb)


def test_another_scene_is_told_by_its_depth() -> None:
    ramp = np.linspace(0, 1, 480, dtype=np.float32)[None].repeat(240, 0)
    rgb, flow = picture(), np.zeros((240, 480, 2), np.float32)
    assert check_variant(rgb, rgb, flow, None, (ramp, 2 * ramp + 1)).passed
    verdict = check_variant(rgb, rgb, flow, None, (ramp, np.random.default_rng(0).random(ramp.shape, np.float32)))
    assert verdict.reasons == ("structure",) and verdict.readings["order_kept"] < 0.65
    assert order_kept(np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)) == 1


def test_where_nothing_was_asked_to_move_nothing_is_missed() -> None:
    verdict = check_variant(picture(), picture(), np.zeros((240, 480, 2), np.float32))
    assert verdict.passed and not verdict.reasons


def test_the_command_measures_and_refuses_in_one_line(tmp_path: Path) -> None:
    sharp, blurred = tmp_path / "sharp.png", tmp_path / "blurred.png"
    sharp.write_bytes(encode_png(picture()))
    blurred.write_bytes(encode_png(moved(picture(), 14, 0)))
    run = [sys.executable, "-m", "blurdepth", "blur"]

    def measure(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*run, *map(str, arguments)], check=False, capture_output=True, text=True)

    alone = measure(blurred, "--json")
    assert json.loads(alone.stdout)["kind"] == "motion"
    against = measure(blurred, "--source", sharp, "--json")
    assert json.loads(against.stdout)["blur_score"] > 1.2
    missing = measure(tmp_path / "no.png")
    assert missing.returncode == 2 and len(missing.stderr.splitlines()) == 1
