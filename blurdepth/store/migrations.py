"""How the database came to its present shape, one step a function. Steps that have shipped never change."""

from __future__ import annotations

from sqlite_utils import Database as Sqlite
from sqlite_utils.migrations import Migrations

migrations = Migrations("blurdepth")

_TABLES = """
CREATE TABLE frames (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    image TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE predictions (
    frame_id TEXT NOT NULL REFERENCES frames(id), model TEXT NOT NULL, revision TEXT NOT NULL,
    kind TEXT NOT NULL, array TEXT NOT NULL, PRIMARY KEY (frame_id, model, revision)
) STRICT;
CREATE TABLE samples (
    id TEXT PRIMARY KEY, frame_id TEXT NOT NULL REFERENCES frames(id),
    image TEXT NOT NULL, target TEXT NOT NULL, sharp_target TEXT NOT NULL, regions TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'accepted', 'rejected')),
    reason TEXT NOT NULL DEFAULT '', version INTEGER NOT NULL DEFAULT 0,
    scores TEXT NOT NULL, provenance TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE INDEX samples_by_status ON samples (status, created_at);
CREATE INDEX samples_by_frame ON samples (frame_id);
CREATE TABLE actions (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('decide', 'undo', 'redo')),
    target INTEGER REFERENCES actions(id), actor TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE INDEX actions_by_target ON actions (target);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, action INTEGER NOT NULL REFERENCES actions(id),
    sample_id TEXT NOT NULL REFERENCES samples(id),
    before_status TEXT NOT NULL, before_reason TEXT NOT NULL,
    after_status TEXT NOT NULL, after_reason TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_by_action ON decisions (action);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, note TEXT NOT NULL, manifest TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE version_samples (
    version INTEGER NOT NULL REFERENCES versions(id), sample_id TEXT NOT NULL REFERENCES samples(id),
    PRIMARY KEY (version, sample_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'stopped', 'interrupted', 'failed')),
    settings TEXT NOT NULL, step INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0,
    activity TEXT NOT NULL DEFAULT '', seconds_left REAL, metrics TEXT NOT NULL DEFAULT '{}',
    checkpoint TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    stop_requested INTEGER NOT NULL DEFAULT 0, pid INTEGER, pid_started REAL, heartbeat TEXT,
    created_at TEXT NOT NULL, finished_at TEXT
) STRICT;
CREATE TABLE job_points (
    job INTEGER NOT NULL REFERENCES jobs(id), step INTEGER NOT NULL, series TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (job, step, series)
) STRICT, WITHOUT ROWID;
"""

_APPEND_ONLY = ("actions", "decisions", "versions", "version_samples")


@migrations()
def m001_create_tables(db: Sqlite) -> None:
    """The first shape: frames, samples, decisions, versions, jobs; history can't be rewritten."""
    for statement in filter(str.strip, _TABLES.split(";")):
        db.execute(statement)
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            db.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )


@migrations()
def m002_create_prompts(db: Sqlite) -> None:
    """People's own prompts, and what they changed or removed of the shipped book; keys are names in folded case."""
    db.execute(
        "CREATE TABLE prompts (key TEXT PRIMARY KEY, name TEXT NOT NULL, prompt TEXT NOT NULL, negative TEXT NOT NULL,"
        " removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)), created_at TEXT NOT NULL) STRICT"
    )


@migrations()
def m003_create_setups(db: Sqlite) -> None:
    """Who moves in a frame, and its assumed scale, as set by hand; a setup is never changed."""
    db.execute(
        "CREATE TABLE setups (id TEXT PRIMARY KEY, frame_id TEXT NOT NULL REFERENCES frames(id), "
        "settings TEXT NOT NULL, created_at TEXT NOT NULL) STRICT"
    )


@migrations()
def m004_create_verdicts(db: Sqlite) -> None:
    """What the blur gate said of samples."""
    db.execute(
        "CREATE TABLE verdicts (sample_id TEXT PRIMARY KEY REFERENCES samples(id), "
        "passed INTEGER NOT NULL CHECK (passed IN (0, 1)), reasons TEXT NOT NULL, readings TEXT NOT NULL, "
        "created_at TEXT NOT NULL) STRICT"
    )


@migrations()
def m005_give_jobs_devices(db: Sqlite) -> None:
    """Each device has at most one running job; jobs have a priority, can be paused, and know when a stop was asked."""
    for column in (
        "device TEXT NOT NULL DEFAULT ''",
        "host TEXT NOT NULL DEFAULT ''",
        "priority INTEGER NOT NULL DEFAULT 0",
        "pause_requested INTEGER NOT NULL DEFAULT 0",
        "stop_requested_at TEXT",
    ):
        db.execute(f"ALTER TABLE jobs ADD COLUMN {column}")
    # Until now there was one job at a time, on the one device there was.
    db.execute("UPDATE jobs SET device = 'cpu' WHERE status = 'running'")
    db.execute("CREATE UNIQUE INDEX jobs_by_device ON jobs (device) WHERE status = 'running' AND device != ''")
