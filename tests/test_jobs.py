"""Background jobs with real processes: a real worker, a tiny model, a tiny recipe."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from blurdepth import jobs, preflight
from blurdepth.cli import main
from blurdepth.dataset import split_samples
from blurdepth.errors import BlurdepthError, InputError, ModelError, NotFoundError
from blurdepth.generation import GenerationRequest, generate
from blurdepth.jobs.folders import lock
from blurdepth.jobs.tending import end_if_dead
from blurdepth.recipe import PRESET_FOLDER
from blurdepth.store.records import Job
from blurdepth.workspace import Workspace
from tests.conftest import street_frame

SECONDS = 120


def write_recipe(path: Path, **values: Any) -> Path:
    """The quick preset with other values: small and short."""
    values = {"epochs": 1, "crop": [56, 84], "batch": 2, "warmup_steps": 0, **values}
    lines = (PRESET_FOLDER / "quick.toml").read_text().splitlines()
    kept = [line for line in lines if line.split(" =")[0] not in values]
    path.write_text("\n".join([*kept, *(f"{name} = {value!r}" for name, value in values.items())]))
    return path


def new_workspace(folder: Path, model: Path) -> Workspace:
    """A data folder with version v1 of three samples."""
    made = Workspace(folder)
    frame = made.add_frame(street_frame(), "street.png")
    request = GenerationRequest("cars speeding past, motion blur", variants=3, model=str(model))
    made.store.samples.decide([sample.id for sample in generate(made, frame, request)], "accept")
    made.store.versions.snapshot()
    return made


def workers(workspace: Workspace) -> list[psutil.Process]:
    """The workers that this process started."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # It may end while it is looked at.
            if str(workspace.folder) in each.cmdline():
                found.append(each)
    return found


def end_workers(workspace: Workspace) -> None:
    """Kill the workers that this process started."""
    for process in workers(workspace):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(20)


@pytest.fixture
def workspace(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A data folder with version v1 of three samples; its workers are ended with the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = new_workspace(tmp_path / "data", tiny_model)
    yield made
    end_workers(made)


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A recipe that ends within seconds."""
    return write_recipe(tmp_path / "short.toml")


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A recipe that ends within seconds too, but not before somebody can stop it."""
    return write_recipe(tmp_path / "long.toml", epochs=30)


def until(workspace: Workspace, job_id: str, reached: Callable[[Job], bool], *, tend: bool = True) -> Job:
    """Wait until a job is as wanted."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if tend:
            jobs.tend(workspace)
        job = workspace.store.jobs.job(job_id)
        if reached(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job}\n{jobs.log_tail(workspace, job_id)}")


def ended(workspace: Workspace, job_id: str) -> Job:
    """The job when it has ended."""
    return until(workspace, job_id, lambda job: job.status not in ("queued", "running"))


def at_work(workspace: Workspace, job_id: str) -> Job:
    """The job when it has trained for some steps."""
    return until(workspace, job_id, lambda job: job.status == "running" and job.step > 2)


def test_a_job_is_done_wherever_it_was_asked_for_and_whatever_became_of_its_recipe(
    workspace: Workspace, tiny_model: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    (tiny_model.parent / "own.toml").write_text(short.read_text())
    job = jobs.submit_finetune(workspace, "v1", tiny_model.name, "own.toml", seed=7)
    assert {name: job.settings[name] for name in ("version", "base", "preset", "seed")} == {
        "version": "v1",
        "base": str(tiny_model),
        "preset": "own",
        "seed": 7,
    }
    (tiny_model.parent / "own.toml").unlink()
    monkeypatch.chdir("/")
    done = ended(workspace, job.id)
    assert done.status == "done", done.error
    assert (workspace.folder / done.checkpoint / "model.safetensors").is_file()
    assert done.settings["recipe"]["seed"] == 7
    assert "improved" in done.metrics
    assert workspace.store.jobs.points(job.id)["abs_rel/all"]


@pytest.mark.parametrize(("asked", "taken"), [([], 3), (["--seed", "0"], 0)])
def test_a_recipe_has_its_own_seed_unless_another_is_asked_for(
    workspace: Workspace, tiny_model: Path, tmp_path: Path, asked: list[str], taken: int
) -> None:
    own = write_recipe(tmp_path / "own.toml", seed=3)
    common = ["v1", "--base", str(tiny_model), "--preset", str(own), "--data", str(workspace.folder), *asked]
    assert main(["finetune", *common]) == 0
    assert workspace.store.jobs.job("j1").settings["recipe"]["seed"] == taken
    jobs.stop(workspace, "j1")
    assert main(["train", *common, "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "checkpoint" / "blurdepth.json").read_text())["seed"] == taken


def test_a_fine_tune_is_looked_at_once_before_it_is_queued_and_what_was_found_is_told(
    workspace: Workspace, tiny_model: Path, long: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    queued: list[int] = []

    def counted(*arguments: Any) -> dict[str, Any]:
        queued.append(len(workspace.store.jobs.jobs()))
        return split_samples(*arguments)

    monkeypatch.setattr(preflight, "split_samples", counted)
    asked = ["--base", str(tiny_model), "--preset", str(long), "--data", str(workspace.folder)]
    assert main(["finetune", "v1", *asked]) == 0
    jobs.stop(workspace, "j1")
    assert queued == [0]
    assert "samples to train on" in capfd.readouterr().err


def test_a_job_that_is_stopped_goes_on_to_its_end(workspace: Workspace, tiny_model: Path, long: Path) -> None:
    job = jobs.submit_finetune(workspace, "v1", str(tiny_model), str(long))
    at_work(workspace, job.id)
    jobs.stop(workspace, job.id)
    stopped = ended(workspace, job.id)
    assert stopped.status == "stopped" and 2 < stopped.step < stopped.steps
    long.write_text("")
    jobs.resume(workspace, job.id)
    done = ended(workspace, job.id)
    assert (done.status, done.step) == ("done", done.steps), done.error
    assert jobs.log_tail(workspace, job.id, 1000).count("begins") == 2


def test_a_job_that_is_killed_says_so_and_goes_on_to_its_end(
    workspace: Workspace, tiny_model: Path, long: Path
) -> None:
    job = jobs.submit_finetune(workspace, "v1", str(tiny_model), str(long))
    killed = at_work(workspace, job.id)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    interrupted = ended(workspace, job.id)
    assert interrupted.status == "interrupted"
    assert "End of its log" in interrupted.error and "begins" in interrupted.error
    half = jobs.job_folder(workspace, job.id) / ".part-4zx9"
    half.write_bytes(b"half a file")
    jobs.resume(workspace, job.id)
    done = ended(workspace, job.id)
    assert done.status == "done", done.error
    assert not half.exists()


def test_two_jobs_run_one_after_the_other(workspace: Workspace, tiny_model: Path, short: Path) -> None:
    asked = [jobs.submit_finetune(workspace, "v1", str(tiny_model), str(short), seed).id for seed in (0, 1)]
    at_once = 0

    def both_ended(_: Job) -> bool:
        nonlocal at_once
        at_once = max(at_once, len(workspace.store.jobs.jobs("running")))
        return all(workspace.store.jobs.job(each).finished_at for each in asked)

    until(workspace, asked[0], both_ended)
    first, second = (workspace.store.jobs.job(each) for each in asked)
    assert (first.status, second.status, at_once) == ("done", "done", 1)
    assert first.finished_at is not None and second.finished_at is not None
    assert first.finished_at < second.finished_at


def test_a_job_is_alive_while_it_is_locked_whatever_its_pid_says(workspace: Workspace) -> None:
    job = workspace.store.jobs.add("finetune", {})
    for pid, pid_started in ((os.getpid(), 12.5), (2**22 + 1, time.time())):
        with lock(workspace, job.id):
            assert workspace.store.jobs.claim(job.id, pid, pid_started)
            jobs.tend(workspace)
            assert workspace.store.jobs.job(job.id).status == "running"
        jobs.tend(workspace)
        assert workspace.store.jobs.job(job.id).status == "interrupted"
        workspace.store.jobs.requeue(job.id)


def test_no_look_takes_a_job_that_is_just_claimed_for_dead(workspace: Workspace) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for job in workspace.store.jobs.jobs("running"):
                end_if_dead(workspace, job)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for number in range(20):
            workspace.store.jobs.add(f"no such kind {number}", {})
        assert jobs_done(workspace) == 20
    finally:
        over.set()
        thread.join()
    assert {job.status for job in workspace.store.jobs.jobs()} == {"failed"}


def jobs_done(workspace: Workspace) -> int:
    """Have a worker do what is queued, as a process of its own; returns how many jobs it did."""
    command = [sys.executable, "-m", "blurdepth", "work", "--data", str(workspace.folder)]
    subprocess.run(command, check=True, capture_output=True)
    logs = [jobs.log_tail(workspace, job.id) for job in workspace.store.jobs.jobs()]
    return sum("KeyError: 'no such kind" in log for log in logs)


def test_a_worker_that_lost_its_job_ends_without_a_word_about_it(
    workspace: Workspace, tiny_model: Path, long: Path
) -> None:
    job = jobs.submit_finetune(workspace, "v1", str(tiny_model), str(long))
    mine = at_work(workspace, job.id)
    workspace.store.jobs.finish(mine, "interrupted", error="by somebody else")
    assert mine.pid is not None
    psutil.wait_procs([psutil.Process(mine.pid)], timeout=SECONDS)
    after = workspace.store.jobs.job(job.id)
    assert (after.status, after.error) == ("interrupted", "by somebody else")
    assert "no longer this process's" in jobs.log_tail(workspace, job.id)


def test_workers_that_cannot_start_are_few_and_the_job_says_why(
    workspace: Workspace, tiny_model: Path, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho the library libfoo is missing\nexit 1\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(broken))
        job = jobs.submit_finetune(workspace, "v1", str(tiny_model), str(short))
        failed = ended(workspace, job.id)
    assert failed.status == "failed"
    assert "3 workers" in failed.error and "libfoo is missing" in failed.error
    assert (workspace.folder / "jobs" / "worker.log").read_text().count("libfoo") == 3
    jobs.resume(workspace, job.id)
    assert ended(workspace, job.id).status == "done"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"seed": -1}, InputError, "seed = -1"),
        ({"seed": 2**31}, InputError, "seed"),
        ({"base": "nonsense"}, ModelError, "nonsense"),
        ({"base": "/gone/model"}, ModelError, "/gone/model"),
        ({"base": "owner/mo del"}, ModelError, "owner/mo del"),
        ({"base": "j7"}, NotFoundError, "j7"),
        ({"preset": "secrets.ini"}, NotFoundError, "secrets.ini"),
        ({"version": "v7"}, NotFoundError, "v7"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    workspace: Workspace,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
    error: type[BlurdepthError],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets.ini").write_text("password = 'hunter2'")
    asked = {"version": "v1", "base": str(tiny_model), "preset": "quick", **values}
    with pytest.raises(error, match=words) as caught:
        jobs.submit_finetune(workspace, **asked)
    assert "password" not in str(caught.value)
    assert workspace.store.jobs.jobs() == []


def test_a_base_on_the_hub_is_taken_without_being_downloaded(
    workspace: Workspace, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    job = jobs.submit_finetune(workspace, "v1", "nobody/no-model", str(short))
    assert (job.settings["base"], job.settings["model"]) == ("nobody/no-model", "nobody/no-model")
    failed = ended(workspace, job.id)
    assert failed.status == "failed" and "could not be downloaded" in failed.error
