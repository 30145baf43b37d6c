"""A fine-tune watched in the page: paused, left, found again, resumed, stopped, ended, compared, taken home."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import Browser, Page, expect

from blurdepth.generation import GenerationRequest, generate
from blurdepth.workspace import Workspace
from tests.conftest import street_frame
from tests.e2e.conftest import MINUTES, App


def accept_samples(workspace: Workspace) -> None:
    for seed in range(5):
        frame = workspace.add_frame(street_frame(seed, 392, 168), "street.png")
        request = GenerationRequest("cars speeding past, driving 9 m/s, motion blur", variants=6)
        workspace.store.samples.decide([sample.id for sample in generate(workspace, frame, request)], "accept")
    workspace.store.versions.snapshot()


def open_train(app: App, page: Page) -> None:
    page.goto(app.url)
    page.locator("#tab-train-button").click()


@pytest.mark.browser
def test_a_fine_tune_is_watched_and_steered_from_the_page(app: App, browser: Browser, page: Page) -> None:
    accept_samples(Workspace(app.data))
    open_train(app, page)
    expect(page.locator("#version input")).to_have_value("v1: 30 samples of 5 frames")
    expect(page.locator(".bd-ahead")).to_contain_text("disk")
    page.locator("#start-finetune").click()
    state = page.locator("#job-card .bd-state")
    expect(state).to_have_text("running", timeout=2 * MINUTES)
    page.locator("#pause").click()
    expect(state).to_have_text("paused", timeout=3 * MINUTES)
    page.close()

    page = browser.new_page()
    page.set_default_timeout(MINUTES)
    open_train(app, page)
    state = page.locator("#job-card .bd-state")
    expect(state).to_have_text("paused")
    page.locator("#resume").click()
    expect(state).to_have_text("running")
    page.locator("#stop").click()
    expect(state).to_have_text("stopped", timeout=3 * MINUTES)
    page.locator("#resume").click()
    expect(state).to_have_text("done", timeout=10 * MINUTES)

    expect(page.locator("#curves .bd-chart")).to_have_count(4)
    page.locator("#probes-panel button").first.click()
    expect(page.locator("#probes .bd-probe").first.locator("figcaption")).to_contain_text(["Input", "Target depth"])
    expect(page.locator("#probes figcaption").filter(has_text="After epoch 6").first).to_be_visible()
    with page.expect_download(timeout=MINUTES) as download:
        page.locator("#download-checkpoint").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"j1/model.safetensors", "j1/README.md", "j1/sample-1.jpg"} <= set(archive.namelist())
    page.locator("#to-compare").click()
    expect(page.locator("#tab-compare")).to_be_visible()
    expect(page.get_by_label("Model B")).to_have_value("Fine-tuned j1 (from bundled)")
    page.close()
