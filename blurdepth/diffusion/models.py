"""The models that painting needs: where their files lie, and whether they are of the right kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blurdepth.errors import ModelError
from blurdepth.images import content_hash
from blurdepth.pretrained import Layout, OnBytes, element_count, files_here, find_files

BASE = "stabilityai/stable-diffusion-xl-base-1.0"
ADAPTER = "TencentARC/t2i-adapter-depth-midas-sdxl-1.0"
VAE = "madebyollin/sdxl-vae-fp16-fix"
PREVIEW_LORA = "latent-consistency/lcm-lora-sdxl"

DOWNLOAD_BYTES = {BASE: 6_780_000_000, ADAPTER: 158_000_000, VAE: 335_000_000, PREVIEW_LORA: 394_000_000}
"""Of what is downloaded of the models that are offered, to about 1 %."""

LORA_FILE = "pytorch_lora_weights.safetensors"
_CHOICES = "a folder that `save_pretrained` wrote, or a Hub id (owner/model)"
_WAY_OUT = "use the exposure simulator, which needs no download"
_TOKENIZERS = tuple(f"{part}/{file}" for part in ("tokenizer", "tokenizer_2") for file in ("vocab.json", "merges.txt"))
_ENCODERS = ("text_encoder", "text_encoder_2")
_SETTINGS = ("model_index.json", "scheduler/*", "tokenizer/*", "tokenizer_2/*")


def _pipeline_layout(*weights: str) -> Layout:
    configs = tuple(f"{part}/config.json" for part in weights)
    names = ("diffusion_pytorch_model", "model")
    half = tuple(f"{part}/{name}*.fp16*" for part in weights for name in names)
    whole = tuple(f"{part}/{name}*.safetensors*" for part in weights for name in names)
    half_only = tuple(pattern + end for pattern in half for end in (".safetensors", ".json"))
    common = (*_SETTINGS, *configs)
    needed = ("model_index.json", "scheduler/scheduler_config.json", *_TOKENIZERS, *configs)
    return Layout(needed, weights, ((*common, *half_only), (*common, *whole)))


_PART = Layout(
    needed=("config.json",),
    weights=("",),
    wanted=(
        ("config.json", "diffusion_pytorch_model*.fp16*.safetensors", "diffusion_pytorch_model*.fp16*.json"),
        ("config.json", "diffusion_pytorch_model*.safetensors*"),
    ),
)
_LORA = Layout(needed=(LORA_FILE,), weights=("",), wanted=((LORA_FILE,),))


@dataclass(frozen=True)
class DiffusionModels:
    """What paints: Hub ids or local folders in the format of diffusers, with weights in safetensors.

    Attributes:
        base: an SDXL pipeline.
        adapter: a T2I-Adapter for depth, trained for SDXL.
        vae: an autoencoder that is safe in float16; "" = the base's own.
        preview_lora: an LCM LoRA for previews in few steps; "" = none, a preview just takes fewer steps.
    """

    base: str = BASE
    adapter: str = ADAPTER
    vae: str = VAE
    preview_lora: str = PREVIEW_LORA

    @classmethod
    def from_folder(cls, folder: str | Path) -> DiffusionModels:
        """The models in one folder: a pipeline with its own VAE, `adapter/` and, if it has one, `preview_lora/`."""
        folder = Path(folder)
        lora = folder / "preview_lora"
        return cls(str(folder), str(folder / "adapter"), "", str(lora) if lora.is_dir() else "")

    def parts(self) -> Iterator[tuple[str, str, Layout]]:
        """(part, name, layout) of all that is needed."""
        own_vae = () if self.vae else ("vae",)
        yield "base", self.base, _pipeline_layout("unet", *_ENCODERS, *own_vae)
        yield "adapter", self.adapter, _PART
        if self.vae:
            yield "vae", self.vae, _PART
        if self.preview_lora:
            yield "preview_lora", self.preview_lora, _LORA


@dataclass(frozen=True)
class Found:
    """Where the files of the models lie.

    Attributes:
        folders: by part, as `DiffusionModels` calls them.
        revision: of all weights together.
    """

    folders: dict[str, Path]
    revision: str


def find_all(models: DiffusionModels, on_bytes: OnBytes | None = None) -> Found:
    """Find all parts, download those that are missing, and check that each is of its kind.

    Raises:
        ModelError: a part can't be found or downloaded, is of another kind, or has no safetensors weights.
    """
    told = _Sum(on_bytes) if on_bytes else None
    folders, revisions = {}, []
    for part, name, layout in models.parts():
        folders[part], revision = find_files(name, told, _CHOICES, _WAY_OUT, layout)
        _check_kind(part, name, folders[part])
        revisions.append(revision)
    return Found(folders, content_hash(" ".join(revisions).encode())[:12])


def find_painter(models: DiffusionModels, on_bytes: OnBytes | None = None) -> tuple[Path, str]:
    """The base's folder, and the revision of all parts' weights; downloads what is missing.

    Raises:
        ModelError: see `find_all`.
    """
    found = find_all(models, on_bytes)
    return found.folders["base"], found.revision


def missing_parts(models: DiffusionModels) -> dict[str, int | None]:
    """Hub ids that must be downloaded, with their bytes where these are known; asks no network.

    Raises:
        ModelError: a part is neither a folder of its kind nor a Hub id.
    """
    return {
        name: DOWNLOAD_BYTES.get(name)
        for _, name, layout in models.parts()
        if files_here(name, _CHOICES, layout) is None
    }


def weight_elements(models: DiffusionModels) -> dict[str, int] | None:
    """Numbers of weights by component, from the headers of the files; None unless all are on this machine."""
    counts: dict[str, int] = {}
    for part, name, layout in models.parts():
        folder = files_here(name, _CHOICES, layout)
        if folder is None:
            return None
        for inside in layout.weights:
            for path in weight_files(folder / inside):
                counts[inside or part] = counts.get(inside or part, 0) + element_count(path)
    return counts


def variant_of(folder: Path) -> str | None:
    """Weights that are there in half precision are taken: the others say the same in twice the bytes."""
    return "fp16" if any(folder.glob("*.fp16*.safetensors")) else None


def weight_files(folder: Path) -> list[Path]:
    """The files that are loaded from a folder."""
    return sorted(folder.glob("*.fp16*.safetensors" if variant_of(folder) else "*.safetensors"))


class _Sum:
    """Tells several downloads as one."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes
        self._before, self._latest = 0, (0, 0)

    def __call__(self, done: int, total: int) -> None:
        """Takes what one download tells; the next one begins lower than the last ended."""
        if done < self._latest[0]:
            self._before += self._latest[1]
        self._latest = done, total
        self._on_bytes(self._before + done, self._before + total)


def _check_kind(part: str, name: str, folder: Path) -> None:
    """Refuse what is no SDXL pipeline, depth adapter or autoencoder before gigabytes are read."""
    if part == "base":
        kind = _config(folder / "model_index.json", name).get("_class_name", "")
        if not str(kind).startswith("StableDiffusionXL"):
            raise ModelError(f"{name} is a {kind or 'model of another kind'}: give an SDXL pipeline, such as {BASE}.")
    elif part == "vae":
        config = _config(folder / "config.json", name)
        if config.get("_class_name") != "AutoencoderKL" or config.get("latent_channels") != 4:
            raise ModelError(f"{name} is no autoencoder of SDXL: give one such as {VAE}.")
    elif part == "adapter":
        config = _config(folder / "config.json", name)
        if config.get("_class_name") != "T2IAdapter" or config.get("adapter_type") != "full_adapter_xl":
            kind = config.get("adapter_type") or config.get("_class_name") or config.get("model_type") or "model"
            raise ModelError(f"{name} is no T2I-Adapter for SDXL but a {kind}: give one such as {ADAPTER}.")
        if config.get("in_channels") != 3:
            raise ModelError(f"{name} takes {config.get('in_channels')} channels, not the 3 of a depth picture.")


def _config(path: Path, name: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of {name} is damaged: get the model again.") from error
    return config if isinstance(config, dict) else {}
