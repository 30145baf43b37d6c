"""A blurred frame and its target from frames in a row: known answers, and the errors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blurdepth.bursts import Blending, blend, check_frames, regions, score
from blurdepth.depth import BLURRED, INVALID, MIXED, STATIC
from blurdepth.errors import InputError
from blurdepth.images import Rgb, linear_to_srgb, srgb_to_linear
from blurdepth.shutter import Shutter, choose_shutter

WIDTH, HEIGHT = 160, 96
SIDE = 60
FAR, NEAR = np.float32(0.05), np.float32(0.2)
F32 = NDArray[np.float32]


def texture(height: int, width: int, seed: int = 0) -> Rgb:
    """A wall with structure of a few pixels."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(smooth / smooth.std() * 40 + 120, 0, 240).astype(np.uint8)


def psnr(one: Rgb, two: Rgb) -> float:
    error = np.square(one.astype(np.float64) - two).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def plain_mean(frames: list[Rgb]) -> Rgb:
    return linear_to_srgb(np.mean([srgb_to_linear(frame) for frame in frames], axis=0, dtype=np.float32))


def slope() -> F32:
    """Inverse depth of a ground that comes nearer towards the bottom."""
    return np.repeat(np.linspace(0.02, 0.2, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)


def crossing(number: int, step: int) -> tuple[list[Rgb], list[F32]]:
    """A square of 60 px that moves by `step` px a frame before a wall at rest; its left edge begins at 40."""
    wall, square = texture(140, 240), texture(SIDE, SIDE, 1)
    frames, depths = [], []
    for k in range(number):
        frame, depth = wall.copy(), np.full((140, 240), FAR, np.float32)
        left = 40 + step * k
        frame[40:100, left : left + SIDE], depth[40:100, left : left + SIDE] = square, NEAR
        frames.append(frame)
        depths.append(depth)
    return frames, depths


def shaken(number: int, seed: int = 3) -> tuple[list[Rgb], list[tuple[int, int]]]:
    """A wall through a camera that jumps by up to 6 px; the middle frame is where it should be."""
    wall, rng = texture(HEIGHT + 20, WIDTH + 20, 5), np.random.default_rng(seed)
    places = [(int(x), int(y)) for x, y in rng.integers(4, 17, (number, 2))]
    return [wall[y : y + HEIGHT, x : x + WIDTH] for x, y in places], places


@pytest.mark.parametrize("shape", ["box", "triangle"])
def test_frames_that_are_all_alike_give_the_frame(shape: str) -> None:
    frame = texture(HEIGHT, WIDTH)
    frame[40:44, 60:64] = 252
    exposure = blend([frame] * 4, [slope()] * 4, shape)  # type: ignore[arg-type]
    assert np.abs(linear_to_srgb(exposure.linear).astype(int) - frame).max() <= 1
    assert np.allclose(exposure.mean_inverse_depth, slope(), atol=1e-5)
    assert (regions(exposure) == STATIC).all()
    assert exposure.moments == 4 and score(exposure)["blur_px"] == 0


def test_a_sliding_wall_is_the_box_blur_over_its_whole_path() -> None:
    step, number = 8, 4
    path = step * (number - 1)
    wall = texture(HEIGHT, WIDTH + path)
    frames = [wall[:, path - step * k : path - step * k + WIDTH] for k in range(number)]
    exposure = blend(frames, [slope()] * number, drifting=False)
    light = srgb_to_linear(wall)
    weights = np.ones(path + 1) / path
    weights[[0, -1]] /= 2
    exact = linear_to_srgb(sum(w * light[:, k : k + WIDTH] for k, w in enumerate(weights)).astype(np.float32))
    inner = np.s_[8:-8, path:-path]
    blurred = linear_to_srgb(exposure.linear)
    assert psnr(blurred[inner], exact[inner]) > 40
    assert psnr(blurred[inner], exact[inner]) > psnr(plain_mean(frames)[inner], exact[inner]) + 10
    assert exposure.step_px <= 2.01
    assert exposure.flow_px[inner].mean() == pytest.approx(path, rel=0.05)
    assert (regions(exposure)[inner] == BLURRED).all()


def test_a_pixel_that_a_square_covers_for_half_of_the_time_has_the_mean_of_both_inverse_depths() -> None:
    frames, depths = crossing(5, 10)
    exposure = blend(frames, depths)
    # The square's front edge goes from 100 to 140, so that it is at 120 at mid exposure.
    assert exposure.mean_inverse_depth[50:90, 119:121].mean() == pytest.approx((FAR + NEAR) / 2, rel=0.06)
    kinds = regions(exposure)
    assert (kinds[50:90, 110:130] == MIXED).all() and (kinds[:25] == STATIC).all() and (kinds[115:] == STATIC).all()


def test_a_crossing_square_is_nearer_to_a_fast_cameras_exposure_than_the_plain_mean() -> None:
    frames, depths = crossing(5, 10)
    exposure = blend(frames, depths)
    many, deep = crossing(41, 1)
    share = np.full(41, 1 / 40, np.float32)
    share[[0, -1]] /= 2
    light = sum(w * srgb_to_linear(frame) for w, frame in zip(share, many, strict=True))
    exact_depth = sum(w * depth for w, depth in zip(share, deep, strict=True))
    swept = np.s_[40:100]
    exact = linear_to_srgb(np.asarray(light, np.float32))[swept]
    assert psnr(linear_to_srgb(exposure.linear)[swept], exact) > psnr(plain_mean(frames)[swept], exact) + 9
    plain_error = np.abs(np.mean(depths, axis=0) - exact_depth)[swept].mean()
    assert np.abs(exposure.mean_inverse_depth - exact_depth)[swept].mean() < 0.4 * plain_error


def test_what_stands_still_beside_a_mover_stays_sharp() -> None:
    frames, depths = crossing(5, 10)
    blurred = linear_to_srgb(blend(frames, depths).linear)
    assert np.abs(blurred[:25].astype(int) - frames[2][:25]).max() <= 1


def test_the_triangle_counts_the_middle_most() -> None:
    frames, depths = crossing(5, 10)
    box, triangle = (blend(frames, depths, shape).mean_inverse_depth[50:90] for shape in ("box", "triangle"))
    # Its back edge leaves column 48 after a fifth of the time: 2 / 25 of the triangle.
    assert (box[:, 48].mean() - FAR) / (NEAR - FAR) == pytest.approx(0.2, abs=0.07)
    assert (triangle[:, 48].mean() - FAR) / (NEAR - FAR) == pytest.approx(0.08, abs=0.05)


def test_a_shaken_camera_on_a_still_scene_gives_a_sharp_frame_when_aligned() -> None:
    frames, places = shaken(5)
    depths = [slope()] * 5
    aligned, plain = (linear_to_srgb(blend(frames, depths, align=on, drifting=False).linear) for on in (True, False))
    inner = np.s_[14:-14, 14:-14]
    assert psnr(aligned[inner], frames[2][inner]) > 38
    assert psnr(plain[inner], frames[2][inner]) < 30
    reach = max(abs(x - places[2][0]) for x, _ in places)
    exposure = blend(frames, depths, align=True, drifting=False)
    assert reach > 2 and (regions(exposure) == INVALID).any()
    assert (regions(exposure)[inner] == STATIC).mean() > 0.99


def test_drift_of_the_teachers_scale_is_taken_out() -> None:
    frames, depths = crossing(5, 10)
    rng = np.random.default_rng(0)
    ground = np.repeat(np.linspace(0.02, 0.2, 140, dtype=np.float32)[:, None], 240, axis=1)
    true = [np.where(depth == NEAR, np.float32(0.35), ground) for depth in depths]
    drifted = [d * np.float32(rng.uniform(1.2, 1.6)) + np.float32(rng.uniform(-0.1, 0.1)) for d in true]
    drifted[2] = true[2]
    wanted = blend(frames, true, drifting=False).mean_inverse_depth
    mended = blend(frames, drifted).mean_inverse_depth
    assert np.abs(mended - wanted).mean() < 0.003
    assert np.abs(np.mean(drifted, axis=0) - wanted).mean() > 0.02


def test_a_lamp_that_moves_keeps_its_light_and_one_at_rest_its_value() -> None:
    frames, depths = [], []
    for k in range(4):
        frame = (texture(HEIGHT, WIDTH) * 0.3).astype(np.uint8)
        frame[20:24, 20:24] = 255
        left = 60 + 8 * k
        frame[40:70, left : left + 30] = (texture(30, 30, 2) * 0.5).astype(np.uint8)
        frame[52:56, left + 12 : left + 16] = 255
        frames.append(frame)
        depths.append(slope())
    exposure = blend(frames, depths, drifting=False)
    assert exposure.linear[20:24, 20:24].max() <= 1.001
    plain = np.mean([srgb_to_linear(frame) for frame in frames], axis=0)
    assert exposure.linear[52:56, 60:120].sum() > 1.3 * plain[52:56, 60:120].sum()


def test_the_same_frames_give_the_same_bytes() -> None:
    frames, depths = crossing(4, 9)
    one, two = blend(frames, depths), blend(frames, depths)
    assert one.linear.tobytes() == two.linear.tobytes()
    assert one.mean_inverse_depth.tobytes() == two.mean_inverse_depth.tobytes()


def test_work_is_done_pair_by_pair() -> None:
    frames, depths = crossing(4, 5)
    blending = Blending(frames, depths)
    assert list(blending.steps()) == [1, 2, 3]
    assert np.array_equal(blending.finish().linear, blend(frames, depths).linear)


def test_a_cut_is_named() -> None:
    frames, _ = crossing(3, 5)
    with pytest.raises(InputError, match="Frames 12 and 13 don't show one scene"):
        check_frames([*frames, texture(140, 240, 9)], first=10)


def test_a_lamp_switched_on_or_noise_is_no_cut() -> None:
    frames, _ = crossing(3, 5)
    rng = np.random.default_rng(1)
    noisy = [np.clip(f * 1.1 + rng.normal(0, 12, f.shape), 0, 255).astype(np.uint8) for f in frames]
    check_frames([frames[0], *noisy[1:]])


@pytest.mark.parametrize(
    ("frames", "depths", "words"),
    [
        ([texture(64, 80)], [], "1 frames"),
        ([texture(64, 80)] * 33, [], "33 frames"),
        ([texture(64, 80), texture(64, 81)], [], "Frame 1 is 81 x 64"),
        ([texture(64, 80)] * 2, [np.ones((64, 80), np.float32)], "1 depths"),
        ([texture(64, 80)] * 2, [np.ones((64, 80), np.float32), np.ones((64, 8), np.float32)], "estimate it again"),
        ([texture(64, 80)] * 2, [np.full((64, 80), np.nan, np.float32)] * 2, "not finite"),
        ([texture(64, 80)] * 2, [np.full((64, 80), -1, np.float32)] * 2, "negative"),
    ],
)
def test_bad_frames_are_refused(frames: list[Rgb], depths: list[F32], words: str) -> None:
    with pytest.raises(InputError, match=words):
        blend(frames, depths)


def test_messages_count_frames_as_the_clip_does() -> None:
    frames, depths = crossing(3, 4)
    depths[2] = depths[2] * np.float32(np.nan)
    with pytest.raises(InputError, match="depth of frame 12 "):
        Blending(frames, depths, first=10)


def test_depth_that_is_mirrored_is_refused() -> None:
    frames = [texture(HEIGHT, WIDTH)] * 2
    with pytest.raises(InputError, match="frame 1 has nothing in common"):
        blend(frames, [slope(), 1 - slope()])


def test_alignment_says_when_there_is_nothing_to_hold_on_to() -> None:
    blank = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    with pytest.raises(InputError, match="turn the alignment off"):
        blend([blank, blank], [slope(), slope()], align=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"length": 1}, "1 frames long"),
        ({"length": 40}, "2 to 32"),
        ({"start": -1}, "opens at frame -1"),
        ({"start": 25}, "frames 25 to 33 but the clip has 30"),
        ({"shape": "round"}, "round"),
        ({"length": 2.5}, "whole number"),
    ],
)
def test_a_shutter_that_makes_no_sense_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose_shutter(30, **{"start": 3, "length": 9, **values})  # type: ignore[arg-type]


def test_a_shutter_is_chosen_for_any_clip() -> None:
    for count in range(2, 60):
        shutter = choose_shutter(count)
        assert shutter.frames[0] <= shutter.middle <= shutter.frames[-1] < count
        assert shutter.length % 2 == 1 or count == 2
    assert choose_shutter(10, length=2) == Shutter(4, 2)
    with pytest.raises(InputError, match="at least 2"):
        choose_shutter(1)
