"""From files to a pipeline in memory, in the precision and the memory mode that the device asks for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdepth.diffusion.memory import memory_told
from blurdepth.diffusion.models import ADAPTER, LORA_FILE, DiffusionModels, find_all, variant_of, weight_elements
from blurdepth.diffusion.painter import Painter
from blurdepth.diffusion.plan import SDXL_ELEMENTS, MemoryMode, choose_mode, free_bytes, memory_needs
from blurdepth.errors import MemoryLimitError, ModelError
from blurdepth.pretrained import OnBytes, best_device, read_weights, transformers_classes

if TYPE_CHECKING:
    import torch

_PLANNED_PIXELS = 1728 * 576


def load_painter(models: DiffusionModels, on_bytes: OnBytes | None = None) -> Painter:
    """Load SDXL with its depth adapter onto the best device.

    CUDA works in bfloat16 where it can, else in float16 as Apple's GPU does; the CPU in float32. A VAE that is not
    safe in float16 stays in float32.

    Args:
        models: what to load; what is missing is downloaded.
        on_bytes: called while something is downloaded, with bytes done and bytes in all.

    Raises:
        ModelError: a part can't be found or downloaded, is of another kind, has no safetensors weights, or doesn't
            fit the others.
        MemoryLimitError: there is too little memory, by estimate or in fact.
    """
    found = find_all(models, on_bytes)
    device = best_device()
    free = free_bytes(device)
    needs = memory_needs(device.type, weight_elements(models) or SDXL_ELEMENTS, _PLANNED_PIXELS)
    mode = choose_mode(needs, free)
    if needs[mode].total > free:
        needed = needs[mode].total / 2**30
        raise MemoryLimitError(
            f"{models.base} needs {needed:.0f} GiB of free memory, {free / 2**30:.0f} GiB are: close "
            "other programs, take a machine with more, or use the exposure simulator."
        )
    with memory_told("load the models"):
        pipeline = _assemble(models, found.folders, _precision(device))
        save_memory(pipeline, mode, device)
    lora = found.folders["preview_lora"] / LORA_FILE if models.preview_lora else None
    return Painter(models.base, found.revision, pipeline, mode, lora, threading.Lock())


def save_memory(pipeline: Any, mode: MemoryMode, device: torch.device) -> None:
    """Bring a pipeline to its device in a memory mode."""
    if mode != "whole":
        pipeline.vae.enable_tiling()
    if mode == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    elif mode == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def _precision(device: torch.device) -> torch.dtype:
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def _assemble(models: DiffusionModels, folders: dict[str, Path], dtype: torch.dtype) -> Any:
    clip, projected, tokenizer = transformers_classes("CLIPTextModel", "CLIPTextModelWithProjection", "CLIPTokenizer")
    import diffusers

    base = folders["base"]

    def part(model_class: Any, folder: Path, name: str, what: str) -> Any:
        return read_weights(model_class, folder, name, what, dtype=dtype, variant=variant_of(folder))

    unet = part(diffusers.UNet2DConditionModel, base / "unet", models.base, "an SDXL pipeline")
    adapter = part(diffusers.T2IAdapter, folders["adapter"], models.adapter, "a T2I-Adapter")
    _check_fit(unet.config, adapter.config, models)
    try:
        pipeline = diffusers.StableDiffusionXLAdapterPipeline(
            vae=_read_vae(folders.get("vae", base / "vae"), models.vae or models.base, dtype),
            text_encoder=part(clip, base / "text_encoder", models.base, "an SDXL pipeline"),
            text_encoder_2=part(projected, base / "text_encoder_2", models.base, "an SDXL pipeline"),
            tokenizer=tokenizer.from_pretrained(base / "tokenizer", local_files_only=True),
            tokenizer_2=tokenizer.from_pretrained(base / "tokenizer_2", local_files_only=True),
            unet=unet,
            adapter=adapter,
            scheduler=diffusers.EulerAncestralDiscreteScheduler.from_pretrained(base / "scheduler"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        first_line = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"{models.base} is damaged or not an SDXL pipeline: {first_line}") from error
    pipeline.set_progress_bar_config(disable=True)
    for model in (pipeline.unet, pipeline.vae, pipeline.adapter, pipeline.text_encoder, pipeline.text_encoder_2):
        # A LoRA freezes what it is laid on, and frozen layers round differently: so all are, before and after.
        model.eval().requires_grad_(False)
    return pipeline


def _read_vae(folder: Path, name: str, dtype: torch.dtype) -> Any:
    import torch
    from diffusers import AutoencoderKL

    vae = read_weights(AutoencoderKL, folder, name, "an autoencoder", dtype=torch.float32, variant=variant_of(folder))
    if dtype == torch.float32 or vae.config.force_upcast:
        return vae
    # Of both half precisions, bfloat16 would show as bands in skies.
    return vae.to(torch.float16)


def _check_fit(unet: Any, adapter: Any, models: DiffusionModels) -> None:
    """The adapter's pictures are added to the U-Net's: their channels must agree."""
    wanted = [*unet.block_out_channels, unet.block_out_channels[-1]]
    if list(adapter.channels) != wanted:
        raise ModelError(
            f"The adapter {models.adapter} has the channels {list(adapter.channels)}, {models.base} needs {wanted}: "
            f"give an adapter that was trained for it, such as {ADAPTER}."
        )
