"""What several tests need: small real models, frames and data folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from blurdepth.images import decode_image, encode_png

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def street_frame(seed: int = 0, width: int = 196, height: int = 84) -> bytes:
    """A PNG with sky, road and a few standing boxes: enough for depth to have something to say."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    frame = np.where(rows < 0.45, [150, 180, 220], 90 + 40 * rows) + rng.normal(0, 6, (height, width, 3))
    for _ in range(3):
        x, y, side = (
            rng.integers(10, width - 40),
            rng.integers(height // 3, height // 2),
            rng.integers(14, 30),
        )
        frame[y : y + side, x : x + side] = rng.integers(20, 220, 3)
    return encode_png(np.clip(frame, 0, 255).astype(np.uint8))


@pytest.fixture
def frame_file(tmp_path: Path) -> Path:
    """A frame as a file."""
    path = tmp_path / "street.png"
    path.write_bytes(street_frame())
    return path


def sliding_pictures(folder: Path, number: int, step: int) -> list[Path]:
    """PNG files of a textured street that slides by `step` px from one to the next."""
    wide = decode_image(street_frame(0, 196 + step * (number - 1)))
    wall = np.random.default_rng(1).integers(0, 80, (42, wide.shape[1] // 2, 1)).astype(np.uint8)
    wall = np.repeat(np.repeat(wall, 2, axis=0), 2, axis=1)
    wide = np.clip(wide[:, : wall.shape[1]].astype(int) + wall - 40, 0, 255).astype(np.uint8)
    files = [folder / f"{k}.png" for k in range(number)]
    for k, file in enumerate(files):
        file.write_bytes(encode_png(np.ascontiguousarray(wide[:, step * k : step * k + 196])))
    return files


def write_tiny_model(folder: Path, *, metric: bool = False, seed: int = 0) -> Path:
    """A Depth Anything V2 model with few random weights, saved as the Hub has it."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    backbone = Dinov2Config(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=70,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=80 if metric else 1,
    )
    torch.manual_seed(seed)
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        # From random weights the last ReLU may be dead everywhere.
        model.head.conv3.bias.fill_(0.5)
    model.save_pretrained(folder)
    size = {"height": 70, "width": 70}
    DPTImageProcessorPil(size=size, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def in_hub_layout(model: Path, cache: Path, name: str) -> str:
    """Lay a model out as the Hub's cache does: blobs, a snapshot of links, and refs; returns the commit."""
    folder = cache / ("models--" + name.replace("/", "--"))
    snapshot = folder / "snapshots" / COMMIT
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    snapshot.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for number, file in enumerate(sorted(model.iterdir())):
        shutil.copy(file, folder / "blobs" / f"blob{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob{number}")
    return COMMIT


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny relative model."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
