"""Decoded, resized examples, so that epochs after the first decode nothing: in memory, and beyond that on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import Map
from blurdepth.errors import StorageError
from blurdepth.files import npy_bytes, write_atomically
from blurdepth.images import Rgb
from blurdepth.metrics import Regions

MEMORY_SHARE = 0.4
"""Of the memory that is free at the start, for examples."""
SPARE_DISK_BYTES = 5 * 2**30
"""Left on the disk, for checkpoints and for others."""


class Example(NamedTuple):
    """An item in memory: rgb (H, W, 3) uint8 sRGB, inverse depth (H, W) float32 1/m, regions (H, W) uint8."""

    rgb: Rgb
    inverse_depth: Map
    regions: Regions

    @property
    def nbytes(self) -> int:
        """Of all three."""
        return sum(part.nbytes for part in self)


class ExampleCache:
    """Examples by their number.

    Args:
        folder: for those that memory has no room for; None keeps no others.
        memory_bytes: how much may be in memory; by default a share of what is free.
    """

    def __init__(self, folder: Path | None, memory_bytes: int | None = None) -> None:
        self._folder = folder
        self._room = _free_memory_share() if memory_bytes is None else memory_bytes
        self._kept: dict[int, Example] = {}

    def get(self, index: int, make: Callable[[], Example]) -> Example:
        """The example with this number, made if it isn't kept; one on disk is read only where it is looked at."""
        if (kept := self._kept.get(index)) is not None:
            return kept
        if (on_disk := self._read(index)) is not None:
            return on_disk
        example = make()
        if example.nbytes <= self._room:
            self._room -= example.nbytes
            self._kept[index] = example
        else:
            self._write(index, example)
        return example

    def _paths(self, index: int) -> list[Path]:
        assert self._folder is not None
        return [self._folder / f"{index}-{name}.npy" for name in Example._fields]

    def _read(self, index: int) -> Example | None:
        if self._folder is None:
            return None
        try:
            return Example(*(np.load(path, mmap_mode="r", allow_pickle=False) for path in self._paths(index)))
        except (OSError, ValueError, EOFError):
            return None  # it isn't kept, or is damaged: it is made again

    def _write(self, index: int, example: Example) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._folder).free < SPARE_DISK_BYTES + example.nbytes:
                return
            parts: list[NDArray[Any]] = [example.rgb, example.inverse_depth, example.regions]
            for path, part in zip(self._paths(index), parts, strict=True):
                # The disk has it before its name appears. Not every file system keeps that order by itself: a power
                # cut could leave a file of the right size that holds zeros, which nobody would notice when it is
                # read. To check each file at its first use would read all of it, where a crop is all that is needed.
                write_atomically(path, npy_bytes(part))
        except (OSError, StorageError):
            return  # a cache that can't be written only costs time


def _free_memory_share() -> int:
    import psutil

    # Processes that were started together on this machine, as by torch or accelerate, share its memory.
    return int(psutil.virtual_memory().available * MEMORY_SHARE / int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
