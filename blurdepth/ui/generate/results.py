"""The variants as they come: small in a grid, one of them large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from blurdepth.blurcheck import Verdict
from blurdepth.diffusion import PaintStep, control_map
from blurdepth.errors import InputError
from blurdepth.images import encode_png
from blurdepth.repair import can_repair, failed, repair
from blurdepth.store.records import Sample
from blurdepth.ui import html
from blurdepth.ui.generate.work import Work, offer, offered
from blurdepth.ui.shared import HEAVY, LIGHT, clicked, picture_grid, told
from blurdepth.workspace import Workspace

VIEWS = ["Variant", "Sharp frame", "Target depth"]
GUIDE = "Depth that guided SDXL"
_NONE = html.empty("No variants yet", "Choose a frame, then press Generate.")


class Results:
    """The components and handlers of what was made.

    Args:
        workspace: has the variants.
        work: which of them are shown; whatever changes it, the grid follows.
    """

    def __init__(self, workspace: Workspace, work: gr.BrowserState) -> None:
        self.workspace, self.work = workspace, work
        self.selected = gr.State("")
        self.status = gr.HTML("", elem_id="generate-status")
        taken = [self.work, self.status]
        self.offered = offered("offered-variants", work, taken)
        self.variants = picture_grid("Variants", value=_NONE, elem_id="variants")
        self.view = gr.Radio(VIEWS, value=VIEWS[0], label="Large view (key F flips)", elem_id="view", visible=False)
        self.large = gr.HTML("", elem_id="large")
        self.verdict = gr.HTML("", elem_id="verdict")
        with gr.Row():
            self.repair = gr.Button("Repair: keep its look, add the exposure", visible=False, elem_id="repair")
            self.repair_all = gr.Button("Repair all that failed", visible=False, elem_id="repair-all")
        self.onward = gr.Button("Look through the variants", visible=False, elem_id="to-curate")
        self._looked = [self.selected, self.view, self.large, self.verdict, self.repair]
        self.variants.click(told(self.select), [self.work, self.view], [*self._looked, self.variants], **LIGHT)
        repaired = [self.offered, *self._looked]
        self.repaired = [
            self.repair.click(told(self.repairing), [self.work, self.selected], repaired, **HEAVY),
            self.repair_all.click(told(self.repairing_all), self.work, repaired, **HEAVY),
        ]
        self.cleared = [*taken, *self._looked]
        self.work.change(self.show, self.asked, self.following, **LIGHT)
        self.view.change(told(self.show_large), [self.selected, self.view], self.large, **LIGHT)

    @property
    def asked(self) -> list[Any]:
        """What `show` takes."""
        return [self.work, self.selected]

    @property
    def following(self) -> list[Any]:
        """What `show` gives values for."""
        return [self.variants, self.onward, self.repair_all]

    def nothing(self, work: Work) -> tuple[Any, ...]:
        """Values for `cleared` before anything was made of a frame."""
        hidden = gr.update(visible=False)
        return work.to_json(), "", "", hidden, "", "", hidden

    def show(self, kept: object, selected: str) -> tuple[Any, ...]:
        """The variants with what was decided about them, the way on, and the repair of all."""
        samples = self._shown(kept)
        failing = len(failed(self.workspace, samples))
        words = "Repair the one that failed" if failing == 1 else f"Repair the {failing} that failed"
        return (
            self._cards(samples, selected) if samples else _NONE,
            self._way_on(len(samples)),
            gr.update(visible=failing > 0, value=words),
        )

    def so_far(self, made: int, number: int) -> str:
        """What is said while `number` are being made."""
        return html.bar(made / number, f"{made} of {number} {'variant' if number == 1 else 'variants'}")

    def painting(self, made: int, number: int, step: PaintStep) -> str:
        """What is said while a picture emerges."""
        words = f"Variant {made + 1} of {number}: step {step.done} of {step.total}"
        rough = "" if step.rough is None else html.rough(encode_png(step.rough), words)
        return html.bar((made + step.done / step.total) / number, words) + rough

    def _shown(self, kept: object) -> list[Sample]:
        return [self.workspace.store.samples.sample(each) for each in Work.read(self.workspace, kept).shown]

    def _way_on(self, number: int) -> Any:
        words = "1 variant: look at it" if number == 1 else f"{number} variants: look through them"
        return gr.update(visible=number > 0, value=words)

    def _cards(self, samples: list[Sample], selected: str) -> str:
        """The variants as a grid, each with its blur in a word or two."""
        verdicts = self.workspace.store.verdicts.of([sample.id for sample in samples])
        cards = (
            self._card(sample, f"Variant {place} of {len(samples)}", verdicts.get(sample.id))
            for place, sample in enumerate(samples, 1)
        )
        return html.grid(cards, selected)

    def _card(self, sample: Sample, name: str, verdict: Verdict | None) -> html.Card:
        blur = f"blur {sample.scores.get('blur_px', 0):.0f} px"
        if verdict and _worth_saying(sample, verdict):
            blur = verdict.short
        seed = f", seed {sample.provenance['seed']}" if "seed" in sample.provenance else ""
        title = f"{name}, {blur}, {sample.status}{seed}"
        return html.Card(sample.id, self.workspace.thumbnail(sample.image), title, sample.status, blur)

    def select(self, kept: object, view: str, event: gr.EventData) -> tuple[Any, ...]:
        """Show one variant large."""
        sample_id = clicked(event)
        guided = "painters" in self.workspace.store.samples.sample(sample_id).provenance
        views = [*VIEWS, GUIDE] if guided else VIEWS
        view = view if view in views else VIEWS[0]
        return (
            sample_id,
            gr.update(visible=True, choices=views, value=view),
            self.show_large(sample_id, view),
            *self._judged(sample_id),
            self._cards(self._shown(kept), sample_id),
        )

    def _judged(self, sample_id: str) -> tuple[Any, ...]:
        """Values for verdict and repair."""
        sample = self.workspace.store.samples.sample(sample_id)
        verdict = self.workspace.store.verdicts.of([sample_id]).get(sample_id)
        if verdict is None or not _worth_saying(sample, verdict):
            return "", gr.update(visible=False)
        return html.verdict(verdict), gr.update(visible=bool(failed(self.workspace, [sample])))

    def repairing(self, kept: object, sample_id: str) -> Iterator[tuple[Any, ...]]:
        """Repair the chosen variant; what comes of it is shown large."""
        yield from self._repairing(kept, [self.workspace.store.samples.sample(sample_id)])

    def repairing_all(self, kept: object) -> Iterator[tuple[Any, ...]]:
        """Repair all variants whose blur failed, each shown as soon as it is."""
        yield from self._repairing(kept, failed(self.workspace, self._shown(kept)))

    def _repairing(self, kept: object, samples: list[Sample]) -> Iterator[tuple[Any, ...]]:
        work = Work.read(self.workspace, kept)
        made: list[str] = []
        unchanged = tuple(gr.skip() for _ in self._looked)
        for sample in repair(self.workspace, samples):
            made.append(sample.id)
            status = html.bar(len(made) / len(samples), f"{len(made)} of {len(samples)} repaired")
            yield offer(kept, work.showing([*work.shown, *made]).to_json(), status), *unchanged
        yield self._repaired(kept, work, made)

    def _repaired(self, kept: object, work: Work, made: list[str]) -> tuple[Any, ...]:
        if not made:
            raise InputError("Nothing is left to repair: every variant that failed has been.")
        status = html.notice(f"{len(made)} repaired: same look, with the blur and the depth of the exposure.")
        chosen = made[-1]
        view = gr.update(visible=True, choices=[*VIEWS, GUIDE], value=VIEWS[0])
        large = self.show_large(chosen, VIEWS[0])
        all_made = offer(kept, work.showing([*work.shown, *made]).to_json(), status)
        return all_made, chosen, view, large, *self._judged(chosen)

    def show_large(self, sample_id: str, view: str) -> str:
        """The chosen variant, its sharp frame, its target depth, or what guided SDXL."""
        if not sample_id:
            return ""
        sample = self.workspace.store.samples.sample(sample_id)
        if view == VIEWS[2]:
            return html.figure(self.workspace.target_picture(sample), "Target depth", "mean over the exposure")
        if view == GUIDE:
            guide = control_map(self.workspace.arrays.array(sample.sharp_target))
            return html.figure(self.workspace.keep_picture(guide), GUIDE, "near is bright")
        frame = self.workspace.store.samples.frame(sample.frame_id)
        picture = frame.image if view == VIEWS[1] else sample.image
        return html.figure(self.workspace.pictures.path(picture), view)


def _worth_saying(sample: Sample, verdict: Verdict) -> bool:
    """What was simulated is blurred as it should be; what was painted had to be looked at."""
    return can_repair(sample) or "blank" in verdict.reasons
