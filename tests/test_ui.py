"""The page's words: escaped HTML, clear refusals, numbers that read well."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
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
from blurdepth.ui.share import look_ahead, served_zip
from blurdepth.ui.shared import told
from blurdepth.workspace import Workspace
from tests.test_preflight import filled

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


def test_what_is_said_ahead_of_a_fine_tune_is_text(tmp_path: Path) -> None:
    workspace = filled(tmp_path, 2, 2)
    said = look_ahead(workspace, "v1", "bundled", "quick")
    assert 'class="bd-ahead bd-warn"' in said and "4 samples of 2 frames. <b>Add variants" in said
    for version, base, preset in (("v1", MARKUP, "quick"), (MARKUP, "bundled", "quick"), ("v1", "bundled", MARKUP)):
        said = look_ahead(workspace, version, base, preset)
        assert "bd-notice" in said and "<img" not in said and "&lt;img" in said
    assert look_ahead(workspace, None, "bundled", "quick") == ""


PAGE = """
import sys
from pathlib import Path
from blurdepth.ui.page import Page
from blurdepth.workspace import Workspace
for mine in (True, False):
    page = Page(Workspace(Path(sys.argv[1]), model_folders=mine)).blocks
    ids = {each.elem_id for each in page.blocks.values()}
    handlers = {getattr(each.fn, "__qualname__", "") for each in page.fns.values()}
    print(mine, "download-checkpoint" in ids, "push" in ids, "ShareRow.push" in handlers)
"""


def test_only_who_runs_the_page_can_push_by_its_login(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PAGE, str(tmp_path)]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["True True True True", "False True False False"]


def test_a_model_is_handed_out_once_for_each_state_of_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = workspace.store.jobs.add("finetune", {})
    with pytest.raises(InputError, match="no checkpoint"):
        served_zip(workspace, job.id)
    claimed = workspace.store.jobs.claim(job.id, 1, 1.0)
    assert claimed is not None
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "blurdepth.json").write_text("{}")
    workspace.store.jobs.finish(claimed, "done", checkpoint="made")
    first = served_zip(workspace, job.id)
    assert first.name == f"{job.id}.zip" and served_zip(workspace, job.id) == first
    (tmp_path / "made" / "more").write_text("")
    os.utime(tmp_path / "made", (2e9, 2e9))  # the clock of files may not have moved on
    second = served_zip(workspace, job.id)
    assert second != first and [path.name for path in second.parent.iterdir()] == [first.name]


WATCHED = """
import sys
from pathlib import Path
import gradio as gr
from blurdepth.jobs.folders import lock
from blurdepth.ui.train import TrainTab
from blurdepth.workspace import Workspace

workspace = Workspace(Path(sys.argv[1]))
with gr.Blocks():
    tab = TrainTab(workspace)
jobs = workspace.store.jobs
asked = jobs.add("finetune", {"version": "v1", "base": "bundled", "preset": "quick"})
held = lock(workspace, asked.id)
held.acquire()
job = jobs.claim(asked.id, 1, 1.0)
seen = tab.show(job.id)[0]

def look(visible=True):
    global seen
    given = tab.watch(job.id, seen, visible)
    parts = ("seen", "card", "curves", "probes", "other_curves")
    print(*(name for name in parts if given[tab.view.index(getattr(tab, name))] != gr.skip()))
    seen = seen if given[0] == gr.skip() else given[0]

look()
jobs.progress(job, step=1, steps=9, activity="training")
look(visible=False)
look()
jobs.progress(job, step=2, steps=9)
jobs.add_points(job, 2, {"loss": 0.5})
look()
probes = workspace.folder / "jobs" / job.id / "probes"
probes.mkdir(parents=True)
for name in ("input-0.png", "0000-0.png"):
    (probes / name).write_bytes(b"")
jobs.progress(job, step=3, steps=9)
jobs.add_points(job, 3, {"lr": 0.5})
look()
seen = ()
look()
"""


def test_only_what_changed_is_sent_and_only_to_who_can_see_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split("\n")[:-1] == [
        "",
        "",
        "seen card",
        "seen card curves",
        "seen card probes other_curves",
        "seen card curves probes other_curves",  # to a page that was reloaded
    ]


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
