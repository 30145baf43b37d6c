"""What painting will cost, in plain words and before anything is loaded or downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blurdepth.diffusion.frames import paint_size
from blurdepth.diffusion.models import DiffusionModels, missing_parts, weight_elements
from blurdepth.diffusion.settings import PaintSettings
from blurdepth.pretrained import best_device, core_count

MemoryMode = Literal["whole", "tiled", "offload", "sequential"]
"""`whole`: all models and pictures at once; `tiled`: the VAE works on tiles; `offload`: of all models, only the one at
work is on the GPU; `sequential`: of its layers too."""

MODE_WORDS: dict[MemoryMode, str] = {
    "whole": "everything is kept in memory",
    "tiled": "pictures are decoded in tiles to save memory",
    "offload": "only the part at work is kept on the GPU, which costs some time",
    "sequential": "only the layer at work is kept on the GPU, which is several times slower",
}

SDXL_ELEMENTS = {
    "unet": 2_567_463_684,
    "text_encoder": 123_060_480,
    "text_encoder_2": 694_659_840,
    "vae": 83_653_863,
    "adapter": 79_028_160,
}
"""Weights of SDXL 1.0 and its depth adapter."""

_REFERENCE_PIXELS = 1728 * 576
_REFERENCE_PASSES = 60
"""30 steps, each with the prompt and with the negative prompt."""
# Beside the weights, for about a megapixel in half precision: a VAE that decodes it whole, or in tiles; the U-Net.
_WHOLE_BYTES, _TILED_BYTES, _UNET_BYTES, _LAYER_BYTES = 7.5e9, 3e9, 2e9, 2.5e9
# From quickest to slowest, for the reference: reported for an A100 and an L4, guessed from operations for the others.
_CUDA_SECONDS = {"A100": (2.5, 4.0), "H100": (1.5, 4.0), "L4": (30.0, 40.0)}
_ANY_CUDA_SECONDS, _MPS_SECONDS, _CORE_SECONDS = (3.0, 60.0), (40.0, 240.0), (3600.0, 14400.0)
_SLOWER: dict[MemoryMode, float] = {"whole": 1, "tiled": 1.05, "offload": 1.5, "sequential": 6}


@dataclass(frozen=True)
class Plan:
    """What painting one picture takes. Times and needs of memory are estimates.

    Attributes:
        downloads: Hub ids that are still to be downloaded, with their bytes, None where unknown.
        device: where it runs, in words.
        mode: how memory is saved.
        needed_bytes: of free memory in this mode.
        free_bytes: of memory on the device now.
        seconds_per_image: from quick to slow.
    """

    downloads: dict[str, int | None]
    device: str
    mode: MemoryMode
    needed_bytes: int
    free_bytes: int
    seconds_per_image: tuple[float, float]

    @property
    def suffices(self) -> bool:
        """Whether there is memory enough."""
        return self.free_bytes >= self.needed_bytes

    @property
    def download_bytes(self) -> int:
        """Of all downloads whose size is known."""
        return sum(size or 0 for size in self.downloads.values())

    def words(self) -> list[str]:
        """Three sentences: the download, the memory, the time."""
        return [self._download_words(), self._memory_words(), self._time_words()]

    def _download_words(self) -> str:
        if not self.downloads:
            return "Nothing has to be downloaded."
        unknown = [name for name, size in self.downloads.items() if size is None]
        known = f"{self.download_bytes / 1e9:.1f} GB" if self.download_bytes else ""
        rest = f"{', '.join(unknown)} (size unknown)" if unknown else ""
        return f"Will be downloaded once: {' and '.join(filter(None, (known, rest)))}."

    def _memory_words(self) -> str:
        needs = f"needs {_gib(self.needed_bytes)} of memory, {_gib(self.free_bytes)} are free"
        if not self.suffices:
            return f"{self.device}: {needs}, which does not suffice: use the exposure simulator or a larger GPU."
        return f"{self.device}: {needs}; {MODE_WORDS[self.mode]}."

    def _time_words(self) -> str:
        quick, slow = map(rough_duration, self.seconds_per_image)
        return f"About {quick if quick == slow else f'{quick} to {slow}'} a picture (an estimate)."


def plan_painting(
    models: DiffusionModels, width: int, height: int, settings: PaintSettings, loaded: MemoryMode | None = None
) -> Plan:
    """What painting a frame of this size will take; loads nothing and asks no network.

    Args:
        models: what paints.
        width, height: of the frame, pixels.
        settings: how it is painted.
        loaded: the mode in which the models are in memory already, so that their weights need none that is free.

    Raises:
        ModelError: a part is neither a folder of its kind nor a Hub id.
        InputError: the frame is too wide to be painted.
    """
    import torch

    fit = paint_size(width, height, settings.short_side_px)
    counts = weight_elements(models) or SDXL_ELEMENTS
    device = best_device()
    free = free_bytes(device)
    pixels = fit.size[0] * fit.size[1]
    needs = memory_needs(device.type, counts, pixels)
    mode = loaded or choose_mode(needs, free)
    needed = int(needs[mode].pictures if loaded else needs[mode].total)
    effective = settings.in_effect(bool(models.preview_lora))
    passes = effective.steps * (2 if effective.guidance > 1 else 1)
    work = passes / _REFERENCE_PASSES * pixels / _REFERENCE_PIXELS * counts["unet"] / SDXL_ELEMENTS["unet"]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    quick, slow = _reference_seconds(device.type, name)
    factor = work * _SLOWER[mode]
    words = {"cuda": name, "mps": "Apple GPU"}.get(device.type, f"CPU, {core_count()} cores")
    return Plan(missing_parts(models), words, mode, needed, free, (quick * factor, slow * factor))


@dataclass(frozen=True)
class Need:
    """Bytes of memory that a mode takes: for weights, and beside them for the pictures at work."""

    weights: float
    pictures: float

    @property
    def total(self) -> float:
        """Both."""
        return self.weights + self.pictures


def memory_needs(device: str, counts: dict[str, int], pixels: int) -> dict[MemoryMode, Need]:
    """What each mode takes that a device knows, from the quickest to the most frugal.

    Args:
        device: "cuda", "mps" or "cpu".
        counts: weights by component.
        pixels: of the picture that is painted.
    """
    weight = 4 if device == "cpu" else 2
    size = min(1.0, sum(counts.values()) / sum(SDXL_ELEMENTS.values()))
    share = weight / 2 * pixels / _REFERENCE_PIXELS * size
    every, largest = sum(counts.values()) * weight, max(counts.values()) * weight
    needs: dict[MemoryMode, Need] = {
        "whole": Need(every, _WHOLE_BYTES * share),
        "tiled": Need(every, _TILED_BYTES * share),
    }
    if device == "cuda":
        needs |= {"offload": Need(largest, _UNET_BYTES * share), "sequential": Need(0, _LAYER_BYTES * share)}
    return needs


def choose_mode(needs: dict[MemoryMode, Need], free: int) -> MemoryMode:
    """The quickest mode that fits into the free memory; the most frugal if none does."""
    return next((mode for mode, need in needs.items() if need.total <= free), list(needs)[-1])


def free_bytes(device: object) -> int:
    """Of memory that is free on a device of torch."""
    import psutil
    import torch

    if torch.device(str(device)).type == "cuda":
        return torch.cuda.mem_get_info(torch.device(str(device)))[0]
    available: int = psutil.virtual_memory().available
    return available


def rough_duration(seconds: float) -> str:
    """A time as a person says it.

    >>> rough_duration(2.8), rough_duration(60), rough_duration(90), rough_duration(5400)
    ('3 s', '60 s', '2 minutes', '1.5 hours')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 3600 else f"{seconds / 3600:.1f} hours"


def _reference_seconds(device: str, name: str) -> tuple[float, float]:
    if device == "cuda":
        known = [seconds for part, seconds in _CUDA_SECONDS.items() if part in name.split("-") + name.split()]
        return known[0] if known else _ANY_CUDA_SECONDS
    if device == "mps":
        return _MPS_SECONDS
    quick, slow = _CORE_SECONDS
    return quick / core_count(), slow / core_count()


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
