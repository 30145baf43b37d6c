"""From words to a condition: what a prompt asks for, which words were understood, and which were not."""

from __future__ import annotations

import json
import re
import reprlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from blurdepth.errors import InputError
from blurdepth.prompts.condition import Condition
from blurdepth.prompts.reader import Reader
from blurdepth.prompts.reading import Reading, Term

__all__ = ["BookPrompt", "Condition", "Reading", "Term", "check_prompt", "load_prompt_book", "parse_prompt"]

MAX_CHARACTERS = 1000
EXAMPLE = '"dense fog at night, fast cars to the right, motion blur"'


@dataclass(frozen=True)
class BookPrompt:
    """One entry of the prompt book."""

    name: str
    prompt: str
    negative: str


SHIPPED_BOOK = Path(__file__).resolve().parents[2] / "assets" / "prompts.json"
"""The prompt book of the project."""


def load_prompt_book(path: str | Path) -> tuple[BookPrompt, ...]:
    """Read a prompt book: a JSON list of objects with name, prompt and negative.

    Raises:
        InputError: the file can't be read or isn't such a list, or a prompt in it is refused.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        book = tuple(BookPrompt(str(e["name"]), str(e["prompt"]), str(e["negative"])) for e in entries)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"The prompt book {path} can't be read ({error!r}): mend or remove it.") from error
    for entry in book:
        check_prompt(entry.prompt, f"prompt {entry.name!r}")
    return book


def check_prompt(text: object, what: str = "prompt") -> None:
    """Refuse what can't be a prompt.

    Args:
        text: what was typed, or what an endpoint was sent.
        what: how messages call it.

    Raises:
        InputError: it isn't text, is blank or too long, has markup or control characters.
    """
    _check_text(text, what)
    if not str(text).strip():
        raise InputError(f"The {what} is empty: say what the weather is and what moves, such as {EXAMPLE}.")


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"The {what} is {reprlib.repr(text)}, not text: use words such as {EXAMPLE}.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"The {what} has {len(text):,} characters: use at most {MAX_CHARACTERS:,}.")
    # A "<" before a number or a space is a comparison.
    markup = re.search(r"<[a-zA-Z/!][^<>]*>?", text)
    if markup:
        raise InputError(f"The {what} has markup ({markup[0][:40]}): a prompt is plain words; remove the tags.")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t":
            raise InputError(f"The {what} has the control character U+{ord(character):04X}: remove it.")


def parse_prompt(prompt: str, negative: str = "") -> Reading:
    """Read a prompt and its negative.

    A prompt that asks for no motion gets a moderate one, as everything made here is motion-blurred; the
    reading says so in a term. What was asked to stand still does so.

    >>> [term.label for term in parse_prompt("light fog, cars at 50 km/h to the left").understood]
    ['fog 0.3', 'cars 13.9 m/s to the left']

    Raises:
        InputError: `check_prompt` refuses the prompt or, for more than being blank, the negative; or nothing in
            the prompt is understood, or everything is to stand still.
    """
    check_prompt(prompt)
    _check_text(negative, "negative prompt")
    reader = Reader()
    reader.read(prompt, wanted=True)
    if not reader.anything:
        shown = " ".join(prompt.split())[:60]
        raise InputError(f"Nothing in the prompt {shown!r} is understood: use words such as {EXAMPLE}.")
    reader.read(negative, wanted=False)
    return reader.reading()
