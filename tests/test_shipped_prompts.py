"""The prompts that ship are understood, and show all that can be shown."""

from dataclasses import asdict
from pathlib import Path

import pytest

from blurdepth.errors import InputError
from blurdepth.prompts import SHIPPED_BOOK, BookPrompt, lexicon, load_prompt_book, parse_prompt
from blurdepth.weather import KINDS

BOOK_ENTRIES = load_prompt_book(SHIPPED_BOOK)
_HARMLESS = """
blanketing neon lights lamps headlights sky details focus school empty icy low early morning park footage busy
winter autumn summer spring asphalt gravel mountain coastal residential station harbour cobbled after
"""
HARMLESS = frozenset(_HARMLESS.split())
"""Words of the book that a person reads and the simulator can't show."""


def test_the_book_covers_every_kind_of_weather_and_every_actor() -> None:
    assert len(BOOK_ENTRIES) >= 40
    assert len({entry.name.casefold() for entry in BOOK_ENTRIES}) == len(BOOK_ENTRIES)
    readings = [parse_prompt(entry.prompt, entry.negative) for entry in BOOK_ENTRIES]
    shown = {kind for reading in readings for kind, strength in asdict(reading.condition.weather).items() if strength}
    assert shown == set(KINDS)
    meanings = " ".join(term.meaning for reading in readings for term in reading.understood)
    assert {name for name, _ in lexicon.ACTORS.values() if name not in meanings} == set()
    assert {reading.condition.direction for reading in readings} == {None, "left", "right", "oncoming"}
    for name in ("pan_deg", "shake", "camera_speed_mps", "object_speed_mps"):
        assert sum(bool(getattr(reading.condition, name)) for reading in readings) >= 4


@pytest.mark.parametrize("entry", BOOK_ENTRIES, ids=lambda entry: entry.name)
def test_each_prompt_of_the_book_is_understood_and_moves(entry: BookPrompt) -> None:
    reading = parse_prompt(entry.prompt, entry.negative)
    assert reading.condition.moves
    assert entry.negative
    assert len(reading.understood) >= 2
    assert not any(term.meaning.startswith("assumed") for term in reading.understood)
    left = {word for words in reading.ignored for word in words.split()}
    assert left <= lexicon.SCENES | HARMLESS, left - lexicon.SCENES - HARMLESS


def test_the_prompts_of_the_paper_are_in_the_book() -> None:
    pairs = {(entry.prompt, entry.negative) for entry in BOOK_ENTRIES}
    assert ("Hazardous smog blanketing city streets with motion blur", "Static cars, sharp car details") in pairs


def test_a_broken_prompt_book_is_named(tmp_path: Path) -> None:
    (tmp_path / "book.json").write_text('[{"name": "x"}]')
    with pytest.raises(InputError, match=r"book\.json"):
        load_prompt_book(tmp_path / "book.json")
