"""Models in a folder or on the Hub: finding, downloading and reading them with nothing trusted.

torch and transformers are imported inside the functions, so that the page can be served before them.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from blurdepth.errors import ModelError
from blurdepth.images import content_hash

if TYPE_CHECKING:
    import torch

OnBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class Layout:
    """Which files a kind of model consists of.

    Attributes:
        needed: paths that must be there; the first tells a folder of this kind.
        weights: folders inside, each with weights in safetensors; "" is the model's own.
        wanted: patterns of what is downloaded. If the first of them bring no whole model, the next are tried: so
            that a repository which keeps its weights twice is not downloaded twice.
    """

    needed: tuple[str, ...]
    weights: tuple[str, ...]
    wanted: tuple[tuple[str, ...], ...]


TRANSFORMERS_MODEL = Layout(
    needed=("config.json", "preprocessor_config.json"),
    weights=("",),
    wanted=(("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"),),
)

_importing = threading.Lock()


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's GPU, else the CPU.

    Where several processes work side by side (`accelerate launch`), each has the GPU of its LOCAL_RANK.
    """
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def core_count() -> int:
    """How many cores of the processor this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def transformers_classes(*names: str) -> tuple[Any, ...]:
    """Classes of transformers by name; one thread at a time imports, as its lazy modules need it."""
    with _importing:
        import transformers

        # Their bars and warnings would stand between our own words: what is wrong with a model we say ourselves.
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
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

    model = read_weights(auto_model, folder, name, what, dtype=torch.float32, trust_remote_code=False)
    with _reading_told(name, what):
        processor = auto_processor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
    return model, processor


def read_structure(folder: Path, name: str, auto_class: str, what: str) -> Any:
    """The transformers model that a local folder describes, on PyTorch's "meta" device: without weights.

    Args:
        folder, name, auto_class, what: as for `read_model`.

    Raises:
        ModelError: it is damaged or of another kind.
    """
    auto_model, auto_config = transformers_classes(auto_class, "AutoConfig")
    import torch

    with _reading_told(name, what), torch.device("meta"):
        config = auto_config.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return auto_model.from_config(config, dtype=torch.float32, trust_remote_code=False)


def read_weights(model_class: Any, folder: Path, name: str, what: str, **options: Any) -> Any:
    """A model of transformers or diffusers in a local folder, on the CPU, with all of its weights.

    Args:
        model_class: with `from_pretrained`, which also gets the `options`.
        folder: with a configuration and weights in safetensors.
        name: how messages call it.
        what: it should be, in words.

    Raises:
        ModelError: it is damaged or of another kind, has no safetensors weights, or they don't fit its configuration.
    """
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"The model {name} has no .safetensors weights: pickled weights are not loaded; convert them.")
    # Code that a model brings along is never run, and nobody is asked whether it may be.
    with _reading_told(name, what):
        model, report = model_class.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, local_files_only=True, **options
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"The weights of {name} don't fit its configuration ({len(missing)} are missing, such as {missing[0]}): "
            "use a checkpoint that was saved whole."
        )
    return model


@contextmanager
def _reading_told(name: str, what: str) -> Iterator[None]:
    """Turns what the libraries raise on a damaged or foreign model into one clear error."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        first_line = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"{name} is damaged or not {what} that can be loaded: {first_line}") from error


def find_files(
    name: str,
    on_bytes: OnBytes | None,
    choices: str,
    way_out: str,
    layout: Layout = TRANSFORMERS_MODEL,
) -> tuple[Path, str]:
    """Where the files of a model lie, and their revision; downloads them if need be.

    Args:
        name: a folder, or a Hub id ("owner/model").
        on_bytes: called while a model is downloaded, with bytes done and bytes in all.
        choices: what a name may be, for the message to one that is nothing.
        way_out: what to do without a network, likewise.
        layout: the kind of model.

    Returns:
        The folder, and the commit of the Hub or the first 12 digits of the SHA-256 of the folder's weights.

    Raises:
        ModelError: it can't be found, downloaded or read.
    """
    folder = _local_folder(name, choices, layout)
    if folder is None:
        snapshot = _hub_snapshot(name, on_bytes, way_out, layout)
        return snapshot, snapshot.name
    try:
        return folder, _weights_hash(folder, layout)
    except OSError as error:
        raise ModelError(f"The weights of {name} can't be read ({error.strerror}): check the folder.") from error


def files_here(name: str, choices: str, layout: Layout = TRANSFORMERS_MODEL) -> Path | None:
    """The folder of a model that needs no download; None if it does. Nothing is downloaded, or read but names.

    Raises:
        ModelError: it is neither a folder of this kind nor a Hub id.
    """
    return _local_folder(name, choices, layout) or _cached_snapshot(name, layout)


def element_count(path: Path) -> int:
    """How many numbers a .safetensors file holds, from its header alone.

    Raises:
        ModelError: it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged ({error}): get the model again.") from error


def lasting_path(name: str, choices: str) -> str:
    """The name by which any process, whatever its working folder, finds the model; nothing is downloaded.

    Returns:
        A folder's absolute path; a Hub id as it is.

    Raises:
        ModelError: there is no such folder, and it is not a Hub id either.
    """
    folder = _local_folder(name, choices, TRANSFORMERS_MODEL)
    return name if folder is None else str(folder)


def _local_folder(name: str, choices: str, layout: Layout) -> Path | None:
    """The absolute folder that a name means; None if it is a Hub id."""
    folder = Path(os.path.expanduser(name)).absolute()
    # Unlike pathlib's, these take a name that no file can have for one that no file has.
    if os.path.isfile(folder / layout.needed[0]):
        return folder
    if name and os.path.isdir(folder):
        raise ModelError(f"The folder {name} has no {layout.needed[0]}: give one that `save_pretrained` wrote.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"There is no model {name!r}: give {choices}.")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a Hub id, which looks like owner/model.") from error
    return None


def _weights_hash(folder: Path, layout: Layout) -> str:
    digests = ""
    for path in (path for part in layout.weights for path in sorted((folder / part).glob("*.safetensors"))):
        about = path.stat()
        digests += _file_hash(path, about.st_mtime_ns, about.st_size)
    return content_hash(digests.encode())[:12]


@lru_cache(maxsize=64)
def _file_hash(path: Path, _mtime_ns: int, _size: int) -> str:
    """Hashed again only when the file was written since."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hub_snapshot(name: str, on_bytes: OnBytes | None, way_out: str, layout: Layout) -> Path:
    from huggingface_hub import snapshot_download

    if (cached := _cached_snapshot(name, layout)) is not None:
        return cached
    for patterns in layout.wanted:
        try:
            bar = _progress_class(on_bytes)
            snapshot = Path(snapshot_download(name, allow_patterns=list(patterns), tqdm_class=bar))
        except Exception as error:  # the Hub's client lets errors of several HTTP libraries through
            reason = str(error).strip().split("\n")[0][:160]
            raise ModelError(
                f"{name} could not be downloaded ({reason}): check the id and the network, or {way_out}."
            ) from error
        if _is_complete(snapshot, layout):
            return snapshot
    # Without a network the Hub's client hands out what is there, half a download too.
    raise ModelError(
        f"{name} is not whole: either its download was interrupted (try again with a network), or it has no "
        f".safetensors weights or no {layout.needed[-1]}; pickled weights are not loaded."
    )


def _cached_snapshot(name: str, layout: Layout) -> Path | None:
    """A model's folder in the Hub's cache, if it is whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    # The client remembers what a repository has: it is asked for no more than was downloaded.
    for patterns in layout.wanted:
        try:
            snapshot = Path(snapshot_download(name, allow_patterns=list(patterns), local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        if _is_complete(snapshot, layout):
            return snapshot
    return None


def _is_complete(snapshot: Path, layout: Layout = TRANSFORMERS_MODEL) -> bool:
    """Whether a download came to its end: the Hub's cache has a snapshot's folder from the first file on."""
    has_needed = all((snapshot / name).is_file() for name in layout.needed)
    return has_needed and all(_has_weights(snapshot / part) for part in layout.weights)


def _has_weights(folder: Path) -> bool:
    indices = list(folder.glob("*.safetensors.index*.json"))
    needed: set[str] = set()
    try:
        for index in indices:
            needed |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    has_any = bool(indices) or any(path.is_file() for path in folder.glob("*.safetensors"))
    return has_any and all((folder / name).is_file() for name in needed)


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


Name = TypeVar("Name", bound=Hashable)
Model = TypeVar("Model", bound=Loaded)


class ModelCache(Generic[Name, Model]):
    """The last few models that were used, as long as their weights are those on disk; one thread loads each.

    Args:
        find: gives (folder, revision) of a name.
        load: gives the model of a name.
        size: how many stay in memory.
    """

    def __init__(
        self,
        find: Callable[[Name, OnBytes | None], tuple[Path, str]],
        load: Callable[[Name, OnBytes | None], Model],
        size: int = 2,
    ) -> None:
        self._find, self._load, self._size = find, load, size
        self._loaded: dict[Name, Model] = {}
        self._lock = threading.Lock()
        self._busy: dict[Name, threading.Lock] = {}

    def peek(self, name: Name) -> Model | None:
        """The model called `name` if it is in memory, of whatever revision."""
        with self._lock:
            return self._loaded.get(name)

    def get(self, name: Name, on_bytes: OnBytes | None = None) -> Model:
        """The model called `name`, loaded if it isn't yet. Raises as `load` does."""
        with self._lock:
            busy = self._busy.setdefault(name, threading.Lock())
        # A download takes minutes: only who wants the same model waits for it.
        with busy:
            _, revision = self._find(name, on_bytes)
            with self._lock:
                model = self._loaded.pop(name, None)
            if model is None or model.revision != revision:
                # What goes makes room first: two large models may not fit beside each other.
                with self._lock:
                    while len(self._loaded) >= self._size:
                        del self._loaded[next(iter(self._loaded))]
                model = self._load(name, on_bytes)
            with self._lock:
                self._loaded[name] = model
                while len(self._loaded) > self._size:
                    del self._loaded[next(iter(self._loaded))]
            return model
