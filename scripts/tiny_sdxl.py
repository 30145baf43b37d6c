"""A tiny SDXL pipeline with a depth adapter and random weights, in the format of a real one, to try things without one.

usage: python scripts/tiny_sdxl.py FOLDER [--seed 0]

Its pictures are noise of a sort, but they follow prompt, seed and control map. It takes frames at a short side of 32 px
and more.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

LONGEST_PROMPT = 77
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


def write_tiny_sdxl(folder: Path, seed: int = 0) -> Path:
    """Save the pipeline: base with its own VAE, `adapter/` and `preview_lora/`; returns the folder."""
    import torch
    from diffusers import StableDiffusionXLAdapterPipeline
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = write_tokenizer(folder / "words")
    tokenizer = CLIPTokenizer.from_pretrained(words)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = StableDiffusionXLAdapterPipeline(
            **_denoiser(), **_encoders(len(tokenizer)), tokenizer=tokenizer, tokenizer_2=tokenizer
        )
        _write_lora(pipeline.unet, folder / "preview_lora")
    pipeline.save_pretrained(folder)
    for part in ("tokenizer", "tokenizer_2"):
        # As SDXL has it: a vocabulary and merges, no newer file that says the same.
        shutil.rmtree(folder / part)
        shutil.copytree(words, folder / part)
    shutil.rmtree(words)
    return folder


def _write_lora(unet: Any, folder: Path) -> None:
    """A LoRA for all attention of the U-Net, with the names that LCM LoRAs have."""
    import torch
    from safetensors.torch import save_file

    weights = {}
    for path, layer in unet.named_modules():
        if path.endswith(("to_q", "to_k", "to_v")):
            name = "lora_unet_" + path.replace(".", "_")
            weights[f"{name}.lora_down.weight"] = torch.randn(4, layer.in_features) * 0.3
            weights[f"{name}.lora_up.weight"] = torch.randn(layer.out_features, 4) * 0.3
            weights[f"{name}.alpha"] = torch.tensor(4.0)
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "pytorch_lora_weights.safetensors")


def write_tokenizer(folder: Path) -> Path:
    """A CLIP tokenizer that knows single bytes only, without merges."""
    folder.mkdir(parents=True, exist_ok=True)
    # The usual printable stand-ins for bytes, inside and at the end of a word.
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    stand_ins = [chr(byte) for byte in printable] + [chr(256 + k) for k in range(256 - len(printable))]
    tokens = [*stand_ins, *(letter + "</w>" for letter in stand_ins), BEGIN, END]
    (folder / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"model_max_length": LONGEST_PROMPT, "bos_token": BEGIN, "eos_token": END, "unk_token": END}
    about = {"tokenizer_class": "CLIPTokenizer", "pad_token": END, **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def _denoiser() -> dict[str, Any]:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, T2IAdapter, UNet2DConditionModel

    channels = (32, 64, 64)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        transformer_layers_per_block=1,
        attention_head_dim=(2, 4, 4),
        norm_num_groups=8,
        cross_attention_dim=64,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    adapter = T2IAdapter(
        channels=[*channels, channels[-1]], num_res_blocks=1, downscale_factor=16, adapter_type="full_adapter_xl"
    )
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )
    return {"unet": unet, "vae": vae, "adapter": adapter, "scheduler": scheduler}


def _encoders(words: int) -> dict[str, Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    ends = {"bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1}
    config = CLIPTextConfig(
        vocab_size=words, max_position_embeddings=LONGEST_PROMPT, projection_dim=32, **sizes, **ends
    )
    return {"text_encoder": CLIPTextModel(config), "text_encoder_2": CLIPTextModelWithProjection(config)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{write_tiny_sdxl(args.folder, args.seed)} is written.")
