"""Tab 1: a sharp frame in, blurred and adverse variants of it out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import gradio as gr

from blurdepth.errors import BlurdepthError, InputError
from blurdepth.estimators import BUNDLED, SMALL
from blurdepth.images import LIMITS, read_bytes
from blurdepth.prompts import load_prompt_book, parse_prompt
from blurdepth.store.records import Frame, Sample
from blurdepth.ui import html
from blurdepth.ui.shared import (
    ASSETS,
    HEAVY,
    LIGHT,
    clicked,
    download_progress,
    example_cards,
    example_frame,
    frame_input,
    model_choices,
    picture_grid,
    told,
    uploaded,
)
from blurdepth.workspace import MAX_VARIANTS, GenerationRequest, Workspace

VIEWS = ["Variant", "Sharp frame", "Target depth"]

_NO_FRAME = html.empty(
    "No frame yet", "Drop or paste a sharp street photo anywhere on this page, or press one of the examples."
)
# On a phone the results lie below the form: bring them into view.
_LOOK_AT_RESULTS = "() => { if (innerWidth < 700) document.getElementById('generate-status')?.scrollIntoView(); }"
_NO_VARIANTS = html.empty("No variants yet", "Choose a frame, then press Generate.")


class GenerateTab:
    """The components and handlers of this tab.

    Args:
        workspace: the data folder.
        memory: what this browser remembers: frame, words, model, and the variants last made.
    """

    def __init__(self, workspace: Workspace, memory: gr.BrowserState) -> None:
        self.workspace = workspace
        self.memory = memory
        self.book = {entry.name: entry for entry in load_prompt_book(ASSETS / "prompts.json")}
        self.frame_id, self.shown, self.selected = gr.State(""), gr.State([]), gr.State("")
        gr.Markdown("Bring a sharp frame, and say in words what the weather is and what moves.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._lay_out_frame_input()
                self._lay_out_words()
                self._lay_out_start()
            with gr.Column(scale=3, min_width=320):
                self._lay_out_results()
        self._connect_variants()
        self._connect_frame()
        self._connect_words()

    def _lay_out_frame_input(self) -> None:
        self.upload = frame_input("Sharp frame")
        gr.Markdown(f"{LIMITS}. Drop it, paste it, or press an example:", elem_classes="bd-note")
        self.examples = picture_grid("Examples", value=html.grid(example_cards()), elem_id="examples")
        self.suggestion = gr.Button("Real photo? Use Depth Anything V2 Small (100 MB, Apache-2.0)", size="sm")

    def _lay_out_words(self) -> None:
        first = next(iter(self.book.values()))
        with gr.Row(elem_classes="bd-center"):
            self.entry = gr.Dropdown(list(self.book), value=first.name, label="Prompt book", scale=3, min_width=160)
            self.dice = gr.Button("Surprise me", size="sm", scale=1, min_width=110)
        self.prompt = gr.Textbox(first.prompt, label="Prompt", lines=2, elem_id="prompt")
        self.negative = gr.Textbox(first.negative, label="Negative prompt: what should not be seen", lines=1)
        self.reading = gr.HTML(self.read(first.prompt, first.negative), label="Understood", elem_id="reading")

    def _lay_out_start(self) -> None:
        self.number = gr.Slider(1, MAX_VARIANTS, value=4, step=1, label="Variants")
        with gr.Row():
            self.start = gr.Button("Generate", variant="primary", scale=3, elem_id="generate")
            self.cancel = gr.Button("Cancel", scale=1, min_width=90, interactive=False, elem_id="cancel")
        gr.Markdown("Exposure simulator: on this computer's processor, about a second each.", elem_classes="bd-note")
        with gr.Accordion("Seed and depth model", open=False):
            with gr.Row():
                self.seed = gr.Number(1, label="Seed", precision=0, minimum=0, min_width=90)
                self.new_seed = gr.Checkbox(True, label="New seed each time", min_width=130)
            self.model = gr.Dropdown(
                model_choices(self.workspace),
                value=BUNDLED,
                label="Depth model",
                info="Or type any depth model of the Hugging Face Hub (owner/model), or a folder.",
                allow_custom_value=True,
            )

    def _lay_out_results(self) -> None:
        self.frame = gr.HTML(_NO_FRAME, label="Frame and its depth", elem_id="frame")
        self.status = gr.HTML("", elem_id="generate-status")
        self.variants = picture_grid("Variants", value=_NO_VARIANTS, elem_id="variants")
        self.view = gr.Radio(VIEWS, value=VIEWS[0], label="Large view (key F flips)", elem_id="view", visible=False)
        self.large = gr.HTML("", elem_id="large")
        self.onward = gr.Button("Look through the variants", visible=False, elem_id="to-curate")

    @property
    def panel(self) -> list[Any]:
        """What `_show_new` gives values for: all that belongs to the frame."""
        variants = [self.status, self.variants, self.shown, self.selected, self.view, self.large, self.onward]
        return [self.upload, self.frame_id, self.frame, *variants]

    def _connect_frame(self) -> None:
        # A new frame ends what is being made of the old one.
        came = (
            self.upload.upload(self.keep_upload, self.upload, self.panel, cancels=[self.made], **LIGHT),
            self.examples.click(self.keep_example, None, self.panel, cancels=[self.made], **LIGHT),
        )
        for event in came:
            self._remember_after(event)
            event.then(self.end, None, [self.start, self.cancel], **LIGHT).then(
                self.show_frame, [self.frame_id, self.model], self.frame, **HEAVY
            )
        self.suggestion.click(lambda: SMALL, None, self.model, **LIGHT)
        self.model.change(lambda model: gr.update(visible=model == BUNDLED), self.model, self.suggestion, **LIGHT)
        self._remember_after(
            self.model.change(self.show_frame, [self.frame_id, self.model], self.frame, **HEAVY),
        )

    def _remember_after(self, event: Any) -> None:
        remembered = [self.frame_id, self.prompt, self.negative, self.model, self.shown]
        event.then(self.remember, [self.memory, *remembered], self.memory, **LIGHT)

    def _connect_words(self) -> None:
        words = [self.prompt, self.negative]
        for box in words:
            box.change(self.read, words, self.reading, trigger_mode="always_last", **LIGHT)
            box.input(lambda: None, None, self.entry, **LIGHT)
            self._remember_after(box.blur(lambda: None, None, None, **LIGHT))
        self.entry.input(self.turn_to, self.entry, words, **LIGHT)
        self.dice.click(lambda: random.choice(list(self.book)), None, self.entry, **LIGHT).then(
            self.turn_to, self.entry, words, **LIGHT
        )

    def _connect_variants(self) -> None:
        outputs = [self.status, self.variants, self.shown, self.seed, self.onward]
        asked = [self.frame_id, self.prompt, self.negative, self.number, self.seed, self.new_seed, self.model]
        begun = self.start.click(self.begin, None, [self.start, self.cancel], js=_LOOK_AT_RESULTS, **LIGHT)
        self.made = begun.then(self.generate, asked, outputs, **HEAVY)
        self.ended = self.made.then(self.end, None, [self.start, self.cancel], **LIGHT)
        self.made.failure(self.end, None, [self.start, self.cancel], **LIGHT)
        stopped = self.cancel.click(
            self.cancelled, None, [self.status, self.start, self.cancel], cancels=[self.made], **LIGHT
        )
        for event in (self.ended, stopped):
            self._remember_after(event)
        looked = [self.selected, self.view, self.variants, self.large]
        self.variants.click(told(self.select), [self.shown, self.view], looked, **LIGHT)
        self.view.change(told(self.show_large), [self.selected, self.view], self.large, **LIGHT)

    def keep_upload(self, path: str | None) -> tuple[Any, ...]:
        """Keep the uploaded file as a frame and show it as it was understood, or say why it can't be used."""
        try:
            file = uploaded(path)
            return self._show_new(self.workspace.add_frame(read_bytes(file), file.name))
        except BlurdepthError as error:
            return self._show_new(None, html.notice(str(error)))

    def keep_example(self, event: gr.EventData) -> tuple[Any, ...]:
        """Keep an example frame."""
        try:
            path = example_frame(clicked(event))
            return self._show_new(self.workspace.add_frame(read_bytes(path), path.name))
        except BlurdepthError as error:
            return self._show_new(None, html.notice(str(error)))

    def _show_new(self, frame: Frame | None, reason: str = _NO_FRAME) -> tuple[Any, ...]:
        hidden = gr.update(visible=False)
        emptied: tuple[Any, ...] = ("", _NO_VARIANTS, [], "", hidden, "", hidden)
        if frame is None:
            return None, "", reason, *emptied
        return None, frame.id, self._sharp(frame) + html.notice("Estimating its depth…"), *emptied

    def _sharp(self, frame: Frame) -> str:
        size = f"{frame.width} × {frame.height} pixels"
        return html.figure(self.workspace.pictures.path(frame.image), "Sharp frame", size)

    def show_frame(self, frame_id: str, model: str, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008
        """The frame beside its depth, as the chosen model sees it."""
        if not frame_id:
            return gr.skip()
        frame = self.workspace.store.samples.frame(frame_id)
        try:
            prediction, _ = self.workspace.estimate(frame, model, download_progress(progress, model))
        except BlurdepthError as error:
            return self._sharp(frame) + html.notice(str(error))
        depth = html.figure(self.workspace.prediction_picture(prediction), "Depth of the sharp frame", "near is bright")
        return f'<div class="bd-pair">{self._sharp(frame)}{depth}</div>'

    def read(self, prompt: str, negative: str) -> str:
        """What was understood, or what is wrong, as the person types."""
        try:
            return html.chips(parse_prompt(prompt, negative))
        except BlurdepthError as error:
            return html.notice(str(error))

    def turn_to(self, name: str) -> tuple[str, str]:
        """Take prompt and negative prompt out of the book."""
        return self.book[name].prompt, self.book[name].negative

    def begin(self) -> tuple[Any, Any]:
        """While it works: no second start, but a cancel."""
        return gr.update(interactive=False), gr.update(interactive=True)

    def end(self) -> tuple[Any, Any]:
        """Afterwards: the other way round."""
        return gr.update(interactive=True), gr.update(interactive=False)

    def cancelled(self) -> tuple[Any, ...]:
        """Say what becomes of what was made."""
        return html.notice("Cancelled. The variants that were finished are kept."), *self.end()

    def generate(
        self,
        frame_id: str,
        prompt: str,
        negative: str,
        number: int,
        seed: float | None,
        new_seed: bool,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        """Make the variants, each shown as soon as it is kept."""
        try:
            if not frame_id:
                raise InputError("There is no frame yet: drop a picture, or press one of the examples.")
            first = random.randrange(10**6) if new_seed or seed is None else int(seed)
            request = GenerationRequest(prompt, negative, int(number), first, model=model)
            frame = self.workspace.store.samples.frame(frame_id)
            ids: list[str] = []
            self.workspace.estimate(frame, model, download_progress(progress, model))
            yield self._so_far(ids, request)
            for sample in self.workspace.generate(frame, request):
                ids.append(sample.id)
                yield self._so_far(ids, request)
        except BlurdepthError as error:
            yield html.notice(str(error)), *(gr.skip() for _ in range(4))

    def _so_far(self, ids: list[str], request: GenerationRequest) -> tuple[Any, ...]:
        status = html.bar(len(ids) / request.variants, f"{len(ids)} of {request.variants} variants") + self._hint(ids)
        onward = gr.update(visible=bool(ids), value=f"{len(ids)} variants: look through them")
        return status, self.cards(ids) if ids else _NO_VARIANTS, list(ids), request.seed, onward

    def _hint(self, ids: list[str]) -> str:
        """Say so where the prompt wanted objects to move and none could be told apart."""
        made = [self.workspace.store.samples.sample(each).provenance for each in ids]
        wanted = any(parse_prompt(each["prompt"], each["negative"]).condition.object_speed_mps for each in made)
        if not wanted or any(each["condition"]["object_speed_mps"] for each in made):
            return ""
        return html.notice(
            "No car or person could be told apart in the depth of this frame, so the camera moves instead. "
            "A better depth model may find them."
        )

    def cards(self, ids: list[str], selected: str = "") -> str:
        """The variants as a grid, each with its blur in a word."""
        samples = [self.workspace.store.samples.sample(sample_id) for sample_id in ids]
        return html.grid((self._card(sample, place, len(ids)) for place, sample in enumerate(samples, 1)), selected)

    def refresh(self, shown: list[str], selected: str) -> Any:
        """The variants with what was decided about them elsewhere."""
        return self.cards(shown, selected) if shown else gr.skip()

    def _card(self, sample: Sample, place: int, number: int) -> html.Card:
        blur = f"blur {sample.scores.get('blur_px', 0):.0f} px"
        title = f"Variant {place} of {number}, {blur}, {sample.status}, seed {sample.provenance['seed']}"
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

    def remember(self, memory: dict[str, Any], *values: Any) -> dict[str, Any]:
        """Keep in this browser what a reload should bring back."""
        names = ("frame_id", "prompt", "negative", "model", "shown")
        return {**memory, **dict(zip(names, values, strict=True))}

    def restore(self, memory: dict[str, Any], frame_id: str) -> tuple[Any, ...]:
        """Bring back what this browser remembers, unless a frame has come in the meantime.

        Returns:
            Values for frame_id, prompt, negative, model, shown, variants, onward.
        """
        frame = self._remembered_frame(memory)
        if frame_id or "prompt" not in memory:
            return tuple(gr.skip() for _ in range(7))
        shown = [each for each in memory["shown"] if frame and self._is_of(each, frame.id)]
        return (
            frame.id if frame else "",
            memory["prompt"],
            memory["negative"],
            memory["model"],
            shown,
            self.cards(shown) if shown else _NO_VARIANTS,
            gr.update(visible=bool(shown), value=f"{len(shown)} variants: look through them"),
        )

    def _is_of(self, sample_id: str, frame_id: str) -> bool:
        samples = self.workspace.store.samples
        return samples.has_sample(sample_id) and samples.sample(sample_id).frame_id == frame_id

    def _remembered_frame(self, memory: dict[str, Any]) -> Frame | None:
        try:
            return self.workspace.store.samples.frame(str(memory.get("frame_id") or ""))
        except BlurdepthError:
            return None
