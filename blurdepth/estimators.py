"""Depth models: any that transformers loads, by Hub id, folder or checkpoint, and the bundled one.

torch and transformers are imported inside the functions, so that the page can be served before them.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import DepthKind, to_inverse_depth
from blurdepth.errors import ModelError
from blurdepth.images import Rgb, content_hash

if TYPE_CHECKING:
    import torch

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).resolve().parent.parent / "checkpoints" / BUNDLED
PATTERNS = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]

# Model types of transformers whose output is metres; the others predict inverse depth without scale.
_METRIC_TYPES = ("zoedepth", "depth_pro", "glpn", "prompt_depth_anything", "chmv2")

OnBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class KnownModel:
    """A model that the page offers by name."""

    id: str
    name: str
    download_mb: int
    licence: str
    advice: str


SMALL = "depth-anything/Depth-Anything-V2-Small-hf"
BASE = "depth-anything/Depth-Anything-V2-Base-hf"
LARGE = "depth-anything/Depth-Anything-V2-Large-hf"

KNOWN_MODELS = (
    KnownModel(BUNDLED, "Bundled", 0, "MIT", "starts at once, but has only ever seen rendered streets"),
    KnownModel(SMALL, "Depth Anything V2 Small", 100, "Apache-2.0", "the right choice for real photographs"),
    KnownModel(BASE, "Depth Anything V2 Base", 390, "CC-BY-NC-4.0", "the paper's model; not for commercial use"),
    KnownModel(LARGE, "Depth Anything V2 Large", 1341, "CC-BY-NC-4.0", "wants a GPU; not for commercial use"),
)


@dataclass(frozen=True)
class Estimator:
    """A loaded depth model.

    Attributes:
        name: what it was asked for by.
        revision: commit of the Hub, or the first 12 digits of the SHA-256 of a folder's weights.
        kind: what its numbers mean.
    """

    name: str
    revision: str
    kind: DepthKind
    model: Any
    processor: Any

    def predict(self, rgb: Rgb) -> NDArray[np.float32]:
        """Depth of a frame in the model's own kind.

        Args:
            rgb: (H, W, 3) uint8 sRGB.

        Returns:
            (H, W) float32 of kind `self.kind`.

        Raises:
            ModelError: the model returned values that are not numbers.
        """
        import torch

        inputs = self.processor(images=rgb, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            outputs = self.model(**inputs)
        sizes = [rgb.shape[:2]]
        extra = {"source_sizes": sizes} if self.model.config.model_type == "zoedepth" else {}
        result = self.processor.post_process_depth_estimation(outputs, target_sizes=sizes, **extra)
        values = result[0]["predicted_depth"].float().cpu().numpy().astype(np.float32)
        if not np.isfinite(values).all():
            raise ModelError(f"The model {self.name} returned values that are not numbers: use another checkpoint.")
        return values

    def predict_inverse(self, rgb: Rgb) -> NDArray[np.float32]:
        """Like `predict`, but always larger = nearer: metres are turned into 1/m."""
        return to_inverse_depth(self.predict(rgb), self.kind)


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's GPU, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


_device_words = ""
_importing = threading.Lock()


def warm_up() -> None:
    """Import torch and transformers and run nothing yet, so that the first frame needn't wait for them."""
    global _device_words  # noqa: PLW0603
    _auto_classes()
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        _device_words = f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} GB free"
    elif torch.backends.mps.is_available():
        _device_words = "Apple GPU"


def device_words() -> str:
    """Where models run, in plain words; a GPU is known after `warm_up`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return _device_words or f"CPU, {cores} cores"


def load_estimator(name: str, on_bytes: OnBytes | None = None) -> Estimator:
    """Load a depth model onto the best device.

    Args:
        name: "bundled", a folder in the format of transformers, or a Hub id ("owner/model").
        on_bytes: called while a model is downloaded, with bytes done and bytes in all.

    Raises:
        ModelError: it can't be found or downloaded, is not a depth model, has no safetensors weights, or its
            weights don't fit its configuration.
    """
    folder, revision = find_model(name, on_bytes)
    model, processor = load_model(folder, name)
    model = model.to(best_device()).eval()
    return Estimator(name, revision, _kind(folder, model.config), model, processor)


def _auto_classes() -> tuple[Any, Any]:
    """The two classes of transformers that load any model; one thread at a time, as its lazy modules need it."""
    with _importing:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        return AutoModelForDepthEstimation, AutoImageProcessor


def load_model(folder: Path, name: str) -> tuple[Any, Any]:
    """The transformers model and image processor in a local folder, on the CPU in float32.

    Raises:
        ModelError: see `load_estimator`.
    """
    auto_model, auto_processor = _auto_classes()
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
        raise ModelError(f"{name} is damaged or not a depth model that transformers loads: {first_line}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"The weights of {name} don't fit its configuration ({len(missing)} are missing, such as {missing[0]}): "
            "use a checkpoint that was saved whole."
        )
    return model, processor


def find_model(name: str, on_bytes: OnBytes | None = None) -> tuple[Path, str]:
    """Where the files of a model lie, and their revision; downloads them if need be.

    Raises:
        ModelError: see `load_estimator`.
    """
    folder = _local_folder(name)
    if folder is None:
        snapshot = _hub_snapshot(name, on_bytes)
        return snapshot, snapshot.name
    try:
        return folder, _weights_hash(folder)
    except OSError as error:
        raise ModelError(f"The weights of {name} can't be read ({error.strerror}): check the folder.") from error


def lasting_name(name: str) -> str:
    """The name by which any process, whatever its working folder, finds the model; nothing is downloaded.

    Returns:
        A folder's absolute path; "bundled" and Hub ids as they are.

    Raises:
        ModelError: there is no such folder, and it is not a Hub id either.
    """
    folder = _local_folder(name)
    return name if folder is None or name == BUNDLED else str(folder)


def _local_folder(name: str) -> Path | None:
    """The absolute folder that a name means; None if it is a Hub id."""
    folder = BUNDLED_FOLDER if name == BUNDLED else Path(os.path.expanduser(name)).absolute()
    # Unlike pathlib's, these take a name that no file can have for one that no file has.
    if os.path.isfile(folder / "config.json"):
        return folder
    if name and os.path.isdir(folder):
        raise ModelError(f"The folder {name} has no config.json: give one that `save_pretrained` wrote.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"There is no model {name!r}: give bundled, a job (j1), a folder, or a Hub id (owner/model).")
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


def _hub_snapshot(name: str, on_bytes: OnBytes | None) -> Path:
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
            f"{name} could not be downloaded ({reason}): check the id and the network, or use the bundled model."
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


def _kind(folder: Path, config: Any) -> DepthKind:
    notes = folder / "blurdepth.json"
    if notes.is_file():
        return _noted_kind(notes)
    metric = config.model_type in _METRIC_TYPES or getattr(config, "depth_estimation_type", "") == "metric"
    return "depth_m" if metric else "affine_inverse_depth"


def _noted_kind(notes: Path) -> DepthKind:
    try:
        kind: DepthKind = json.loads(notes.read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{notes} is damaged or names no kind of depth: restore it, or remove it to take the model as it is."
        ) from error
    if kind not in get_args(DepthKind):
        raise ModelError(f"{notes} names the kind {kind!r}: use one of {', '.join(get_args(DepthKind))}.")
    return kind


class EstimatorCache:
    """The last few estimators that were used, as long as their weights are those on disk; one thread at a time loads.

    Args:
        size: how many stay in memory.
    """

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._loaded: dict[str, Estimator] = {}
        self._lock = threading.Lock()

    def get(self, name: str, on_bytes: OnBytes | None = None) -> Estimator:
        """The estimator called `name`, loaded if it isn't yet. Raises as `load_estimator` does."""
        with self._lock:
            _, revision = find_model(name, on_bytes)
            estimator = self._loaded.pop(name, None)
            if estimator is None or estimator.revision != revision:
                estimator = load_estimator(name, on_bytes)
            self._loaded[name] = estimator
            while len(self._loaded) > self._size:
                del self._loaded[next(iter(self._loaded))]
            return estimator
