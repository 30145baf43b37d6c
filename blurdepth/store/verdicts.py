"""What the gate said of samples; apart from what people decided about them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blurdepth.blurcheck import Verdict
from blurdepth.store.database import Database, Row, now


class Verdicts:
    """The rows about verdicts, one a sample; a later verdict takes the place of an earlier one."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, sample_id: str, verdict: Verdict) -> None:
        """Keep what the gate says of a sample."""
        values = [sample_id, int(verdict.passed), json.dumps(verdict.reasons), json.dumps(verdict.readings), now()]
        with self._db.writing() as write:
            write.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", values)

    def of(self, sample_ids: Sequence[str]) -> dict[str, Verdict]:
        """The verdicts of these samples, by their ids; samples that were never judged are left out."""
        rows = self._db.rows(
            "SELECT * FROM verdicts WHERE sample_id IN (SELECT value FROM json_each(?))", [json.dumps(list(sample_ids))]
        )
        return {row["sample_id"]: _verdict(row) for row in rows}


def _verdict(row: Row) -> Verdict:
    return Verdict(bool(row["passed"]), tuple(json.loads(row["reasons"])), json.loads(row["readings"]))
