"""Files are whole or not there, and named by what is in them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from blurdepth.errors import InputError, NotFoundError, StorageError
from blurdepth.files import ContentFolder, read_array, replacing, write_atomically


def test_the_same_content_is_kept_once_under_one_name(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path)
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert folder.put_array(values) == folder.put_array(values.copy())
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    assert np.array_equal(folder.array(folder.put_array(values)), values)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"ab/abc\.png"):
        ContentFolder(tmp_path).path("ab/abc.png")


def test_a_full_disk_leaves_the_old_file_and_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.json"
    write_atomically(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"disk of .* is full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["notes.json"]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, torn, aside = (tmp_path / name for name in ("model", ".model-new", ".model-old"))
    for each in (folder, torn, aside):
        each.mkdir()
        (each / each.name).touch()
    with pytest.raises(ValueError, match="half-way"), replacing(folder) as fresh:
        fresh.mkdir()
        raise ValueError("half-way")
    assert [path.name for path in folder.iterdir()] == ["model"] and not torn.exists()
    with replacing(folder) as fresh:
        fresh.mkdir()
        (fresh / "new").touch()
        assert [path.name for path in folder.iterdir()] == ["model"]
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_an_error_or_a_kill_between_two_renames_loses_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, renamed = tmp_path / "model", Path.replace
    folder.mkdir()
    (folder / "old").touch()

    def refuse(path: Path, target: Path) -> Path:
        if path.name == ".model-new":
            raise OSError(errno.EACCES, "Permission denied")
        return renamed(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="Permission"), replacing(folder) as fresh:
            fresh.mkdir()
    assert [path.name for path in folder.iterdir()] == ["old"]
    folder.replace(tmp_path / ".model-old")  # as a kill leaves it
    with pytest.raises(ValueError, match="half-way"), replacing(folder):
        raise ValueError("half-way")
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    write_atomically(tmp_path / "report.html", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "report.html").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 zip", b"\x93NUMPY\x01\x00 broken"])
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "depth.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"depth\.npy"):
        read_array(tmp_path / "depth.npy")


def test_arrays_need_two_axes_and_no_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"\(2, 3, 4\)"):
        read_array(tmp_path / "cube.npy")
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy"):
        read_array(tmp_path / "objects.npy")
