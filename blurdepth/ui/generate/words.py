"""The words: prompt book, prompt, negative prompt, and what of them was understood."""

from __future__ import annotations

import random
from html import escape
from typing import Any

import gradio as gr

from blurdepth.errors import InputError
from blurdepth.prompts import SHIPPED_BOOK, load_prompt_book
from blurdepth.store.records import BookEntry
from blurdepth.ui.chips import condition_chips, read
from blurdepth.ui.shared import LIGHT, told
from blurdepth.workspace import Workspace


class Words:
    """The components and handlers of the words.

    Args:
        workspace: keeps what people change in the prompt book.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.prompts = workspace.store.prompts
        self.shipped = load_prompt_book(SHIPPED_BOOK)
        first = self.shipped[0]
        with gr.Row(elem_classes="bd-center"):
            self.entry = gr.Dropdown(
                self._names(), value=first.name, label="Prompt book", scale=3, min_width=160, elem_id="prompt-book"
            )
            self.dice = gr.Button("Surprise me", size="sm", scale=1, min_width=110)
        self.prompt = gr.Textbox(first.prompt, label="Prompt", lines=2, elem_id="prompt")
        self.negative = gr.Textbox(
            first.negative, label="Negative prompt: what should not be seen", lines=1, elem_id="negative"
        )
        self.reading = condition_chips(first.prompt, first.negative)
        self._lay_out_book(first.name)

    def _lay_out_book(self, name: str) -> None:
        with gr.Accordion("Change the prompt book", open=False):
            self.name = gr.Textbox(name, label="Name", elem_id="book-name")
            with gr.Row():
                self.keep = gr.Button("Keep these words", size="sm", elem_id="book-keep")
                self.remove = gr.Button("Remove", size="sm", elem_id="book-remove")
            self.restorable = gr.Dropdown(
                self._restorable(), value=None, label="Bring back as it was shipped", elem_id="book-restore"
            )

    @property
    def all(self) -> list[gr.components.Component]:
        """What decides the condition."""
        return [self.prompt, self.negative, self.reading]

    @property
    def asked(self) -> list[gr.components.Component]:
        """What `understand` takes."""
        return [self.prompt, self.negative, self.entry, self.reading]

    @property
    def said(self) -> list[gr.components.Component]:
        """What `understand` gives values for."""
        return [self.reading, self.entry, self.name]

    def connect(self) -> None:
        """Connect the handlers."""
        words, book = [self.prompt, self.negative], [self.entry, self.restorable]
        # What changes while an answer is under way is asked once that is there, and all that hears the change is asked
        # anew: two who ask the app at one change would start each other for ever.
        for box in words:
            box.change(self.understand, self.asked, self.said, **LIGHT)
        self.entry.focus(lambda: gr.update(choices=self._names()), None, self.entry, **LIGHT)
        chosen_by_chance = self.dice.click(told(self.any_entry), None, self.entry, **LIGHT)
        self.entry.input(told(self.turn_to), self.entry, [*words, self.name], **LIGHT)
        chosen_by_chance.then(told(self.turn_to), self.entry, [*words, self.name], **LIGHT)
        self.restorable.input(told(self.restore), self.restorable, [*book, *words, self.name], **LIGHT)
        self.keep.click(told(self.keep_words), [self.name, *words], book, **LIGHT)
        self.remove.click(told(self.remove_entry), self.name, book, **LIGHT)

    def turn_to(self, name: str) -> tuple[str, str, str]:
        """Prompt, negative prompt and name of an entry."""
        entry = next((each for each in self._entries() if each.name == name), None)
        if entry is None:
            raise InputError(f"{name!r} is not in the prompt book any more: choose another.")
        return entry.prompt, entry.negative, entry.name

    def understand(self, prompt: str, negative: str, entry: str | None, *known: str) -> tuple[Any, ...]:
        """Values for `said`: a `known` reading that is of these words, or a new one, and the entry that has them.

        Of several it is the one turned to; where none has them, there is none, and its name stays.
        """
        names = [each.name for each in self._entries() if (each.prompt, each.negative) == (prompt, negative)]
        name = entry if entry in names else next(iter(names), None)
        turned = gr.update(choices=self._names(), value=name)
        return read(prompt, negative, *known), turned, gr.skip() if name is None else name

    def any_entry(self) -> Any:
        """One of the entries, which may have come since the page was loaded."""
        names = self._names()
        if not names:
            raise InputError("The prompt book is empty: bring an entry back, or keep words of your own.")
        return gr.update(choices=names, value=random.choice(names))

    def keep_words(self, name: str, prompt: str, negative: str) -> tuple[Any, ...]:
        """Keep the words under a name: a new entry, or other words for one that is there."""
        known = {" ".join(each.split()).casefold() for each in self._names()}
        there = " ".join(name.split()).casefold() in known
        entry = (self.prompts.change if there else self.prompts.add)(self.shipped, name, prompt, negative)
        gr.Info(escape(f"Kept as {entry.name}.", quote=False))
        return self._book(entry.name)

    def remove_entry(self, name: str) -> tuple[Any, ...]:
        """Take an entry out of the book; the words stay in their boxes."""
        self.prompts.remove(self.shipped, name)
        gr.Info(escape(f"{name} is removed.", quote=False))
        return self._book(None)

    def restore(self, name: str) -> tuple[Any, ...]:
        """Bring back an entry as it was shipped, and turn to it."""
        entry = self.prompts.restore(self.shipped, name)
        return *self._book(entry.name), *self.turn_to(entry.name)

    def _entries(self) -> list[BookEntry]:
        return self.prompts.entries(self.shipped)

    def _names(self) -> list[str]:
        return [entry.name for entry in self._entries()]

    def _restorable(self) -> list[str]:
        changed = [entry.name for entry in self._entries() if entry.origin == "changed"]
        return [*self.prompts.removed(self.shipped), *changed]

    def _book(self, name: str | None) -> tuple[Any, ...]:
        choices = gr.update(choices=self._names(), value=name)
        return choices, gr.update(choices=self._restorable(), value=None)
