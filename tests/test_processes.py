"""Several real processes that train one model, and one that is killed: the result is that of one undisturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from blurdepth.generation import GenerationRequest, generate
from blurdepth.recipe import PRESET_FOLDER
from blurdepth.workspace import Workspace
from tests.conftest import street_frame

PROMPT = "cars speeding past, driving 9 m/s in light fog"


# Accelerate starts one process alone where it is told to use the processor; ours find out by themselves.
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
LAUNCH += ["--main_process_port", "0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data folder with version v1: three variants of each of four frames."""
    folder = tmp_path_factory.mktemp("data")
    workspace = Workspace(folder)
    for seed in range(4):
        frame = workspace.add_frame(street_frame(seed), "street.png")
        request = GenerationRequest(PROMPT, variants=3, model=str(tiny_model))
        workspace.store.samples.decide([sample.id for sample in generate(workspace, frame, request)], "accept")
    workspace.store.versions.snapshot()
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick preset in small steps, with batches that two processes can't share evenly."""
    text = (PRESET_FOLDER / "quick.toml").read_text()
    for old, new in (("epochs = 6", "epochs = 3"), ("[160, 544]", "[56, 84]"), ("batch = 4", "batch = 5")):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(text.replace("lr = 2e-5", "lr = 3e-4"))
    return path


def command(data: Path, base: Path, recipe: Path, out: Path) -> list[str]:
    asked = ["--data", str(data), "--base", str(base), "--preset", str(recipe), "--out", str(out), "--json"]
    return ["-m", "blurdepth", "train", "v1", *asked]


def finish(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }


def notes(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "checkpoint" / "blurdepth.json").read_text())
    return found


@pytest.fixture(scope="module")
def alone(data: Path, tiny_model: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fine-tune by one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    done = finish(command(data, tiny_model, recipe, out))
    told = [line for line in done.stderr.splitlines() if "measuring" in line]
    assert len(told) == 4 and told[3].endswith("steps: measuring epoch 3"), "a measurement is one line"
    result = json.loads(done.stdout)
    assert result["status"] == "done" and result["checkpoint"] == str(out / "checkpoint")
    return out


@pytest.mark.parametrize(("loss", "micro_batch"), [("ssi+gradient", 0), ("ssi+gradient", 2), ("silog", 0)])
def test_two_processes_by_accelerate_learn_what_one_learns(
    data: Path, tiny_model: Path, recipe: Path, alone: Path, tmp_path: Path, loss: str, micro_batch: int
) -> None:
    own, single = tmp_path / "own.toml", alone
    # In pieces, each of which has its part of the loss: a process alone can't know how great that is.
    pieces = f"micro_batch = {micro_batch}\n" if micro_batch else ""
    own.write_text(pieces + recipe.read_text().replace("ssi+gradient", loss))
    if loss != "ssi+gradient":
        single = tmp_path / "single"
        finish(command(data, tiny_model, own, single))
    drawn = ["--tracker", "tensorboard"]
    finish([*LAUNCH, *command(data, tiny_model, own, tmp_path / "two"), *drawn])
    assert len(list((tmp_path / "two" / "blurdepth-two").glob("events.*"))) == 1, "one process alone draws"
    assert (notes(single)["processes"], notes(tmp_path / "two")["processes"]) == (1, 2)
    first, second = notes(single)["history"], notes(tmp_path / "two")["history"]
    assert [row["step"] for row in first] == [row["step"] for row in second]
    # Only the losses: the last bias has a gradient of rounding alone, which Adam makes steps of.
    losses = [[row["loss"] for row in rows[1:]] for rows in (first, second)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


STOPPED_AT_ITS_FIRST_PICTURE = """
import sys
from pathlib import Path
from blurdepth.finetune import finetune
from blurdepth.recipe import load_recipe
from blurdepth.workspace import Workspace

class Stopper:
    seen = 0

    def report(self, progress):
        self.seen += 1

    def should_stop(self):
        return self.seen > 0

data, base, preset, out = sys.argv[1:]
recipe, stopper = load_recipe(preset), Stopper()
samples = Workspace(Path(data)).training_samples("v1", recipe.split, recipe.val_share, recipe.seed)
print(f"{finetune(base, samples, recipe, Path(out), stopper).status} after {stopper.seen}\\n", end="")
"""


def test_two_processes_heed_a_stop_while_they_measure(
    data: Path, tiny_model: Path, recipe: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(STOPPED_AT_ITS_FIRST_PICTURE)
    told = finish([*LAUNCH, str(script), str(data), str(tiny_model), str(recipe), str(tmp_path / "run")]).stdout
    # Only the first is told of progress, and only it is asked to stop.
    assert sorted(told.split("\n")) == ["", "stopped after 0", "stopped after 1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_its_step_and_the_same_command_goes_on(
    data: Path, tiny_model: Path, recipe: Path, alone: Path, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "run"
    with begun(command(data, tiny_model, recipe, out), "measuring epoch 1") as process:
        process.send_signal(number)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == f"Stopped. The same command goes on from what {out} keeps."
    assert (out / "state.safetensors").exists()
    finish(command(data, tiny_model, recipe, out))
    assert notes(out)["history"] == notes(alone)["history"]


def begun(arguments: list[str], words: str) -> subprocess.Popen[str]:
    """A fine-tune that has said these words."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stderr is not None
    assert any(words in line for line in process.stderr)
    return process


def test_killed_at_random_steps_it_ends_with_the_same_weights_and_the_same_curve(
    data: Path, tiny_model: Path, recipe: Path, tmp_path: Path
) -> None:
    chance, out, straight, longer = random.Random(3), tmp_path / "run", tmp_path / "straight", tmp_path / "longer.toml"
    # So long that a fast machine is still at work when it is killed the second time.
    longer.write_text(recipe.read_text().replace("epochs = 3", "epochs = 20"))
    finish(command(data, tiny_model, longer, straight))
    for _ in range(2):
        with begun(command(data, tiny_model, longer, out), "steps") as process:
            time.sleep(chance.uniform(0.2, 1.5))
            assert process.poll() is None, "it ended before it could be killed"
            process.send_signal(signal.SIGKILL)
    finish(command(data, tiny_model, longer, out))
    assert notes(out)["history"] == notes(straight)["history"]
    one, other = (load_file(folder / "checkpoint" / "model.safetensors") for folder in (straight, out))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
