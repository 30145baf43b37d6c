"""What a fine-tune keeps in its folder."""

import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from blurdepth.errors import InputError, StorageError
from blurdepth.estimators import NOTES, load_estimator
from blurdepth.images import content_hash
from blurdepth.processes import Processes
from blurdepth.recipe import load_recipe
from blurdepth.training_data import Batch
from blurdepth.training_state import Position, RunFolder, _storage_error
from blurdepth.training_step import Trainer


def trainer(base: Path, **values: Any) -> Trainer:
    estimator = load_estimator(str(base))
    return Trainer(estimator.model, estimator.kind, replace(load_recipe("quick"), **values), Processes())


def test_runs_in_one_folder_have_examples_of_their_own(tmp_path: Path) -> None:
    one, other = (RunFolder(tmp_path, content_hash(name)) for name in (b"one", b"other"))
    assert one.cache != other.cache
    other.cache.mkdir(parents=True)
    one.clear()
    assert not other.cache.exists()


def test_pictures_of_an_earlier_run_stay_only_where_its_state_does(tiny_model: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "key")
    folder.save_probe("0007-0.png", b"picture")
    folder.save(trainer(tiny_model), Position(step=3))
    folder.sweep()
    assert (folder.probes / "0007-0.png").exists()
    (tmp_path / "state.safetensors").unlink()
    folder.sweep()
    assert not folder.probes.exists()


def test_a_fine_tune_that_is_done_is_not_replaced_by_another(tmp_path: Path) -> None:
    one, other = RunFolder(tmp_path, "one"), RunFolder(tmp_path, "other")
    one.checkpoint.mkdir()
    notes = {"key": "one", "status": "stopped"}
    (one.checkpoint / NOTES).write_text(json.dumps(notes))
    assert one.finished() is None and other.finished() is None
    notes["status"] = "done"
    (one.checkpoint / NOTES).write_text(json.dumps(notes))
    assert one.finished() == notes
    with pytest.raises(InputError, match=r"another fine-tune .*: use another folder"):
        other.finished()


def test_halves_of_files_are_swept_wherever_they_are(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "key")
    for place in (tmp_path, folder.cache, folder.probes):
        place.mkdir(parents=True, exist_ok=True)
        (place / ".part-4zx9").write_bytes(b"half")
    (folder.cache / "0-rgb.npy").write_bytes(b"whole")
    folder.sweep()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0-rgb.npy"]


def test_a_state_of_another_precision_is_gone_on_with(tiny_model: Path, tmp_path: Path) -> None:
    """As where a run that began on a processor, in float32, comes to a GPU that has float16 only."""
    folder, halves = RunFolder(tmp_path, "key"), trainer(tiny_model)
    folder.save(trainer(tiny_model), Position(step=3))
    halves.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    assert folder.restore(halves).step == 3 and halves.scaler.get_scale() == 8.0
    halves.scaler.load_state_dict({**halves.scaler.state_dict(), "scale": 4.0})
    folder.save(halves, Position(step=4))
    same = trainer(tiny_model)
    same.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    assert folder.restore(same).step == 4 and same.scaler.get_scale() == 4.0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_what_an_optimizer_remembers_is_gone_on_with(tiny_model: Path, tmp_path: Path, optimizer: str) -> None:
    torch.manual_seed(0)
    batch = Batch(torch.randn(2, 3, 56, 84), torch.rand(2, 56, 84), torch.ones(2, 56, 84))
    folder, steady = RunFolder(tmp_path, "key"), trainer(tiny_model, optimizer=optimizer)
    steady.step(batch, 1e-3)
    folder.save(steady, Position(step=1))
    resumed, forgetful = (trainer(tiny_model, optimizer=optimizer) for _ in range(2))
    assert folder.restore(resumed) == Position(step=1)
    forgetful.model.load_state_dict(steady.model.state_dict())
    for each in (steady, resumed, forgetful):
        each.step(batch, 1e-3)
    wanted, found, other = (each.model.state_dict() for each in (steady, resumed, forgetful))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert not all(torch.equal(other[name], value) for name, value in wanted.items())


FULL_DISK = """
import errno, resource, signal, sys
from pathlib import Path
import torch
from blurdepth.training_step import parameter_groups, training_loss
from blurdepth.training_state import RunFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    RunFolder(Path(sys.argv[1]), "key").save_best(torch.nn.Linear(100, 100), 1)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_write_that_the_system_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("StorageError")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_as_such_whoever_notices_it(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError) as real:
        save_file({"a": torch.zeros(1)}, tmp_path / "nowhere" / "model.safetensors")
    assert "No such file or directory" in str(_storage_error(tmp_path / "x", real.value))
    full = str(real.value).replace("os error 2", f"os error {errno.ENOSPC}")
    assert "is full: free some space" in str(_storage_error(tmp_path / "x", SafetensorError(full)))


def test_half_a_checkpoint_is_removed_when_it_cannot_be_ended(tiny_model: Path, tmp_path: Path) -> None:
    estimator = load_estimator(str(tiny_model))
    with pytest.raises(StorageError, match="is full"):
        RunFolder(tmp_path, "key").publish(estimator.model, NoProcessor(), {"kind": estimator.kind})
    assert not (tmp_path / ".checkpoint-new").exists()


class NoProcessor:
    """Can't be saved."""

    def save_pretrained(self, _folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")
