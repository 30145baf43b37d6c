"""SDXL in a real browser, with a tiny checkpoint: chosen, previewed, cancelled, judged, repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from blurdepth.blurcheck import Verdict
from blurdepth.workspace import Workspace
from scripts.tiny_sdxl import write_tiny_sdxl
from tests.e2e.conftest import MINUTES, App


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny")


def open_with_frame(app: App, page: Page) -> None:
    page.goto(app.url)
    page.locator("#examples .bd-card").first.click()
    expect(page.locator(".bd-preview .bd-note")).to_have_text("full size", timeout=2 * MINUTES)


def choose(page: Page, tiny: Path, steps: int, height_px: int) -> None:
    page.get_by_label("SDXL alone, as in the paper").check()
    expect(page.locator("#cost")).to_contain_text("Will be downloaded once: 7.3 GB")
    page.get_by_role("button", name="SDXL: model and settings").click()
    # The fields come with the opening. What is typed into one in that very moment, as no hand does, can be taken back.
    expect(page.locator("#paint-px input[type=number]")).to_be_visible()
    page.wait_for_timeout(1000)
    page.get_by_label("SDXL model").fill(str(tiny))
    page.get_by_label("Depth adapter").fill("")
    page.get_by_label("Depth adapter").blur()
    expect(page.locator("#cost")).to_contain_text("Nothing has to be downloaded")
    page.locator("#paint-steps input[type=number]").fill(str(steps))
    page.locator("#paint-px input[type=number]").fill(str(height_px))


def test_paint_judge_and_repair(app: App, page: Page, tiny: Path) -> None:
    open_with_frame(app, page)
    choose(page, tiny, steps=3, height_px=64)
    page.locator("#paint-preview input").check()
    page.locator("#generate").click()
    expect(page.locator("#variants .bd-card")).to_have_count(4, timeout=3 * MINUTES)
    words = page.locator("#variants .bd-badge").all_inner_texts()
    assert all(word and "px" not in word for word in words)
    # What a tiny checkpoint paints is another scene, which is not repaired: let it be the scene, and sharp.
    store = Workspace(app.data).store
    for sample in store.samples.samples():
        store.verdicts.put(sample.id, Verdict(False, ("sharp",), {}))
    page.locator("#variants .bd-card").first.click()
    expect(page.locator("#verdict")).to_contain_text("Blur check:")
    page.get_by_label("Depth that guided SDXL").check()
    expect(page.locator("#large figcaption")).to_contain_text("Depth that guided SDXL")
    page.locator("#repair").click()
    expect(page.locator("#variants .bd-card")).to_have_count(5, timeout=MINUTES)
    expect(page.locator("#variants .bd-badge").last).to_contain_text("px")
    page.locator("#repair-all").click()
    expect(page.locator("#generate-status")).to_contain_text("repaired", timeout=MINUTES)
    expect(page.locator("#repair-all")).to_be_hidden()
    page.locator("#to-curate").click()
    expect(page.locator("#sample-about")).to_contain_text("Blur check:")


def test_a_painting_is_seen_to_emerge_and_is_cancelled(app: App, page: Page, tiny: Path) -> None:
    open_with_frame(app, page)
    choose(page, tiny, steps=60, height_px=384)
    page.locator("#generate").click()
    expect(page.locator(".bd-rough")).to_be_visible(timeout=3 * MINUTES)
    expect(page.locator("#generate-status")).to_contain_text("of 60")
    page.locator("#cancel").click()
    expect(page.locator("#generate-status")).to_contain_text("Cancelled")
    expect(page.locator("#variants .bd-card")).to_have_count(0)
    # The simulator is one click away, and what was cancelled is not in its way.
    page.get_by_label("Exposure simulator").check()
    page.locator("#generate").click()
    expect(page.locator("#variants .bd-card")).to_have_count(4, timeout=2 * MINUTES)


def test_a_reload_brings_back_what_paints_and_how(app: App, page: Page, tiny: Path) -> None:
    open_with_frame(app, page)
    choose(page, tiny, steps=7, height_px=96)
    page.locator("#paint-preview input").check()
    page.reload()
    expect(page.locator("#cost")).to_contain_text("Nothing has to be downloaded", timeout=MINUTES)
    expect(page.get_by_label("SDXL alone, as in the paper")).to_be_checked()
    expect(page.locator("#paint-preview input")).to_be_checked()
    page.get_by_role("button", name="SDXL: model and settings").click()
    expect(page.locator("#paint-steps input[type=number]")).to_have_value("7")
    expect(page.locator("#paint-px input[type=number]")).to_have_value("96")
    expect(page.get_by_label("SDXL model:")).to_have_value(str(tiny))
    # A model of the Hub without an adapter is told what it lacks.
    page.get_by_label("SDXL model:").fill("owner/model")
    page.get_by_label("SDXL model:").blur()
    expect(page.locator("#cost")).to_contain_text("No depth adapter is named")


def test_without_the_network_one_sentence_says_what_to_do(app: App, page: Page) -> None:
    open_with_frame(app, page)
    page.get_by_label("SDXL draws, the simulator exposes").check()
    expect(page.locator("#cost")).to_contain_text("Will be downloaded once")
    page.locator("#generate").click()
    expect(page.locator("#generate-status")).to_contain_text("could not be downloaded", timeout=2 * MINUTES)
    expect(page.locator("#generate")).to_be_enabled()
