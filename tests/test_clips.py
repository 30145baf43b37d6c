"""Clips that tests write themselves, read frame by frame; and what is no clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from blurdepth.clips import MAX_CLIP_FRAMES, Clip, clip_of_pictures, read_clip
from blurdepth.errors import InputError
from blurdepth.images import Rgb


def moving(number: int, width: int = 96, height: int = 72) -> list[Rgb]:
    """Frames whose left part is red, each a little wider red than the one before."""
    frames = []
    for k in range(number):
        frame = np.full((height, width, 3), 60, np.uint8)
        frame[:, : 8 * (k + 1)] = (230, 20, 20)
        frames.append(frame)
    return frames


def write_video(path: Path, frames: list[Rgb], codec: str) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def red_columns(rgb: Rgb) -> int:
    return int((rgb[rgb.shape[0] // 2, :, 0] > 150).sum())


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "MJPG")]
)
def test_a_video_is_read_in_any_order(tmp_path: Path, name: str, codec: str) -> None:
    clip = read_clip(write_video(tmp_path / name, moving(9), codec))
    assert (clip.count, clip.width, clip.height, clip.fps) == (9, 96, 72, 25)
    for number in (0, 5, 2, 8, 8, 3):
        frame = clip.frame(number)
        assert frame.dtype == np.uint8 and frame.flags.c_contiguous
        assert red_columns(frame) == pytest.approx(8 * (number + 1), abs=2)
        assert frame[5, 2, 0] > frame[5, 2, 2] + 100, "red is first"


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_an_animation_is_read_in_any_order(tmp_path: Path, name: str) -> None:
    pictures = [Image.fromarray(frame) for frame in moving(6)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=40)
    clip = read_clip(tmp_path / name)
    assert (clip.count, clip.width, clip.height) == (6, 96, 72)
    for number in (4, 1, 5):
        assert red_columns(clip.frame(number)) == pytest.approx(8 * (number + 1), abs=1)


def test_pictures_are_a_clip_in_their_order(tmp_path: Path) -> None:
    files = []
    for number, frame in enumerate(moving(3)):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(frame).save(files[-1])
    clip = clip_of_pictures(files[::-1])
    assert clip.count == 3 and clip.name == "2.png … 0.png"
    assert [red_columns(clip.frame(k)) for k in range(3)] == [24, 16, 8]


def test_gray_and_odd_sizes_are_taken(tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame[:71, :95, 0]) for frame in moving(3)]
    pictures[0].save(tmp_path / "odd.gif", save_all=True, append_images=pictures[1:])
    frame = read_clip(tmp_path / "odd.gif").frame(1)
    assert frame.shape == (71, 95, 3) and (frame[..., 0] == frame[..., 2]).all()
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    assert clip_of_pictures([tmp_path / "0.png", tmp_path / "1.png"]).frame(1).shape == (71, 95, 3)


def test_a_clip_is_turned_as_its_mark_says(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", moving(4), "mp4v")
    data = bytearray(path.read_bytes())
    # The track's matrix, 16.16 fixed point, 40 bytes behind the name of its header: a quarter turn.
    place = data.index(b"tkhd") + 44
    turn = [0, 1 << 16, 0, -(1 << 16), 0, 0, 72 << 16, 0, 1 << 30]
    data[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turn)
    path.write_bytes(data)
    clip = read_clip(path)
    assert (clip.width, clip.height) == (72, 96)
    assert (clip.frame(3)[:, 30, 0] > 150).sum() == pytest.approx(32, abs=2)


def test_thumbnails_show_the_whole_clip(tmp_path: Path) -> None:
    clip = read_clip(write_video(tmp_path / "a.avi", moving(11, 320, 96), "MJPG"))
    small = clip.thumbnails(4, 80)
    assert [number for number, _ in small] == [0, 3, 7, 10]
    assert all(rgb.shape == (24, 80, 3) for _, rgb in small)


def test_a_playlist_in_a_clips_clothes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXTINF:1,\nsecret.ts\n")
    with pytest.raises(InputError, match=r"a\.mp4 is not a clip"):
        read_clip(tmp_path / "a.mp4")


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    broken = write_video(tmp_path / "broken.mp4", moving(5), "mp4v")
    broken.write_bytes(broken.read_bytes()[:60])
    Image.fromarray(moving(1)[0]).save(tmp_path / "one.png")
    (tmp_path / "half.gif").write_bytes(b"GIF89a" + b"\0" * 20)
    write_video(tmp_path / "one.avi", moving(1), "MJPG")
    write_video(tmp_path / "small.avi", moving(3, 40, 40), "MJPG")
    for name, words in {
        "nowhere.mp4": "can't be read",
        "broken.mp4": "no frame that can be read",
        "one.png": "1 frame",
        "half.gif": "GIF",
        "one.avi": "1 frame",
        "small.avi": "40 x 40",
    }.items():
        with pytest.raises(InputError, match=words):
            read_clip(tmp_path / name)


def test_a_clip_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.avi", moving(1, 64, 64) * (MAX_CLIP_FRAMES + 1), "MJPG")
    with pytest.raises(InputError, match="more than 900 frames"):
        read_clip(path)


def test_pictures_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (80, 64)).save(tmp_path / "a.png")
    Image.new("RGB", (80, 66)).save(tmp_path / "b.png")
    clip: Clip = clip_of_pictures([tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(InputError, match=r"Frame 1 .* is 80 x 66 pixels, the first 80 x 64"):
        clip.frame(1)
    with pytest.raises(InputError, match="frames 0 to 1, not 2"):
        clip.frame(2)
    for files in ([], [tmp_path / "a.png"]):
        with pytest.raises(InputError, match="frame"):
            clip_of_pictures(files)
