"""Decisions are kept, can be taken back and done again, and history can't be rewritten."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from blurdepth.errors import ConflictError, InputError, NotFoundError, StorageError
from blurdepth.store import Store
from blurdepth.store.records import Asked, Counts, Frame, Sample


def with_samples(path: Path, number: int = 4) -> Store:
    """A store with one frame and some pending samples s0, s1, …"""
    store = Store(path)
    store.samples.add_frame(Frame("f", "street.png", 100, 60, "f.png", ""))
    for index in range(number):
        files = (f"{index}.png", f"{index}.npy", f"{index}-sharp.npy", f"{index}-regions.png")
        store.samples.add_sample(Sample(f"s{index}", "f", *files, "pending", "", 0, {"blur_px": 9.0}, {}, ""))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return with_samples(tmp_path / "data" / "blurdepth.db")


def test_decisions_are_counted_and_outlive_a_reopening(store: Store, tmp_path: Path) -> None:
    assert store.samples.decide(["s0", "s1"], "accept") == ["s0", "s1"]
    assert store.samples.decide(["s2"], "reject", "  no   blur ") == ["s2"]
    again = Store(tmp_path / "data" / "blurdepth.db")
    assert again.samples.counts() == Counts(pending=1, accepted=2, rejected=1)
    assert again.samples.sample("s2").reason == "no blur"
    assert again.samples.reasons() == {"no blur": 1}
    assert [sample.id for sample in again.samples.samples("pending")] == ["s3"]


def test_undo_and_redo_walk_through_several_actions(store: Store) -> None:
    store.samples.decide(["s0", "s1"], "accept")
    store.samples.decide(["s2"], "reject", "dark")
    assert store.samples.undo() == ["s2"]
    assert store.samples.undo() == ["s0", "s1"]
    assert store.samples.undo() == []
    assert store.samples.counts() == Counts(pending=4)
    assert store.samples.redo() == ["s0", "s1"]
    assert store.samples.redo() == ["s2"]
    assert store.samples.redo() == []
    assert store.samples.sample("s2").reason == "dark"


def test_a_new_decision_ends_redo(store: Store) -> None:
    store.samples.decide(["s0"], "accept")
    store.samples.undo()
    store.samples.decide(["s1"], "accept")
    assert store.samples.redo() == []
    assert store.samples.undo() == ["s1"]


def test_undo_takes_back_only_ones_own_decisions(store: Store) -> None:
    store.samples.decide(["s0"], "accept", actor="ann")
    store.samples.decide(["s1"], "accept", actor="bob")
    assert store.samples.undo("ann") == ["s0"]
    assert store.samples.undo("ann") == []
    assert store.samples.sample("s1").status == "accepted"


def test_undo_refuses_when_somebody_else_decided_since(store: Store) -> None:
    store.samples.decide(["s0"], "accept", actor="ann")
    store.samples.decide(["s0"], "reject", "dark", actor="bob")
    with pytest.raises(ConflictError, match="s0"):
        store.samples.undo("ann")
    assert store.samples.sample("s0").status == "rejected"


def test_an_overtaken_decision_does_not_stand_in_the_way_of_those_before(store: Store) -> None:
    store.samples.decide(["s0"], "reject", "dark", actor="ann")
    store.samples.decide(["s1"], "reject", "dark", actor="ann")
    store.samples.decide(["s1"], "accept", actor="bob")
    assert store.samples.undo("ann") == ["s0"]
    assert store.samples.sample("s1").status == "accepted"


def test_two_people_on_one_sample_the_second_is_told(store: Store) -> None:
    seen = store.samples.sample("s0").version
    store.samples.decide(["s0"], "accept", actor="ann", expected_version=seen)
    with pytest.raises(ConflictError, match="accepted"):
        store.samples.decide(["s0"], "reject", "dark", actor="bob", expected_version=seen)
    assert store.samples.sample("s0").status == "accepted"


@pytest.mark.parametrize(
    ("ids", "verdict", "reason", "error"),
    [
        ([], "accept", "", InputError),
        (["s0"], "maybe", "", InputError),
        (["s0"], "accept", "why", InputError),
        (["s0"], "reject", "x" * 201, InputError),
        (["s0", "ghost"], "accept", "", NotFoundError),
    ],
)
def test_a_bad_decision_decides_nothing(store: Store, ids, verdict, reason, error) -> None:
    with pytest.raises(error):
        store.samples.decide(ids, verdict, reason)
    assert store.samples.counts() == Counts(pending=4)


def test_history_cannot_be_rewritten(store: Store, tmp_path: Path) -> None:
    store.samples.decide(["s0"], "accept")
    store.versions.snapshot()
    with sqlite3.connect(tmp_path / "data" / "blurdepth.db") as raw:
        for statement in (
            "UPDATE decisions SET after_status = 'rejected'",
            "DELETE FROM actions",
            "DELETE FROM versions",
            "UPDATE version_samples SET sample_id = 's1'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                raw.execute(statement)


def test_many_threads_decide_without_losing_any(store: Store) -> None:
    errors: list[Exception] = []

    def curate(name: str) -> None:
        try:
            for index in range(10):
                store.samples.decide([f"s{index % 4}"], "accept" if index % 2 else "reject", actor=name)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=curate, args=(f"p{number}",)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert store.samples.counts().pending == 0


def test_a_version_lists_the_accepted_and_never_changes(store: Store) -> None:
    with pytest.raises(InputError, match="0 samples"):
        store.versions.snapshot()
    store.samples.decide(["s0", "s1"], "accept")
    first = store.versions.snapshot("first")
    assert (first.id, first.samples, first.frames) == ("v1", 2, 1)
    assert store.versions.snapshot("same list") == first
    store.samples.decide(["s0"], "reject")
    second = store.versions.snapshot()
    assert second.manifest != first.manifest
    assert [sample.id for sample in store.samples.samples_of_version("v1")] == ["s0", "s1"]
    with pytest.raises(NotFoundError, match="v9"):
        store.versions.version("v9")
    with pytest.raises(NotFoundError, match="latest"):
        store.versions.version("latest")


def test_only_one_process_gets_a_job_and_only_one_job_runs(store: Store) -> None:
    first, second = store.jobs.add("finetune", {}), store.jobs.add("finetune", {})
    claimed = store.jobs.claim(first.id, 1, 1.0)
    assert claimed is not None and claimed.id == first.id
    assert store.jobs.claim(first.id, 2, 2.0) is None
    assert store.jobs.claim(second.id, 2, 2.0) is None
    assert store.jobs.finish(claimed, "done", checkpoint="jobs/j1/checkpoint", tuned={"all": {}})
    assert not store.jobs.finish(claimed, "failed")
    following = store.jobs.claim(second.id, 2, 2.0)
    assert following is not None and following.id == second.id
    assert store.jobs.job("j1").metrics == {"tuned": {"all": {}}}


def test_stop_and_resume_follow_the_status(store: Store) -> None:
    store.jobs.add("finetune", {})
    assert store.jobs.request_stop("j1").status == "stopped"
    assert store.jobs.requeue("j1").status == "queued"
    job = store.jobs.claim("j1", 1, 1.0)
    assert job is not None
    assert store.jobs.progress(job, step=3) == Asked()
    assert store.jobs.request_stop("j1").stop_requested
    assert store.jobs.progress(job, step=4) == Asked(stop=True)
    with pytest.raises(InputError, match="running"):
        store.jobs.requeue("j1")
    with pytest.raises(NotFoundError, match="j7"):
        store.jobs.request_stop("j7")


def test_who_has_lost_a_job_writes_nothing_more_about_it(store: Store) -> None:
    store.jobs.add("finetune", {})
    lost = store.jobs.claim("j1", 1, 1.0)
    assert lost is not None
    store.jobs.finish(lost, "interrupted")
    store.jobs.requeue("j1")
    for status in ("queued", "running"):
        assert store.jobs.job("j1").status == status
        with pytest.raises(ConflictError, match="j1"):
            store.jobs.progress(lost, step=9)
        with pytest.raises(ConflictError, match="j1"):
            store.jobs.add_points(lost, 9, {"loss": 1.0})
        assert not store.jobs.finish(lost, "done")
        store.jobs.claim("j1", 1, 2.0)
    assert (store.jobs.job("j1").status, store.jobs.job("j1").step) == ("running", 0)
    assert store.jobs.points("j1") == {}


def test_a_job_that_nobody_can_begin_is_given_up_only_while_it_waits(store: Store) -> None:
    store.jobs.add("finetune", {})
    store.jobs.give_up("j1", "no worker")
    assert (store.jobs.job("j1").status, store.jobs.job("j1").error) == ("failed", "no worker")
    store.jobs.requeue("j1")
    store.jobs.claim("j1", 1, 1.0)
    store.jobs.give_up("j1", "no worker")
    assert (store.jobs.job("j1").status, store.jobs.job("j1").error) == ("running", "")


def test_a_curve_point_made_again_replaces_the_old_one(store: Store) -> None:
    store.jobs.add("finetune", {})
    job = store.jobs.claim("j1", 1, 1.0)
    assert job is not None
    for step, value in ((2, 1.0), (1, 2.0), (2, 0.5)):
        store.jobs.add_points(job, step, {"loss": value})
    assert store.jobs.points("j1") == {"loss": [(1, 2.0), (2, 0.5)]}


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "blurdepth.db"
    with_samples(path)
    with sqlite3.connect(path) as raw:
        raw.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('blurdepth', 'm999_later', '')"
        )
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"newer.*m999_later"):
        Store(path)
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "blurdepth.db") as raw:
        raw.execute("CREATE TABLE frames (mine TEXT)")
    with pytest.raises(StorageError, match="belongs to another program"):
        Store(tmp_path / "blurdepth.db")


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "blurdepth.db"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(StorageError, match=r"blurdepth\.db is damaged"):
        Store(path)


class UndoMachine(RuleBasedStateMachine):
    """Undo and redo agree with a plain list of states, whatever the order."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = with_samples(Path(self.folder.name) / "blurdepth.db", 3)
        self.past, self.future = [self.states()], []

    def states(self) -> list[tuple[str, str]]:
        return [(sample.status, sample.reason) for sample in self.store.samples.samples()]

    @rule(index=st.integers(0, 2), verdict=st.sampled_from(["accept", "reject"]))
    def decide(self, index: int, verdict: str) -> None:
        if self.store.samples.decide([f"s{index}"], verdict):
            self.past, self.future = [*self.past, self.states()], []

    @rule()
    def undo(self) -> None:
        if self.store.samples.undo():
            self.future.append(self.past.pop())
        else:
            assert len(self.past) == 1

    @rule()
    def redo(self) -> None:
        if self.store.samples.redo():
            self.past.append(self.future.pop())
        else:
            assert not self.future

    @invariant()
    def agrees(self) -> None:
        assert self.states() == self.past[-1]

    def teardown(self) -> None:
        self.folder.cleanup()


TestUndo = UndoMachine.TestCase
TestUndo.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
