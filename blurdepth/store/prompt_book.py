"""The prompt book: the shipped entries, with what people added, changed and removed."""

from __future__ import annotations

from collections.abc import Iterable

from blurdepth.errors import ConflictError, InputError, NotFoundError
from blurdepth.prompts import BookPrompt, check_prompt, parse_prompt
from blurdepth.store.database import Database, Row, now
from blurdepth.store.records import BookEntry, BookOrigin

MAX_NAME, MAX_OWN = 80, 500


class PromptBook:
    """The rows about prompts. What is kept is the difference from the shipped book, so that updates of it show.

    Args:
        database: where people's own entries and changes are.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def entries(self, shipped: Iterable[BookPrompt]) -> list[BookEntry]:
        """One list: the shipped entries in their order, as they were changed, then people's own by age."""
        rows = {row["key"]: row for row in self._db.rows("SELECT * FROM prompts ORDER BY created_at, key")}
        merged = []
        for entry in shipped:
            row = rows.pop(_key(entry.name), None)
            if row is None:
                merged.append(BookEntry(entry.name, entry.prompt, entry.negative, "shipped"))
            elif not row["removed"]:
                merged.append(BookEntry(entry.name, row["prompt"], row["negative"], "changed"))
        return merged + [_own(row) for row in rows.values() if not row["removed"]]

    def removed(self, shipped: Iterable[BookPrompt]) -> list[str]:
        """Names of the shipped entries that were removed and can be restored."""
        gone = {row["key"] for row in self._db.rows("SELECT key FROM prompts WHERE removed = 1")}
        return [entry.name for entry in shipped if _key(entry.name) in gone]

    def add(self, shipped: Iterable[BookPrompt], name: str, prompt: str, negative: str = "") -> BookEntry:
        """Keep a new entry.

        Raises:
            InputError: the name is blank, too long or not one line, or `parse_prompt` refuses the prompt or the
                negative, or there are too many.
            ConflictError: the name is in use, in whatever case, also by a shipped entry that was removed.
        """
        name = _checked(name, prompt, negative)
        if any(_key(entry.name) == _key(name) for entry in shipped):
            raise ConflictError(f"{name!r} is an entry of the shipped book: change or restore that, or choose a name.")
        with self._db.writing() as write:
            if write.execute("SELECT 1 FROM prompts WHERE key = ?", [_key(name)]).fetchone():
                raise ConflictError(f"{name!r} is in the prompt book already: change that entry, or choose a name.")
            if write.execute("SELECT count(*) FROM prompts").fetchone()[0] >= MAX_OWN:
                raise InputError(f"The prompt book has {MAX_OWN} entries of your own already: remove one first.")
            write.execute(
                "INSERT INTO prompts (key, name, prompt, negative, created_at) VALUES (?, ?, ?, ?, ?)",
                [_key(name), name, prompt, negative, now()],
            )
        return BookEntry(name, prompt, negative, "own")

    def change(self, shipped: Iterable[BookPrompt], name: str, prompt: str, negative: str = "") -> BookEntry:
        """Change the words of an entry, one's own or a shipped one; a shipped one can be restored.

        Raises:
            InputError: see `add`.
            NotFoundError: there is no such entry, or it was removed.
        """
        found = self._find(shipped, _checked(name, prompt, negative))
        origin: BookOrigin = "own" if found.origin == "own" else "changed"
        with self._db.writing() as write:
            write.execute(
                "INSERT INTO prompts (key, name, prompt, negative, created_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET prompt = excluded.prompt, negative = excluded.negative",
                [_key(name), found.name, prompt, negative, now()],
            )
        return BookEntry(found.name, prompt, negative, origin)

    def remove(self, shipped: Iterable[BookPrompt], name: str) -> None:
        """Take an entry out of the list; a shipped one can be restored, one's own is gone.

        Raises:
            NotFoundError: there is no such entry, or it was removed.
        """
        found = self._find(shipped, name)
        with self._db.writing() as write:
            write.execute("DELETE FROM prompts WHERE key = ?", [_key(name)])
            if found.origin != "own":
                write.execute(
                    "INSERT INTO prompts (key, name, prompt, negative, removed, created_at)"
                    " VALUES (?, ?, '', '', 1, ?)",
                    [_key(name), found.name, now()],
                )

    def restore(self, shipped: Iterable[BookPrompt], name: str) -> BookEntry:
        """Bring a shipped entry back as it was shipped, whether it was changed or removed.

        Raises:
            NotFoundError: the shipped book has no such entry.
        """
        for entry in shipped:
            if _key(entry.name) == _key(name):
                with self._db.writing() as write:
                    write.execute("DELETE FROM prompts WHERE key = ?", [_key(name)])
                return BookEntry(entry.name, entry.prompt, entry.negative, "shipped")
        raise NotFoundError(f"The shipped prompt book has no entry {name!r}: only its entries can be restored.")

    def _find(self, shipped: Iterable[BookPrompt], name: str) -> BookEntry:
        for entry in self.entries(shipped):
            if _key(entry.name) == _key(name):
                return entry
        raise NotFoundError(f"The prompt book has no entry {name!r}: choose one of the list, or add it.")


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()


def _own(row: Row) -> BookEntry:
    return BookEntry(row["name"], row["prompt"], row["negative"], "own")


def _checked(name: str, prompt: str, negative: str) -> str:
    """The name with single blanks, if it and the words can be kept."""
    if isinstance(name, str) and not name.strip():
        raise InputError("The entry has no name: give it one, by which you will find it again.")
    check_prompt(name, "name of the entry")
    if len(name) > MAX_NAME:
        raise InputError(f"The name {name[:30]!r}… has {len(name)} characters: use at most {MAX_NAME}.")
    parse_prompt(prompt, negative)
    return " ".join(name.split())
