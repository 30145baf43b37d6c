"""Tab 3: turn the accepted samples into a dataset version, fine-tune on it in the background, and watch."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from blurdepth import jobs
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED
from blurdepth.images import content_hash
from blurdepth.recipe import PRESETS
from blurdepth.store.records import RESUMABLE, UNFINISHED, Job
from blurdepth.ui import html, job_words, watching
from blurdepth.ui.share import ShareRow, look_ahead
from blurdepth.ui.shared import LIGHT, model_choices, told
from blurdepth.workspace import Workspace

PRESET_WORDS = {
    "quick": "minutes on a laptop, towards the depth of the whole exposure",
    "blur-aware": "20 epochs at full size, towards the depth of the whole exposure; wants a GPU",
    "paper": "120 epochs, towards the sharp frame's depth, as in the paper; wants a GPU",
}
# What a hidden tab would be sent is sent when it is opened.
IS_VISIBLE = "(job, seen) => [job, seen, !document.hidden && !!document.querySelector('#job-card')?.offsetParent]"
_LISTED = 50
_NO_JOB = html.empty(
    "No fine-tune yet", "Choose a dataset version and press Start: it goes on when you close the page."
)


class TrainTab:
    """The components and handlers of this tab.

    Args:
        workspace: the data folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.seen = gr.State(())
        self.visible = gr.Checkbox(True, visible=False)
        gr.Markdown("Fine-tune a depth model on what you accepted. It runs in the background and outlives this page.")
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self._lay_out_start()
            with gr.Column(scale=2, min_width=320):
                self._lay_out_job()
        self._connect()

    def _lay_out_start(self) -> None:
        self.note = gr.Textbox("", label="Note for a new dataset version", placeholder="optional", max_length=200)
        self.snapshot = gr.Button("Make a dataset version of the accepted samples", elem_id="snapshot")
        self.version = gr.Dropdown([], label="Dataset version", elem_id="version")
        self.base = gr.Dropdown(
            model_choices(self.workspace),
            value=BUNDLED,
            label="Base model",
            allow_custom_value=True,
            elem_id="base",
        )
        choices = [(f"{name}: {words}", name) for name, words in PRESET_WORDS.items() if name in PRESETS]
        self.preset = gr.Radio(choices, value="quick", label="Preset", elem_id="preset")
        self.start = gr.Button("Start fine-tune", variant="primary", elem_id="start-finetune")
        self.ahead = gr.HTML("", elem_id="preflight")

    def _lay_out_job(self) -> None:
        self.job = gr.Dropdown([], label="Job", elem_id="job")
        self.card = gr.HTML(_NO_JOB, elem_id="job-card")
        with gr.Row():
            self.pause = gr.Button("Pause", interactive=False, elem_id="pause", min_width=90)
            self.resume = gr.Button("Resume", interactive=False, elem_id="resume", min_width=90)
            self.stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=90)
            self.front = gr.Button("Move to front", visible=False, elem_id="move-to-front", min_width=120)
            self.onward = gr.Button("Compare with its base", interactive=False, elem_id="to-compare")
        self.share = ShareRow(self.workspace, self.job, self.card)
        self.curves = gr.HTML("", elem_id="curves")
        with gr.Accordion("Pictures: how its depth changes as it learns", open=False, elem_id="probes-panel"):
            self.probes = gr.HTML("", elem_id="probes")
        with gr.Accordion("All other metrics, and the learning rate", open=False):
            self.other_curves = gr.HTML("", elem_id="other-curves")
        self.table = gr.HTML("", elem_id="jobs")

    @property
    def view(self) -> list[Any]:
        """What `show` gives values for."""
        buttons = [self.pause, self.resume, self.stop, self.front, self.onward]
        return [self.seen, self.card, *buttons, self.curves, self.probes, self.other_curves, self.table]

    def _connect(self) -> None:
        self.snapshot.click(told(self.make_version), self.note, [self.version, self.note], **LIGHT)
        asked = [self.version, self.base, self.preset]
        gr.on([each.change for each in asked], self.look_ahead, asked, self.ahead, **LIGHT)
        self.start.click(told(self.launch), asked, self.job, **LIGHT).success(
            told(self.show), self.job, self.view, **LIGHT
        )
        for button, act in (
            (self.stop, self.stopping),
            (self.pause, self.pausing),
            (self.resume, self.resuming),
            (self.front, self.moving_to_front),
        ):
            acted = button.click(told(act), self.job, None, **LIGHT)
            acted.success(told(self.show), self.job, self.view, **LIGHT)
            acted.failure(told(self.show), self.job, self.view, **LIGHT)
        self.job.change(told(self.show), self.job, self.view, **LIGHT)

    def make_version(self, note: str) -> tuple[Any, str]:
        """Make a version, and choose it."""
        before = [each.id for each in self.workspace.store.versions.versions()]
        version = self.workspace.store.versions.snapshot(note)
        known = f"Nothing has changed since {version.id}." if version.id in before else f"{version.id} is made."
        gr.Info(f"{known} It holds {html.contents(version)}.")
        return self.version_choices(version.id), ""

    def version_choices(self, chosen: str | None = None) -> Any:
        """All versions, the newest chosen if none is named."""
        versions = self.workspace.store.versions.versions()
        choices = [(f"{each.id}: {html.contents(each)} {each.note}".strip(), each.id) for each in versions]
        return gr.update(choices=choices, value=chosen or (versions[0].id if versions else None))

    def job_choices(self, chosen: str | None = None) -> Any:
        """All jobs, the newest chosen if none is named."""
        found = self.workspace.store.jobs.jobs(limit=_LISTED)
        choices = [(f"{job.id}: {job_words.title(job)} ({html.STATUS_WORDS[job.status]})", job.id) for job in found]
        return gr.update(choices=choices, value=chosen or (found[0].id if found else None))

    def launch(self, version: str | None, base: str, preset: str) -> Any:
        """Queue the fine-tune and choose its job."""
        if not version:
            raise InputError("No dataset version is chosen: make one of the accepted samples first.")
        return self.job_choices(jobs.submit_finetune(self.workspace, version, base, preset).id)

    def look_ahead(self, version: str | None, base: str | None, preset: str) -> str:
        """What the fine-tune that stands there will take, and what its data lacks."""
        return look_ahead(self.workspace, version, base, preset)

    def stopping(self, job_id: str | None) -> None:
        """Ask the job to stop."""
        jobs.stop(self.workspace, _chosen(job_id))
        gr.Info("It stops after this step; Resume goes on from there.")

    def pausing(self, job_id: str | None) -> None:
        """Ask the job to hold."""
        jobs.pause(self.workspace, _chosen(job_id))
        gr.Info("It holds after this step, with its model in memory, until Resume or Stop.")

    def moving_to_front(self, job_id: str | None) -> None:
        """Let the queued job be the next."""
        jobs.move_to_front(self.workspace, _chosen(job_id))

    def resuming(self, job_id: str | None) -> None:
        """Let the job go on."""
        jobs.resume(self.workspace, _chosen(job_id))

    def show(self, job_id: str | None) -> tuple[Any, ...]:
        """The card, the buttons, the curves and the table, as they are now."""
        jobs.tend(self.workspace)
        found = self.workspace.store.jobs.jobs(limit=_LISTED)
        if not job_id or not found:
            off = gr.update(interactive=False)
            return (), _NO_JOB, off, off, off, gr.update(visible=False), off, "", "", "", ""
        job = self.workspace.store.jobs.job(job_id)
        heeds = job.status in UNFINISHED and not job.stop_requested
        points = self.workspace.store.jobs.points(job_id)
        shown = (
            self.job_card(job),
            gr.update(interactive=heeds and job.status == "running" and not job.pause_requested),
            gr.update(interactive=job.status in RESUMABLE or (heeds and job.pause_requested)),
            gr.update(interactive=heeds),
            gr.update(visible=job.status == "queued"),
            gr.update(interactive=bool(job.checkpoint)),
            watching.main_charts(points),
            watching.probes(self.workspace.probe_pictures(job_id)),
            watching.other_charts(points),
            job_words.table(found, self.workspace.store.jobs.queue()),
        )
        return (self._signature(job), *(content_hash(repr(each).encode()) for each in shown)), *shown

    def watch(self, job_id: str | None, seen: Sequence[str], visible: bool) -> tuple[Any, ...]:
        """What of `show` is new if the job has moved since it was last shown; nothing while nobody can see it.

        Args:
            job_id: of the job that is chosen.
            seen: what `show` or this gave last: a key of the job's state, and one of each thing that stands there.
            visible: whether the tab is the one that is open; see `IS_VISIBLE`.
        """
        if not visible or not job_id or [self._signature(self.workspace.store.jobs.job(job_id))] == list(seen[:1]):
            return tuple(gr.skip() for _ in self.view)
        keys, *shown = self.show(job_id)
        before = seen[1:] or [""] * len(shown)
        return keys, *(
            gr.skip() if key == old else each for key, old, each in zip(keys[1:], before, shown, strict=True)
        )

    def _signature(self, job: Job) -> str:
        """Another one whenever there is something new to show."""
        asked = f"{job.activity} {job.stop_requested} {job.pause_requested} {job_words.is_silent(job)}"
        return f"{job.id} {asked} {self.workspace.store.jobs.states(_LISTED)}"

    def job_card(self, job: Job) -> str:
        """State, progress, time left, what went wrong, and the log."""
        status, words = job_words.state(job)
        state = f'<span class="bd-state bd-{status}">{words}</span>'
        left = html.duration(job.seconds_left)
        label = f"step {job.step} of {job.steps}" + (f", {left} left" if left else "")
        bar = html.bar(job.step / job.steps, label) if job.steps else ""
        doing = job_words.activity(job)
        activity = html.notice(doing) if doing else ""
        error = html.notice(job.error.split("\n")[0]) if job.error else ""
        log = html.log(jobs.log_tail(self.workspace, job.id), opened=job.status in ("interrupted", "failed"))
        name = f"<b>{escape(f'{job.id}: {job_words.title(job)}')}</b>"
        told = job_words.outcome(job)
        came = watching.gain(job) + (f"<p>{escape(told)}</p>" if told else "")
        return f'<div class="bd-jobcard">{name} {state}{bar}{activity}{error}{came}{log}</div>'


def _chosen(job_id: str | None) -> str:
    if not job_id:
        raise InputError("No job is chosen: start one first.")
    return job_id
