"""A power cut in the middle of a training loses nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from blurdepth import jobs
from blurdepth.generation import GenerationRequest, generate
from blurdepth.workspace import Workspace
from tests.conftest import street_frame
from tests.e2e.conftest import start_app


def with_running_finetune(workspace: Workspace, tiny_model: Path, recipe: Path) -> str:
    """Decide on a few samples and start a long fine-tune; returns its job once it is at work."""
    frame = workspace.add_frame(street_frame(), "street.png")
    request = GenerationRequest("cars speeding past, motion blur", variants=3, model=str(tiny_model))
    ids = [sample.id for sample in generate(workspace, frame, request)]
    workspace.store.samples.decide(ids, "accept")
    version = workspace.store.versions.snapshot()
    job = jobs.submit_finetune(workspace, version.id, str(tiny_model), str(recipe))
    for _ in range(1200):
        if workspace.store.jobs.job(job.id).step > 1:
            return job.id
        time.sleep(0.1)
    raise AssertionError(jobs.log_tail(workspace, job.id))


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A recipe that would go on for hours."""
    from blurdepth.recipe import PRESET_FOLDER

    text = (PRESET_FOLDER / "quick.toml").read_text()
    path = tmp_path / "endless.toml"
    path.write_text("\n".join("epochs = 100000" if line.startswith("epochs") else line for line in text.splitlines()))
    return path


@pytest.mark.browser
def test_kill_of_app_and_training(tmp_path: Path, tiny_model: Path, endless: Path, page: Page) -> None:
    data = tmp_path / "data"
    app = start_app(data, tmp_path / "gradio")
    workspace = Workspace(data)
    job_id = with_running_finetune(workspace, tiny_model, endless)
    app.kill()
    time.sleep(1)
    assert workspace.store.jobs.job(job_id).status == "running", "the training must outlive the app"
    training = workspace.store.jobs.job(job_id).pid
    assert training is not None
    os.kill(training, signal.SIGKILL)

    app = start_app(data, tmp_path / "gradio")
    try:
        page.goto(app.url)
        page.locator("#tab-train-button").click()
        expect(page.locator("#job-card .bd-state")).to_have_text("interrupted")
        expect(page.locator("#job-card pre")).to_contain_text("begins")
        expect(page.locator("#header .bd-count.bd-accepted b")).to_have_text("3")
        page.locator("#resume").click()
        expect(page.locator("#job-card .bd-state")).to_have_text("running")
        page.locator("#stop").click()
        expect(page.locator("#job-card .bd-state")).to_have_text("stopped")
    finally:
        app.kill()
    with sqlite3.connect(data / "blurdepth.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
