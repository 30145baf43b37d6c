"""Short clips and several pictures as frames in a row, read one at a time."""

from __future__ import annotations

import io
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from blurdepth.errors import InputError
from blurdepth.images import MAX_PIXELS, Rgb, check_size, decode_image, read_bytes, to_rgb
from blurdepth.render import thumbnail

MAX_CLIP_BYTES = 300 * 1024 * 1024
MAX_CLIP_FRAMES = 900
CLIP_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".webp", ".png")
CLIP_LIMITS = (
    f"MP4, MOV, WebM, MKV, AVI, or animated GIF, WebP or PNG, up to {MAX_CLIP_BYTES // 2**20} MB, {MAX_CLIP_FRAMES} "
    f"frames and {MAX_PIXELS // 10**6} megapixels"
)
_ANIMATED = ("GIF", "WEBP", "PNG")


class Clip(ABC):
    """Frames of one size, taken one after the other, equally far apart in time.

    Attributes:
        name: how messages call it.
        count: how many frames, at least 2.
        width, height: of a frame as it is meant to be seen, pixels.
        fps: frames a second as the file says; 0 if it doesn't.
    """

    def __init__(self, name: str, count: int, size: tuple[int, int], fps: float = 0.0) -> None:
        if count < 2:
            raise InputError(f"{name} has {count} frame: use a clip or several pictures; a blurred frame needs 2.")
        if count > MAX_CLIP_FRAMES:
            raise InputError(f"{name} has more than {MAX_CLIP_FRAMES} frames: cut out the part that you need.")
        check_size(size, name)
        self.name, self.count, self.fps = name, count, fps
        self.width, self.height = size

    def frame(self, number: int) -> Rgb:
        """Frame `number`, counted from 0: (H, W, 3) uint8 sRGB.

        Raises:
            InputError: there is no such frame, it is damaged, or it is not of the clip's size.
        """
        if not 0 <= number < self.count:
            raise InputError(f"{self.name} has frames 0 to {self.count - 1}, not {number}: choose one of these.")
        rgb = self._read(number)
        if rgb.shape[:2] != (self.height, self.width):
            raise InputError(
                f"Frame {number} of {self.name} is {rgb.shape[1]} x {rgb.shape[0]} pixels, the first "
                f"{self.width} x {self.height}: use frames of one size."
            )
        return rgb

    @abstractmethod
    def _read(self, number: int) -> Rgb:
        """Frame `number`, which exists."""

    def thumbnails(self, number: int = 24, side: int = 160) -> list[tuple[int, Rgb]]:
        """At most `number` small frames, evenly spread from first to last, each with its own number."""
        wanted = np.unique(np.linspace(0, self.count - 1, number).round().astype(int)).tolist()
        return [(each, thumbnail(self.frame(each), side)) for each in wanted]


def read_clip(path: str | Path) -> Clip:
    """Open a clip, which is read as far as needed to count its frames.

    What a player turns by its rotation mark is turned here too; grayscale becomes three equal channels.

    Raises:
        InputError: there is no such file, it is no clip or a damaged one, has fewer than 2 frames, or is over one of
            the limits (`CLIP_LIMITS`).
    """
    path = Path(path).resolve()
    try:
        if path.stat().st_size > MAX_CLIP_BYTES:
            raise InputError(f"{path.name} has {path.stat().st_size / 2**20:.0f} MB: use {CLIP_LIMITS}.")
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): check the path.") from error
    if _is_video(head):
        return _Video(path)
    if head.startswith((b"GIF8", b"\x89PNG", b"RIFF")):
        return _Animation(path)
    raise InputError(f"{path.name} is not a clip that can be read: use {CLIP_LIMITS}.")


def clip_of_pictures(files: Sequence[str | Path]) -> Clip:
    """Pictures as a clip, in the order given.

    Raises:
        InputError: fewer than 2 or too many, one that `decode_image` refuses, or of another size than the first.
    """
    return _Pictures([Path(file) for file in files])


def _is_video(head: bytes) -> bool:
    """Whether a file begins as one of the containers that are let through.

    By its content, as the reader behind it would also take playlists, which name other files.
    """
    quicktime = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    return quicktime or head.startswith(b"\x1a\x45\xdf\xa3") or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


class _Video(Clip):
    """A file that OpenCV's FFmpeg reads, from its start onwards: jumping into a file is not exact in all formats."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._file, self._next = self._open(), 0
        fps = float(self._file.get(cv2.CAP_PROP_FPS))
        width, height = (int(self._file.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            check_size((width, height), path.name)
        found, first = self._file.read()
        if not found:
            raise InputError(f"{path.name} has no frame that can be read: save it again as MP4 (H.264) and retry.")
        count = 1
        while count <= MAX_CLIP_FRAMES and self._file.grab():
            count += 1
        self._file, self._next = self._open(), 0
        super().__init__(path.name, count, (first.shape[1], first.shape[0]), fps if 0 < fps < 1000 else 0.0)

    def _open(self) -> cv2.VideoCapture:
        return cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)

    def _read(self, number: int) -> Rgb:
        with self._lock:
            if number < self._next:
                self._file, self._next = self._open(), 0
            while self._next < number and self._file.grab():
                self._next += 1
            found, bgr = self._file.read()
            self._next += 1
        if not found:
            raise InputError(f"Frame {number} of {self.name} can't be read: save the clip again and retry.")
        return np.ascontiguousarray(bgr[..., ::-1])


class _Animation(Clip):
    """An animated GIF, WebP or PNG."""

    def __init__(self, path: Path) -> None:
        self._data, self._lock = path.read_bytes(), threading.Lock()
        try:
            self._image = self._open()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{path.name} is not an animation that can be read: use {CLIP_LIMITS}.") from error
        ms = float(self._image.info.get("duration", 0) or 0)
        count = getattr(self._image, "n_frames", 1)
        super().__init__(path.name, count, self._image.size, 1000 / ms if ms else 0.0)

    def _open(self) -> Image.Image:
        return Image.open(io.BytesIO(self._data), formats=_ANIMATED)

    def _read(self, number: int) -> Rgb:
        with self._lock:
            try:
                # Pillow can't go back in an animated PNG.
                if number < self._image.tell():
                    self._image = self._open()
                self._image.seek(number)
                return to_rgb(self._image)
            except (OSError, SyntaxError, ValueError, EOFError) as error:
                raise InputError(f"Frame {number} of {self.name} is damaged ({error}): save it again.") from error


class _Pictures(Clip):
    """Picture files in a row."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        first = decode_image(read_bytes(files[0]), files[0].name) if files else np.zeros((0, 0, 3), np.uint8)
        name = f"{files[0].name} … {files[-1].name}" if len(files) > 1 else "This set of pictures"
        super().__init__(name, len(files), (first.shape[1], first.shape[0]))

    def _read(self, number: int) -> Rgb:
        return decode_image(read_bytes(self._files[number]), self._files[number].name)
