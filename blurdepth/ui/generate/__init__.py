"""Tab 1: a sharp frame in, blurred and adverse variants of it out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from blurdepth.diffusion import PaintStep
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.generation import MAX_VARIANTS, GenerationRequest, generate_steps
from blurdepth.shutter import Shape
from blurdepth.store.records import Frame
from blurdepth.ui import html
from blurdepth.ui.chips import chosen_condition, read
from blurdepth.ui.editor import chosen_setup
from blurdepth.ui.generate.backend import Backend
from blurdepth.ui.generate.clip import ClipInput
from blurdepth.ui.generate.frame import FrameDesk, FrameInput
from blurdepth.ui.generate.results import Results
from blurdepth.ui.generate.words import Words
from blurdepth.ui.shared import HEAVY, LIGHT, download_progress, told
from blurdepth.workspace import Workspace

# On a phone the results lie below the form: bring them into view. What it returns is what the handler gets.
_LOOK_AT_RESULTS = """(...asked) => {
  if (innerWidth < 700) document.getElementById('generate-status')?.scrollIntoView();
  return asked;
}"""
# While it works there is no second start, but a cancel. Said by the page itself, so that the work needn't wait for it.
_BEGIN = """() => [false, false, true].map(interactive => ({interactive, __type__: 'update'}))"""
# By the page itself: what was changed just before a reload is kept, and no two answers overtake each other.
_REMEMBER = """(memory, prompt, negative, reading, model, finder, editor, ...painting) => {
  // The editor is empty while there is no depth: what was set is remembered until there is.
  const setup = JSON.parse(editor).setup || memory.setup || '';
  return {...memory, prompt, negative, reading, model, finder, setup, painting};
}"""


def read_seed(typed: str) -> int:
    """The seed that was typed, or one by chance where nothing was.

    >>> read_seed(" 7 ")
    7

    Raises:
        InputError: it is no whole number.
    """
    if not typed.strip():
        return random.randrange(10**6)
    try:
        return int(typed)
    except ValueError as error:
        raise InputError(f"The seed is {typed[:40]!r}: give a whole number, or leave it empty.") from error


class GenerateTab:
    """The components and handlers of this tab.

    Args:
        workspace: the data folder.
        memory: what this browser remembers: here words, models, who moves, and what paints. Frame and variants are
            kept by the browser on their own.
    """

    def __init__(self, workspace: Workspace, memory: gr.BrowserState) -> None:
        self.workspace = workspace
        self.memory = memory
        gr.Markdown("Bring a sharp frame, and say in words what the weather is and what moves.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self.input = FrameInput(workspace)
                self.clip = ClipInput(workspace)
                self.words = Words(workspace)
                self._lay_out_start()
            with gr.Column(scale=3, min_width=320):
                self.desk = FrameDesk(workspace)
                self.results = Results(workspace)
        self._connect_making()
        self._connect_frame()
        self._connect_memory()

    def _lay_out_start(self) -> None:
        self.number = gr.Slider(1, MAX_VARIANTS, value=4, step=1, label="Variants")
        self.backend = Backend(self.workspace, self.input.frame_id)
        with gr.Row():
            self.start = gr.Button("Generate", variant="primary", scale=3, elem_id="generate")
            self.cancel = gr.Button("Cancel", scale=1, min_width=90, interactive=False, elem_id="cancel")
        self.backend.lay_out_settings()
        with gr.Accordion("Seed and models", open=False):
            # A gr.Number that is empty turns to 0 as soon as the accordion is opened.
            self.seed = gr.Textbox("", label="Seed: empty for a new one each time", max_lines=1)
            self.input.lay_out_models()

    def _connect_making(self) -> None:
        results, buttons, model = self.results, [self.start, self.clip.start, self.cancel], self.input.model
        desk = [self.desk.notice, self.desk.editor]
        self.looked_at = [self.input.frame_id, model, self.input.finder, self.memory]
        frame_id, models, shown = self.input.frame_id, [model, self.input.finder], results.made
        asked = [frame_id, *self.words.all, self.desk.editor, self.number, self.seed, *models, *self.backend.all]
        for start in (self.start, self.clip.start):
            start.click(None, None, buttons, js=_BEGIN)
        # Gradio would take what was cancelled for still under way, and not start it once more.
        again: dict[str, Any] = {**HEAVY, "trigger_mode": "multiple"}
        self.made = self.start.click(
            told(self.generate), asked, shown, js=_LOOK_AT_RESULTS, show_progress_on=[results.status], **again
        )
        self.ended = self.made.then(self.end, None, buttons, **LIGHT)
        self.blended = self.clip.start.click(self.blend, [*self.clip.asked, model], [frame_id, *shown], **again)
        # The frame in the middle of the exposure is the one to go on with.
        self.blended.then(self.end, None, buttons, **LIGHT).then(self.desk.show, self.looked_at, desk, **HEAVY)
        for work in (self.made, self.blended):
            work.failure(self.end, None, buttons, **LIGHT)
        ongoing = [self.made, self.blended]
        told_so = [results.status, *buttons]
        stopping = self.cancel.click(self.cancelled, None, told_so, cancels=ongoing, **LIGHT)
        # A step that was under way may report once more after the first answer; the second one stands.
        stopping.then(self.cancelled, None, told_so, **LIGHT)

    def _connect_frame(self) -> None:
        desk, model = [self.desk.notice, self.desk.editor], self.input.model
        panel = [self.input.upload, self.input.frame_id, *desk, *self.results.all]
        # A new frame ends what is being made of the old one.
        ongoing = [self.made, self.blended, *self.results.repaired]
        for event in (
            self.input.upload.upload(self.take_upload, self.input.upload, panel, cancels=ongoing, **LIGHT),
            self.input.examples.click(self.take_example, None, panel, cancels=ongoing, **LIGHT),
        ):
            event.then(self.end, None, [self.start, self.clip.start, self.cancel], **LIGHT).then(
                self.desk.show, self.looked_at, desk, **HEAVY
            )
        for choice in (model, self.input.finder):
            choice.change(self.desk.show, self.looked_at, desk, **HEAVY)

    def _connect_memory(self) -> None:
        words, models = self.words, [self.input.model, self.input.finder]
        known = [self.memory, *words.all, *models, self.desk.editor, *self.backend.all]
        by_hand = [words.prompt.blur, words.negative.blur, words.reading.edit, self.desk.editor.edit, self.start.click]
        by_hand += [*(choice.input for choice in models), *self.backend.by_hand]
        gr.on(by_hand, None, known, self.memory, js=_REMEMBER)
        for filled_in in (*words.turned, self.input.suggested, self.backend.switched):
            filled_in.then(None, known, self.memory, js=_REMEMBER)

    def take_upload(self, path: str | None) -> tuple[Any, ...]:
        """Keep the uploaded file as a frame and show it as it was understood, or say why it can't be used."""
        return self._take(lambda: self.input.keep_upload(path))

    def take_example(self, event: gr.EventData) -> tuple[Any, ...]:
        """Keep an example frame."""
        return self._take(lambda: self.input.keep_example(event))

    def _take(self, keep: Callable[[], Frame]) -> tuple[Any, ...]:
        try:
            frame = keep()
        except BlurdepthError as error:
            return None, "", *self.desk.instead(html.notice(str(error))), *self.results.nothing()
        return None, frame.id, *self.desk.estimating(frame), *self.results.nothing()

    def _request(
        self,
        frame_id: str,
        prompt: str,
        negative: str,
        reading: str,
        editor: str,
        number: int,
        seed: str,
        *made_by: Any,
    ) -> GenerationRequest:
        """What is asked, as it stands on the page."""
        if not frame_id:
            raise InputError("There is no frame yet: drop a picture, or press one of the examples.")
        model, finder, *painting = made_by
        frame = self.workspace.store.samples.frame(frame_id)
        request = GenerationRequest(
            prompt,
            negative,
            int(number),
            read_seed(seed),
            model=model,
            condition=chosen_condition(reading),
            setup=self.workspace.setup(frame_id, chosen_setup(editor)),
            finder=finder,
            **self.backend.chosen(*painting),
        )
        request.check_frame(frame)
        return request

    def end(self) -> tuple[Any, ...]:
        """Afterwards there is a start again, and no cancel."""
        on = gr.update(interactive=True)
        return on, on, gr.update(interactive=False)

    def cancelled(self) -> tuple[Any, ...]:
        """Say what becomes of what was made."""
        return html.notice("Cancelled. The variants that were finished are kept."), *self.end()

    def generate(
        self,
        frame_id: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        *asked: Any,
    ) -> Iterator[tuple[Any, ...]]:
        """Make the variants, each shown as soon as it is kept."""
        request = self._request(frame_id, *asked)
        try:
            frame = self.workspace.store.samples.frame(frame_id)
            ids: list[str] = []
            self.workspace.estimate(frame, request.model, download_progress(progress, request.model))
            yield self.results.so_far(ids, request.variants)
            if request.paints:
                self.workspace.painter(request.painters, download_progress(progress, request.painters.base))
            for each in generate_steps(self.workspace, frame, request):
                if isinstance(each, PaintStep):
                    yield self.results.painting(ids, request.variants, each)
                    continue
                ids.append(each.id)
                yield self.results.so_far(ids, request.variants, self._hint(ids))
        except BlurdepthError as error:
            yield html.notice(str(error)), *(gr.skip() for _ in self.results.made[1:])

    def blend(
        self,
        paths: list[str] | None,
        first: int,
        length: int,
        shape: Shape,
        align: bool,
        model: str,
    ) -> Iterator[tuple[Any, ...]]:
        """Blend the clip, and show the blurred frame like a variant."""
        unchanged = tuple(gr.skip() for _ in self.results.made[1:])
        try:
            for step in self.clip.blend(paths, first, length, shape, align, model):
                yield gr.skip(), html.bar(step.done / step.total, step.words), *unchanged
                if step.sample is not None:
                    yield step.sample.frame_id, *self.results.so_far([step.sample.id], 1)
        except BlurdepthError as error:
            yield gr.skip(), html.notice(str(error)), *unchanged

    def _hint(self, ids: list[str]) -> str:
        """Say so where the prompt wanted objects to move and none could be told apart."""
        made = [self.workspace.store.samples.sample(each).provenance for each in ids]
        if not any(each.get("camera_instead") for each in made):
            return ""
        return html.notice(
            "No car or person could be told apart in this frame, so the camera moves instead. "
            "Click or paint what should move in the frame above."
        )

    @property
    def kept(self) -> list[Any]:
        """The frame and the variants last made, which the browser keeps on its own."""
        return [self.input.frame_id, self.results.shown]

    @property
    def restored(self) -> list[Any]:
        """What `restore` gives values for."""
        words, models = [self.words.prompt, self.words.negative], [self.input.model, self.input.finder]
        return [*self._frame_and_variants, *words, *models, *self.backend.all]

    @property
    def _frame_and_variants(self) -> list[Any]:
        return [self.input.frame_id, *self.results.made[1:]]

    def restore(self, memory: dict[str, Any], frame_id: str, shown: list[str]) -> tuple[Any, ...]:
        """Bring back what this browser remembers, but a frame and variants that are no longer there."""
        chosen = [memory.get(name, gr.skip()) for name in ("prompt", "negative", "model", "finder")]
        painting = memory.get("painting") or [gr.skip() for _ in self.backend.all]
        return *self._restored_frame(frame_id, shown), *chosen, *painting

    def _restored_frame(self, frame_id: str, shown: list[str]) -> tuple[Any, ...]:
        """Frame and variants; nothing is said where there were none, as a frame may have come in the meantime."""
        if not frame_id:
            return tuple(gr.skip() for _ in self._frame_and_variants)
        there = self.workspace.store.samples.has_frame(frame_id)
        kept = [each for each in shown if there and self.results.is_of(each, frame_id)]
        return gr.skip() if there else "", *self.results.of(kept)

    def read_again(self, memory: dict[str, Any], prompt: str, negative: str, shown: str) -> str:
        """What to show for the words that stand there once the page is back: as it was left, if that was of them."""
        return read(prompt, negative, memory.get("reading", "{}"), shown)
