"""The words: prompt book, prompt, negative prompt, and what of them was understood."""

from __future__ import annotations

import random

import gradio as gr

from blurdepth.prompts import load_prompt_book
from blurdepth.ui.chips import condition_chips, read
from blurdepth.ui.shared import ASSETS, LIGHT


class Words:
    """The components and handlers of the words."""

    def __init__(self) -> None:
        self.book = {entry.name: entry for entry in load_prompt_book(ASSETS / "prompts.json")}
        first = next(iter(self.book.values()))
        with gr.Row(elem_classes="bd-center"):
            self.entry = gr.Dropdown(list(self.book), value=first.name, label="Prompt book", scale=3, min_width=160)
            self.dice = gr.Button("Surprise me", size="sm", scale=1, min_width=110)
        self.prompt = gr.Textbox(first.prompt, label="Prompt", lines=2, elem_id="prompt")
        self.negative = gr.Textbox(first.negative, label="Negative prompt: what should not be seen", lines=1)
        self.reading = condition_chips(first.prompt, first.negative)
        self._connect()

    @property
    def all(self) -> list[gr.components.Component]:
        """What decides the condition."""
        return [self.prompt, self.negative, self.reading]

    def _connect(self) -> None:
        words = [self.prompt, self.negative]
        for box in words:
            box.change(read, self.all, self.reading, trigger_mode="always_last", **LIGHT)
            box.input(lambda: None, None, self.entry, **LIGHT)
        self.entry.input(self.turn_to, self.entry, words, **LIGHT)
        self.dice.click(lambda: random.choice(list(self.book)), None, self.entry, **LIGHT).then(
            self.turn_to, self.entry, words, **LIGHT
        )

    def turn_to(self, name: str) -> tuple[str, str]:
        """Take prompt and negative prompt out of the book."""
        return self.book[name].prompt, self.book[name].negative
