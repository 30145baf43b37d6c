"""Reading any picture a person may bring, and the way between stored values and light."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from blurdepth.errors import InputError

MAX_BYTES = 40 * 1024 * 1024
MAX_PIXELS = 24_000_000
MIN_SIDE = 64
MAX_ASPECT = 12
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
LIMITS = f"PNG, JPEG, WebP or TIFF, up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels"

Rgb = NDArray[np.uint8]
Linear = NDArray[np.float32]


def decode_image(data: bytes, name: str = "the file") -> Rgb:
    """Decode a picture as a person would see it.

    EXIF orientation is applied, transparency laid on white, 16 bits scaled to 8, grayscale widened to three
    channels, CMYK and palettes converted. Only the first page of a file with several is read.

    Args:
        data: the bytes of a PNG, JPEG, WebP or TIFF file.
        name: how messages call it.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: too many bytes or pixels, too small, not a picture, another format, or damaged.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} has {len(data) / 2**20:.0f} MB: use {LIMITS}.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            check_size(image.size, name)
            return to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not a picture that can be read: use {LIMITS}.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has far too many pixels: use {LIMITS}.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{name} is damaged ({error}): save it again and retry.") from error


def check_size(size: tuple[int, int], name: str) -> None:
    """Refuse a picture of (width, height) that is too large, too small or too long.

    Raises:
        InputError: it is.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} is {width} x {height} pixels: make it smaller; allowed are {LIMITS}.")
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{name} is {width} x {height} pixels: use one of at least {MIN_SIDE} on each side.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InputError(f"{name} is {width} x {height} pixels: crop it; one side may be {MAX_ASPECT} times the other.")


def to_rgb(image: Image.Image) -> Rgb:
    """(H, W, 3) uint8 sRGB of a picture of any mode, transparency on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_to_8_bit(np.asarray(image))[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert("RGB"))


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Deep pictures don't say what white is: the least of the usual values that no pixel exceeds is taken."""
    finite = np.nan_to_num(values.astype(np.float64))
    whites = (1.0, 255.0, 4095.0, 65535.0) if values.dtype.kind == "f" else (255.0, 4095.0, 65535.0)
    white = next((each for each in whites if finite.max(initial=0) <= each), float(finite.max()))
    return (np.clip(finite / white, 0, 1) * 255 + 0.5).astype(np.uint8)


def read_image(path: str | Path) -> Rgb:
    """Read the file at `path` by `decode_image`: (H, W, 3) uint8 sRGB.

    Raises:
        InputError: there is no such file, or `decode_image` refuses it.
    """
    return decode_image(read_bytes(path), Path(path).name)


def read_labels(path: str | Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a PNG of object ids: (H, W) uint8, one channel, no scaling.

    Raises:
        InputError: it is not a picture, has several channels or more than 8 bits, or is not of `shape`.
    """
    name = Path(path).name
    try:
        with Image.open(io.BytesIO(read_bytes(path)), formats=("PNG",)) as image:
            size = image.size[::-1]
            if image.mode not in ("L", "P", "1") or size != shape:
                raise InputError(f"{name} is {size}, mode {image.mode}: object ids need one 8-bit channel of {shape}.")
            return np.asarray(image).astype(np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} is not a readable PNG ({error}): save the object ids as an 8-bit PNG.") from error


def object_numbers(ids: NDArray[np.uint8]) -> list[int]:
    """The ids that a mask holds, ascending, without 0, which is the static world.

    >>> object_numbers(np.array([[0, 7], [2, 7]], np.uint8))
    [2, 7]
    """
    # Counting is several times faster than the sort of np.unique.
    return [number for number in np.flatnonzero(np.bincount(ids.ravel())).tolist() if number]


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file a person named.

    Raises:
        InputError: there is no such file, it can't be read, or it is over `MAX_BYTES`.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} has {path.stat().st_size / 2**20:.0f} MB: use {LIMITS}.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): check the path.") from error


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of (H, W) or (H, W, 3) uint8; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def encode_jpeg(rgb: Rgb, quality: int = 88) -> bytes:
    """The bytes of a JPEG file, for pictures that are looked at and not kept."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def content_hash(data: bytes) -> str:
    """SHA-256 of `data` in hex, which names it everywhere.

    >>> content_hash(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def channel_range(image: Linear) -> tuple[Linear, Linear]:
    """The smallest and the largest of the three channels of an (H, W, 3) image, each (H, W)."""
    # Several times faster than min and max over an axis of three.
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)


def srgb_to_linear(rgb: Rgb) -> Linear:
    """Stored values to light: uint8 sRGB to float32 in [0, 1], of any shape.

    Source: IEC 61966-2-1.

    >>> srgb_to_linear(np.array([0, 128, 255], np.uint8)).round(3).tolist()
    [0.0, 0.2160000056028366, 1.0]
    """
    return _LINEAR_OF_BYTE[rgb]


def linear_to_srgb(linear: Linear) -> Rgb:
    """Light to stored values, clipped: float32 to uint8 sRGB, the inverse of `srgb_to_linear`.

    Source: IEC 61966-2-1.
    """
    light = np.clip(linear, 0, 1).astype(np.float32)
    steep = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    stored = np.where(light <= np.float32(0.0031308), light * np.float32(12.92), steep)
    return (stored * 255 + 0.5).astype(np.uint8)


def _byte_table() -> Linear:
    stored = np.arange(256) / 255
    return np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR_OF_BYTE = _byte_table()
