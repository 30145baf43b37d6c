"""The app as its own process, and a real browser on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import sliding_pictures

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 60_000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The first start on a fresh machine reads every library from a cold disk.
expect.set_options(timeout=MINUTES)
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@dataclass
class App:
    """A running app: where it answers, where its data lies, and its process."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_app(data: Path, scratch: Path) -> App:
    """Start the app on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(scratch), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "app.py", "--port", str(port), "--data", str(data)]
    with (scratch.parent / "app.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return App(url, data, process)
        except OSError:
            assert process.poll() is None, (scratch.parent / "app.log").read_text()
            time.sleep(0.1)
    raise AssertionError("the app did not answer within a minute")


def write(page: Page, prompt: str, understood: str) -> None:
    """Write a prompt once the page is there, and wait until it is read."""
    chips = page.locator("#reading .bd-chips")
    expect(chips.locator("button").first).to_be_visible()
    page.locator("#prompt textarea").fill(prompt)
    expect(chips).to_contain_text(understood)


def blend_pictures(page: Page, folder: Path) -> None:
    """Blend a few pictures into one variant."""
    page.get_by_text("Or blend a short clip").click()
    page.locator("#clip input[type=file]").set_input_files(sliding_pictures(folder, 5, 4))
    expect(page.locator("#clip-strip img.bd-open")).to_have_count(5)
    page.locator("#blend").click()
    expect(page.locator("#variants .bd-card")).to_have_count(1, timeout=120_000)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A fresh app."""
    running = start_app(tmp_path / "data", tmp_path / "gradio")
    yield running
    running.process.terminate()
    running.process.wait(timeout=20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    arguments = [*QUIET, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else QUIET
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own, at a laptop's size."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(MINUTES)
    yield context.new_page()
    context.close()


def choose_example(page: Page, number: int) -> None:
    """Press an example that is not on the page yet, and wait until its depth is there."""
    before = frame_on(page)
    page.locator("#examples .bd-card").nth(number).click()
    expect(page.locator(".bd-stage img")).not_to_have_attribute("src", before, timeout=2 * MINUTES)
    expect(page.locator(".bd-preview .bd-note")).to_have_text("full size", timeout=2 * MINUTES)


def frame_on(page: Page) -> str:
    """The address of the frame's picture; "" where there is none."""
    return page.locator(".bd-stage img").get_attribute("src") or ""
