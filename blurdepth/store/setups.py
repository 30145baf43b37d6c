"""Setups of frames: who moves, and the scale. They are never changed, so an id always means the same."""

from __future__ import annotations

import json

from blurdepth.errors import NotFoundError
from blurdepth.setups import Setup, setup_from_json
from blurdepth.store.database import Database, now


class Setups:
    """The rows about setups."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, setup: Setup) -> Setup:
        """Keep a setup; the same one is kept once."""
        with self._db.writing() as write:
            write.execute(
                "INSERT OR IGNORE INTO setups VALUES (?, ?, ?, ?)",
                [setup.id, setup.frame_id, json.dumps(setup.to_json()), now()],
            )
        return setup

    def setup(self, setup_id: str) -> Setup:
        """The setup with this id.

        Raises:
            NotFoundError: there is none.
        """
        row = self._db.row("SELECT * FROM setups WHERE id = ?", [setup_id])
        if row is None:
            raise NotFoundError(f"What was set for this frame ({setup_id!r}) is not kept here: choose who moves again.")
        return setup_from_json(row["frame_id"], json.loads(row["settings"]))
