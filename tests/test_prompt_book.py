"""The prompt book: shipped entries with people's own and their changes, in one list."""

import sqlite3
from pathlib import Path

import pytest

from blurdepth.errors import ConflictError, InputError, NotFoundError
from blurdepth.prompts import BookPrompt
from blurdepth.store import Store
from blurdepth.store.prompt_book import MAX_NAME, MAX_OWN, PromptBook
from blurdepth.store.records import BookEntry

SHIPPED = (
    BookPrompt("Dense fog", "dense fog, cars", "static cars"),
    BookPrompt("Night drive", "night, driving", "static cars"),
)


@pytest.fixture
def book(tmp_path: Path) -> PromptBook:
    return Store(tmp_path / "blurdepth.db").prompts


def listed(book: PromptBook) -> list[tuple[str, str]]:
    return [(entry.name, entry.origin) for entry in book.entries(SHIPPED)]


def test_an_untouched_book_is_the_shipped_one(book: PromptBook) -> None:
    assert book.entries(SHIPPED) == [BookEntry(e.name, e.prompt, e.negative, "shipped") for e in SHIPPED]
    assert book.removed(SHIPPED) == []


def test_own_entries_follow_the_shipped_ones_and_outlive_the_program(book: PromptBook, tmp_path: Path) -> None:
    book.add(SHIPPED, "  My   rain ", "rain, cars", "static cars")
    book.add(SHIPPED, "雨", "heavy rain, driving")
    again = Store(tmp_path / "blurdepth.db").prompts
    assert listed(again) == [("Dense fog", "shipped"), ("Night drive", "shipped"), ("My rain", "own"), ("雨", "own")]
    assert again.entries(SHIPPED)[2] == BookEntry("My rain", "rain, cars", "static cars", "own")


def test_a_shipped_entry_changes_in_its_place_and_comes_back(book: PromptBook) -> None:
    book.change(SHIPPED, "dense FOG", "light fog, cars")
    book.change(SHIPPED, "Dense fog", "fog 0.4, cars", "sharp cars")
    assert book.entries(SHIPPED)[0] == BookEntry("Dense fog", "fog 0.4, cars", "sharp cars", "changed")
    assert book.restore(SHIPPED, "Dense fog") == book.entries(SHIPPED)[0]
    assert listed(book)[0] == ("Dense fog", "shipped")


def test_a_removed_shipped_entry_is_known_and_comes_back(book: PromptBook) -> None:
    book.change(SHIPPED, "Night drive", "night, cars")
    book.remove(SHIPPED, "Night drive")
    assert listed(book) == [("Dense fog", "shipped")]
    assert book.removed(SHIPPED) == ["Night drive"]
    with pytest.raises(NotFoundError, match="Night drive"):
        book.change(SHIPPED, "Night drive", "night, cars")
    with pytest.raises(ConflictError, match="shipped book"):
        book.add(SHIPPED, "night drive", "night, cars")
    book.restore(SHIPPED, "night drive")
    assert listed(book)[1] == ("Night drive", "shipped")


def test_an_own_entry_is_changed_and_gone_when_removed(book: PromptBook) -> None:
    book.add(SHIPPED, "Mine", "rain, cars")
    book.change(SHIPPED, "MINE", "snow, cars")
    assert book.entries(SHIPPED)[-1] == BookEntry("Mine", "snow, cars", "", "own")
    book.remove(SHIPPED, "mine")
    assert len(listed(book)) == 2
    for act in (book.remove, book.restore):
        with pytest.raises(NotFoundError, match="mine"):
            act(SHIPPED, "mine")


def test_names_are_unique_whatever_their_case(book: PromptBook) -> None:
    book.add(SHIPPED, "Straße im Regen", "rain, cars")
    with pytest.raises(ConflictError, match="already"):
        book.add(SHIPPED, "STRASSE  im regen", "rain, cars")


@pytest.mark.parametrize(
    ("name", "prompt", "negative", "message"),
    [
        ("", "rain, cars", "", "has no name"),
        ("x" * (MAX_NAME + 1), "rain, cars", "", f"at most {MAX_NAME}"),
        ("<b>", "rain, cars", "", "markup"),
        ("a\x00", "rain, cars", "", r"U\+0000"),
        (None, "rain, cars", "", "not text"),
        ("Mine", "", "", "prompt is empty"),
        ("Mine", "plugh xyzzy", "", "Nothing in the prompt"),
        ("Mine", "rain " * 300, "", "characters"),
        ("Mine", "rain, cars", "<i>", "negative prompt has markup"),
        ("Mine", "static cars, tripod", "", "stand still"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_changes(
    book: PromptBook, name: str, prompt: str, negative: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        book.add(SHIPPED, name, prompt, negative)
    assert len(listed(book)) == 2


def test_the_book_has_an_end(book: PromptBook, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "blurdepth.db") as raw:
        raw.executemany(
            "INSERT INTO prompts (key, name, prompt, negative, created_at) VALUES (?, ?, 'rain', '', '')",
            [(f"p{number}", f"P{number}") for number in range(MAX_OWN)],
        )
    with pytest.raises(InputError, match=f"{MAX_OWN} entries"):
        book.add(SHIPPED, "One more", "rain, cars")


def test_an_old_database_gets_the_book_and_keeps_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "blurdepth.db"
    Store(path).jobs.add("finetune", {"seed": 7})
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE prompts")
        raw.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_create_prompts'")
    store = Store(path)
    assert store.jobs.job("j1").settings == {"seed": 7}
    store.prompts.add(SHIPPED, "Mine", "rain, cars")
    assert listed(store.prompts)[-1] == ("Mine", "own")
    copy = tmp_path / "blurdepth-before-m002_create_prompts.db"
    with sqlite3.connect(copy) as raw:
        assert raw.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
        assert not raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'prompts'").fetchall()
