"""What SDXL costs, told before anything starts, always of what is chosen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import App, choose_example
from tests.e2e.held import answers_go_to, hold, let_go, until_held


def choose_sdxl(app: App, page: Page) -> None:
    """Open the page, and let SDXL alone make the variants."""
    page.goto(app.url)
    expect(page.locator("#reading .bd-chips button").first).to_be_visible()
    page.get_by_label("SDXL alone, as in the paper").check()


@pytest.mark.browser
def test_a_number_is_typed_without_a_word_before_it_is_whole(app: App, page: Page) -> None:
    choose_sdxl(app, page)
    page.get_by_role("button", name="SDXL: model and settings").click()
    number, cost = page.locator("#paint-px input[type=number]"), page.locator("#cost")
    expect(cost).to_contain_text("a picture (an estimate)")
    # The cost of a frame is asked once its grid is there: here, while the number is half typed and out of its range.
    grids = hold(page, answers_go_to(app, "variants"))
    choose_example(page, 0)
    until_held(page, grids)
    number.click()
    number.press("Control+a")
    number.press("5")
    let_go(page, grids)
    page.wait_for_timeout(1_000)
    number.press_sequentially("12", delay=1_000)
    expect(number).to_have_value("512")
    assert page.locator(".toast-body").count() == 0
    expect(cost).to_contain_text("a picture (an estimate)")


@pytest.mark.browser
def test_the_cost_is_of_the_numbers_that_stand_there(app: App, page: Page) -> None:
    choose_sdxl(app, page)
    page.get_by_role("button", name="SDXL: model and settings").click()
    number, cost = page.locator("#paint-steps input[type=number]"), page.locator("#cost")

    def cost_of(steps: str, before: str) -> str:
        number.fill(steps)
        expect(cost).not_to_contain_text(before)
        expect(cost).to_contain_text("a picture (an estimate)")
        return cost.inner_text().splitlines()[-1]

    expect(cost).to_contain_text("a picture (an estimate)")
    most = cost_of("60", cost.inner_text().splitlines()[-1])
    least = cost_of("1", most)
    for typed, stands, costs in (("99", "60", most), ("0", "1", least), ("60", "60", most), ("", "1", least)):
        number.fill(typed)
        number.press("Tab")
        expect(number).to_have_value(stands)
        expect(cost).to_contain_text(costs)
    page.locator("#paint-steps input[type=range]").press("End")
    expect(number).to_have_value("60")
    expect(cost).to_contain_text(most)


@pytest.mark.browser
def test_the_way_out_of_sdxl_is_taken_by_the_page_itself(app: App, page: Page) -> None:
    choose_sdxl(app, page)
    page.get_by_role("button", name="SDXL: model and settings").click()
    page.get_by_label("SDXL model").fill("")
    page.get_by_label("SDXL model").press("Tab")
    expect(page.locator("#instead")).to_be_visible()
    hold(page, lambda event: True)  # noqa: ARG005
    page.locator("#instead").click()
    expect(page.get_by_label("Exposure simulator")).to_be_checked()
    page.get_by_label("SDXL draws, the simulator exposes").check()
    page.wait_for_timeout(1_000)
    expect(page.get_by_label("SDXL draws, the simulator exposes")).to_be_checked()


@pytest.mark.browser
def test_the_cost_is_of_what_was_chosen_last(app: App, page: Page) -> None:
    choose_sdxl(app, page)
    expect(page.locator("#cost")).to_contain_text("SDXL draws all of it")
    costs = hold(page, answers_go_to(app, "cost"))
    choose_example(page, 0)
    until_held(page, costs)
    page.get_by_label("Exposure simulator").check()
    page.wait_for_timeout(2_000)
    let_go(page, costs)
    page.wait_for_timeout(2_000)
    expect(page.locator("#cost")).to_contain_text("On this computer's processor")
