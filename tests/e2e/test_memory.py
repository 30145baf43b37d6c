"""What the browser remembers: kept before the app answers, brought back whole, never in the way of who is quicker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import MINUTES, ROOT, App, blend_pictures, choose_example, frame_on, start_app, write
from tests.e2e.held import answers_go_to, hold, let_go, sent, until_held

PROMPT = "dense fog, cars at 20 m/s"


def make_variants(page: Page, number: int) -> None:
    """Make this many variants of the frame."""
    page.get_by_label("Variants").first.fill(str(number))
    page.locator("#generate").click()
    expect(page.locator("#variants .bd-card")).to_have_count(number, timeout=2 * MINUTES)
    expect(page.locator("#generate")).to_be_enabled()


def expect_work(page: Page, frame_id: str, variants: int) -> None:
    """The page shows the frame, with so many variants of it."""
    expect(page.locator("#variants .bd-card")).to_have_count(variants, timeout=MINUTES)
    expect(page.locator(".bd-preview .bd-note")).to_have_text("full size", timeout=2 * MINUTES)
    assert frame_on(page) == frame_id


@pytest.mark.browser
def test_what_is_changed_is_kept_before_the_app_answers(app: App, page: Page) -> None:
    page.goto(app.url)
    prompt, simulated = page.locator("#prompt textarea"), page.get_by_label("SDXL draws, the simulator exposes")
    expect(page.locator("#reading .bd-chips button").first).to_be_visible()
    choose_example(page, 0)
    make_variants(page, 1)
    frame = frame_on(page)

    unheard = hold(page, lambda event: True)  # noqa: ARG005
    prompt.fill(PROMPT + "!?")
    simulated.check()
    page.get_by_role("button", name="Seed and models").click()
    page.wait_for_timeout(1_000)  # the field comes with the opening
    page.get_by_label("Seed: empty for a new one").fill("7")
    # The cursor stays in the box; deleting is no key that Gradio calls an input.
    prompt.press("End")
    prompt.press("Backspace")
    prompt.press("Backspace")
    until_held(page, unheard)
    page.reload()
    expect(prompt).to_have_value(PROMPT)
    expect(simulated).to_be_checked()
    expect(page.get_by_label("Variants").first).to_have_value("1")
    page.get_by_role("button", name="Seed and models").click()
    expect(page.get_by_label("Seed: empty for a new one")).to_have_value("7")
    expect_work(page, frame, 1)
    book = page.locator("#prompt-book input")
    expect(book).to_have_value("")

    book.click()
    page.get_by_role("option", name="Dense fog").click()
    expect(prompt).not_to_have_value(PROMPT)
    chosen, entry = prompt.input_value(), book.input_value()
    page.get_by_role("button", name="SDXL: model and settings").click()
    page.wait_for_timeout(1_000)  # the fields come with the opening
    page.locator("#paint-steps input[type=range]").press("ArrowRight")
    steps = page.locator("#paint-steps input[type=number]").input_value()
    page.wait_for_timeout(500)  # the page hears of it
    page.reload()
    expect(prompt).to_have_value(chosen)
    expect(book).to_have_value(entry)
    page.get_by_text("Change the prompt book").click()
    expect(page.locator("#book-name input, #book-name textarea")).to_have_value(entry)
    page.get_by_role("button", name="SDXL: model and settings").click()
    page.wait_for_timeout(1_000)  # the fields come with the opening
    expect(page.locator("#paint-steps input[type=number]")).to_have_value(steps)
    assert steps == "31"
    page.locator("#paint-steps input[type=number]").fill("99")
    page.wait_for_timeout(500)  # the page hears of it
    page.reload()
    page.get_by_role("button", name="SDXL: model and settings").click()
    expect(page.locator("#paint-steps input[type=number]")).to_have_value("30")


@pytest.mark.browser
def test_typing_asks_the_app_once_a_key_at_most(app: App, page: Page) -> None:
    page.goto(app.url)
    write(page, "light fog", "fog 0.3")
    # Over a slow line, answers come while the next keys are pressed.
    slow = {"offline": False, "latency": 200, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    is_reading, asked = answers_go_to(app, "reading"), []
    page.on("request", lambda request: asked.append(request) if is_reading(sent(request)) else None)
    typed = ", cars at 20 m/s"
    page.locator("#prompt textarea").press("End")
    page.keyboard.type(typed)
    expect(page.locator("#reading .bd-chips")).to_contain_text("20 m/s")
    page.wait_for_timeout(3_000)
    number = len(asked)
    assert 1 <= number <= len(typed) + 1
    page.wait_for_timeout(3_000)
    assert len(asked) == number


@pytest.mark.browser
def test_the_same_is_said_once_more(app: App, page: Page, tmp_path: Path) -> None:
    page.goto(app.url)
    generate, status = page.locator("#generate"), page.locator("#generate-status")
    choose_example(page, 0)
    page.get_by_role("button", name="Seed and models").click()
    page.get_by_label("Depth model").fill(str(tmp_path / "nowhere"))
    page.get_by_label("Depth model").press("Enter")
    for _ in range(3):
        generate.click()
        expect(status).to_contain_text("nowhere")
        expect(generate).to_be_enabled()
        page.locator("#examples .bd-card").nth(1).click()
        expect(status).to_have_text("")


@pytest.mark.browser
def test_what_is_typed_while_the_page_comes_back_stands(app: App, page: Page) -> None:
    page.goto(app.url)
    write(page, "light fog, cars at 10 m/s", "fog 0.3")
    late = hold(page, answers_go_to(app, "reading"))
    page.reload()
    until_held(page, late)
    page.locator("#prompt textarea").fill("dense fog, trams speeding past")
    let_go(page, late)
    expect(page.locator("#prompt textarea")).to_have_value("dense fog, trams speeding past")
    expect(page.locator("#reading .bd-chips")).to_contain_text("fog 0.9")
    page.reload()
    expect(page.locator("#prompt textarea")).to_have_value("dense fog, trams speeding past")


@pytest.mark.browser
def test_a_frame_that_comes_while_the_page_does_is_not_taken_back(app: App, page: Page) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    make_variants(page, 2)
    looks, grids = (hold(page, answers_go_to(app, name)) for name in ("offered-frame", "variants"))
    page.reload()
    until_held(page, looks)
    until_held(page, grids)
    choose_example(page, 1)
    frame = frame_on(page)
    let_go(page, looks)
    let_go(page, grids)
    expect_work(page, frame, 0)
    page.reload()
    expect_work(page, frame, 0)
    make_variants(page, 1)


@pytest.mark.browser
def test_a_frame_is_not_taken_back_by_variants_that_are_under_way(app: App, page: Page) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    page.get_by_label("Variants").first.fill("6")
    for made in range(5):
        page.locator("#generate").click()
        expect(page.locator("#generate-status")).to_contain_text(re.compile("[0-5] of 6"), timeout=MINUTES)
        page.wait_for_timeout(100 * made)
        number = (made + 1) % 2
        choose_example(page, number)
        frame = frame_on(page)
        expect(page.locator("#variants .bd-card")).to_have_count(0)
        page.wait_for_timeout(1_000)
        expect_work(page, frame, 0)


@pytest.mark.browser
def test_of_two_frames_in_a_row_the_last_one_stays(app: App, page: Page) -> None:
    page.goto(app.url)
    expect(page.locator("#reading .bd-chips button").first).to_be_visible()
    is_look = answers_go_to(app, "offered-frame")
    first = hold(page, lambda event: is_look(event) and bool(event["data"][0].get("frame")))
    examples, sharp = page.locator("#examples .bd-card"), page.locator("#frame img")
    examples.nth(0).click()
    until_held(page, first)
    before = sharp.get_attribute("src") or ""
    examples.nth(1).click()
    expect(sharp).not_to_have_attribute("src", before)
    frame = sharp.get_attribute("src")
    page.wait_for_timeout(1_000)
    let_go(page, first)
    expect(page.locator(".bd-preview .bd-note")).to_have_text("full size", timeout=2 * MINUTES)
    assert frame_on(page) == frame


@pytest.mark.browser
def test_pages_of_one_browser_never_mix_frame_and_variants(app: App, page: Page) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    make_variants(page, 1)
    other = page.context.new_page()
    other.goto(app.url)
    expect_work(other, frame_on(page), 1)
    choose_example(other, 1)
    make_variants(other, 2)
    make_variants(page, 3)
    other.reload()
    expect_work(other, frame_on(page), 3)


@pytest.mark.browser
def test_a_file_that_is_refused_takes_nothing_away(app: App, page: Page, tmp_path: Path) -> None:
    letter, upload = tmp_path / "letter.png", page.locator("#tab-generate input[type=file]").first
    letter.write_text("no picture")
    page.goto(app.url)
    choose_example(page, 0)
    frame = frame_on(page)
    page.get_by_label("Variants").first.fill("4")
    page.locator("#generate").click()
    expect(page.locator("#cancel")).to_be_enabled()
    upload.set_input_files(letter)
    expect(page.locator("#refused")).to_contain_text("letter.png")
    # What is being made goes on.
    expect_work(page, frame, 4)
    page.reload()
    expect_work(page, frame, 4)
    upload.set_input_files(letter)
    expect(page.locator("#refused")).to_contain_text("letter.png")
    choose_example(page, 1)
    expect(page.locator("#refused .bd-notice")).to_have_count(0)


@pytest.mark.browser
def test_a_start_that_fails_leaves_the_variants_before(app: App, page: Page) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    make_variants(page, 2)
    page.get_by_label("SDXL alone, as in the paper").check()
    page.locator("#generate").click()
    # There is no network for its models.
    expect(page.locator("#generate-status .bd-notice")).to_contain_text("stable-diffusion-xl")
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#variants .bd-card")).to_have_count(2)


@pytest.mark.browser
def test_the_work_of_another_data_folder_is_kept_but_not_shown(
    app: App, page: Page, browser: Browser, tmp_path: Path
) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    make_variants(page, 1)
    frame = frame_on(page)
    other = start_app(tmp_path / "other", tmp_path / "gradio")
    try:
        there = moved(browser, page, app, other)
        there.goto(other.url)
        expect(there.locator("#reading .bd-chips button").first).to_be_visible()
        there.locator("#generate").click()
        expect(there.get_by_text("There is no frame yet")).to_be_visible()
        back = moved(browser, there, other, app)
        blend_pictures(there, tmp_path)
    finally:
        other.process.terminate()
        other.process.wait(timeout=20)
    back.goto(app.url)
    expect_work(back, frame, 1)
    for each in (there, back):
        each.context.close()


def moved(browser: Browser, page: Page, app: App, other: App) -> Page:
    """A page with the same memory, as if the other app answered where this one did."""
    state = json.dumps(page.context.storage_state()).replace(app.url.rstrip("/"), other.url.rstrip("/"))
    context = browser.new_context(storage_state=json.loads(state))
    context.set_default_timeout(MINUTES)
    return context.new_page()


@pytest.mark.browser
def test_damaged_memory_is_an_empty_one(app: App, page: Page) -> None:
    page.goto(app.url)
    write(page, "light fog, cars at 10 m/s", "fog 0.3")
    page.evaluate("for (const name of Object.keys(localStorage)) localStorage.setItem(name, 'damaged')")
    page.reload()
    expect(page.locator("#reading .bd-chips button").first).to_be_visible()
    choose_example(page, 0)
    expect(page.locator("#prompt textarea")).not_to_have_value("light fog, cars at 10 m/s")
    frame = frame_on(page)
    page.reload()
    expect_work(page, frame, 0)


@pytest.mark.browser
@pytest.mark.parametrize(
    "kept", [None, [], "x", 3, {"prompt": 3, "steps": "7", "preview": None, "actor": []}, {"backend": "x", "steps": 61}]
)
def test_what_is_of_another_kind_is_not_recalled(page: Page, kept: object) -> None:
    page.add_script_tag(path=ROOT / "blurdepth/ui/static/memory.js")
    limits = "{prompt: {}, backend: {options: ['exposure', 'sdxl']}, steps: {minimum: 1, maximum: 60}, preview: {}}"
    recall = f"kept => blurdepthMemory.recall({limits})(kept, 'fog', 'exposure', 30, false)"
    memory, *values = page.evaluate(recall, kept)
    assert values == ["fog", "exposure", 30, False]
    assert [memory[name] for name in ("prompt", "backend", "steps", "preview")] == values
    assert isinstance(memory["actor"], str) and len(memory["actor"]) == 12
    chosen = {"backend": "sdxl", "steps": 7}
    again, *values = page.evaluate(recall, memory | chosen | {"gone": 1})
    assert values == ["fog", "sdxl", 7, False] and again == memory | chosen


@pytest.mark.browser
def test_a_turn_outlives_an_answer_that_was_asked_before_it(app: App, page: Page) -> None:
    prompt = "light fog, cars at 10 m/s"
    page.goto(app.url)
    chips = page.locator("#reading .bd-chips")
    write(page, prompt, "fog 0.3")
    page.locator("#prompt textarea").blur()
    page.reload()
    expect(page.locator("#prompt textarea")).to_have_value(prompt)
    is_reading = answers_go_to(app, "reading")
    # Of the words that came back; what was understood of them comes from what the browser remembers, too.
    readings = hold(page, lambda event: is_reading(event) and event["data"][0] == prompt)
    page.reload()
    expect(chips).to_contain_text("fog 0.3")
    page.get_by_role("button", name="fog 0.3").click()
    page.locator(".bd-turner input").fill("0.8")
    expect(chips).to_contain_text("fog 0.8")
    until_held(page, readings)
    let_go(page, readings)
    expect(chips).to_contain_text("fog 0.8")


@pytest.mark.browser
@pytest.mark.parametrize("ending", ["cancel", "frame"])
def test_what_is_started_after_an_end_can_be_cancelled(app: App, page: Page, ending: str) -> None:
    page.goto(app.url)
    generate, cancel, status = (page.locator(f"#{name}") for name in ("generate", "cancel", "generate-status"))
    choose_example(page, 0)
    page.get_by_label("Variants").first.fill("50")
    for place in (1, 2, 3):
        generate.click()
        expect(status).to_contain_text(re.compile("[1-9] of 50"), timeout=MINUTES)
        cancel.click() if ending == "cancel" else page.locator("#examples .bd-card").nth(place).click()
        expect(generate).to_be_enabled()
        expect(cancel).to_be_disabled()
        generate.click()
        expect(status).to_contain_text(re.compile("[2-9] of 50"), timeout=MINUTES)
        expect(generate).to_be_disabled()
        expect(cancel).to_be_enabled()
        cancel.click()
        expect(generate).to_be_enabled()


@pytest.mark.browser
def test_the_same_frame_chosen_anew_has_no_variants(app: App, page: Page) -> None:
    page.goto(app.url)
    choose_example(page, 0)
    page.get_by_label("Variants").first.fill("20")
    for wait in (0, 200, 400, 600):
        page.locator("#generate").click()
        expect(page.locator("#variants .bd-card").nth(1)).to_be_visible(timeout=MINUTES)
        page.wait_for_timeout(wait)
        page.locator("#examples .bd-card").nth(0).click()
        expect(page.locator("#generate")).to_be_enabled()
        page.wait_for_timeout(2_000)
        expect(page.locator("#variants .bd-card")).to_have_count(0)
        expect(page.locator("#generate-status .bd-bar")).to_have_count(0)
