"""Examples that are kept in memory and on disk."""

import os
from pathlib import Path

import numpy as np
import pytest

from blurdepth.example_cache import Example, ExampleCache


def example(seed: int) -> Example:
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 255, (30, 40, 3), np.uint8)
    return Example(rgb, random.random((30, 40), np.float32), random.integers(0, 3, (30, 40), np.uint8))


def same(one: Example, other: Example) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


def make_once(cache: ExampleCache, index: int, made: list[int]) -> Example:
    def make() -> Example:
        made.append(index)
        return example(index)

    return cache.get(index, make)


def test_each_example_is_made_once_in_memory_and_beyond_it(tmp_path: Path) -> None:
    made: list[int] = []
    cache = ExampleCache(tmp_path / "cache", memory_bytes=example(0).nbytes)
    for _ in range(3):
        for index in range(4):
            assert same(make_once(cache, index, made), example(index))
    assert made == [0, 1, 2, 3]
    # The first has its place in memory, the others on disk, in whole files.
    assert {path.name.split("-")[0] for path in (tmp_path / "cache").iterdir()} == {"1", "2", "3"}


def test_what_is_on_disk_is_found_by_the_next_run_and_half_of_it_is_made_anew(tmp_path: Path) -> None:
    made: list[int] = []
    for index in range(3):
        make_once(ExampleCache(tmp_path, memory_bytes=0), index, made)
    (tmp_path / "1-inverse_depth.npy").write_bytes(b"half")
    (tmp_path / "2-rgb.npy").write_bytes(b"")
    fresh = ExampleCache(tmp_path, memory_bytes=0)
    assert all(same(make_once(fresh, index, made), example(index)) for index in range(3))
    assert made == [0, 1, 2, 1, 2]


def test_the_disk_has_each_file_before_its_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[int] = []
    to_disk = os.fsync

    def watched(file: int) -> None:
        to_disk(file)
        named.append(len(list(tmp_path.glob("0-*.npy"))))

    monkeypatch.setattr(os, "fsync", watched)
    make_once(ExampleCache(tmp_path, memory_bytes=0), 0, [])
    assert named == [0, 1, 2]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way of a folder")
    made: list[int] = []
    cache = ExampleCache(tmp_path / "file" / "cache", memory_bytes=0)
    assert all(same(make_once(cache, 1, made), example(1)) for _ in range(2))
    assert made == [1, 1]


def test_without_room_an_example_is_made_each_time() -> None:
    made: list[int] = []
    cache = ExampleCache(None, memory_bytes=0)
    assert all(same(make_once(cache, 5, made), example(5)) for _ in range(2))
    assert made == [5, 5]
