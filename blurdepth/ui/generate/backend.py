"""What makes the variants, and what that costs: the exposure simulator, or SDXL with or without it."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from blurdepth.diffusion import DiffusionModels, PaintSettings, plan_painting
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.generators import exposure, painted
from blurdepth.ui import html
from blurdepth.ui.generate.work import Work
from blurdepth.ui.shared import LIGHT, limits, unseen
from blurdepth.workspace import Workspace

CHOICES = [
    ("Exposure simulator", exposure.BACKEND),
    ("SDXL draws, the simulator exposes", painted.EXPOSED_BACKEND),
    ("SDXL alone, as in the paper", painted.BACKEND),
]
_SIMULATOR = "On this computer's processor, about a second each. The depth is right for the blur."
# What is set for SDXL is shown where SDXL is chosen.
_SHOW_SETTINGS = f"""kind => Array(2).fill({{visible: kind !== '{exposure.BACKEND}', __type__: 'update'}})"""
_ABOUT = {
    painted.EXPOSED_BACKEND: "SDXL draws weather and light, the simulator the motion: the depth is right for the blur.",
    painted.BACKEND: "SDXL draws all of it. It often draws no blur: such variants are found, and can be repaired.",
}


class Backend:
    """The components and handlers of this choice.

    Args:
        workspace: has the frames and the models.
        work: has the frame that is to be painted, by whose size the cost goes.
    """

    def __init__(self, workspace: Workspace, work: gr.BrowserState) -> None:
        self.workspace, self.work = workspace, work
        # What `tell` takes, as JSON. One asker, so that the last answer is of what was chosen last.
        self.asked = unseen("cost-asked")
        self.kind = gr.Radio(CHOICES, value=exposure.BACKEND, label="Variants are made by", elem_id="backend")
        self.cost = gr.HTML(_note(_SIMULATOR), elem_id="cost")
        self.instead = gr.Button("Use the exposure simulator instead", size="sm", visible=False, elem_id="instead")
        self.preview = gr.Checkbox(
            False, label="Preview: few steps, for a first look", visible=False, elem_id="paint-preview"
        )

    def lay_out_settings(self) -> None:
        """Models and settings of SDXL, which stand lower on the page."""
        usual, settings = DiffusionModels(), PaintSettings()
        with gr.Accordion(
            "SDXL: model and settings", open=False, visible=False, elem_id="paint-settings"
        ) as self.panel:
            self.base = gr.Textbox(
                usual.base,
                label="SDXL model: of the Hugging Face Hub (owner/model), or a folder",
                max_lines=1,
                elem_id="paint-base",
            )
            self.adapter = gr.Textbox(
                usual.adapter,
                label="Depth adapter; empty if it lies in that folder",
                max_lines=1,
                elem_id="paint-adapter",
            )
            self.steps = gr.Slider(1, 60, value=settings.steps, step=1, label="Steps", elem_id="paint-steps")
            self.guidance = gr.Slider(1, 15, value=settings.guidance, step=0.5, label="Strength of the words")
            self.scale = gr.Slider(0, 2, value=settings.adapter_scale, step=0.05, label="Strength of the depth")
            self.factor = gr.Slider(0, 1, value=settings.adapter_factor, step=0.05, label="Share of steps with it")
            self.short_side = gr.Slider(
                32, 1152, value=settings.short_side_px, step=16, label="Height while drawn, px", elem_id="paint-px"
            )

    def connect(self) -> None:
        """Connect the handlers."""
        # Apart from `tell`: an update of the panel while somebody types in it can take back what was typed.
        self.kind.change(None, self.kind, [self.panel, self.preview], js=_SHOW_SETTINGS)
        typed = [self.base, self.adapter]
        changes = [each.change for each in (self.work, *self.all) if each not in typed]
        # A name is looked for once it is whole.
        asking = [*changes, *(box.blur for box in typed)]
        gr.on(asking, None, [self.work, *self.all], self.asked, js=f"blurdepthMemory.whole({limits(self.by_name)})")
        self.asked.change(self.tell, self.asked, [self.cost, self.instead], **LIGHT)
        # By the page itself: no late answer undoes what is chosen next.
        self.instead.click(None, None, self.kind, js=f"() => {json.dumps(exposure.BACKEND)}")

    @property
    def by_name(self) -> dict[str, gr.components.Component]:
        """All that is chosen, by the names it is kept under."""
        return {
            "backend": self.kind,
            "base": self.base,
            "adapter": self.adapter,
            "steps": self.steps,
            "guidance": self.guidance,
            "adapter_scale": self.scale,
            "adapter_factor": self.factor,
            "short_side_px": self.short_side,
            "preview": self.preview,
        }

    @property
    def all(self) -> list[gr.components.Component]:
        """What `chosen` takes the values of."""
        return [*self.by_name.values()]

    def chosen(self, kind: str, base: str, adapter: str, *settings: Any) -> dict[str, Any]:
        """The backend, its models and settings, as a request has them.

        Raises:
            InputError: a setting is out of its range.
        """
        *numbers, preview = settings
        if kind is None or any(number is None for number in numbers):
            raise InputError("A setting of SDXL is empty: give it a number, or press the arrow beside it.")
        steps, guidance, scale, factor, short_side = numbers
        models = _models(base.strip(), adapter.strip(), bool(preview))
        paint = PaintSettings(int(steps), float(guidance), scale, factor, int(short_side), bool(preview))
        return {"backend": kind, "painters": models, "paint": paint}

    def tell(self, asked: str) -> tuple[str, Any]:
        """What it will download, whether memory suffices, and how long it takes; before anything starts."""
        kept, kind, *values = json.loads(asked)
        if kind == exposure.BACKEND:
            return _note(_SIMULATOR), gr.update(visible=False)
        try:
            chosen = self.chosen(kind, *values)
            self.workspace.check_painters(chosen["painters"])
            loaded = self.workspace.painter_mode(chosen["painters"])
            plan = plan_painting(chosen["painters"], *self._size(kept), chosen["paint"], loaded)
        except BlurdepthError as error:
            return html.notice(str(error)), gr.update(visible=True)
        return _note(_ABOUT[kind], *plan.words()), gr.update(visible=not plan.suffices)

    def _size(self, kept: object) -> tuple[int, int]:
        """(width, height) of the frame; until there is one, one of KITTI's shape stands for it."""
        frame = Work.read(self.workspace, kept).frame
        return (frame.width, frame.height) if frame else (1242, 375)


def _models(base: str, adapter: str, preview: bool) -> DiffusionModels:
    """The models by what was typed; a LoRA for previews only where one is asked for."""
    if not base:
        raise InputError("No SDXL model is named: type one of the Hugging Face Hub, or a folder.")
    in_folder = Path(base).expanduser().is_absolute()
    if not adapter and not in_folder:
        raise InputError(f"No depth adapter is named: type one, such as {DiffusionModels().adapter}.")
    if not adapter:
        return DiffusionModels.from_folder(base)
    usual = DiffusionModels(base, adapter, preview_lora=DiffusionModels().preview_lora if preview else "")
    return replace(usual, vae="") if in_folder else usual


def _note(*sentences: str) -> str:
    return f'<div class="bd-note">{"<br>".join(map(escape, sentences))}</div>'
