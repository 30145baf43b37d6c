"""Any picture a person may bring is understood as they see it, or refused with a message that helps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blurdepth import images
from blurdepth.errors import InputError
from blurdepth.images import decode_image, encode_png, linear_to_srgb, read_image, read_labels, srgb_to_linear


def saved(image: Image.Image, suffix: str = "PNG", **more: object) -> bytes:
    """The bytes of `image` in a file format."""
    buffer = io.BytesIO()
    image.save(buffer, suffix, **more)  # type: ignore[arg-type]
    return buffer.getvalue()


def gradient(width: int = 96, height: int = 64) -> np.ndarray:
    """A picture in which every corner differs."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 2, rows * 3, (rows + columns)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "more", "tolerance"),
    [
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95}, 12),
    ],
)
def test_each_format_decodes_to_its_pixels(suffix: str, more: dict[str, object], tolerance: int) -> None:
    pixels = gradient()
    got = decode_image(saved(Image.fromarray(pixels), suffix, **more))
    assert got.shape == pixels.shape
    assert np.abs(got.astype(int) - pixels).max() <= tolerance


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: must be shown rotated by 90 degrees clockwise
    got = decode_image(saved(Image.fromarray(gradient()), "PNG", exif=exif))
    assert np.array_equal(got, np.rot90(gradient(), -1))


def test_transparency_lies_on_white() -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, 32:, 3] = 255
    got = decode_image(saved(Image.fromarray(rgba, "RGBA")))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[0, 63].tolist() == [0, 0, 0]


def test_a_transparent_palette_lies_on_white() -> None:
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([10, 20, 30] + [0] * 765)
    assert decode_image(saved(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]


def test_16_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)
    got = decode_image(saved(Image.fromarray(values)))
    assert got.shape == (64, 64, 3)
    assert np.abs(got[..., 0].astype(int) - (values / 257)).max() <= 1


@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0, 65535.0])
def test_deep_pictures_find_their_white(white: float) -> None:
    values = np.linspace(0, white, 64 * 64, dtype=np.float32).reshape(64, 64)
    got = decode_image(saved(Image.fromarray(values), "TIFF"))
    assert got[-1, -1, 0] == 255 and 126 <= got[32, 0, 0] <= 130


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "LA"])
def test_other_modes_become_three_channels(mode: str) -> None:
    suffix = "TIFF" if mode == "CMYK" else "PNG"
    assert decode_image(saved(Image.fromarray(gradient()).convert(mode), suffix)).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello, not a picture", "not a picture"),
        (b"", "not a picture"),
        (saved(Image.fromarray(gradient()), "GIF"), "PNG, JPEG, WebP or TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (saved(Image.fromarray(gradient()))[:120], "damaged"),
        (saved(Image.fromarray(gradient()), "JPEG")[:-150], "damaged"),
        (saved(Image.new("RGB", (20, 500))), "20 x 500"),
        (saved(Image.new("RGB", (2000, 100))), "crop it"),
    ],
)
def test_what_is_no_usable_picture_is_refused_with_its_reason(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        decode_image(data, "street.png")
    assert "street.png" in str(raised.value)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(InputError, match="6000 x 5000"):
        decode_image(saved(Image.new("1", (6000, 5000))))
    with pytest.raises(InputError, match="pixels"):
        decode_image(saved(Image.new("1", (40000, 20000))))


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="MB"):
        decode_image(bytes(1001))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.png"):
        read_image("nowhere.png")


def test_png_keeps_pixels_and_bytes() -> None:
    data = encode_png(gradient())
    assert np.array_equal(decode_image(data), gradient())
    assert data == encode_png(gradient())


def test_srgb_and_light_are_inverse_for_every_byte() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(linear_to_srgb(srgb_to_linear(every)), every)


@given(st.floats(-2, 3, width=32))
def test_light_outside_the_range_is_clipped(value: float) -> None:
    stored = int(linear_to_srgb(np.array([value], np.float32))[0])
    assert stored == (0 if value <= 0 else 255 if value >= 1 else stored)


def test_labels_keep_their_numbers_and_need_one_channel(tmp_path) -> None:
    ids = np.zeros((64, 96), np.uint8)
    ids[10:20, 10:20] = 7
    (tmp_path / "ids.png").write_bytes(encode_png(ids))
    assert np.array_equal(read_labels(tmp_path / "ids.png", (64, 96)), ids)
    with pytest.raises(InputError, match="one 8-bit channel"):
        read_labels(tmp_path / "ids.png", (64, 95))
    (tmp_path / "rgb.png").write_bytes(encode_png(gradient()))
    with pytest.raises(InputError, match="one 8-bit channel"):
        read_labels(tmp_path / "rgb.png", (64, 96))
