"""Whatever a person does wrong in the page, one clear sentence says so, nothing is lost, and the next try works."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import street_frame
from tests.e2e.conftest import App

pytestmark = pytest.mark.browser


def saved(image: Image.Image, suffix: str) -> bytes:
    """The bytes of `image` in a file format."""
    buffer = io.BytesIO()
    image.save(buffer, suffix)
    return buffer.getvalue()


BAD_FILES = {
    "text.png": (b"this is a letter", "not a picture"),
    "empty.png": (b"", "not a picture"),
    "cut.png": (street_frame()[:2000], "damaged"),
    "huge.png": (saved(Image.new("1", (6000, 5000)), "PNG"), "6000 x 5000"),
    "moving.gif": (saved(Image.new("P", (100, 100)), "GIF"), "PNG, JPEG, WebP or TIFF"),
}
GOOD_FILES = {
    "deep.png": saved(Image.fromarray(np.linspace(0, 65535, 120 * 200, dtype=np.uint16).reshape(120, 200)), "PNG"),
    "grey.tiff": saved(Image.new("L", (200, 120), 90), "TIFF"),
    "clear.webp": saved(Image.new("RGBA", (200, 120), (0, 90, 0, 60)), "WEBP"),
}


def choose(page: Page, name: str, data: bytes) -> None:
    """Choose a file as the sharp frame, in place of one that may be there."""
    file = {"name": name, "mimeType": f"image/{name.rsplit('.', 1)[1]}", "buffer": data}
    page.locator("#tab-generate input[type=file]").first.set_input_files([file])  # type: ignore[list-item]


def test_frames(app: App, page: Page) -> None:
    page.goto(app.url)
    for name, (data, words) in BAD_FILES.items():
        choose(page, name, data)
        expect(page.locator("#refused .bd-notice")).to_contain_text(words)
        expect(page.locator("#refused .bd-notice")).to_contain_text(name.split(".")[0])
    for name, data in GOOD_FILES.items():
        choose(page, "bad.png", b"this is a letter")
        expect(page.locator("#refused .bd-notice")).to_contain_text("bad.png")
        choose(page, name, data)
        expect(page.locator("#editor .bd-preview img")).to_be_visible()
    page.reload()
    expect(page.locator("#editor .bd-preview img")).to_be_visible()


def test_prompts_and_a_missing_frame(app: App, page: Page, frame_file: Path) -> None:
    page.goto(app.url)
    generate = page.get_by_role("button", name="Generate", exact=True)
    generate.click()
    expect(page.get_by_text("There is no frame yet")).to_be_visible()
    expect(generate).to_be_enabled()
    page.locator("#tab-generate input[type=file]").first.set_input_files(frame_file)
    expect(page.locator("#editor .bd-preview img")).to_be_visible()
    for prompt, words in (
        ("", "empty"),
        ("fog " * 2500, "10,000"),
        ("<script>alert(1)</script> fog", "plain words"),
        ("浓雾 夜晚", "浓雾"),
    ):
        page.locator("#prompt textarea").fill(prompt)
        expect(page.locator("#reading .bd-notice")).to_contain_text(words)
        generate.click()
        expect(page.locator("#generate-status .bd-notice")).to_contain_text(words)
        expect(generate).to_be_enabled()
    page.locator("#prompt textarea").fill("dense fog, cars speeding past")
    generate.click()
    expect(page.locator("#variants .bd-card")).to_have_count(4)

    page.locator("#to-curate").click()
    expect(page.locator("#sample figure")).to_have_count(3)
    for key in "aar":
        page.keyboard.press(key)
    for status, number in (("accepted", 2), ("rejected", 1), ("pending", 1)):
        expect(page.locator(f"#header .bd-{status} b")).to_have_text(str(number))
    page.locator("#reason input").fill("a is not <b>u</b>")
    page.keyboard.press("Tab")
    page.locator("#reject").click()
    expect(page.locator("#header .bd-rejected b")).to_have_text("2")
    page.locator("#tab-dataset-button").click()
    expect(page.locator("#reasons")).to_contain_text("a is not <b>u</b>: 1")


def test_a_frame_is_dropped_anywhere_and_a_new_one_takes_its_place(app: App, page: Page) -> None:
    page.goto(app.url)
    expect(page.locator("#tab-generate input[type=file]").first).to_be_attached()
    for seed, width in ((0, 196), (1, 280)):
        page.evaluate(
            """([bytes, name]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
                document.querySelector('#variants').dispatchEvent(
                    new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
            }""",
            [list(street_frame(seed, width)), f"{seed}.png"],
        )
        expect(page.locator(".bd-stage svg")).to_have_attribute("viewBox", f"-0.5 -0.5 {width} 84")
