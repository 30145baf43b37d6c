"""The `paper` preset against the numbers that the paper gives, on its own model at full size."""

import math
from collections import Counter

import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from blurdepth.dataset import split_samples
from blurdepth.recipe import Recipe, learning_rate, load_recipe
from blurdepth.training_step import parameter_groups

TRAIN, HELD_OUT = 21_260, 740
STEPS = math.ceil(TRAIN / 4) * 120
ENCODER, HEAD = 86_580_480, 10_890_305


@pytest.fixture
def paper() -> Recipe:
    return load_recipe("paper")


@pytest.fixture(scope="module")
def base() -> DepthAnythingForDepthEstimation:
    """Depth Anything V2 Base as its configuration describes it, without memory for its weights."""
    backbone = Dinov2Config(
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        image_size=518,
        patch_size=14,
        out_indices=[3, 6, 9, 12],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=768,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[96, 192, 384, 768],
        fusion_hidden_size=128,
        head_hidden_size=32,
    )
    with torch.device("meta"):
        return DepthAnythingForDepthEstimation(config)


def weights(inputs: int, outputs: int, side: int = 1) -> int:
    """Of a convolution or, with side 1, a linear layer; with its bias."""
    return inputs * outputs * side**2 + outputs


def encoder_by_hand(width: int, layers: int, side: int) -> int:
    """A DINOv2 encoder for pictures of `side` x `side` patches: embeddings, blocks, the last norm."""
    embeddings = 2 * width + (side**2 + 1) * width + weights(3, width, 14)  # class, mask; positions; patches
    norms_and_scales = 2 * 2 * width + 2 * width
    block = 4 * weights(width, width) + weights(width, 4 * width) + weights(4 * width, width) + norms_and_scales
    return embeddings + layers * block + 2 * width


def head_by_hand(width: int, necks: tuple[int, ...], fusion: int) -> int:
    """A DPT neck and head: projected, resized, brought to one width, fused, and three convolutions."""
    projected = sum(weights(width, neck) for neck in necks)
    resized = weights(necks[0], necks[0], 4) + weights(necks[1], necks[1], 2) + weights(necks[3], necks[3], 3)
    brought = sum(neck * fusion * 9 for neck in necks)  # without bias
    fused = len(necks) * (weights(fusion, fusion) + 4 * weights(fusion, fusion, 3))
    return projected + resized + brought + fused + weights(fusion, fusion // 2, 3) + weights(64, 32, 3) + weights(32, 1)


def test_the_settings_are_the_papers(paper: Recipe) -> None:
    assert (paper.optimizer, paper.epochs, paper.batch, paper.crop) == ("adam", 120, 4, (518, 518))
    assert (paper.lr, paper.lr_min, paper.head_lr_factor) == (5e-6, 5e-7, 10)
    assert (paper.target, paper.loss, paper.split, paper.warmup_steps) == ("mid_exposure", "silog", "random", 0)


def test_the_rate_at_start_middle_and_end(paper: Recipe) -> None:
    assert STEPS == 637_800
    assert learning_rate(paper, 0, STEPS) == 5e-6
    assert learning_rate(paper, STEPS // 2, STEPS) == pytest.approx(5e-7 + 4.5e-6 * 0.5**0.9, rel=1e-12)
    assert learning_rate(paper, STEPS // 2, STEPS) == pytest.approx(2.9114903e-6, rel=1e-6)
    assert learning_rate(paper, STEPS, STEPS) == 5e-7


def test_the_split_of_22000_is_the_papers(paper: Recipe) -> None:
    rows = [(f"sample{number}", f"frame{number // 11}") for number in range(22_000)]
    sides = split_samples(rows, paper.split, paper.val_share, seed=0)
    assert Counter(sides.values()) == {"train": TRAIN, "val": HELD_OUT}
    held_out = Counter(frame for sample, frame in rows if sides[sample] == "val")
    assert max(held_out.values()) < 11  # by image and not by frame: each frame is trained on in part


def test_the_full_size_model_falls_into_two_groups(paper: Recipe, base: DepthAnythingForDepthEstimation) -> None:
    encoder, head = parameter_groups(base, paper)
    counts = [sum(parameter.numel() for parameter in group["params"]) for group in (encoder, head)]
    assert counts == [ENCODER, HEAD]
    assert encoder_by_hand(768, 12, 37) == ENCODER
    assert head_by_hand(768, (96, 192, 384, 768), 128) == HEAD
    assert sum(counts) == sum(parameter.numel() for parameter in base.parameters())
    assert sum(counts) / 1e6 == pytest.approx(97.47, abs=0.01)
    assert {id(p) for p in encoder["params"]} == {id(p) for p in base.backbone.parameters()}


def test_the_head_learns_ten_times_as_fast_at_every_step(paper: Recipe, base: DepthAnythingForDepthEstimation) -> None:
    encoder, head = parameter_groups(base, paper)
    assert (encoder["lr"], head["lr"]) == (5e-6, pytest.approx(5e-5))
    assert head["factor"] == 10 * encoder["factor"] == 10
