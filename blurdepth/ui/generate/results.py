"""The variants as they come: small in a grid, one of them large."""

from __future__ import annotations

from typing import Any

import gradio as gr

from blurdepth.store.records import Sample
from blurdepth.ui import html
from blurdepth.ui.shared import LIGHT, clicked, picture_grid, told
from blurdepth.workspace import Workspace

VIEWS = ["Variant", "Sharp frame", "Target depth"]
_NONE = html.empty("No variants yet", "Choose a frame, then press Generate.")


class Results:
    """The components and handlers of what was made."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.shown, self.selected = gr.State([]), gr.State("")
        self.status = gr.HTML("", elem_id="generate-status")
        self.variants = picture_grid("Variants", value=_NONE, elem_id="variants")
        self.view = gr.Radio(VIEWS, value=VIEWS[0], label="Large view (key F flips)", elem_id="view", visible=False)
        self.large = gr.HTML("", elem_id="large")
        self.onward = gr.Button("Look through the variants", visible=False, elem_id="to-curate")
        looked = [self.selected, self.view, self.variants, self.large]
        self.variants.click(told(self.select), [self.shown, self.view], looked, **LIGHT)
        self.view.change(told(self.show_large), [self.selected, self.view], self.large, **LIGHT)

    @property
    def all(self) -> list[Any]:
        """What `nothing` gives values for."""
        return [self.status, self.variants, self.shown, self.selected, self.view, self.large, self.onward]

    def nothing(self) -> tuple[Any, ...]:
        """Before anything was made of a frame."""
        hidden = gr.update(visible=False)
        return "", _NONE, [], "", hidden, "", hidden

    def so_far(self, ids: list[str], number: int, hint: str = "") -> tuple[Any, ...]:
        """Values for status, variants, shown and onward while `number` are being made."""
        status = (
            html.bar(len(ids) / number, f"{len(ids)} of {number} {'variant' if number == 1 else 'variants'}") + hint
        )
        return status, self.cards(ids) if ids else _NONE, list(ids), self._way_on(ids)

    def restored(self, ids: list[str]) -> tuple[Any, ...]:
        """Values for shown, variants and onward after a reload."""
        return ids, self.cards(ids) if ids else _NONE, self._way_on(ids)

    def _way_on(self, ids: list[str]) -> Any:
        words = "1 variant: look at it" if len(ids) == 1 else f"{len(ids)} variants: look through them"
        return gr.update(visible=bool(ids), value=words)

    def is_of(self, sample_id: str, frame_id: str) -> bool:
        """Whether a variant is kept and was made of this frame."""
        samples = self.workspace.store.samples
        return samples.has_sample(sample_id) and samples.sample(sample_id).frame_id == frame_id

    def cards(self, ids: list[str], selected: str = "") -> str:
        """The variants as a grid, each with its blur in a word."""
        samples = [self.workspace.store.samples.sample(sample_id) for sample_id in ids]
        return html.grid((self._card(sample, place, len(ids)) for place, sample in enumerate(samples, 1)), selected)

    def refresh(self, shown: list[str], selected: str) -> Any:
        """The variants with what was decided about them elsewhere."""
        return self.cards(shown, selected) if shown else gr.skip()

    def _card(self, sample: Sample, place: int, number: int) -> html.Card:
        blur = f"blur {sample.scores.get('blur_px', 0):.0f} px"
        seed = f", seed {sample.provenance['seed']}" if "seed" in sample.provenance else ""
        title = f"Variant {place} of {number}, {blur}, {sample.status}{seed}"
        return html.Card(sample.id, self.workspace.thumbnail(sample.image), title, sample.status, blur)

    def select(self, shown: list[str], view: str, event: gr.EventData) -> tuple[Any, ...]:
        """Show one variant large."""
        sample_id = clicked(event)
        return (
            sample_id,
            gr.update(visible=True),
            self.cards(shown, sample_id),
            self.show_large(sample_id, view),
        )

    def show_large(self, sample_id: str, view: str) -> str:
        """The chosen variant, its sharp frame or its target depth."""
        if not sample_id:
            return ""
        sample = self.workspace.store.samples.sample(sample_id)
        if view == VIEWS[2]:
            return html.figure(self.workspace.target_picture(sample), "Target depth", "mean over the exposure")
        frame = self.workspace.store.samples.frame(sample.frame_id)
        picture = frame.image if view == VIEWS[1] else sample.image
        return html.figure(self.workspace.pictures.path(picture), view)
