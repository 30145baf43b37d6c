"""Frames, samples and decisions. A decision is an event that is never changed; undo adds the opposite one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from blurdepth.errors import ConflictError, InputError, NotFoundError
from blurdepth.store.database import Database, Row, now, row_number
from blurdepth.store.records import SAMPLE_STATUSES, Counts, Frame, Prediction, Sample, SampleStatus

MAX_REASON = 200
_AFTER: dict[str, SampleStatus] = {"accept": "accepted", "reject": "rejected"}


class Samples:
    """The rows about frames, their predictions, the samples made of them, and who decided what."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_frame(self, frame: Frame) -> Frame:
        """Keep a frame; one that is there already keeps its first name."""
        with self._db.writing() as write:
            write.execute(
                "INSERT OR IGNORE INTO frames VALUES (?, ?, ?, ?, ?, ?)",
                [frame.id, frame.name, frame.width, frame.height, frame.image, now()],
            )
        return self.frame(frame.id)

    def frame(self, frame_id: str) -> Frame:
        """The frame with this id.

        Raises:
            NotFoundError: there is none.
        """
        row = self._db.row("SELECT * FROM frames WHERE id = ?", [frame_id])
        if row is None:
            raise NotFoundError(f"There is no frame {frame_id!r}: upload it first.")
        return Frame(**row)

    def has_frame(self, frame_id: str) -> bool:
        """Whether a frame with this id is kept."""
        return self._db.row("SELECT 1 FROM frames WHERE id = ?", [frame_id]) is not None

    def frames(self, limit: int = 60) -> list[Frame]:
        """The newest frames first."""
        return [Frame(**row) for row in self._db.rows("SELECT * FROM frames ORDER BY created_at DESC LIMIT ?", [limit])]

    def add_prediction(self, prediction: Prediction) -> None:
        """Keep a model's depth of a frame."""
        with self._db.writing() as write:
            write.execute(
                "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?)",
                [
                    prediction.frame_id,
                    prediction.model,
                    prediction.revision,
                    prediction.kind,
                    prediction.array,
                ],
            )

    def prediction(self, frame_id: str, model: str, revision: str) -> Prediction | None:
        """A model's depth of a frame, if it was kept."""
        row = self._db.row(
            "SELECT * FROM predictions WHERE frame_id = ? AND model = ? AND revision = ?",
            [frame_id, model, revision],
        )
        return Prediction(**row) if row else None

    def add_sample(self, sample: Sample) -> Sample:
        """Keep a new sample; one that is there already stays as it is."""
        with self._db.writing() as write:
            write.execute(
                "INSERT OR IGNORE INTO samples (id, frame_id, image, target, sharp_target, regions, scores,"
                " provenance, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    sample.id,
                    sample.frame_id,
                    sample.image,
                    sample.target,
                    sample.sharp_target,
                    sample.regions,
                    json.dumps(sample.scores),
                    json.dumps(sample.provenance),
                    now(),
                ],
            )
        return self.sample(sample.id)

    def sample(self, sample_id: str) -> Sample:
        """The sample with this id.

        Raises:
            NotFoundError: there is none.
        """
        row = self._db.row("SELECT * FROM samples WHERE id = ?", [sample_id])
        if row is None:
            raise NotFoundError(f"There is no sample {sample_id!r}: list them with `samples`.")
        return _sample(row)

    def has_sample(self, sample_id: str) -> bool:
        """Whether a sample with this id is kept."""
        return self._db.row("SELECT 1 FROM samples WHERE id = ?", [sample_id]) is not None

    def samples(self, status: str | None = None, limit: int = 1_000_000, offset: int = 0) -> list[Sample]:
        """Samples in the order in which they were made.

        Raises:
            InputError: `status` is not one.
        """
        if status is not None and status not in SAMPLE_STATUSES:
            raise InputError(f"The status {status!r} is not known: use one of {', '.join(SAMPLE_STATUSES)}.")
        where, values = ("WHERE status = ?", [status]) if status else ("", [])
        rows = self._db.rows(
            f"SELECT * FROM samples {where} ORDER BY created_at, rowid LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return [_sample(row) for row in rows]

    def newest(self, limit: int) -> list[Sample]:
        """The samples made last, the newest first."""
        rows = self._db.rows("SELECT * FROM samples ORDER BY created_at DESC, rowid DESC LIMIT ?", [limit])
        return [_sample(row) for row in rows]

    def samples_of_version(self, version_id: str) -> list[Sample]:
        """The samples that a dataset version lists, in the order of their ids."""
        rows = self._db.rows(
            "SELECT samples.* FROM samples JOIN version_samples ON sample_id = samples.id "
            "WHERE version_samples.version = ? ORDER BY samples.id",
            [row_number(version_id, "v", "dataset version")],
        )
        return [_sample(row) for row in rows]

    def counts(self) -> Counts:
        """How many samples have which status."""
        rows = self._db.rows("SELECT status, count(*) AS number FROM samples GROUP BY status")
        return Counts(**{row["status"]: row["number"] for row in rows})

    def reasons(self) -> dict[str, int]:
        """How many samples were rejected for which reason, most first."""
        rows = self._db.rows(
            "SELECT reason, count(*) AS number FROM samples WHERE status = 'rejected' "
            "GROUP BY reason ORDER BY number DESC"
        )
        return {row["reason"]: row["number"] for row in rows}

    def decide(
        self,
        sample_ids: Sequence[str],
        verdict: str,
        reason: str = "",
        actor: str = "",
        expected_version: int | None = None,
    ) -> list[str]:
        """Accept or reject samples, as one action that one undo takes back.

        Args:
            sample_ids: at least one id; all must exist.
            verdict: "accept" or "reject".
            reason: why it was rejected, at most 200 characters; not allowed with "accept".
            actor: who decides; `undo` by the same name takes back only that person's decisions.
            expected_version: what the person saw; None to decide whatever came before.

        Returns:
            The ids whose status or reason changed.

        Raises:
            InputError: no ids, another verdict, or a reason that is too long or out of place.
            NotFoundError: an id does not exist; then nothing is decided.
            ConflictError: somebody else decided since `expected_version`.
        """
        after, reason = _AFTER.get(verdict), " ".join(reason.split())
        if after is None:
            raise InputError(f"The decision {verdict!r} is not known: use accept or reject.")
        if not sample_ids:
            raise InputError("No sample was named: give at least one id.")
        if after == "accepted" and reason:
            raise InputError(f"A reason ({reason!r}) goes with reject, not with accept: leave it out.")
        if len(reason) > MAX_REASON:
            raise InputError(f"The reason has {len(reason)} characters: use at most {MAX_REASON}.")
        with self._db.writing() as write:
            rows = [_row(write, sample_id) for sample_id in dict.fromkeys(sample_ids)]
            if expected_version is not None and any(row["version"] != expected_version for row in rows):
                raise ConflictError(
                    f"Somebody else has just decided on this sample ({rows[0]['status']}): look at it again."
                )
            changed = [row for row in rows if (row["status"], row["reason"]) != (after, reason)]
            if changed:
                action = _act(write, "decide", actor)
            for row in changed:
                _change(write, action, row, after, reason)
        return [row["id"] for row in changed]

    def undo(self, actor: str | None = None) -> list[str]:
        """Take back the last action that was not taken back yet.

        Args:
            actor: only that person's; None for anybody's.

        Returns:
            The ids of the samples that changed; empty if there is nothing to undo.

        Raises:
            ConflictError: somebody else has decided on one of these samples since.
        """
        return self._step("undo", actor)

    def redo(self, actor: str | None = None) -> list[str]:
        """Do again what the last undo took back, unless something was decided after it. See `undo`."""
        return self._step("redo", actor)

    def _step(self, kind: str, actor: str | None) -> list[str]:
        overtaken: list[str] = []
        with self._db.writing() as write:
            for found in write.execute(_UNDOABLE if kind == "undo" else _REDOABLE, {"actor": actor}).fetchall():
                events = write.execute("SELECT * FROM decisions WHERE action = ?", [found["id"]]).fetchall()
                rows = [_row(write, event["sample_id"]) for event in events]
                # An action that somebody else has overtaken must not stand in the way of those before it.
                if others := [
                    row["id"] for row, event in zip(rows, events, strict=True) if not _is_at(row, event, kind)
                ]:
                    overtaken += others
                    continue
                action = _act(write, kind, found["actor"], found["id"])
                new = "before" if kind == "undo" else "after"
                for row, event in zip(rows, events, strict=True):
                    _change(write, action, row, event[f"{new}_status"], event[f"{new}_reason"])
                return [row["id"] for row in rows]
        if overtaken:
            raise ConflictError(f"Somebody else has decided on sample {overtaken[0]} since: look at it again.")
        return []


# The last step about each decision; a decision without one stands as if it had just been done again.
_LAST_STEPS = """
WITH decided AS (
    SELECT id, actor, (SELECT max(id) FROM actions AS step WHERE step.target = actions.id) AS last_step
    FROM actions WHERE kind = 'decide' AND (:actor IS NULL OR actor = :actor)
), stepped AS (
    SELECT decided.*, coalesce((SELECT kind FROM actions WHERE id = last_step), 'redo') AS state FROM decided
)
"""
_UNDOABLE = _LAST_STEPS + "SELECT id, actor FROM stepped WHERE state = 'redo' ORDER BY id DESC LIMIT 50"
_REDOABLE = (
    _LAST_STEPS
    + "SELECT id, actor FROM stepped WHERE state = 'undo' AND last_step > (SELECT max(id) FROM stepped) "
    + "ORDER BY last_step DESC LIMIT 50"
)


def _is_at(row: Row, event: Row, kind: str) -> bool:
    side = "after" if kind == "undo" else "before"
    return (row["status"], row["reason"]) == (event[f"{side}_status"], event[f"{side}_reason"])


def _act(write: sqlite3.Connection, kind: str, actor: str, target: int | None = None) -> int:
    values = [kind, target, actor, now()]
    row_id = write.execute("INSERT INTO actions (kind, target, actor, at) VALUES (?, ?, ?, ?)", values).lastrowid
    assert row_id is not None
    return row_id


def _row(write: sqlite3.Connection, sample_id: str) -> Row:
    row = write.execute("SELECT * FROM samples WHERE id = ?", [sample_id]).fetchone()
    if row is None:
        raise NotFoundError(f"There is no sample {sample_id!r}: list them with `samples`. Nothing was decided.")
    return dict(row)


def _change(write: sqlite3.Connection, action: int, row: Row, status: str, reason: str) -> None:
    write.execute(
        "INSERT INTO decisions (action, sample_id, before_status, before_reason, after_status, after_reason)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [action, row["id"], row["status"], row["reason"], status, reason],
    )
    write.execute(
        "UPDATE samples SET status = ?, reason = ?, version = version + 1 WHERE id = ?",
        [status, reason, row["id"]],
    )


def _sample(row: Row) -> Sample:
    values: dict[str, Any] = dict(row)
    values["scores"], values["provenance"] = json.loads(row["scores"]), json.loads(row["provenance"])
    return Sample(**values)
