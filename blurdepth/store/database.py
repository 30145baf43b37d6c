"""One SQLite file, opened the way several people and processes can share it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlite_utils import Database as Sqlite

from blurdepth.errors import NotFoundError, StorageError
from blurdepth.store.migrations import migrations

Row = dict[str, Any]

_CAUSES = {
    "full": "The disk of {folder} is full: free some space and retry; nothing was lost.",
    "not a database": "{path} is damaged or not a database ({text}): restore a copy, or move it away.",
    "malformed": "{path} is damaged or not a database ({text}): restore a copy, or move it away.",
    "already exists": "{path} belongs to another program ({text}): choose another data folder.",
    "locked": "{path} is in use by another program: try again in a moment.",
    "readonly": "{path} can't be written ({text}): check the permissions of the folder.",
    "unable to open": "{path} can't be opened ({text}): check the permissions of the folder.",
    "disk I/O": "{path} can't be read or written ({text}): check the disk.",
}


def now() -> str:
    """The time in UTC, as text that sorts."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def row_number(name: str, prefix: str, what: str) -> int:
    """The number of a row behind the name that people see.

    >>> row_number("v3", "v", "dataset version")
    3

    Raises:
        NotFoundError: it is not such a name.
    """
    digits = name.removeprefix(prefix)
    if not digits.isdecimal() or len(digits) > 15:
        raise NotFoundError(f"{name!r} is not a {what}: they are called {prefix}1, {prefix}2, …")
    return int(digits)


class Database:
    """The connection of each thread to one SQLite file, migrated when it is opened.

    Args:
        path: the file; it and its folder are made if they don't exist.

    Raises:
        StorageError: the file is not a database, is newer than this program, or can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                self._migrate()
        except OSError as error:
            raise StorageError(
                f"The data folder {path.parent} can't be written ({error.strerror}): choose another one."
            ) from error
        except sqlite3.Error as error:
            raise self._readable(error) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            connection.row_factory = sqlite3.Row
            for pragma in (
                "journal_mode = WAL",
                "foreign_keys = ON",
                "busy_timeout = 10000",
                "synchronous = FULL",
            ):
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        sqlite = Sqlite(self._connection(), execute_plugins=False)
        known = {step.name for step in migrations.pending(Sqlite(memory=True))}
        pending = [step.name for step in migrations.pending(sqlite)]
        applied = {step.name for step in migrations.applied(sqlite)}
        if newer := applied - known:
            raise StorageError(
                f"The database {self.path} was written by a newer blurdepth ({', '.join(sorted(newer))}): "
                "update blurdepth, or choose another data folder. Nothing was changed."
            )
        if pending and applied:
            self._back_up(pending[0])
        if pending:
            migrations.apply(sqlite)

    def _back_up(self, before: str) -> None:
        copy = self.path.with_name(f"{self.path.stem}-before-{before}{self.path.suffix}")
        if not copy.exists():
            self._connection().execute("VACUUM INTO ?", [str(copy)])

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, each as a dict."""
        try:
            return [dict(row) for row in self._connection().execute(sql, values)]
        except sqlite3.Error as error:
            raise self._readable(error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(sql, values)), None)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; all of it is kept, or nothing.

        Raises:
            StorageError: the disk is full, or somebody held the lock for too long.
        """
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._readable(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _readable(self, error: sqlite3.Error) -> Exception:
        """What a person can do about an error; one that is a mistake in the program stays as it is."""
        text = str(error)
        for clue, words in _CAUSES.items():
            if clue in text:
                return StorageError(words.format(path=self.path, folder=self.path.parent, text=text))
        return error
