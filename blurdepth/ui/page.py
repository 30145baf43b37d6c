"""The page: a header that is always there, and five tabs in the order of the work."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gradio as gr

from blurdepth import exposure, jobs
from blurdepth.errors import InputError
from blurdepth.estimators import device_words, warm_up
from blurdepth.images import MAX_BYTES
from blurdepth.ui import api, html, job_words
from blurdepth.ui.compare import CompareTab
from blurdepth.ui.curate import CurateTab
from blurdepth.ui.dataset import DatasetTab
from blurdepth.ui.generate import GenerateTab
from blurdepth.ui.shared import ASSETS, LIGHT, browser_state, told
from blurdepth.ui.train import IS_VISIBLE, TrainTab
from blurdepth.workspace import Workspace

_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("keys.js", "files.js", "memory.js")
_SECONDS_BETWEEN_LOOKS = 2.0
# Fonts of the reader's own system: the page asks no other host for anything.
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")


class Page:
    """All of the page for one data folder; `blocks` is what Gradio serves."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        with gr.Blocks(title="blurdepth", fill_width=True, delete_cache=(3600, 86400)) as self.blocks:
            # First, so that they get their names before the page's own handlers take some.
            api.add_endpoints(workspace)
            self.memory = browser_state("blurdepth", {})
            self.header = gr.HTML(self.header_now(), elem_id="header")
            with gr.Tabs(selected="generate", overflow_behavior="wrap") as self.tabs:
                with self._tab("1 Generate", "generate") as self.generate_tab:
                    self.generate = GenerateTab(workspace, self.memory)
                with self._tab("2 Curate", "curate") as curate:
                    self.curate = CurateTab(workspace, self.memory)
                with self._tab("3 Train", "train") as train:
                    self.train = TrainTab(workspace)
                with self._tab("4 Compare", "compare") as compare:
                    self.compare = CompareTab(workspace)
                with self._tab("5 Dataset", "dataset") as dataset:
                    self.dataset = DatasetTab(workspace)
            self._connect_tabs(curate, train, compare, dataset)
            self._connect_ways_on()
            self._connect_start()

    def _tab(self, label: str, name: str) -> gr.Tab:
        return gr.Tab(label, id=name, elem_id=f"tab-{name}", render_children=True)

    def _connect_tabs(self, curate: gr.Tab, train: gr.Tab, compare: gr.Tab, dataset: gr.Tab) -> None:
        curate.select(told(self.curate.show), [self.curate.which, self.curate.current], self.curate.view, **LIGHT)
        train.select(told(self.refresh_train), self.train.job, [*self._train_choices, *self.train.view], **LIGHT)
        models = [self.compare.first, self.compare.second]
        compare.select(told(self.compare.refresh), models, [self.compare.samples, *models], **LIGHT)
        dataset.select(
            self.dataset.show,
            None,
            [self.dataset.versions, self.dataset.reasons, self.dataset.place],
            **LIGHT,
        )

    @property
    def _train_choices(self) -> list[Any]:
        return [self.train.version, self.train.base, self.train.job]

    def refresh_train(self, job_id: str | None) -> tuple[Any, ...]:
        """Lists and card of the training tab as they are now."""
        newest = next((job.id for job in self.workspace.store.jobs.jobs(limit=1)), None)
        chosen = job_id or newest
        base = self.compare.model_updates()[0]
        return self.train.version_choices(), base, self.train.job_choices(chosen), *self.train.show(chosen)

    def _connect_ways_on(self) -> None:
        ways = (
            (self.generate.results.onward, "curate"),
            (self.curate.onward, "train"),
        )
        for button, name in ways:
            button.click(lambda name=name: gr.Tabs(selected=name), None, self.tabs, **LIGHT)
        models = [self.compare.first, self.compare.second]
        self.train.onward.click(told(self.compare.choose_models), self.train.job, models, **LIGHT).then(
            lambda: gr.Tabs(selected="compare"), None, self.tabs, **LIGHT
        )

    def _connect_start(self) -> None:
        tab = self.generate
        loaded = self.blocks.load(None, tab.remembered, tab.remembered, js=tab.recall)
        back = loaded.then(None, js="blurdepthMemory.isBack")
        back.then(tab.read_again, [self.memory, *tab.words.asked], tab.words.said, **LIGHT)
        # Beside the heavy work, which others may have under way: the depth has been estimated before.
        back.then(**tab.look, **LIGHT)
        back.then(told(self.curate.show), self.curate.which, self.curate.view, **LIGHT)
        timer = gr.Timer(_SECONDS_BETWEEN_LOOKS)
        timer.tick(self.header_now, None, self.header, **LIGHT)
        watched = [self.train.job, self.train.seen, self.train.visible]
        timer.tick(told(self.train.watch), watched, self.train.view, js=IS_VISIBLE, **LIGHT)
        self.generate_tab.select(tab.results.show, tab.results.asked, tab.results.following, **LIGHT)
        for event in (self.generate.ended, *self.curate.decisions):
            event.then(self.header_now, None, self.header, **LIGHT)

    def header_now(self) -> str:
        """Device, counts and the running job."""
        jobs.tend(self.workspace)
        active = [*self.workspace.store.jobs.jobs("running"), *self.workspace.store.jobs.queue()]
        return html.header(device_words(), self.workspace.store.samples.counts(), job_words.chip(active))


def serve(workspace: Workspace, host: str, port: int) -> None:
    """Build the page, serve it, and load the heavy libraries in the background once it answers.

    Args:
        workspace: the data folder; its pictures are served, its database and jobs are not.
        host: address to listen on.
        port: to listen on.

    Raises:
        InputError: the port is taken.
    """
    gr.set_static_paths([ASSETS, workspace.pictures.root, workspace.folder / "previews"])
    page = Page(workspace)
    try:
        _launch(page, workspace, host, port)
    except OSError as error:
        raise InputError(
            f"Port {port} of {host} can't be used: end what uses it, or choose another by --port."
        ) from error
    threading.Thread(target=_warm_up, daemon=True).start()
    page.blocks.block_thread()


def _warm_up() -> None:
    """Load what the first frame needs, and compile what this machine has not compiled yet."""
    warm_up()
    exposure.warm_up()


def _launch(page: Page, workspace: Workspace, host: str, port: int) -> None:
    page.blocks.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css_paths=[_STATIC / "style.css"],
        head="".join(f"<script>{(_STATIC / name).read_text()}</script>" for name in _SCRIPTS),
        allowed_paths=[
            str(workspace.pictures.root),
            str(workspace.folder / "previews"),
            str(workspace.arrays.root),
        ],
        blocked_paths=[str(workspace.folder / "blurdepth.db"), str(workspace.folder / "jobs")],
        max_file_size=MAX_BYTES,
        footer_links=[],
        ssr_mode=False,
        prevent_thread_lock=True,
    )


def theme() -> gr.themes.Base:
    """Calm and photographic: greys and one warm accent."""
    return gr.themes.Base(primary_hue="orange", secondary_hue="gray", neutral_hue="gray", font=_SANS, font_mono=_MONO)
