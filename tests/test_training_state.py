"""What a fine-tune keeps in its folder."""

from pathlib import Path

import torch

from blurdepth.estimators import load_estimator
from blurdepth.images import content_hash
from blurdepth.processes import Processes
from blurdepth.recipe import load_recipe
from blurdepth.training_state import Position, RunFolder
from blurdepth.training_step import Trainer


def trainer(base: Path) -> Trainer:
    estimator = load_estimator(str(base))
    return Trainer(estimator.model, estimator.kind, load_recipe("quick"), Processes())


def test_runs_in_one_folder_have_examples_of_their_own(tmp_path: Path) -> None:
    one, other = (RunFolder(tmp_path, content_hash(name)) for name in (b"one", b"other"))
    assert one.cache != other.cache
    other.cache.mkdir(parents=True)
    one.clear()
    assert not other.cache.exists()


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
