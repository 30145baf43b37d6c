"""A fine-tune on disk: what a resume needs, the best weights so far, and the finished checkpoint.

Each file and the checkpoint folder is put in place whole. A kill at any moment leaves the state of the last
save, so nothing before it is lost.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from blurdepth.errors import InputError, StorageError
from blurdepth.estimators import NOTES, tell_kind
from blurdepth.files import replacing, storage_error, write_atomically
from blurdepth.images import decode_image
from blurdepth.model_card import CardPicture, side_by_side, write_card
from blurdepth.training_step import Trainer

STATE = "state.safetensors"
CHECKPOINT = "checkpoint"
PROBES = "probes"
CACHE = "cache"


@dataclass
class Position:
    """How far a fine-tune has come.

    Attributes:
        step: steps done.
        epoch_losses: of the steps of the running epoch.
        history: one row an evaluated epoch, the base first: "epoch", "step", "loss" (the mean of the epoch's steps;
            None for the base), and "metrics" by group of pixels.
        best_epoch: the epoch with the best validation so far; None before the first.
    """

    step: int = 0
    epoch_losses: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None


class RunFolder:
    """The folder of one fine-tune.

    Args:
        root: the folder; made with the first save.
        key: of model, data and recipe; a state or a finished checkpoint with another key is refused.
    """

    def __init__(self, root: Path, key: str) -> None:
        self.root = root
        self.checkpoint = root / CHECKPOINT
        # Of this run's samples alone: another run may begin in this folder once its state was removed.
        self.cache = root / CACHE / key[:16]
        self.probes = root / PROBES
        self._key = key

    def sweep(self) -> None:
        """Remove the halves of files that a kill left behind, and where there is no state to go on from, the pictures
        of an earlier run; only when nobody else works in the folder.
        """
        for path in self.root.rglob(".part-*"):
            path.unlink(missing_ok=True)
        if not (self.root / STATE).exists():
            shutil.rmtree(self.probes, ignore_errors=True)

    def save(self, trainer: Trainer, position: Position) -> None:
        """Keep all that a resume needs, and only the best weights that `position` names.

        Raises:
            StorageError: the disk is full, or the folder can't be written.
        """
        tensors = {f"model.{name}": value for name, value in trainer.model.state_dict().items()}
        for index, values in trainer.optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{index}.{name}": value for name, value in values.items()})
        scaler = json.dumps(trainer.scaler.state_dict())
        notes = {"key": self._key, "position": json.dumps(asdict(position)), "scaler": scaler}
        _write(self.root / STATE, tensors, notes)
        self._drop_best(but=position.best_epoch)

    def restore(self, trainer: Trainer) -> Position:
        """Put the saved state, if there is one, into what trains; returns how far it had come.

        Raises:
            InputError: the folder holds another fine-tune.
            StorageError: the state can't be read.
        """
        path = self.root / STATE
        if not path.exists():
            return Position()
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata()
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise StorageError(f"{path} can't be read ({error}): remove it to start the fine-tune anew.") from error
        if notes["key"] != self._key:
            raise self._of_another()
        trainer.model.load_state_dict(_with_prefix(tensors, "model."))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _with_prefix(tensors, "optimizer.").items():
            index, entry = name.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        trainer.optimizer.load_state_dict({**trainer.optimizer.state_dict(), "state": state})
        # States of version 0.3 have none, and those of another precision an empty one.
        if scaler := json.loads(notes.get("scaler", "{}")):
            trainer.scaler.load_state_dict(scaler)
        return Position(**json.loads(notes["position"]))

    def save_best(self, model: torch.nn.Module, epoch: int) -> None:
        """Keep the weights as those of `epoch`; the older ones go with the next `save`.

        Raises:
            StorageError: the disk is full, or the folder can't be written.
        """
        _write(self._best(epoch), model.state_dict(), {})

    def load_best(self, model: torch.nn.Module, epoch: int) -> None:
        """Put the weights that `save_best` kept into the model."""
        model.load_state_dict(load_file(self._best(epoch)))

    def publish(self, model: Any, processor: Any, notes: dict[str, Any]) -> Path:
        """Write the checkpoint in the format of transformers, with `notes` as blurdepth.json; returns it.

        Raises:
            StorageError: the disk is full, or the folder can't be written.
        """
        try:
            with replacing(self.checkpoint) as fresh:
                tell_kind(model.config, notes["kind"])
                # In the order in which any library reads weights.
                model.to(memory_format=torch.contiguous_format).save_pretrained(fresh)
                processor.save_pretrained(fresh)
                (fresh / NOTES).write_text(json.dumps({**notes, "key": self._key}, indent=1), encoding="utf-8")
                write_card(fresh, notes, self._card_pictures(notes["metrics"]["best_epoch"]))
        except (OSError, SafetensorError) as error:
            raise _storage_error(self.checkpoint, error) from error
        return self.checkpoint

    def save_probe(self, name: str, png: bytes) -> None:
        """Keep a picture of how the model does, for who watches.

        Raises:
            StorageError: the disk is full, or the folder can't be written.
        """
        write_atomically(self.probes / name, png)

    def _card_pictures(self, epoch: int) -> list[CardPicture]:
        """What was kept to be watched, of the base and of this epoch."""
        found: list[CardPicture] = []
        for path in sorted(self.probes.glob("input-*.png")):
            place = path.stem.removeprefix("input-")
            names = (path.name, f"0000-{place}.png", f"{epoch:04d}-{place}.png", f"target-{place}.png")
            paths = [self.probes / name for name in names]
            if all(each.is_file() for each in paths):
                panels = [decode_image(each.read_bytes(), each.name) for each in paths]
                found.append(CardPicture(f"Validation picture {len(found) + 1}", side_by_side(panels)))
        return found

    def finished(self) -> dict[str, Any] | None:
        """The notes of the checkpoint if this very fine-tune came to its end, else None.

        Raises:
            InputError: another fine-tune came to its end here; its checkpoint would be lost.
        """
        path = self.checkpoint / NOTES
        if not path.exists():
            return None
        notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if notes["status"] != "done":
            return None
        if notes["key"] != self._key:
            raise self._of_another()
        return notes

    def clear(self) -> None:
        """Remove what only a resume needs."""
        (self.root / STATE).unlink(missing_ok=True)
        shutil.rmtree(self.root / CACHE, ignore_errors=True)
        self._drop_best(but=None)

    def _of_another(self) -> InputError:
        return InputError(f"{self.root} holds another fine-tune (other data, model or recipe): use another folder.")

    def _best(self, epoch: int) -> Path:
        return self.root / f"best-{epoch}.safetensors"

    def _drop_best(self, but: int | None) -> None:
        for path in self.root.glob("best-*.safetensors"):
            if but is None or path != self._best(but):
                path.unlink(missing_ok=True)


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    data = to_bytes({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, notes)
    write_atomically(path, data)


def _storage_error(path: Path, error: Exception) -> StorageError:
    """The message for a write that failed; safetensors tells the number of the system's error in words only."""
    if isinstance(error, OSError):
        return storage_error(path, error)
    if number := re.search(r"os error (\d+)", str(error)):
        code = int(number[1])
        return storage_error(path, OSError(code, os.strerror(code)))
    return StorageError(f"{path} can't be written ({error}): check the disk's free space and permissions.")


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    names: Iterable[str] = (name for name in tensors if name.startswith(prefix))
    return {name.removeprefix(prefix): tensors[name] for name in names}
