"""The frame: where it comes in, and where it lies with its depth, its movers and a preview."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from blurdepth.errors import BlurdepthError
from blurdepth.estimators import BUNDLED, SHIPPED, SMALL
from blurdepth.images import LIMITS, read_bytes
from blurdepth.segmenters import KNOWN_SEGMENTERS
from blurdepth.store.records import Frame
from blurdepth.ui import html
from blurdepth.ui.editor import NOTHING, ask, movers_editor
from blurdepth.ui.generate.work import Work, offer, offered
from blurdepth.ui.shared import (
    LIGHT,
    clicked,
    download_progress,
    example_cards,
    example_frame,
    frame_input,
    model_choices,
    picture_grid,
    unseen,
    uploaded,
)
from blurdepth.workspace import Workspace

NO_FRAME = html.empty(
    "No frame yet", "Drop or paste a sharp street photo anywhere on this page, or press one of the examples."
)
# A model to download is suggested where one of the shipped ones is chosen.
_SHOW_SUGGESTION = f"model => ({{visible: {json.dumps([*SHIPPED])}.includes(model), __type__: 'update'}})"


class FrameInput:
    """Upload, examples, and the depth model."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.upload = frame_input("Sharp frame")
        self.notice = gr.HTML("", elem_id="refused")
        gr.Markdown(f"{LIMITS}. Drop it, paste it, or press an example:", elem_classes="bd-note")
        # Changes with each frame that was taken, and only then.
        self.came = unseen("came")
        self.examples = picture_grid("Examples", value=html.grid(example_cards()), elem_id="examples")
        self.suggestion = gr.Button("Real photo? Use Depth Anything V2 Small (100 MB, Apache-2.0)", size="sm")

    def lay_out_models(self) -> None:
        """The choice of models, which stands lower on the page."""
        self.model = gr.Dropdown(
            model_choices(self.workspace),
            value=BUNDLED,
            label="Depth model",
            info="Or type any depth model of the Hugging Face Hub (owner/model), or a folder.",
            allow_custom_value=True,
        )
        known = [
            (f"{each.name} ({each.download_mb} MB download, {each.licence})", each.id) for each in KNOWN_SEGMENTERS
        ]
        self.finder = gr.Dropdown(
            [("Outlines and depth (ready)", ""), *known],
            value="",
            label="Who could move is proposed by",
            info="Or type any model of the Hub that tells people and vehicles apart (EoMT, Mask2Former, MaskFormer).",
            allow_custom_value=True,
        )

    def connect(self) -> None:
        """Connect the handlers of the models."""
        self.suggestion.click(lambda: SMALL, None, self.model, **LIGHT)
        self.model.change(None, self.model, self.suggestion, js=_SHOW_SUGGESTION)

    @property
    def taken(self) -> list[gr.components.Component]:
        """What `accepted` and `refused` give values for."""
        return [self.upload, self.notice, self.came]

    def accepted(self, work: Work) -> tuple[Any, ...]:
        """Ready for the next file, after one that became a frame."""
        return None, "", work.taken

    def refused(self, why: str) -> tuple[Any, ...]:
        """Ready for the next file, after one that is none; all else stays as it was."""
        return None, html.notice(why), gr.skip()

    def keep_upload(self, path: str | None) -> Frame:
        """Keep the uploaded file as a frame.

        Raises:
            InputError: it can't be used.
        """
        file = uploaded(path)
        return self.workspace.add_frame(read_bytes(file), file.name)

    def keep_example(self, event: gr.EventData) -> Frame:
        """Keep an example frame."""
        path = example_frame(clicked(event))
        return self.workspace.add_frame(read_bytes(path), path.name)


class FrameDesk:
    """The frame with who moves in it, its depth and a preview; or why there is none.

    Args:
        workspace: has the frame and its depth.
        work: which frame is chosen.
    """

    def __init__(self, workspace: Workspace, work: gr.BrowserState) -> None:
        self.workspace = workspace
        self.notice = gr.HTML(NO_FRAME, label="Frame", elem_id="frame")
        self.editor = movers_editor(workspace)
        self.offered = offered("offered-frame", work, [self.notice, self.editor])

    def instead(self, notice: str) -> tuple[Any, str]:
        """A notice (finished HTML) in place of the editor."""
        return gr.update(value=notice, visible=True), NOTHING

    def estimating(self, frame: Frame) -> tuple[Any, str]:
        """Notice and editor while the depth is being estimated."""
        return self.instead(self._sharp(frame) + html.notice("Estimating its depth…"))

    def show(
        self,
        kept: object,
        model: str,
        finder: str,
        memory: dict[str, Any],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """Offer notice and editor for the frame as the chosen model sees it, with what was set for it before."""
        frame = Work.read(self.workspace, kept).frame
        if frame is None:
            # What is said stays: that there is no frame yet.
            return offer(kept, None, NOTHING)
        try:
            self.workspace.estimate(frame, model, download_progress(progress, model))
            if finder:
                self.workspace.segmenter(finder, download_progress(progress, finder))
        except BlurdepthError as error:
            return offer(kept, *self.instead(self._sharp(frame) + html.notice(str(error))))
        return offer(kept, gr.update(visible=False), ask(frame.id, model, finder, self._setup_of(frame, memory)))

    def _setup_of(self, frame: Frame, memory: dict[str, Any]) -> str:
        try:
            setup = self.workspace.store.setups.setup(str(memory.get("setup") or ""))
        except BlurdepthError:
            return ""
        return setup.id if setup.frame_id == frame.id else ""

    def _sharp(self, frame: Frame) -> str:
        size = f"{frame.width} × {frame.height} pixels"
        return html.figure(self.workspace.pictures.path(frame.image), "Sharp frame", size)
