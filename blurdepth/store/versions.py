"""Dataset versions: lists of accepted samples that never change."""

from __future__ import annotations

import json

from blurdepth.errors import InputError, NotFoundError
from blurdepth.images import content_hash
from blurdepth.store.database import Database, Row, now, row_number
from blurdepth.store.records import Version

_QUERY = """
SELECT versions.*, count(sample_id) AS samples, count(DISTINCT frame_id) AS frames
FROM versions JOIN version_samples ON version_samples.version = versions.id JOIN samples ON samples.id = sample_id
"""


class Versions:
    """The rows about dataset versions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def snapshot(self, note: str = "") -> Version:
        """Make a version of the samples that are accepted now; the same list again gives the version it has.

        Raises:
            InputError: nothing is accepted yet.
        """
        with self._db.writing() as write:
            rows = write.execute(
                "SELECT id, image, target, regions FROM samples WHERE status = 'accepted' ORDER BY id"
            ).fetchall()
            if not rows:
                raise InputError("0 samples are accepted: accept at least one, then make a dataset version.")
            manifest = content_hash(json.dumps([tuple(row) for row in rows]).encode())
            found = write.execute("SELECT id FROM versions WHERE manifest = ?", [manifest]).fetchone()
            if found is None:
                values = [note.strip(), manifest, now()]
                number = write.execute(
                    "INSERT INTO versions (note, manifest, created_at) VALUES (?, ?, ?)", values
                ).lastrowid
                write.executemany("INSERT INTO version_samples VALUES (?, ?)", [(number, row["id"]) for row in rows])
            else:
                number = found["id"]
        return self.version(f"v{number}")

    def version(self, version_id: str) -> Version:
        """The version with this id, such as "v3".

        Raises:
            NotFoundError: there is none.
        """
        number = row_number(version_id, "v", "dataset version")
        row = self._db.row(f"{_QUERY} WHERE versions.id = ? GROUP BY versions.id", [number])
        if row is None:
            raise NotFoundError(f"There is no dataset version {version_id!r}: make one with `snapshot`.")
        return _version(row)

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        return [_version(row) for row in self._db.rows(f"{_QUERY} GROUP BY versions.id ORDER BY versions.id DESC")]


def _version(row: Row) -> Version:
    return Version(**{**row, "id": f"v{row['id']}"})
