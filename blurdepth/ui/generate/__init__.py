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
from blurdepth.ui.chips import chosen_condition
from blurdepth.ui.editor import chosen_setup
from blurdepth.ui.generate.backend import Backend
from blurdepth.ui.generate.clip import ClipInput
from blurdepth.ui.generate.frame import FrameDesk, FrameInput
from blurdepth.ui.generate.results import Results
from blurdepth.ui.generate.words import Words
from blurdepth.ui.generate.work import Work, offer
from blurdepth.ui.shared import HEAVY, LIGHT, browser_state, download_progress, limits, told
from blurdepth.workspace import Workspace

# On a phone the results lie below the form: bring them into view. What it returns is what the handler gets.
_LOOK_AT_RESULTS = """(...asked) => {
  if (innerWidth < 700) document.getElementById('generate-status')?.scrollIntoView();
  return asked;
}"""
# While it works there is no second start, but a cancel. Said by the page itself, so that the work needn't wait for it.
# What was said of a refused file is over.
_BEGIN = """() => ['', ...[false, false, false, false, true].map(interactive => ({interactive, __type__: 'update'}))]"""


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
        memory: what this browser remembers: here words, number, seed, models, who moves, and what paints. Only the page
            writes it; frame and variants, which the app writes, are kept as a value of their own.
    """

    def __init__(self, workspace: Workspace, memory: gr.BrowserState) -> None:
        self.workspace = workspace
        self.memory, self.work = memory, browser_state("blurdepth-work", {})
        gr.Markdown("Bring a sharp frame, and say in words what the weather is and what moves.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self.input = FrameInput(workspace)
                self.clip = ClipInput(workspace)
                self.words = Words(workspace)
                self._lay_out_start()
            with gr.Column(scale=3, min_width=320):
                self.desk = FrameDesk(workspace, self.work)
                self.results = Results(workspace, self.work)
        self._connect_memory()
        for part in (self.words, self.input, self.backend):
            part.connect()
        self._connect_making()
        self._connect_frame()

    def _lay_out_start(self) -> None:
        self.number = gr.Slider(1, MAX_VARIANTS, value=4, step=1, label="Variants")
        self.backend = Backend(self.workspace, self.work)
        with gr.Row():
            self.start = gr.Button("Generate", variant="primary", scale=3, elem_id="generate")
            self.cancel = gr.Button("Cancel", scale=1, min_width=90, interactive=False, elem_id="cancel")
        self.backend.lay_out_settings()
        with gr.Accordion("Seed and models", open=False):
            # A gr.Number that is empty turns to 0 as soon as the accordion is opened.
            self.seed = gr.Textbox("", label="Seed: empty for a new one each time", max_lines=1)
            self.input.lay_out_models()

    @property
    def buttons(self) -> list[gr.Button]:
        """What is there before a start, and the cancel."""
        return [self.start, self.clip.start, self.results.repair, self.results.repair_all, self.cancel]

    def _connect_making(self) -> None:
        results, buttons, model = self.results, self.buttons, self.input.model
        models = [model, self.input.finder]
        # By keyword, as several events ask for it: the frame as the chosen models see it.
        self.look: dict[str, Any] = {
            "fn": self.desk.show,
            "inputs": [self.work, *models, self.memory],
            "outputs": self.desk.offered,
            "show_progress_on": [self.desk.notice, self.desk.editor],
            "trigger_mode": "always_last",
        }
        asked = [self.work, *self.words.all, self.desk.editor, self.number, self.seed, *models, *self.backend.all]
        for start in (self.start, self.clip.start):
            start.click(None, None, [self.input.notice, *buttons], js=_BEGIN)
        # Gradio would take what was cancelled for still under way, and not start it once more.
        again: dict[str, Any] = {**HEAVY, "trigger_mode": "multiple", "show_progress_on": [results.status]}
        self.made = self.start.click(told(self.generate), asked, results.offered, js=_LOOK_AT_RESULTS, **again)
        self.ended = self.made.then(self.end, None, buttons, **LIGHT)
        clip = [self.work, *self.clip.asked, model]
        self.blended = self.clip.start.click(self.blend, clip, results.offered, **again)
        # The frame in the middle of the exposure is the one to go on with.
        self.blended.then(self.end, None, buttons, **LIGHT).then(**self.look, **HEAVY)
        for event in (self.made, self.blended):
            event.failure(self.end, None, buttons, **LIGHT)
        ongoing = [self.made, self.blended]
        # A start is off until Gradio has ended what is being made, and asks for `end`: it would end the new one, too.
        told_so = [results.status, self.cancel]
        stopping = self.cancel.click(self.cancelled, None, told_so, cancels=ongoing, **LIGHT)
        # A step that was under way may report once more after the first answer; the second one stands.
        stopping.then(self.cancelled, None, told_so, **LIGHT)

    def _connect_frame(self) -> None:
        panel = [*self.input.taken, self.desk.notice, self.desk.editor, *self.results.cleared]
        self.input.upload.upload(self.take_upload, self.input.upload, panel, **LIGHT)
        self.input.examples.click(self.take_example, None, panel, **LIGHT)
        # A new frame ends what is being made of the old one; a file that is refused doesn't.
        ongoing = [self.made, self.blended, *self.results.repaired]
        self.input.came.change(None, js="() => []", cancels=ongoing).then(**self.look, **HEAVY)
        for choice in (self.input.model, self.input.finder):
            choice.change(**self.look, **HEAVY)

    def _connect_memory(self) -> None:
        choices, reading = [*self._choices.values()], self.words.reading
        can_be = limits(self._choices)
        known = [self.memory, reading, self.desk.editor, *choices]
        changes = [reading.edit, reading.change, self.desk.editor.edit, *(choice.change for choice in choices)]
        # Before all others: Gradio goes through what hears a change one after the other, waiting for the app's answers.
        gr.on(changes, None, known, self.memory, js=f"blurdepthMemory.remember({can_be})")
        self.remembered = [self.memory, *choices]
        self.recall = f"blurdepthMemory.recall({can_be})"

    @property
    def _choices(self) -> dict[str, gr.components.Component]:
        """What is chosen, by the names under which the browser remembers it."""
        return {
            "prompt": self.words.prompt,
            "negative": self.words.negative,
            "variants": self.number,
            "seed": self.seed,
            "model": self.input.model,
            "finder": self.input.finder,
            **self.backend.by_name,
        }

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
            stays = (gr.skip() for _ in (self.desk.notice, self.desk.editor, *self.results.cleared))
            return *self.input.refused(str(error)), *stays
        work = Work.taking(frame)
        return *self.input.accepted(work), *self.desk.estimating(frame), *self.results.nothing(work)

    def _request(
        self,
        frame: Frame,
        prompt: str,
        negative: str,
        reading: str,
        editor: str,
        number: int,
        seed: str,
        *made_by: Any,
    ) -> GenerationRequest:
        """What is asked, as it stands on the page."""
        model, finder, *painting = made_by
        request = GenerationRequest(
            prompt,
            negative,
            int(number),
            read_seed(seed),
            model=model,
            condition=chosen_condition(reading),
            setup=self.workspace.setup(frame.id, chosen_setup(editor)),
            finder=finder,
            **self.backend.chosen(*painting),
        )
        request.check_frame(frame)
        return request

    def end(self) -> tuple[Any, ...]:
        """Values for `buttons`: afterwards there is a start again, and no cancel."""
        on = gr.update(interactive=True)
        return on, on, on, on, gr.update(interactive=False)

    def cancelled(self) -> tuple[Any, ...]:
        """Say what becomes of what was made."""
        said = "Cancelled. The variants that were finished are kept: the last one may be in Curate only."
        return html.notice(said), gr.update(interactive=False)

    def generate(
        self,
        kept: object,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        *asked: Any,
    ) -> Iterator[str]:
        """Make the variants, each shown as soon as it is kept."""
        work = Work.read(self.workspace, kept).showing([])
        frame = work.required_frame()
        request = self._request(frame, *asked)
        number = request.variants
        try:
            self.workspace.estimate(frame, request.model, download_progress(progress, request.model))
            # The variants before stay until there is one to take their place.
            yield offer(kept, None, self.results.so_far(0, number))
            if request.paints:
                self.workspace.painter(request.painters, download_progress(progress, request.painters.base))
            for each in generate_steps(self.workspace, frame, request):
                if isinstance(each, PaintStep):
                    yield offer(kept, None, self.results.painting(len(work.shown), number, each))
                    continue
                work = work.showing([*work.shown, each.id])
                said = self.results.so_far(len(work.shown), number) + self._hint(work)
                yield offer(kept, work.to_json(), said)
        except BlurdepthError as error:
            yield offer(kept, None, html.notice(str(error)))

    def blend(
        self,
        kept: object,
        paths: list[str] | None,
        first: int,
        length: int,
        shape: Shape,
        align: bool,
        model: str,
    ) -> Iterator[str]:
        """Blend the clip, and show the blurred frame like a variant."""
        try:
            for step in self.clip.blend(paths, first, length, shape, align, model):
                yield offer(kept, None, html.bar(step.done / step.total, step.words))
                if step.sample is not None:
                    frame = self.workspace.store.samples.frame(step.sample.frame_id)
                    yield offer(kept, Work.taking(frame, [step.sample.id]).to_json(), self.results.so_far(1, 1))
        except BlurdepthError as error:
            yield offer(kept, None, html.notice(str(error)))

    def _hint(self, work: Work) -> str:
        """Say so where the prompt wanted objects to move and none could be told apart."""
        made = [self.workspace.store.samples.sample(each).provenance for each in work.shown]
        if not any(each.get("camera_instead") for each in made):
            return ""
        return html.notice(
            "No car or person could be told apart in this frame, so the camera moves instead. "
            "Click or paint what should move in the frame above."
        )

    def read_again(
        self, memory: dict[str, Any], prompt: str, negative: str, entry: str | None, shown: str
    ) -> tuple[Any, ...]:
        """What the words say that stand there once the page is back: as it was left, if that was of them."""
        return self.words.understand(prompt, negative, entry, memory["reading"], shown)
