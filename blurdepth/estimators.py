"""Depth models: any that transformers loads, by Hub id, folder or checkpoint, and the two that come with the project.

torch and transformers are imported inside the functions, so that the page can be served before them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import DepthKind, to_inverse_depth
from blurdepth.errors import ModelError
from blurdepth.images import Rgb
from blurdepth.pretrained import (
    TRANSFORMERS_MODEL,
    OnBytes,
    best_device,
    core_count,
    files_here,
    find_files,
    lasting_path,
    read_model,
    read_structure,
    transformers_classes,
)

NOTES = "blurdepth.json"
"""The file beside weights that says how they came about."""
BUNDLED, TUNED = "bundled", "bundled-blur"
"""The model that comes with the project, and the same fine-tuned on blurred streets."""
SHIPPED = {name: Path(__file__).resolve().parent.parent / "checkpoints" / name for name in (BUNDLED, TUNED)}
"""Their folders."""
MODEL_NAMES = f"{', '.join(SHIPPED)}, a job (j1), a folder, or a Hub id (owner/model)"
"""What a model may be asked for by, in words."""

_AUTO_MODEL = "AutoModelForDepthEstimation"
_TELLS_KIND = "depth_estimation_type"
"""What configurations of transformers call it; those of most model types don't tell."""
_MEND = "restore it, or load a copy of the folder without it to take the model as it is"
_LAYOUT = replace(TRANSFORMERS_MODEL, wanted=((*TRANSFORMERS_MODEL.wanted[0], NOTES),))

# Model types of transformers whose output is metres; the others predict inverse depth without scale.
_METRIC_TYPES = ("zoedepth", "depth_pro", "glpn", "prompt_depth_anything", "chmv2")


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
    KnownModel(TUNED, "Bundled, tuned for blur", 0, "MIT", "the same after a fine-tune on blurred rendered streets"),
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

    def fitting(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) in pixels that the model takes and that is nearest to `size`."""
        asked = (getattr(self.processor, name, None) for name in ("ensure_multiple_of", "size_divisor"))
        step = next(filter(None, asked), 1)
        height, width = (max(round(side / step), 1) * step for side in size)
        return height, width

    def predict_inverse(self, rgb: Rgb) -> NDArray[np.float32]:
        """Like `predict`, but always larger = nearer: metres are turned into 1/m."""
        return to_inverse_depth(self.predict(rgb), self.kind)


_device_words = ""


def warm_up() -> None:
    """Import torch and transformers and run nothing yet, so that the first frame needn't wait for them."""
    global _device_words  # noqa: PLW0603
    transformers_classes(_AUTO_MODEL)
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        _device_words = f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} GB free"
    elif torch.backends.mps.is_available():
        _device_words = "Apple GPU"


def device_words() -> str:
    """Where models run, in plain words; a GPU is known after `warm_up`."""
    return _device_words or f"CPU, {core_count()} cores"


def load_estimator(name: str, on_bytes: OnBytes | None = None) -> Estimator:
    """Load a depth model onto the best device.

    Args:
        name: one of `SHIPPED`, a folder in the format of transformers, or a Hub id ("owner/model").
        on_bytes: called while a model is downloaded, with bytes done and bytes in all.

    Raises:
        ModelError: it can't be found or downloaded, is not a depth model, has no safetensors weights, or its
            weights don't fit its configuration.
    """
    import torch

    folder, revision = find_model(name, on_bytes)
    model, processor = load_model(folder, name)
    # The values of a pixel side by side: its convolutions take about half the time on a CPU, and on a GPU in half
    # precision they are what the fast kernels want.
    model = model.to(best_device(), memory_format=torch.channels_last).eval()
    return Estimator(name, revision, _kind(folder, model.config), model, processor)


def load_model(folder: Path, name: str) -> tuple[Any, Any]:
    """The transformers model and image processor in a local folder, on the CPU in float32.

    Raises:
        ModelError: see `load_estimator`.
    """
    return read_model(folder, name, _AUTO_MODEL, "a depth model")


def model_structure(name: str) -> Any | None:
    """A transformers model without its weights; None if it is still to be downloaded, or can't be built without them.

    Raises:
        ModelError: it is neither a folder with a model nor a Hub id.
    """
    if (folder := _folder_here(name)) is None:
        return None
    try:
        return read_structure(folder, name, _AUTO_MODEL, "a depth model")
    except Exception:  # of any library that a configuration can name: loading the model tells why, and how to mend it
        return None


def find_model(name: str, on_bytes: OnBytes | None = None) -> tuple[Path, str]:
    """Where the files of a model lie, and their revision; downloads them if need be.

    Raises:
        ModelError: see `load_estimator`.
    """
    return find_files(_place(name), on_bytes, MODEL_NAMES, "use the bundled model", _LAYOUT)


def weights_here(name: str) -> list[Path] | None:
    """The files with a model's weights; None if they are still to be downloaded. Nothing is read but names.

    Raises:
        ModelError: it is neither a folder with a model nor a Hub id.
    """
    folder = _folder_here(name)
    return None if folder is None else sorted(folder.glob("*.safetensors"))


def lasting_name(name: str) -> str:
    """The name by which any process, whatever its working folder, finds the model; nothing is downloaded.

    Returns:
        A folder's absolute path; those of `SHIPPED` and Hub ids as they are.

    Raises:
        ModelError: there is no such folder, and it is not a Hub id either.
    """
    return name if name in SHIPPED else lasting_path(name, MODEL_NAMES)


def read_notes(name: str) -> dict[str, Any]:
    """What blurdepth wrote beside a model's weights; empty for one that it didn't make or that isn't downloaded yet.

    Raises:
        ModelError: it is neither a folder with a model nor a Hub id, or its notes are damaged.
    """
    folder = _folder_here(name)
    return {} if folder is None else _notes(folder)


def tell_kind(config: Any, kind: DepthKind) -> None:
    """Have a configuration say whether its model's numbers are metres, unless it does: others read no notes."""
    if not hasattr(config, _TELLS_KIND):
        setattr(config, _TELLS_KIND, "metric" if kind == "depth_m" else "relative")


def streets_learned(notes: dict[str, Any]) -> list[tuple[int, int]]:
    """First and last seeds of the rendered streets that a model has learned from, or its base has, by its notes."""
    found = (notes.get(origin, {}).get("streets", []) for origin in ("provenance", "base"))
    return [(int(first), int(last)) for ranges in found for first, last in ranges]


def _place(name: str) -> str:
    return str(SHIPPED.get(name, name))


def _folder_here(name: str) -> Path | None:
    return files_here(_place(name), MODEL_NAMES, _LAYOUT)


def _notes(folder: Path) -> dict[str, Any]:
    path = folder / NOTES
    if not path.is_file():
        return {}
    try:
        notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, _ = notes["kind"], streets_learned(notes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged or names no kind of depth: {_MEND}.") from error
    if kind not in get_args(DepthKind):
        raise ModelError(f"{path} names the kind {kind!r}, not one of {', '.join(get_args(DepthKind))}: {_MEND}.")
    return notes


def _kind(folder: Path, config: Any) -> DepthKind:
    if notes := _notes(folder):
        kind: DepthKind = notes["kind"]
        return kind
    usual = "metric" if config.model_type in _METRIC_TYPES else "relative"
    return "depth_m" if getattr(config, _TELLS_KIND, usual) == "metric" else "affine_inverse_depth"
