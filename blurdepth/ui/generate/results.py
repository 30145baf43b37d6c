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
from blurdepth.ui.shared import HEAVY, LIGHT, browser_state, clicked, picture_grid, told
from blurdepth.workspace import Workspace

VIEWS = ["Variant", "Sharp frame", "Target depth"]
GUIDE = "Depth that guided SDXL"
_NONE = html.empty("No variants yet", "Choose a frame, then press Generate.")


class Results:
    """The components and handlers of what was made."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.shown, self.selected = browser_state("blurdepth-shown", []), gr.State("")
        self.status = gr.HTML("", elem_id="generate-status")
        self.variants = picture_grid("Variants", value=_NONE, elem_id="variants")
        self.view = gr.Radio(VIEWS, value=VIEWS[0], label="Large view (key F flips)", elem_id="view", visible=False)
        self.large = gr.HTML("", elem_id="large")
        self.verdict = gr.HTML("", elem_id="verdict")
        with gr.Row():
            self.repair = gr.Button("Repair: keep its look, add the exposure", visible=False, elem_id="repair")
            self.repair_all = gr.Button("Repair all that failed", visible=False, elem_id="repair-all")
        self.onward = gr.Button("Look through the variants", visible=False, elem_id="to-curate")
        looked = [self.selected, self.view, self.variants, self.large, self.verdict, self.repair]
        self.variants.click(told(self.select), [self.shown, self.view], looked, **LIGHT)
        self.repaired = [
            self.repair.click(told(self.repairing), [self.shown, self.selected], self.all, **HEAVY),
            self.repair_all.click(told(self.repairing_all), self.shown, self.all, **HEAVY),
        ]
        self.view.change(told(self.show_large), [self.selected, self.view], self.large, **LIGHT)

    @property
    def made(self) -> list[Any]:
        """What `so_far` gives values for."""
        return [self.status, self.variants, self.shown, self.onward, self.repair_all]

    @property
    def all(self) -> list[Any]:
        """What `nothing` gives values for."""
        return [*self.made, self.selected, self.view, self.large, self.verdict, self.repair]

    def nothing(self) -> tuple[Any, ...]:
        """Before anything was made of a frame."""
        hidden = gr.update(visible=False)
        return "", _NONE, [], hidden, hidden, "", hidden, "", "", hidden

    def so_far(self, ids: list[str], number: int, hint: str = "") -> tuple[Any, ...]:
        """Values for `made` while `number` are being made."""
        status = (
            html.bar(len(ids) / number, f"{len(ids)} of {number} {'variant' if number == 1 else 'variants'}") + hint
        )
        return status, *self.of(ids)

    def painting(self, ids: list[str], number: int, step: PaintStep) -> tuple[Any, ...]:
        """Values for `made` while a picture emerges."""
        words = f"Variant {len(ids) + 1} of {number}: step {step.done} of {step.total}"
        status = html.bar((len(ids) + step.done / step.total) / number, words)
        rough = "" if step.rough is None else html.rough(encode_png(step.rough), words)
        return status + rough, *(gr.skip() for _ in self.made[1:])

    def of(self, ids: list[str]) -> tuple[Any, ...]:
        """Values for `made` but the status: variants, shown, onward and the repair of all."""
        failing = len(self._failed(ids))
        words = "Repair the one that failed" if failing == 1 else f"Repair the {failing} that failed"
        return (
            self.cards(ids) if ids else _NONE,
            list(ids),
            self._way_on(ids),
            gr.update(visible=failing > 0, value=words),
        )

    def _failed(self, ids: list[str]) -> list[Sample]:
        return failed(self.workspace, [self.workspace.store.samples.sample(each) for each in ids])

    def _way_on(self, ids: list[str]) -> Any:
        words = "1 variant: look at it" if len(ids) == 1 else f"{len(ids)} variants: look through them"
        return gr.update(visible=bool(ids), value=words)

    def is_of(self, sample_id: str, frame_id: str) -> bool:
        """Whether a variant is kept and was made of this frame."""
        samples = self.workspace.store.samples
        return samples.has_sample(sample_id) and samples.sample(sample_id).frame_id == frame_id

    def cards(self, ids: list[str], selected: str = "") -> str:
        """The variants as a grid, each with its blur in a word or two."""
        samples = [self.workspace.store.samples.sample(sample_id) for sample_id in ids]
        verdicts = self.workspace.store.verdicts.of(ids)
        cards = (
            self._card(sample, f"Variant {place} of {len(ids)}", verdicts.get(sample.id))
            for place, sample in enumerate(samples, 1)
        )
        return html.grid(cards, selected)

    def refresh(self, shown: list[str], selected: str) -> Any:
        """The variants with what was decided about them elsewhere."""
        return self.cards(shown, selected) if shown else gr.skip()

    def _card(self, sample: Sample, name: str, verdict: Verdict | None) -> html.Card:
        blur = f"blur {sample.scores.get('blur_px', 0):.0f} px"
        if verdict and _worth_saying(sample, verdict):
            blur = verdict.short
        seed = f", seed {sample.provenance['seed']}" if "seed" in sample.provenance else ""
        title = f"{name}, {blur}, {sample.status}{seed}"
        return html.Card(sample.id, self.workspace.thumbnail(sample.image), title, sample.status, blur)

    def select(self, shown: list[str], view: str, event: gr.EventData) -> tuple[Any, ...]:
        """Show one variant large."""
        sample_id = clicked(event)
        guided = "painters" in self.workspace.store.samples.sample(sample_id).provenance
        views = [*VIEWS, GUIDE] if guided else VIEWS
        view = view if view in views else VIEWS[0]
        return (
            sample_id,
            gr.update(visible=True, choices=views, value=view),
            self.cards(shown, sample_id),
            self.show_large(sample_id, view),
            *self._judged(sample_id),
        )

    def _judged(self, sample_id: str) -> tuple[Any, ...]:
        """Values for verdict and repair."""
        verdict = self.workspace.store.verdicts.of([sample_id]).get(sample_id)
        if verdict is None or not _worth_saying(self.workspace.store.samples.sample(sample_id), verdict):
            return "", gr.update(visible=False)
        return html.verdict(verdict), gr.update(visible=bool(self._failed([sample_id])))

    def repairing(self, shown: list[str], sample_id: str) -> Iterator[tuple[Any, ...]]:
        """Repair the chosen variant; what comes of it is shown large."""
        yield from self._repairing(shown, [self.workspace.store.samples.sample(sample_id)])

    def repairing_all(self, shown: list[str]) -> Iterator[tuple[Any, ...]]:
        """Repair all variants whose blur failed, each shown as soon as it is."""
        yield from self._repairing(shown, self._failed(shown))

    def _repairing(self, shown: list[str], samples: list[Sample]) -> Iterator[tuple[Any, ...]]:
        made: list[str] = []
        unchanged = tuple(gr.skip() for _ in self.all[len(self.made) :])
        for sample in repair(self.workspace, samples):
            made.append(sample.id)
            ids = list(dict.fromkeys([*shown, *made]))
            status = html.bar(len(made) / len(samples), f"{len(made)} of {len(samples)} repaired")
            yield status, *self.of(ids), *unchanged
        yield self._repaired(shown, made)

    def _repaired(self, shown: list[str], made: list[str]) -> tuple[Any, ...]:
        if not made:
            raise InputError("Nothing is left to repair: every variant that failed has been.")
        ids = list(dict.fromkeys([*shown, *made]))
        _, *rest = self.of(ids)
        status = html.notice(f"{len(made)} repaired: same look, with the blur and the depth of the exposure.")
        chosen = made[-1]
        view = gr.update(visible=True, choices=[*VIEWS, GUIDE], value=VIEWS[0])
        large = self.show_large(chosen, VIEWS[0])
        return status, self.cards(ids, chosen), *rest, chosen, view, large, *self._judged(chosen)

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
