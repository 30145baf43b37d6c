"""Models of transformers, in a folder or on the Hub: finding, downloading and reading them with nothing trusted.

torch and transformers are imported inside the functions, so that the page can be served before them.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from blurdepth.errors import ModelError
from blurdepth.images import content_hash

if TYPE_CHECKING:
    import torch

PATTERNS = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]

OnBytes = Callable[[int, int], None]

_importing = threading.Lock()


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's GPU, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def transformers_classes(*names: str) -> tuple[Any, ...]:
    """Classes of transformers by name; one thread at a time imports, as its lazy modules need it."""
    with _importing:
        import transformers

        return tuple(getattr(transformers, name) for name in names)


def read_model(folder: Path, name: str, auto_class: str, what: str) -> tuple[Any, Any]:
    """The transformers model and image processor in a local folder, on the CPU in float32.

    Args:
        folder: in the format of transformers, with weights in safetensors.
        name: how messages call it.
        auto_class: of transformers, such as "AutoModelForDepthEstimation".
        what: it should be, in words.

    Raises:
        ModelError: it is damaged or of another kind, has no safetensors weights, or they don't fit its configuration.
    """
    auto_model, auto_processor = transformers_classes(auto_class, "AutoImageProcessor")
    import torch
    from safetensors import SafetensorError

    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"The model {name} has no .safetensors weights: pickled weights are not loaded; convert them.")
    # Code that a model brings along is never run, and nobody is asked whether it may be.
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model, report = auto_model.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **safe
        )
        processor = auto_processor.from_pretrained(folder, backend="pil", **safe)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        first_line = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"{name} is damaged or not {what} that transformers loads: {first_line}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"The weights of {name} don't fit its configuration ({len(missing)} are missing, such as {missing[0]}): "
            "use a checkpoint that was saved whole."
        )
    return model, processor


def find_files(name: str, on_bytes: OnBytes | None, choices: str, way_out: str) -> tuple[Path, str]:
    """Where the files of a model lie, and their revision; downloads them if need be.

    Args:
        name: a folder in the format of transformers, or a Hub id ("owner/model").
        on_bytes: called while a model is downloaded, with bytes done and bytes in all.
        choices: what a name may be, for the message to one that is nothing.
        way_out: what to do without a network, likewise.

    Returns:
        The folder, and the commit of the Hub or the first 12 digits of the SHA-256 of the folder's weights.

    Raises:
        ModelError: it can't be found, downloaded or read.
    """
    folder = _local_folder(name, choices)
    if folder is None:
        snapshot = _hub_snapshot(name, on_bytes, way_out)
        return snapshot, snapshot.name
    try:
        return folder, _weights_hash(folder)
    except OSError as error:
        raise ModelError(f"The weights of {name} can't be read ({error.strerror}): check the folder.") from error


def lasting_path(name: str, choices: str) -> str:
    """The name by which any process, whatever its working folder, finds the model; nothing is downloaded.

    Returns:
        A folder's absolute path; a Hub id as it is.

    Raises:
        ModelError: there is no such folder, and it is not a Hub id either.
    """
    folder = _local_folder(name, choices)
    return name if folder is None else str(folder)


def _local_folder(name: str, choices: str) -> Path | None:
    """The absolute folder that a name means; None if it is a Hub id."""
    folder = Path(os.path.expanduser(name)).absolute()
    # Unlike pathlib's, these take a name that no file can have for one that no file has.
    if os.path.isfile(folder / "config.json"):
        return folder
    if name and os.path.isdir(folder):
        raise ModelError(f"The folder {name} has no config.json: give one that `save_pretrained` wrote.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"There is no model {name!r}: give {choices}.")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a Hub id, which looks like owner/model.") from error
    return None


def _weights_hash(folder: Path) -> str:
    digests = ""
    for path in sorted(folder.glob("*.safetensors")):
        about = path.stat()
        digests += _file_hash(path, about.st_mtime_ns, about.st_size)
    return content_hash(digests.encode())[:12]


@lru_cache(maxsize=64)
def _file_hash(path: Path, _mtime_ns: int, _size: int) -> str:
    """Hashed again only when the file was written since."""
    return content_hash(path.read_bytes())


def _hub_snapshot(name: str, on_bytes: OnBytes | None, way_out: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(name, allow_patterns=PATTERNS, local_files_only=True))
        if _is_complete(snapshot):
            return snapshot
    except LocalEntryNotFoundError:
        pass
    try:
        snapshot = Path(snapshot_download(name, allow_patterns=PATTERNS, tqdm_class=_progress_class(on_bytes)))
    except Exception as error:  # the Hub's client lets errors of several HTTP libraries through
        reason = str(error).strip().split("\n")[0][:160]
        raise ModelError(
            f"{name} could not be downloaded ({reason}): check the id and the network, or {way_out}."
        ) from error
    # Without a network the Hub's client hands out what is there, half a download too.
    if not _is_complete(snapshot):
        raise ModelError(
            f"{name} is not whole: either its download was interrupted (try again with a network), or it has no "
            ".safetensors weights or no preprocessor_config.json; pickled weights are not loaded."
        )
    return snapshot


def _is_complete(snapshot: Path) -> bool:
    """Whether a download came to its end: the Hub's cache has a snapshot's folder from the first file on."""
    needed = {"config.json", "preprocessor_config.json"}
    indices = list(snapshot.glob("*.safetensors.index.json"))
    try:
        for index in indices:
            needed |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    has_weights = bool(indices) or any(path.is_file() for path in snapshot.glob("*.safetensors"))
    return has_weights and all((snapshot / name).is_file() for name in needed)


def _progress_class(on_bytes: OnBytes | None) -> type[Any]:
    from tqdm import tqdm

    class BytesBar(tqdm):
        """Passes the bytes on instead of drawing them."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if on_bytes is not None and self.unit == "B" and self.total:
                on_bytes(int(self.n), int(self.total))
            return drawn

    return BytesBar


class Loaded(Protocol):
    """A model in memory."""

    @property
    def revision(self) -> str:
        """Of its weights."""


Model = TypeVar("Model", bound=Loaded)


class ModelCache(Generic[Model]):
    """The last few models that were used, as long as their weights are those on disk; one thread loads each.

    Args:
        find: gives (folder, revision) of a name.
        load: gives the model of a name.
        size: how many stay in memory.
    """

    def __init__(
        self,
        find: Callable[[str, OnBytes | None], tuple[Path, str]],
        load: Callable[[str, OnBytes | None], Model],
        size: int = 2,
    ) -> None:
        self._find, self._load, self._size = find, load, size
        self._loaded: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    def get(self, name: str, on_bytes: OnBytes | None = None) -> Model:
        """The model called `name`, loaded if it isn't yet. Raises as `load` does."""
        with self._lock:
            busy = self._busy.setdefault(name, threading.Lock())
        # A download takes minutes: only who wants the same model waits for it.
        with busy:
            _, revision = self._find(name, on_bytes)
            with self._lock:
                model = self._loaded.pop(name, None)
            if model is None or model.revision != revision:
                model = self._load(name, on_bytes)
            with self._lock:
                self._loaded[name] = model
                while len(self._loaded) > self._size:
                    del self._loaded[next(iter(self._loaded))]
            return model
