"""Who moves, by hand in a real browser: proposed, clicked, painted, dragged; and a clip made into a blurred frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from blurdepth.images import encode_png
from tests.e2e.conftest import MINUTES, App, blend_pictures, write

WIDTH, HEIGHT = 320, 120
CAR = (130, 60, 60, 34)
"""Left, top, width and height of what looks like a car from the side, in pixels."""


@pytest.fixture
def car_file(tmp_path: Path) -> Path:
    """A bright car on a grey road under a plain sky."""
    frame = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    frame[:55] = (150, 180, 220)
    left, top, width, height = CAR
    cv2.rectangle(frame, (left, top + 10), (left + width, top + height - 6), (200, 30, 30), -1)
    cv2.rectangle(frame, (left + 12, top), (left + width - 12, top + 12), (180, 20, 20), -1)
    for x in (left + 14, left + width - 14):
        cv2.circle(frame, (x, top + height - 6), 6, (20, 20, 20), -1)
    path = tmp_path / "car.png"
    path.write_bytes(encode_png(frame))
    return path


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the frame is on the screen."""
    box = page.locator(".bd-stage svg").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"] / WIDTH, box["y"] + y * box["height"] / HEIGHT


def pull(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press, move in steps, let go; in pixels of the frame."""
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, *end), steps=6)
    page.mouse.up()


def settled(page: Page) -> str:
    """The preview's picture once it is there in full."""
    expect(page.locator(".bd-preview .bd-note")).to_have_text("full size")
    source = page.locator(".bd-preview img").get_attribute("src")
    assert source is not None and source.startswith("data:image/jpeg")
    return source


@pytest.mark.browser
def test_a_mover_is_clicked_painted_dragged_undone_and_stays_after_a_reload(
    app: App, page: Page, car_file: Path
) -> None:
    page.goto(app.url)
    write(page, "light haze, cars at 10 m/s to the right", "10 m/s")
    page.locator("#tab-generate input[type=file]").first.set_input_files(car_file)
    expect(page.locator("#editor .bd-preview img")).to_be_visible(timeout=2 * MINUTES)
    before = settled(page)

    page.mouse.click(*place(page, CAR[0] + 30, CAR[1] + 20))
    expect(page.locator(".bd-mover")).to_have_count(1)
    expect(page.locator(".bd-row output")).to_have_text("10 m/s to the right")
    clicked = settled(page)
    assert clicked != before

    page.locator("[data-tool=brush]").click()
    outline = page.locator(".bd-body").get_attribute("d")
    pull(page, (CAR[0] + 20, CAR[1] + 20), (CAR[0] + 90, CAR[1] + 22))
    expect(page.locator(".bd-body")).not_to_have_attribute("d", outline or "")
    expect(page.locator(".bd-mover")).to_have_count(1)
    painted = settled(page)
    assert painted != clicked

    page.locator("[data-tool=choose]").click()
    tip = page.locator(".bd-tip").bounding_box()
    assert tip is not None
    page.mouse.move(tip["x"] + tip["width"] / 2, tip["y"] + tip["height"] / 2)
    page.mouse.down()
    page.mouse.move(tip["x"] - 120, tip["y"] + tip["height"] / 2, steps=8)
    page.mouse.up()
    expect(page.locator(".bd-row output")).to_contain_text("to the left")
    assert settled(page) != painted

    page.locator("[data-do=undo]").click()
    expect(page.locator(".bd-row output")).to_contain_text("to the right")
    page.locator("[data-do=redo]").click()
    expect(page.locator(".bd-row output")).to_contain_text("to the left")

    page.locator("#generate").click()
    expect(page.locator("#variants .bd-card")).to_have_count(4, timeout=2 * MINUTES)
    page.reload()
    expect(page.locator(".bd-mover")).to_have_count(1)
    expect(page.locator(".bd-row output")).to_contain_text("to the left")


@pytest.mark.browser
def test_a_proposal_is_taken_by_a_click(app: App, page: Page) -> None:
    page.goto(app.url)
    page.locator("#examples .bd-card").first.click()
    proposals = page.locator(".bd-proposal")
    expect(proposals.first).to_be_attached(timeout=2 * MINUTES)
    number = proposals.count()
    proposals.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".bd-mover")).to_have_count(1)
    expect(proposals).to_have_count(number - 1)
    page.get_by_role("button", name="Let mover 1 stand still").click()
    expect(page.locator(".bd-mover")).to_have_count(0)
    expect(proposals).to_have_count(number)


@pytest.mark.browser
def test_a_chip_is_turned_by_hand_and_goes_back_to_the_words(app: App, page: Page, car_file: Path) -> None:
    page.goto(app.url)
    chips = page.locator("#reading .bd-chips")
    write(page, "light fog, cars at 10 m/s", "fog 0.3")
    page.get_by_role("button", name="fog 0.3").click()
    page.locator(".bd-turner input").fill("0.8")
    expect(chips).to_contain_text("fog 0.8")
    chips.locator("select").select_option("snow")
    expect(chips).to_contain_text("snow 0.5")
    page.locator("#tab-generate input[type=file]").first.set_input_files(car_file)
    expect(page.locator("#editor .bd-preview img")).to_be_visible(timeout=2 * MINUTES)
    page.reload()
    expect(chips).to_contain_text("fog 0.8")
    page.get_by_role("button", name="Back to the words").click()
    expect(chips).to_contain_text("fog 0.3")
    expect(page.get_by_role("button", name="snow")).to_have_count(0)


@pytest.mark.browser
def test_several_frames_become_one_blurred_frame(app: App, page: Page, tmp_path: Path) -> None:
    page.goto(app.url)
    blend_pictures(page, tmp_path)
    expect(page.locator("#editor .bd-preview img")).to_be_visible(timeout=2 * MINUTES)
    page.locator("#variants .bd-card").click()
    expect(page.locator("#large img")).to_be_visible()


@pytest.mark.browser
def test_a_prompt_is_kept_in_the_book_and_removed(app: App, page: Page) -> None:
    page.goto(app.url)
    write(page, "dense fog, trams speeding past", "fog 0.9")
    page.get_by_text("Change the prompt book").click()
    name = page.locator("#book-name textarea, #book-name input")
    expect(name).not_to_have_value("")  # what is written before it has its first value is overwritten by that
    name.fill("My trams")
    page.locator("#book-keep").click()
    expect(page.get_by_text("Kept as My trams.")).to_be_visible()
    expect(page.locator("#prompt-book input")).to_have_value("My trams")
    page.reload()
    page.locator("#prompt-book input").click()
    expect(page.get_by_role("option", name="My trams")).to_be_visible()
    page.get_by_role("option", name="My trams").click()
    expect(page.locator("#prompt textarea")).to_have_value("dense fog, trams speeding past")
    page.get_by_text("Change the prompt book").click()
    expect(name).to_have_value("My trams")
    page.locator("#book-remove").click()
    page.locator("#prompt-book input").click()
    expect(page.get_by_role("option", name="Smog in the city").first).to_be_visible()
    expect(page.get_by_role("option", name="My trams")).to_have_count(0)
