"""Our painter's time over that of the bare pipeline it is built on, for the same steps and size.

Both paint with one tiny checkpoint of random weights, in turn; `ratio` is the median over the runs of ours over the
bare pipeline's, and `ratio_with_pictures` the same where each step is told with its picture.

With --full-size, instead, all models at their real sizes with random weights in bfloat16 on the CPU: one step at
1728 x 576 and the picture's decoding, as the painter does them. It tells the numbers of weights, which must be SDXL's,
the times and the peak of memory, which must stay within 20 GiB. The weights lie in bfloat16; each layer computes in
float32, as many CPUs do bfloat16 a hundred times slower. It takes about ten minutes.

usage: python benchmarks/sdxl.py [--runs 9] [--steps 30] [--threads 1] [--full-size] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# So that it runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tiny_sdxl import write_tiny_sdxl, write_tokenizer

from blurdepth.blurcheck import is_blank
from blurdepth.diffusion import DiffusionModels, Painter, PaintSettings, control_map, load_painter, paint_size
from blurdepth.diffusion.loading import save_memory
from blurdepth.diffusion.plan import SDXL_ELEMENTS
from blurdepth.images import Rgb

MEMORY_LIMIT_GIB = 20
WIDTH, HEIGHT = 1242, 375
PROMPT, NEGATIVE = "a street in heavy rain at night, motion blur", "sharp, daylight"


def street_control() -> Rgb:
    """The control map of a road that goes away, with a wall."""
    down = np.linspace(-0.2, 1, HEIGHT, dtype=np.float32)[:, None].clip(0)
    depth = np.repeat(down, WIDTH, axis=1)
    depth[60:280, 150:420] = 0.6
    return control_map(depth)


def compare(runs: int, steps: int) -> dict[str, Any]:
    """Ours and the bare pipeline, in turn."""
    settings = PaintSettings(steps=steps, short_side_px=192)
    control = street_control()
    fit = paint_size(WIDTH, HEIGHT, settings.short_side_px)
    picture = Image.fromarray(fit.to_paint(control))
    with tempfile.TemporaryDirectory() as folder:
        models = DiffusionModels.from_folder(write_tiny_sdxl(Path(folder) / "tiny"))
        painter, bare = load_painter(models), load_painter(models).pipeline

    def ours(on_step: Callable[..., None] | None = None) -> None:
        painter.paint(control, [PROMPT], NEGATIVE, [1], settings, on_step)

    def plain() -> None:
        bare(
            PROMPT,
            negative_prompt=NEGATIVE,
            image=picture,
            width=fit.size[0],
            height=fit.size[1],
            num_inference_steps=steps,
            guidance_scale=settings.guidance,
            generator=torch.Generator("cpu").manual_seed(1),
            output_type="np",
        )

    ways: dict[str, Callable[[], None]] = {"bare": plain, "ours": ours, "told": lambda: ours(lambda *_: None)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(runs + 1):  # the first turn warms up and does not count
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - began)
    return {
        "seconds": round(statistics.median(times["ours"]), 3),
        "baseline_seconds": round(statistics.median(times["bare"]), 3),
        "ratio": _ratio(times["ours"], times["bare"]),
        "ratio_with_pictures": _ratio(times["told"], times["bare"]),
    }


def _ratio(ours: list[float], bare: list[float]) -> float:
    return round(statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True)), 3)


def real_parts() -> dict[str, torch.nn.Module]:
    """SDXL's models and its depth adapter, at their real sizes and without memory yet."""
    from diffusers import AutoencoderKL, T2IAdapter, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    words = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    small = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        **words,
    )
    big = CLIPTextConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        hidden_act="gelu",
        projection_dim=1280,
        **words,
    )
    unet = {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    vae = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 512,
        "scaling_factor": 0.13025,
        "force_upcast": False,
    }
    adapter = {"channels": [320, 640, 1280, 1280], "downscale_factor": 16, "adapter_type": "full_adapter_xl"}
    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(**unet),
            "text_encoder": CLIPTextModel(small),
            "text_encoder_2": CLIPTextModelWithProjection(big),
            "vae": AutoencoderKL(**vae),
            "adapter": T2IAdapter(**adapter),
        }


def materialise(model: torch.nn.Module) -> torch.nn.Module:
    """Give a model memory in bfloat16, weights that let a picture through, and layers that compute in float32."""
    from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook

    model = model.to(torch.bfloat16).to_empty(device="cpu").eval().requires_grad_(False)
    noise = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    for name, weights in model.named_parameters():
        if weights.ndim < 2:
            weights.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        flat, scale = weights.view(-1), float(weights[0].numel()) ** -0.5
        for start in range(0, flat.numel(), noise.numel()):
            piece = flat[start : start + noise.numel()]
            torch.mul(noise[: piece.numel()], scale, out=piece)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            apply_layerwise_casting_hook(layer, torch.bfloat16, torch.float32, non_blocking=False)
        else:
            for weights in layer.parameters(recurse=False):
                weights.data = weights.data.float()
    for name, values in model.named_buffers():
        if name.endswith("position_ids"):
            values.copy_(torch.arange(values.shape[-1]).expand_as(values))
    return model


def full_size() -> dict[str, Any]:
    """One step of the real size."""
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLAdapterPipeline
    from transformers import CLIPTokenizer

    parts = real_parts()
    counts = {name: sum(weights.numel() for weights in model.parameters()) for name, model in parts.items()}
    if counts != SDXL_ELEMENTS:
        raise SystemExit(f"The models have {counts} weights, SDXL has {SDXL_ELEMENTS}.")
    began = time.perf_counter()
    parts = {name: materialise(model) for name, model in parts.items()}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = CLIPTokenizer.from_pretrained(write_tokenizer(Path(folder)))
    scheduler = EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )
    pipeline = StableDiffusionXLAdapterPipeline(
        **parts, tokenizer=tokenizer, tokenizer_2=tokenizer, scheduler=scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    save_memory(pipeline, "tiled", torch.device("cpu"))
    painter = Painter("SDXL with random weights", "", pipeline, "tiled", None, threading.Lock())
    built = time.perf_counter()
    stepped: list[float] = []
    painted = painter.paint(
        street_control(),
        [PROMPT],
        NEGATIVE,
        [1],
        PaintSettings(steps=1),
        lambda *_: stepped.append(time.perf_counter()),
    )[0]
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "weights": counts,
        "weights_in_all": sum(counts.values()),
        "size": paint_size(WIDTH, HEIGHT, PaintSettings().short_side_px).size,
        "picture": painted.shape,
        "blank": is_blank(painted),
        "build_seconds": round(built - began, 1),
        "step_seconds": round(stepped[0] - built, 1),
        "decode_seconds": round(ended - stepped[0], 1),
        "peak_gib": round(peak, 2),
        "limit_gib": MEMORY_LIMIT_GIB,
        "within": peak <= MEMORY_LIMIT_GIB,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = full_size() if args.full_size else compare(args.runs, args.steps)
    if args.json:
        print(json.dumps(result))
    elif args.full_size:
        for name, value in result.items():
            print(f"{name}: {value}")
    else:
        words = (
            "{seconds} s, the bare pipeline {baseline_seconds} s: ratio {ratio}; with pictures {ratio_with_pictures}"
        )
        print(words.format(**result))


if __name__ == "__main__":
    main()
