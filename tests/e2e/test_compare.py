"""Compare in a real browser, where somebody is quicker than the models."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import MINUTES, App
from tests.e2e.held import answers_go_to, sent


@pytest.mark.browser
def test_what_is_chosen_while_models_look_is_compared_next(app: App, page: Page) -> None:
    page.goto(app.url)
    page.get_by_role("tab", name="4 Compare").click()
    is_comparing = answers_go_to(app, "compare-numbers")
    # The first comparison takes seconds, as it loads the models.
    with page.expect_response(lambda response: is_comparing(sent(response.request))):
        page.locator("#compare-samples [data-id='exact:overtaken']").click()
    page.locator("#compare-samples [data-id='exact:oncoming_traffic']").click()
    expect(page.locator("#compare-frame figcaption")).to_contain_text("oncoming traffic", timeout=2 * MINUTES)
    expect(page.locator("#compare-numbers table").first).to_be_visible()


@pytest.mark.browser
def test_a_file_that_is_refused_makes_room_for_another(app: App, page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("no picture")
    page.goto(app.url)
    page.get_by_role("tab", name="4 Compare").click()
    upload = page.locator("#tab-compare input[type=file]").first
    for _ in range(2):
        upload.set_input_files(tmp_path / "letter.png")
        expect(page.locator(".toast-body").last).to_contain_text("letter.png")
        page.locator(".toast-close").last.click()
        expect(page.locator(".toast-body")).to_have_count(0)
