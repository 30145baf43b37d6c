"""A checkpoint copied to a place of its own: whole, or not there."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from blurdepth.errors import InputError
from blurdepth.files import storage_error


def copy_checkpoint(source: Path, out: Path, mark: str, on_file: Callable[[int, int], None]) -> None:
    """Copy a folder to `out`, or into the zip `out` if its name ends so. The same copy made before is left as it is.

    Args:
        source: a folder of files.
        out: where to; its folder is made.
        mark: names this copy while it is made, so that the next try clears what a kill left.
        on_file: told before each file, and at the end, how many are done and how many there are; may raise.

    Raises:
        InputError: something else is there.
        StorageError: it can't be written.
    """
    files = sorted(path for path in source.iterdir() if path.is_file())
    if os.path.lexists(out):
        if _sizes(out) != {path.name: path.stat().st_size for path in files}:
            raise InputError(f"{out} exists and is something else: choose another place.")
        on_file(len(files), len(files))
        return
    part = out.with_name(f".{out.name}.part-{mark}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        (_zip if out.suffix == ".zip" else _copy)(files, part, on_file)
        os.replace(part, out)
    except OSError as error:
        raise storage_error(out, error) from error
    finally:
        _remove(part)
    on_file(len(files), len(files))


def _copy(files: list[Path], part: Path, on_file: Callable[[int, int], None]) -> None:
    part.mkdir()
    for number, path in enumerate(files):
        on_file(number, len(files))
        shutil.copyfile(path, part / path.name)


def _zip(files: list[Path], part: Path, on_file: Callable[[int, int], None]) -> None:
    # Weights hardly get smaller.
    with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED) as archive:
        for number, path in enumerate(files):
            on_file(number, len(files))
            archive.write(path, path.name)


def _sizes(out: Path) -> dict[str, int]:
    if out.is_dir():
        return {path.name: path.stat().st_size for path in out.iterdir()}
    if not zipfile.is_zipfile(out):
        return {}
    with zipfile.ZipFile(out) as archive:
        return {each.filename: each.file_size for each in archive.infolist()}


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
