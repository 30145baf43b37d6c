"""People and vehicles by a segmentation model: the real formats, with tiny random weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blurdepth.errors import ModelError
from blurdepth.images import decode_image
from blurdepth.movers import to_ids
from blurdepth.segmenters import COCO_NAMES, _moving_names, _unpadded, _views, load_segmenter
from tests.conftest import in_hub_layout, street_frame

FRAME = decode_image(street_frame(width=256, height=96))
LABELS = {0: "person", 1: "road", 2: "car"}


def write_tiny_segmenter(folder: Path, *, certain: str = "car", labels: dict[int, str] = LABELS) -> Path:
    """An EoMT model with few random weights, saved as the Hub has it, which calls every query `certain`."""
    import torch
    from transformers import EomtConfig, EomtForUniversalSegmentation
    from transformers.models.eomt.image_processing_pil_eomt import EomtImageProcessorPil

    config = EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        num_blocks=1,
        num_queries=4,
        num_upscale_blocks=1,
        id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )
    torch.manual_seed(0)
    model = EomtForUniversalSegmentation(config)
    with torch.no_grad():
        # A random head is sure of nothing, and proposes nothing.
        model.class_predictor.bias[config.label2id[certain]] = 20.0
    model.save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 64}
    EomtImageProcessorPil(size=size, do_pad=True, do_split_image=False).save_pretrained(folder)
    about = folder / "preprocessor_config.json"
    values = json.loads(about.read_text()) | {"image_processor_type": "EomtImageProcessorFast"}
    about.write_text(json.dumps(values))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_segmenter(tmp_path_factory.mktemp("segmenter") / "model")


def test_a_folder_gives_named_masks_of_the_frames_size(tiny: Path) -> None:
    segmenter = load_segmenter(str(tiny))
    proposals = segmenter.propose(FRAME)
    assert proposals and all(each.name == "car" for each in proposals)
    assert all(each.mask.shape == FRAME.shape[:2] and each.mask.dtype == bool for each in proposals)
    assert all(0.5 < each.score <= 1 for each in proposals)
    assert np.stack([each.mask for each in proposals]).sum(axis=0).max() == 1
    again = load_segmenter(str(tiny)).propose(FRAME)
    assert np.array_equal(to_ids(proposals, FRAME.shape[:2]), to_ids(again, FRAME.shape[:2]))
    assert len(segmenter.propose(FRAME, limit=1)) == 1


def test_what_cannot_move_is_not_proposed(tmp_path: Path) -> None:
    segmenter = load_segmenter(str(write_tiny_segmenter(tmp_path / "roads", certain="road")))
    assert segmenter.propose(FRAME) == []


def test_mask2former_is_read_as_well(tmp_path: Path) -> None:
    import torch
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig
    from transformers.models.mask2former.image_processing_pil_mask2former import Mask2FormerImageProcessorPil

    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=4,
        id2label=LABELS,
        label2id={label: number for number, label in LABELS.items()},
    )
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.class_predictor.bias[0] = 20.0
    model.save_pretrained(tmp_path / "model")
    Mask2FormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 160}).save_pretrained(tmp_path / "model")
    proposals = load_segmenter(str(tmp_path / "model")).propose(FRAME)
    assert {each.name for each in proposals} <= {"person"}
    assert all(each.mask.shape == FRAME.shape[:2] for each in proposals)


def test_a_hub_id_loads_from_the_hubs_own_cache(tiny: Path, tmp_path: Path) -> None:
    commit = in_hub_layout(tiny, tmp_path / "hub", "somebody/tiny-eomt")
    code = (
        "import json, numpy as np; from blurdepth.segmenters import load_segmenter;"
        "s = load_segmenter('somebody/tiny-eomt');"
        "print(json.dumps([s.revision, len(s.propose(np.full((64, 96, 3), 128, np.uint8)))]))"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    revision, count = json.loads(done.stdout.splitlines()[-1])
    assert revision == commit and count >= 1


def test_a_checkpoint_without_names_of_cocos_size_has_cocos() -> None:
    assert _moving_names({number: f"LABEL_{number}" for number in range(133)}) == COCO_NAMES
    assert _moving_names({number: f"LABEL_{number}" for number in range(19)}) == {}


def test_every_column_of_a_wide_frame_is_seen_whole_somewhere() -> None:
    views = _views(375, 1242)
    assert views[0] == (0, 1242)
    for column in range(1242):
        assert any(left + 90 <= column < right - 90 or left == 0 or right == 1242 for left, right in views[1:])


@pytest.mark.parametrize("size", [(375, 1242), (720, 1280), (1000, 700), (64, 64)])
def test_the_part_of_the_input_that_shows_the_frame_is_the_processors(size: tuple[int, int]) -> None:
    from transformers.image_transforms import get_size_with_aspect_ratio

    assert _unpadded(size, (640, 640), True) == pytest.approx(get_size_with_aspect_ratio(size, 640, 640), abs=1)


def test_a_depth_model_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="not a segmentation model"):
        load_segmenter(str(tiny_model))


def test_a_model_that_knows_nothing_that_moves_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_segmenter(tmp_path / "rooms", certain="road", labels={0: "bed", 1: "road", 2: "lamp"})
    with pytest.raises(ModelError, match="knows no people or vehicles"):
        load_segmenter(str(folder))


def test_pickled_weights_and_names_that_are_none_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_segmenter(str(folder))
    with pytest.raises(ModelError, match="folder or a Hub id"):
        load_segmenter("no such model")
