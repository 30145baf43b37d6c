"""The page's words: escaped HTML, clear refusals, numbers that read well."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurdepth.errors import InputError
from blurdepth.store.database import now
from blurdepth.store.records import Counts, Job, Version
from blurdepth.ui import html, job_words
from blurdepth.ui.generate import read_seed
from blurdepth.ui.plots import HEIGHT, line_chart
from blurdepth.ui.shared import told

MARKUP = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "made",
    [
        html.figure(Path("/x.png"), MARKUP, MARKUP),
        html.empty(MARKUP, MARKUP),
        html.notice(MARKUP),
        html.grid([html.Card(MARKUP, Path("/x.png"), MARKUP, MARKUP, MARKUP)]),
        html.bar(0.5, MARKUP),
        html.film([(MARKUP, Path("/x.png"), True)], MARKUP),
        html.table((MARKUP,), [(MARKUP, MARKUP)]),
        html.facts({MARKUP: MARKUP}, MARKUP),
        html.log(MARKUP, opened=True),
        html.header(MARKUP, Counts(), job_words.chip([Job(MARKUP, MARKUP, "running", {})])),
        job_words.table([Job(MARKUP, MARKUP, "running", {})], []),
    ],
)
def test_markup_in_any_text_stays_text(made: str) -> None:
    assert "<img src=x" not in made
    assert "&lt;img" in made


def test_a_path_with_spaces_and_quotes_stays_one_address() -> None:
    assert html.url_of(Path('/my data/"a".png')) == "gradio_api/file=/my%20data/%22a%22.png"


def test_an_error_becomes_a_notice_with_its_sentence() -> None:
    def fail() -> None:
        raise InputError(f"The name {MARKUP} is not known: use another.")

    def fail_later() -> object:
        yield 1
        raise InputError("Too late: try again.")

    with pytest.raises(gr.Error) as raised:
        told(fail)()
    assert "&lt;img" in raised.value.message and raised.value.message.endswith("use another.")
    steps = told(fail_later)()
    assert next(steps) == 1
    with pytest.raises(gr.Error, match="Too late"):
        next(steps)


def test_changes_are_coloured_by_what_is_better() -> None:
    assert html.Change(0.2, 0.1, lower_is_better=True).kind == "better"
    assert html.Change(0.2, 0.1, lower_is_better=False).kind == "worse"
    assert html.Change(0.2, 0.20001, lower_is_better=True).kind == "same"


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (0.4, "0 s"), (59.6, "1 min 0 s"), (7300, "2 h 1 min"), (75, "1 min 15 s")]
)
def test_durations_read_like_a_clock(seconds: float | None, words: str) -> None:
    assert html.duration(seconds) == words


def test_a_seed_is_typed_or_by_chance() -> None:
    assert read_seed("0") == 0 and read_seed(" 12\n") == 12
    assert len({read_seed(" ") for _ in range(20)}) > 1
    for typed in ("1.5", "x", "9" * 5000, "-"):
        with pytest.raises(InputError, match="whole number"):
            read_seed(typed)


def test_one_is_not_many() -> None:
    assert html.contents(Version("v1", "", "", 1, 1, "")) == "1 sample of 1 frame"
    assert html.contents(Version("v1", "", "", 3, 2, "")) == "3 samples of 2 frames"


def test_a_chart_draws_each_curve_and_the_base_and_skips_what_is_no_number() -> None:
    made = line_chart("AbsRel", {"blurred": [(0, 0.3), (5, math.nan), (10, 0.2)], "empty": []}, ("base", 0.3))
    assert made.count("<polyline") == 1 and made.count("bd-level") == 2
    points = re.search(r'points="([^"]+)"', made)
    assert points is not None and len(points[1].split()) == 2
    (x0, y0), (x1, y1) = (map(float, pair.split(",")) for pair in points[1].split())
    assert x0 < x1 and y0 < y1, "a smaller value lies lower on the page"
    assert line_chart("Loss", {"training": []}) == ""
    assert "&lt;img" in line_chart(MARKUP, {MARKUP: [(0, 1)]})


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_every_value_lies_within_the_chart(values: list[float]) -> None:
    made = line_chart("x", {"y": list(enumerate(values))})
    for pair in re.findall(r'points="([^"]+)"', made)[0].split():
        _, y = map(float, pair.split(","))
        assert 0 <= y <= HEIGHT


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Job("j1", "finetune", "running", {}, pause_requested=True, activity="training"), "pausing"),
        (Job("j1", "finetune", "running", {}, pause_requested=True, activity="paused"), "paused"),
        (Job("j1", "finetune", "running", {}, pause_requested=True, stop_requested=True), "stopping"),
        (Job("j1", "finetune", "stopped", {}, stop_requested=True), "stopped"),
    ],
)
def test_what_was_asked_of_a_job_is_told_until_it_is_so(job: Job, words: str) -> None:
    assert job_words.state(job)[1] == words


def test_a_running_job_without_a_sign_of_life_says_so() -> None:
    job = Job("j1", "label", "running", {}, activity="depth of street.png", heartbeat="2026-01-01T10:00:00.000+00:00")
    assert "No sign of life since 2026-01-01T10:00" in job_words.activity(job)
    assert job_words.activity(replace(job, heartbeat=now())) == "depth of street.png"
    assert job_words.activity(replace(job, status="interrupted")) == ""
