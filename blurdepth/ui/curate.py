"""Tab 2: look at one sample after the other; keep the good ones, say why the others failed."""

from __future__ import annotations

import time
from html import escape
from typing import Any

import gradio as gr

from blurdepth.errors import BlurdepthError, InputError
from blurdepth.store.records import SAMPLE_STATUSES, Sample
from blurdepth.ui import html
from blurdepth.ui.shared import LIGHT, clicked, picture_grid, told
from blurdepth.workspace import Workspace

REASONS = (
    "no motion blur",
    "blur in the wrong place",
    "target depth is wrong",
    "shapes have changed",
    "too dark or too foggy to use",
    "looks unreal",
)
STRIP = 24
_SCORES = (
    ("blur_px", "length of the blur", "{:.0f} px"),
    ("mixed_share", "pixels where depths mix", "{:.1%}"),
    ("moving_share", "covered by moving objects", "{:.1%}"),
    ("subframes", "moments simulated", "{:.0f}"),
)

_DONE = html.empty(
    "Nothing is waiting", "Make more variants under Generate, or look at accepted and rejected ones above."
)


class CurateTab:
    """The components and handlers of this tab.

    Args:
        workspace: the data folder.
        memory: what this browser remembers; here its name, so that undo takes back one's own decisions.
    """

    def __init__(self, workspace: Workspace, memory: gr.BrowserState) -> None:
        self.workspace = workspace
        self.memory = memory
        self.current, self.seen = gr.State(""), gr.State(0)
        gr.Markdown(
            "Accept what shows real blur with the right depth; reject the rest with a reason. Keys: A, R, U, 1–6."
        )
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.which = gr.Radio([*SAMPLE_STATUSES], value="pending", label="Show", elem_id="which")
                self.progress = gr.HTML("")
                self.picture = gr.HTML(_DONE, elem_id="sample")
                self.strip = picture_grid("Next samples", value="", elem_id="strip")
            with gr.Column(scale=1, min_width=280):
                self._lay_out_decisions()
        self._connect()

    def _lay_out_decisions(self) -> None:
        with gr.Row(elem_classes="bd-decide"):
            self.accept = gr.Button("Accept (A)", variant="primary", elem_id="accept", min_width=90)
            self.reject = gr.Button("Reject (R)", variant="stop", elem_id="reject", min_width=90)
            self.undo = gr.Button("Undo (U)", elem_id="undo", min_width=90)
        self.reason = gr.Dropdown(
            list(REASONS), value=REASONS[0], label="Reason for rejecting", allow_custom_value=True, elem_id="reason"
        )
        self.redo = gr.Button("Redo", elem_id="redo", size="sm")
        gr.Markdown("Reject with one key:", elem_classes="bd-note")
        self.quick = [
            gr.Button(f"{number}  {reason}", size="sm", elem_id=f"reason-{number}", elem_classes="bd-quick")
            for number, reason in enumerate(REASONS, start=1)
        ]
        self.about = gr.HTML("", elem_id="sample-about")
        self.onward = gr.Button("Go on to training", elem_id="to-train")

    @property
    def view(self) -> list[Any]:
        """What `show` gives values for."""
        return [self.current, self.seen, self.progress, self.picture, self.strip, self.about, self.onward]

    def _connect(self) -> None:
        known = [self.current, self.seen, self.which, self.memory]
        decide = told(self.rejecting)
        # The page brings its header up to date after each of these.
        self.decisions = [
            self.accept.click(told(self.accepting), known, self.view, **LIGHT),
            self.reject.click(decide, [*known, self.reason], self.view, **LIGHT),
            self.undo.click(told(self.undoing), [self.which, self.memory], self.view, **LIGHT),
            self.redo.click(told(self.redoing), [self.which, self.memory], self.view, **LIGHT),
            *(
                button.click(decide, [*known, gr.State(reason)], self.view, **LIGHT)
                for button, reason in zip(self.quick, REASONS, strict=True)
            ),
        ]
        self.which.input(told(self.show), self.which, self.view, **LIGHT)
        self.strip.click(told(self.select), self.which, self.view, **LIGHT)

    def show(self, which: str, sample_id: str = "") -> tuple[Any, ...]:
        """All of the tab, with one sample large: the one asked for if it is in the list, else the first."""
        samples = self.workspace.store.samples.samples(which, limit=STRIP)
        if sample_id and all(sample.id != sample_id for sample in samples):
            samples = [self.workspace.store.samples.sample(sample_id), *samples]
        chosen = next((sample for sample in samples if sample.id == sample_id), samples[0] if samples else None)
        counts = self.workspace.store.samples.counts()
        decided = counts.accepted + counts.rejected
        bar = html.bar(decided / max(counts.total, 1), f"{decided} of {counts.total} decided")
        onward = gr.update(value=f"{counts.accepted} accepted: go on to training", interactive=counts.accepted > 0)
        if chosen is None:
            return "", 0, bar, _DONE, "", "", onward
        strip = html.grid((self._card(sample) for sample in samples), chosen.id)
        return chosen.id, chosen.version, bar, self._large(chosen), strip, self._about(chosen), onward

    def _card(self, sample: Sample) -> html.Card:
        title = f"Sample {sample.id}, {sample.status}" + (f": {sample.reason}" if sample.reason else "")
        return html.Card(sample.id, self.workspace.thumbnail(sample.image), title, sample.status, sample.reason)

    def _large(self, sample: Sample) -> str:
        frame = self.workspace.store.samples.frame(sample.frame_id)
        state = sample.status + (f": {sample.reason}" if sample.reason else "")
        variant = html.figure(self.workspace.pictures.path(sample.image), "Variant", state)
        target = html.figure(self.workspace.target_picture(sample), "Target depth", "mean over the exposure")
        sharp = html.figure(self.workspace.pictures.path(frame.image), "Sharp frame", frame.name)
        # The page's keys wait for this mark to change before they press again: with each answer, also one that undoes
        # nothing and shows the same sample.
        answer = time.monotonic_ns()
        return f'<div data-answer="{answer}">{variant}<div class="bd-pair">{target}{sharp}</div></div>'

    def _about(self, sample: Sample) -> str:
        made = sample.provenance
        verdict = self.workspace.store.verdicts.of([sample.id]).get(sample.id)
        scores = {words: unit.format(sample.scores[name]) for name, words, unit in _SCORES if name in sample.scores}
        origin = {
            "prompt": made["prompt"],
            "negative": made["negative"],
            "seed": str(made["seed"]),
            "made by": f"{made['backend']}, blurdepth {made['code_version']}",
            "depth by": f"{made['teacher']} ({made['teacher_revision']})",
        }
        judged = html.verdict(verdict) if verdict else ""
        return judged + html.facts(scores, "Measured") + html.facts(origin, "Where it comes from")

    def select(self, which: str, event: gr.EventData) -> tuple[Any, ...]:
        """Show the sample that was clicked."""
        return self.show(which, clicked(event))

    def accepting(self, current: str, seen: int, which: str, memory: dict[str, Any]) -> tuple[Any, ...]:
        """Accept the sample, then show the next one."""
        return self._decide(current, seen, which, "accept", "", memory)

    def rejecting(
        self, current: str, seen: int, which: str, memory: dict[str, Any], reason: str | None
    ) -> tuple[Any, ...]:
        """Reject the sample with a reason, then show the next one."""
        return self._decide(current, seen, which, "reject", reason or "", memory)

    def _decide(
        self, current: str, seen: int, which: str, verdict: str, reason: str, memory: dict[str, Any]
    ) -> tuple[Any, ...]:
        if not current:
            raise InputError("No sample is shown: make variants under Generate first.")
        following = self._after(current, which)
        try:
            self.workspace.store.samples.decide([current], verdict, reason, memory["actor"], expected_version=seen)
        except BlurdepthError as error:
            # The next one is shown, so that one more key can't overrule the other person by mistake.
            gr.Warning(escape(f"{error} It was left as it is; here is the next one."))
        return self.show(which, following)

    def _after(self, current: str, which: str) -> str:
        ids = [sample.id for sample in self.workspace.store.samples.samples(which, limit=STRIP + 1)]
        place = ids.index(current) if current in ids else -1
        return ids[place + 1] if 0 <= place < len(ids) - 1 else ""

    def undoing(self, which: str, memory: dict[str, Any]) -> tuple[Any, ...]:
        """Take back one's last decision and show that sample again."""
        return self._stepped(self.workspace.store.samples.undo(memory["actor"]), which, "undo")

    def redoing(self, which: str, memory: dict[str, Any]) -> tuple[Any, ...]:
        """Decide again what was taken back."""
        return self._stepped(self.workspace.store.samples.redo(memory["actor"]), which, "redo")

    def _stepped(self, changed: list[str], which: str, step: str) -> tuple[Any, ...]:
        if not changed:
            gr.Info(f"There is nothing to {step}.")
            return self.show(which)
        sample = self.workspace.store.samples.sample(changed[0])
        gr.Info(f"{step.capitalize()}: the sample is {sample.status} again.")
        return self.show(which, sample.id)
