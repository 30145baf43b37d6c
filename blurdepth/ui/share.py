"""What can be done with a fine-tuned model: taken home as a zip, or pushed to the Hugging Face Hub."""

from __future__ import annotations

import uuid
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from blurdepth.errors import BlurdepthError, InputError
from blurdepth.images import content_hash
from blurdepth.preflight import preflight
from blurdepth.recipe import load_recipe
from blurdepth.sharing import checkpoint_contents, checkpoint_folder, copy_checkpoint, push
from blurdepth.ui import html
from blurdepth.ui.shared import LIGHT, told
from blurdepth.workspace import Workspace

# One at a time, and none of them waits for a model that is at work, or has it wait.
_SENDING: dict[str, Any] = {"concurrency_id": "sending", "concurrency_limit": 1, "api_visibility": "private"}
_SAVE = "() => setTimeout(() => document.querySelector('#save-checkpoint')?.click(), 300)"
_WORDS = {"stop": "It can't work.", "warn": "It can start; look at this first.", "ok": "All is well."}


class ShareRow:
    """The buttons for the checkpoint of a job; nothing is seen of them while it has none.

    Args:
        workspace: the data folder.
        job: who chooses the job.
        card: changes when the job does.
    """

    def __init__(self, workspace: Workspace, job: gr.Dropdown, card: gr.HTML) -> None:
        self.workspace = workspace
        with gr.Column(visible=False) as self.all:
            self.download = gr.Button("Download the fine-tuned model", elem_id="download-checkpoint")
            # Gradio's own button saves what was there before the click: ours makes the file, then clicks it.
            self.save = gr.DownloadButton("Save", visible="hidden", elem_id="save-checkpoint")
            # Where strangers can come, nobody is to push by the login of whoever serves the page.
            if workspace.model_folders:
                self._lay_out_hub(job)
        card.change(told(self.seen), job, self.all, **LIGHT)
        made = self.download.click(told(self.make_zip), job, self.save, **_SENDING)
        made.success(None, None, None, js=_SAVE)

    def _lay_out_hub(self, job: gr.Dropdown) -> None:
        with gr.Accordion("Push to the Hugging Face Hub", open=False, elem_id="hub"):
            gr.Markdown("By the login of this machine: run `hf auth login` once, with a token that may write.")
            repo = gr.Textbox("", label="Repository", placeholder="owner/name", max_length=200, elem_id="hub-repo")
            private = gr.Checkbox(True, label="Private: only its owner sees it", elem_id="hub-private")
            send = gr.Button("Push", elem_id="push")
            pushed = gr.HTML("", elem_id="pushed")
        send.click(told(self.push), [job, repo, private], pushed, **_SENDING)

    def seen(self, job_id: str | None) -> Any:
        """Whether there is something to share."""
        return gr.update(visible=bool(job_id and self.workspace.store.jobs.job(job_id).checkpoint))

    def make_zip(self, job_id: str | None) -> Any:
        """The checkpoint as a file that can be saved."""
        return gr.update(value=str(served_zip(self.workspace, _chosen(job_id))))

    def push(self, job_id: str | None, repo: str, private: bool) -> str:
        """Push, and say where it is."""
        url = escape(push(self.workspace, _chosen(job_id), repo.strip(), private=private))
        return f'<div class="bd-notice" role="status">Pushed: <a href="{url}" target="_blank">{url}</a></div>'


def served_zip(workspace: Workspace, job_id: str) -> Path:
    """A zip of a job's checkpoint among the files that Gradio serves, and removes within a day.

    Raises:
        BlurdepthError: see `checkpoint_folder` and `copy_checkpoint`.
    """
    checkpoint = checkpoint_folder(workspace, job_id)
    state = content_hash(f"{checkpoint} {checkpoint.stat().st_mtime_ns}".encode())
    target = Path(get_upload_folder()) / state / f"{job_id}.zip"
    if not target.is_file():
        copy_checkpoint(checkpoint_contents(checkpoint), target, uuid.uuid4().hex)
    return target


def look_ahead(workspace: Workspace, version: str | None, base: str | None, preset: str) -> str:
    """What `preflight` finds, as HTML; what can't be asked for is said there too."""
    if not version or not base:
        return ""
    try:
        found = preflight(workspace, version, base, load_recipe(preset))
    except BlurdepthError as error:
        return html.notice(str(error))
    rows = "".join(
        f'<li class="bd-{each.severity}">{escape(each.words)}'
        + (f" <b>{escape(each.mend)}</b>" if each.mend else "")
        + "</li>"
        for each in found.findings
    )
    return f'<div class="bd-ahead bd-{found.severity}"><b>{_WORDS[found.severity]}</b><ul>{rows}</ul></div>'


def _chosen(job_id: str | None) -> str:
    if not job_id:
        raise InputError("No job is chosen: start a fine-tune first.")
    return job_id
