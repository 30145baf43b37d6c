"""Files that are whole or not there, and files named by what is in them."""

from __future__ import annotations

import errno
import io
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError, NotFoundError, StorageError
from blurdepth.images import Rgb, content_hash, decode_image, encode_png


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a kill at any moment leaves the old file or the new one.

    Raises:
        StorageError: the disk is full, or the folder can't be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # By our own name and mode: tempfile's files are closed to everybody else who shares the folder.
        temporary = path.parent / f".part-{uuid.uuid4().hex}"
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise storage_error(path, error) from error


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to be made and filled with files, which takes the place of this one once it is whole; after an error
    the old one is there as before. After a kill it is, too, or beside its place as ".NAME-old", whence the next call
    takes it back.
    """
    fresh, old = (folder.with_name(f".{folder.name}-{age}") for age in ("new", "old"))
    shutil.rmtree(fresh, ignore_errors=True)
    _take_back(folder, old)
    try:
        yield fresh
        for path in fresh.iterdir():
            _flush(path)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        fresh.replace(folder)
    except BaseException:
        _take_back(folder, old)
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _take_back(folder: Path, old: Path) -> None:
    if old.exists() and not folder.exists():
        old.replace(folder)


def _flush(path: Path) -> None:
    """Have the disk keep it before its name appears."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def storage_error(path: Path, error: OSError) -> StorageError:
    """The message for a write to `path` that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"The disk of {path.parent} is full: free some space and retry; nothing was lost.")
    return StorageError(f"{path} can't be written ({error.strerror}): check the folder's permissions.")


def encode_array(values: NDArray[np.float32]) -> bytes:
    """The bytes of an .npy file with `values` as float32."""
    return npy_bytes(np.asarray(values, np.float32))


def npy_bytes(values: NDArray[Any]) -> bytes:
    """The bytes of an .npy file with `values` in their own type."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()


def read_array(path: str | Path) -> NDArray[np.float32]:
    """Read an .npy file of shape (H, W) as float32.

    Raises:
        InputError: it is missing, not an .npy file, or of another shape.
    """
    try:
        with Path(path).open("rb") as file:
            values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable .npy file ({error}): save it with numpy.save.") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        shape = getattr(values, "shape", "an archive")
        raise InputError(f"{path} has the shape {shape}: an array (height, width) of numbers is needed.")
    return values.astype(np.float32)


class ContentFolder:
    """Files named by their SHA-256: the same content is kept once, and a name never changes its meaning.

    Args:
        root: the folder; it is made when the first file comes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, suffix: str) -> str:
        """Keep `data`; returns its name, such as "ab/ab12….png".

        Raises:
            StorageError: it can't be written.
        """
        digest = content_hash(data)
        name = f"{digest[:2]}/{digest}{suffix}"
        path = self.root / name
        if not path.exists():
            write_atomically(path, data)
        return name

    def put_picture(self, pixels: NDArray[np.uint8]) -> str:
        """Keep (H, W) or (H, W, 3) uint8 as PNG; returns its name."""
        return self.put(encode_png(pixels), ".png")

    def put_array(self, values: NDArray[np.float32]) -> str:
        """Keep (H, W) float32 as .npy; returns its name."""
        return self.put(encode_array(values), ".npy")

    def path(self, name: str) -> Path:
        """Where the file called `name` lies.

        Raises:
            NotFoundError: it is gone.
        """
        path = self.root / name
        if not path.is_file():
            raise NotFoundError(f"The file {path} is missing from the data folder: restore it from a backup.")
        return path

    def picture(self, name: str) -> Rgb:
        """The picture called `name`: (H, W, 3) uint8 sRGB."""
        return decode_image(self.path(name).read_bytes(), name)

    def array(self, name: str) -> NDArray[np.float32]:
        """The array called `name`: (H, W) float32."""
        return read_array(self.path(name))
