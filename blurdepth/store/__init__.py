"""The only place that knows SQL: one SQLite file for all that is kept in rows."""

from __future__ import annotations

from pathlib import Path

from blurdepth.store.database import Database
from blurdepth.store.jobs import Jobs
from blurdepth.store.prompt_book import PromptBook
from blurdepth.store.samples import Samples
from blurdepth.store.setups import Setups
from blurdepth.store.verdicts import Verdicts
from blurdepth.store.versions import Versions


class Store:
    """Everything that is kept in rows, by subject.

    Args:
        path: the SQLite file; made and migrated as needed.

    Raises:
        StorageError: see `Database`.
    """

    def __init__(self, path: Path) -> None:
        database = Database(path)
        self.samples = Samples(database)
        self.setups = Setups(database)
        self.verdicts = Verdicts(database)
        self.versions = Versions(database)
        self.jobs = Jobs(database)
        self.prompts = PromptBook(database)
