"""The queue with real processes: pauses, priorities, devices, stops that are not heeded, and thirty jobs under fire."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import platform
import random
import re
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from blurdepth import jobs
from blurdepth.cli import main
from blurdepth.errors import InputError, ModelError, NotFoundError
from blurdepth.generation import GenerationRequest
from blurdepth.jobs import tending
from blurdepth.jobs.control import Control
from blurdepth.jobs.devices import environment
from blurdepth.jobs.folders import lock
from blurdepth.reports import job_report
from blurdepth.store import Store
from blurdepth.store.records import UNFINISHED, Job
from blurdepth.workspace import Workspace
from tests.conftest import street_frame, write_tiny_model
from tests.test_jobs import at_work, end_workers, ended, new_workspace, until, workers, write_recipe


@pytest.fixture
def workspace(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A data folder with version v1 of three samples; its workers are ended with the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = new_workspace(tmp_path / "data", tiny_model)
    yield made
    end_workers(made)


@pytest.fixture
def long(tmp_path: Path) -> str:
    """A recipe that goes on until somebody stops it."""
    return str(write_recipe(tmp_path / "long.toml", epochs=3000))


def test_a_pause_holds_the_process_and_outlives_whoever_asked(
    workspace: Workspace, tiny_model: Path, long: str
) -> None:
    job = jobs.submit_finetune(workspace, "v1", str(tiny_model), long)
    at_work(workspace, job.id)
    jobs.pause(workspace, job.id)
    again = Workspace(workspace.folder)
    held = until(again, job.id, lambda job: job.activity == jobs.PAUSED)
    time.sleep(1)
    still = again.store.jobs.job(job.id)
    assert (still.status, still.step, still.pid) == ("running", held.step, held.pid)
    assert str(still.heartbeat) > str(held.heartbeat), "it shows that it lives"
    assert job_report(again, still)["paused"]
    jobs.resume(again, job.id)
    onward = until(again, job.id, lambda job: job.step > held.step)
    assert onward.pid == held.pid and onward.activity != jobs.PAUSED
    jobs.pause(again, job.id)
    until(again, job.id, lambda job: job.activity == jobs.PAUSED)
    jobs.stop(again, job.id)
    assert ended(again, job.id).status == "stopped"
    with pytest.raises(InputError, match="stopped: only a running job can be paused"):
        jobs.pause(again, job.id)


def test_a_job_that_is_moved_to_the_front_is_done_first(workspace: Workspace) -> None:
    asked = [workspace.store.jobs.add("label", {"frames": [], "model": "bundled"}).id for _ in range(3)]
    workspace.store.jobs.move_to_front(asked[2])
    workspace.store.jobs.move_to_front(asked[1])
    subprocess.run([sys.executable, "-m", "blurdepth", "work", "--data", str(workspace.folder)], check=True)
    done = sorted(workspace.store.jobs.jobs("done"), key=lambda job: str(job.finished_at))
    assert [job.id for job in done] == [asked[1], asked[2], asked[0]]
    with pytest.raises(InputError, match="done: only a queued job"):
        workspace.store.jobs.move_to_front(asked[0])


def test_each_device_has_one_job_at_a_time(
    workspace: Workspace, tiny_model: Path, long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLURDEPTH_DEVICES", "cpu, pretend")
    asked = [jobs.submit_finetune(workspace, "v1", str(tiny_model), long, seed).id for seed in range(3)]
    first, second = (at_work(workspace, each) for each in asked[:2])
    assert {first.device, second.device} == {"cpu", "pretend"} and first.pid != second.pid
    assert workspace.store.jobs.job(asked[2]).status == "queued"
    for each in asked[:2]:
        jobs.pause(workspace, each)
        until(workspace, each, lambda job: job.activity == jobs.PAUSED)
    assert workspace.store.jobs.job(asked[2]).status == "queued", "a pause keeps the device"
    jobs.stop(workspace, asked[1])
    assert at_work(workspace, asked[2]).device == second.device


def test_devices_are_claimed_by_one_each_however_many_try(tmp_path: Path) -> None:
    store = Store(tmp_path / "blurdepth.db")
    waiting = [store.jobs.add("label", {}).id for _ in range(12)]

    def claim(number: int) -> Job | None:
        return store.jobs.claim(waiting[number], number + 1, 1.0, device=("cpu", "pretend", "")[number % 3])

    with ThreadPoolExecutor(12) as pool:
        won = [job.device for job in pool.map(claim, range(12)) if job]
    assert collections.Counter(won) == {"cpu": 1, "pretend": 1, "": 4}


def test_gpus_are_given_out_as_the_environment_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BLURDEPTH_DEVICES", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5e")
    assert jobs.devices() == ("cuda:0", "cuda:1")
    assert environment("cuda:1") == {"CUDA_VISIBLE_DEVICES": "GPU-5e"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert jobs.devices() == ("cpu",) and environment("cpu") == {}


def test_a_process_that_does_not_heed_a_stop_is_ended_and_its_job_goes_on_later(
    workspace: Workspace, tiny_model: Path, long: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "STOP_S", 1.0)
    monkeypatch.setattr(tending, "TERMINATE_S", 1.0)
    job = jobs.submit_finetune(workspace, "v1", str(tiny_model), long)
    process = psutil.Process(at_work(workspace, job.id).pid)
    process.suspend()  # It hears neither Stop nor SIGTERM.
    jobs.stop(workspace, job.id)
    time.sleep(0.5)
    jobs.tend(workspace)
    assert process.is_running() and workspace.store.jobs.job(job.id).status == "running", "it has time to answer"
    over = ended(workspace, job.id)
    assert over.status == "interrupted" and "did not react within 1 s of Stop" in over.error
    jobs.resume(workspace, job.id)
    onward = at_work(workspace, job.id)
    assert onward.pid != process.pid and not onward.stop_requested


@pytest.mark.parametrize(("later", "elsewhere", "dies"), [(0, False, True), (5, False, False), (0, True, False)])
def test_only_the_very_process_that_has_the_job_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: float, elsewhere: bool, dies: bool
) -> None:
    monkeypatch.setattr(tending, "STOP_S", 0.0)
    workspace = Workspace(tmp_path / "data")
    job = workspace.store.jobs.add("label", {})
    host = platform.node() + ("-2" if elsewhere else "")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process, lock(workspace, job.id):
        started = psutil.Process(process.pid).create_time()
        assert workspace.store.jobs.claim(job.id, process.pid, started - later, host=host)
        workspace.store.jobs.request_stop(job.id)
        time.sleep(0.01)
        jobs.tend(workspace)
        try:
            process.wait(20 if dies else 0.5)
        except subprocess.TimeoutExpired:
            assert not dies
        else:
            assert dies
        process.kill()


def test_a_job_that_has_heeded_a_stop_gets_longer_to_write_what_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "STOP_S", 0.0)
    workspace = Workspace(tmp_path / "data")
    workspace.store.jobs.add("label", {})
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process, lock(workspace, "j1"):
        started = psutil.Process(process.pid).create_time()
        job = workspace.store.jobs.claim("j1", process.pid, started, host=platform.node())
        assert job
        with Control(workspace, job) as control:
            workspace.store.jobs.request_stop(job.id)
            control.say("making variants")
            assert control.should_stop()
        jobs.tend(workspace)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        monkeypatch.setattr(tending, "WRITE_S", 0.0)
        jobs.tend(workspace)
        process.wait(20)
    jobs.tend(workspace)
    over = workspace.store.jobs.job(job.id)
    assert over.status == "interrupted" and "did not end within 0 s of Stop" in over.error


def test_an_old_database_keeps_its_jobs_and_its_running_job_has_the_device(tmp_path: Path) -> None:
    path = tmp_path / "blurdepth.db"
    store = Store(path)
    for _ in range(2):
        store.jobs.add("finetune", {"seed": 7})
    store.jobs.claim("j1", 1, 1.0)
    with sqlite3.connect(path) as raw:
        raw.execute("DROP INDEX jobs_by_device")
        for column in ("device", "host", "priority", "pause_requested", "stop_requested_at"):
            raw.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        raw.execute("DELETE FROM _sqlite_migrations WHERE name = 'm005_give_jobs_devices'")
    store = Store(path)
    running = store.jobs.job("j1")
    assert (running.status, running.device, running.settings) == ("running", "cpu", {"seed": 7})
    assert store.jobs.claim("j2", 2, 2.0) is None
    assert (tmp_path / "blurdepth-before-m005_give_jobs_devices.db").is_file()
    with sqlite3.connect(path) as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE jobs SET status = 'running', device = 'cpu' WHERE id = 2")


def test_what_cannot_be_done_is_refused_before_it_is_queued(workspace: Workspace, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    refused = [
        (NotFoundError, "no-such.png", lambda: jobs.submit_label(workspace, [tmp_path / "no-such.png"], "bundled")),
        (ModelError, "nonsense", lambda: jobs.submit_label(workspace, [], "nonsense")),
        (InputError, "has no pictures", lambda: jobs.submit_generate(workspace, [there], GenerationRequest("rain"))),
        (NotFoundError, "v9", lambda: jobs.submit_evaluate(workspace, ["bundled"], "v9")),
        (NotFoundError, "j9", lambda: jobs.submit_export(workspace, "j9", tmp_path / "out")),
    ]
    for error, words, submit in refused:
        with pytest.raises(error, match=words):
            submit()
    assert workspace.store.jobs.jobs() == []
    with pytest.raises(InputError, match="no frames yet"):
        jobs.submit_label(Workspace(tmp_path / "empty"), [], "bundled")


def command(capsys: pytest.CaptureFixture[str], workspace: Workspace, *words: str) -> dict[str, Any]:
    """What a command says about a job."""
    capsys.readouterr()
    assert main([*words, "--data", str(workspace.folder), "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)["job"]
    return said


def test_the_command_line_queues_every_kind(
    workspace: Workspace, tiny_model: Path, tmp_path: Path, frame_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(write_recipe(tmp_path / "short.toml"))
    asked = [
        ("finetune", "v1", "--base", str(tiny_model), "--preset", recipe),
        ("generate", str(frame_file), "--variants", "2", "--model", str(tiny_model), "--book", "--background"),
        ("label", str(frame_file), "--model", "bundled"),
        ("evaluate", "--model", str(tiny_model), "--benchmark", "v1", "--background"),
    ]
    queued = [command(capsys, workspace, *words) for words in asked]
    ended_as = [command(capsys, workspace, "wait", job["id"]) for job in queued]
    assert [(job["kind"], job["status"]) for job in ended_as] == [(words[0], "done") for words in asked]
    assert {job["step"] == job["steps"] for job in ended_as} == {True}
    assert len(workspace.store.samples.samples()) == 5
    assert ended_as[3]["metrics"]["images"] == 3
    assert (Path(ended_as[3]["folder"]) / "report.html").is_file()

    out = tmp_path / "tuned"
    export = command(capsys, workspace, "export-checkpoint", "j1", "--out", str(out))
    assert command(capsys, workspace, "wait", export["id"])["status"] == "done"
    assert workspace.estimator(str(out)).kind == "affine_inverse_depth"
    assert main(["export-checkpoint", "j1", "--out", str(out), "--data", str(workspace.folder)]) == 2
    assert f"{out} exists" in capsys.readouterr().err
    assert main(["pause", "j1", "--data", str(workspace.folder)]) == 2


class Siege:
    """Thirty jobs of all kinds, and what becomes of them."""

    def __init__(self, workspace: Workspace, folder: Path, recipe: str) -> None:
        self.workspace, self.folder, self.random = workspace, folder, random.Random(5)
        self.resumed: collections.Counter[str] = collections.Counter()
        self.most_at_once = 0
        model = str(write_tiny_model(folder / "siege-model", seed=3))
        frames = []
        for seed in range(6):
            frames.append(folder / f"frame{seed}.png")
            frames[-1].write_bytes(street_frame(10 + seed, 98, 70))
        self.trained = jobs.submit_finetune(workspace, "v1", model, recipe).id
        assert ended(workspace, self.trained).status == "done"
        self.asked = []
        for k in range(6):
            request = GenerationRequest("cars speeding past, motion blur", variants=4, seed=100 * k, model=model)
            self.asked += [
                jobs.submit_generate(workspace, frames[k : k + 2], request),
                jobs.submit_label(workspace, frames, "bundled" if k % 2 else model),
                jobs.submit_finetune(workspace, "v1", model, recipe, seed=k),
                jobs.submit_evaluate(workspace, [model, self.trained], "v1"),
                jobs.submit_export(workspace, self.trained, folder / ("zips" if k % 2 else "folders") / self.name(k)),
            ]

    @staticmethod
    def name(k: int) -> str:
        """Of an exported checkpoint."""
        return f"c{k}.zip" if k % 2 else f"c{k}"

    def look(self) -> list[Job]:
        """Tend, resume what was interrupted, and return what isn't over."""
        jobs.tend(self.workspace)
        found = self.workspace.store.jobs.jobs()
        self.most_at_once = max(
            self.most_at_once, sum(job.status == "running" and job.device == "cpu" for job in found)
        )
        for job in found:
            assert job.status != "failed", job.error
            if job.status == "interrupted":
                self.resumed[job.id] += 1
                jobs.resume(self.workspace, job.id)
        return [job for job in found if job.status in (*UNFINISHED, "interrupted")]

    def until_running(self) -> bool:
        """Wait for a running job; False if all are over."""
        while left := self.look():
            if any(job.status == "running" for job in left):
                return True
            time.sleep(0.05)
        return False

    def kill(self) -> bool:
        """Kill a worker at a moment that nothing chooses; whether one was there."""
        end = time.monotonic() + self.random.uniform(0, 1.5)
        while time.monotonic() < end:
            self.look()
            time.sleep(0.02)
        found = workers(self.workspace)
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.random.choice(found).kill()
                return True
        return False

    def log(self, job: Job) -> str:
        """All of a job's log."""
        return jobs.log_tail(self.workspace, job.id, 1_000_000)


def test_thirty_jobs_survive_ten_kills(workspace: Workspace, tmp_path: Path) -> None:
    siege = Siege(workspace, tmp_path, str(write_recipe(tmp_path / "short.toml", epochs=2)))
    stopped = {job.id for job in siege.asked[20:25]}
    kills = 0
    while siege.until_running():
        if kills < 10:
            kills += siege.kill()
        if kills == 5:
            for each in stopped:
                if workspace.store.jobs.job(each).status in UNFINISHED:
                    jobs.stop(workspace, each)
        time.sleep(0.05)
    assert kills == 10

    over = {job.id: workspace.store.jobs.job(job.id) for job in siege.asked}
    assert len(over) == 30 and siege.most_at_once == 1
    assert {job.status for job in over.values()} == {"done", "stopped"}, "none is lost, none is stuck"
    halted = {job.id for job in over.values() if job.status == "stopped"}
    assert halted <= stopped and halted
    assert sum(siege.resumed.values()) > 3, "the kills hit jobs at work"
    for each in halted:
        jobs.resume(workspace, each)
    for each in halted:
        assert ended(workspace, each).status == "done", "what was stopped can be resumed"
    check_nothing_was_done_twice(siege, halted)
    for k in range(6):
        made = tmp_path / ("zips" if k % 2 else "folders") / siege.name(k)
        names = zipfile.ZipFile(made).namelist() if k % 2 else os.listdir(made)
        assert any(name.endswith("model.safetensors") for name in names)
    assert len(list((tmp_path / "zips").iterdir())) == len(list((tmp_path / "folders").iterdir())) == 3


def check_nothing_was_done_twice(siege: Siege, halted: set[str]) -> None:
    """By what workers write when they have done a piece of work."""
    logs = {job.id: siege.log(job) for job in siege.asked}
    together = "\n".join(logs.values())
    samples = re.findall(r"made sample (\w+)", together)
    predictions = re.findall(r"predicted the depth of (\S+ by \S+)", together)
    assert len(samples) == len(set(samples)) and len(samples) > 40
    assert len(predictions) == len(set(predictions)) and predictions
    kept = {sample.id for sample in siege.workspace.store.samples.samples()}
    assert set(samples) <= kept and len(kept) == 3 + 6 * 8 - 4
    for job in siege.asked:
        text = logs[job.id]
        # It begins once, and once more each time it was resumed after it had begun.
        assert 1 <= text.count(f"job {job.id} ({job.kind}) begins") <= 1 + siege.resumed[job.id] + (job.id in halted)
        assert text.count(f"job {job.id} ends: done") <= 1
        if job.kind == "evaluate":
            folder = jobs.job_folder(siege.workspace, job.id)
            lines = [line for line in (folder / "measured.jsonl").read_text().splitlines() if line]
            keys = [key for line in lines if line.endswith("}}}") for key in json.loads(line)]
            assert len(keys) == len(set(keys)) == 6
            assert json.loads((folder / "report.json").read_text())["images"] == 3
