"""Segmentation models: people and vehicles told apart by any mask-classification model that transformers loads.

torch and transformers are imported inside the functions, so that the page can be served before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import ModelError
from blurdepth.images import Rgb
from blurdepth.movers import Proposal, distinct
from blurdepth.pretrained import OnBytes, best_device, find_files, read_model

_AUTO_MODEL = "AutoModelForUniversalSegmentation"
_CHOICES = "a folder or a Hub id (owner/model)"
_WAY_OUT = "take the proposals that need no model"

COCO_NAMES = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 6: "train", 7: "truck"}
"""Of the data set that most of these models are trained on: for checkpoints that only number their classes."""
COCO_SIZES = (80, 133)
MOVING_NAMES = {*COCO_NAMES.values(), "rider"}
LEAST_SCORE = 0.5
LEAST_AREA_SHARE = 1e-4
WIDE = 1.5


@dataclass(frozen=True)
class KnownSegmenter:
    """A model that the page offers by name."""

    id: str
    name: str
    download_mb: int
    licence: str


KNOWN_SEGMENTERS = (
    KnownSegmenter("tue-mps/coco_panoptic_eomt_small_640_2x", "EoMT Small", 97, "MIT"),
    KnownSegmenter("tue-mps/coco_panoptic_eomt_base_640_2x", "EoMT Base", 374, "MIT"),
)


@dataclass(frozen=True)
class Segmenter:
    """A loaded segmentation model.

    Attributes:
        name: what it was asked for by.
        revision: commit of the Hub, or the first 12 digits of the SHA-256 of a folder's weights.
        names: of the classes that can move, by their number.
    """

    name: str
    revision: str
    names: dict[int, str]
    model: Any
    processor: Any

    def propose(self, rgb: Rgb, limit: int = 8) -> list[Proposal]:
        """People and vehicles in a frame, the largest first; `movers.to_ids` makes a map of them.

        A wide frame is looked at as a whole and in squares, as the models shrink what they see to a square.

        Args:
            rgb: (H, W, 3) uint8 sRGB.
            limit: how many at most.

        Raises:
            ModelError: the model returned values that are not numbers.
        """
        found: list[Proposal] = []
        for left, right in _views(*rgb.shape[:2]):
            for proposal in self._seen(rgb[:, left:right]):
                mask = np.zeros(rgb.shape[:2], bool)
                mask[:, left:right] = proposal.mask
                # What a cut goes through is seen whole in another view.
                cut = (left > 0 and mask[:, left].any()) or (right < rgb.shape[1] and mask[:, right - 1].any())
                if not cut and mask.mean() >= LEAST_AREA_SHARE:
                    found.append(Proposal(mask, proposal.score, proposal.name))
        return distinct(found, limit)

    def _seen(self, rgb: Rgb) -> list[Proposal]:
        import torch

        inputs = self.processor(images=rgb, return_tensors="pt")
        tensors = {name: value.to(self.model.device) for name, value in inputs.items() if name.startswith("pixel_")}
        with torch.inference_mode():
            outputs = self.model(**tensors)
        classes, masks = outputs.class_queries_logits[0].float(), outputs.masks_queries_logits[0].float()
        if not (torch.isfinite(classes).all() and torch.isfinite(masks).all()):
            raise ModelError(f"The model {self.name} returned values that are not numbers: use another checkpoint.")
        chances, labels = classes.softmax(-1)[:, :-1].max(-1)
        # EoMT fills the input up to a square and doesn't say where; the others say, or don't.
        padded = "pixel_mask" not in inputs
        found = []
        for query in torch.nonzero(chances > LEAST_SCORE).ravel().tolist():
            name = self.names.get(int(labels[query]))
            if name is None:
                continue
            logits = _at_frame_size(masks[query], tensors["pixel_values"].shape[-2:], rgb.shape[:2], padded)
            mask = logits > 0
            sure = float(1 / (1 + np.exp(-logits[mask]).mean())) if mask.any() else 0.0
            score = float(chances[query]) * sure
            if score > LEAST_SCORE:
                found.append(Proposal(mask, round(score, 4), name))
        return found


def _at_frame_size(
    logits: Any, input_size: tuple[int, int], size: tuple[int, int], padded: bool
) -> NDArray[np.float32]:
    """One query's mask over the frame."""
    from torch.nn.functional import interpolate

    whole = interpolate(logits[None, None], size=tuple(input_size), mode="bilinear")
    height, width = _unpadded(size, (input_size[0], input_size[1]), padded)
    resized = interpolate(whole[:, :, :height, :width], size=tuple(size), mode="bilinear")
    return np.asarray(resized[0, 0].cpu().numpy(), np.float32)


def _views(height: int, width: int) -> list[tuple[int, int]]:
    """The whole frame and, where it is wide, squares that overlap by half, as (left, right).

    >>> _views(100, 140), _views(100, 250)
    ([(0, 140)], [(0, 250), (0, 100), (50, 150), (100, 200), (150, 250)])
    """
    views = [(0, width)]
    if width > WIDE * height:
        count = int(np.ceil((width - height) / (height / 2))) + 1
        lefts = np.linspace(0, width - height, count).round().astype(int)
        views += [(int(left), int(left) + height) for left in lefts]
    return views


def _unpadded(size: tuple[int, int], input_size: tuple[int, int], padded: bool) -> tuple[int, int]:
    """The part of a model's input that shows the frame, (height, width).

    >>> _unpadded((375, 1242), (640, 640), True), _unpadded((375, 1242), (384, 384), False)
    ((193, 640), (384, 384))
    """
    if not padded:
        return input_size
    scale = min(input_size[0] / size[0], input_size[1] / size[1])
    height, width = (min(round(side * scale), most) for side, most in zip(size, input_size, strict=True))
    return max(height, 1), max(width, 1)


def find_segmenter(name: str, on_bytes: OnBytes | None = None) -> tuple[Path, str]:
    """(folder, revision) of a segmentation model, downloaded if need be.

    Raises:
        ModelError: it can't be found or downloaded.
    """
    return find_files(name, on_bytes, _CHOICES, _WAY_OUT)


def load_segmenter(name: str, on_bytes: OnBytes | None = None) -> Segmenter:
    """Load a segmentation model onto the best device.

    Args:
        name: a folder in the format of transformers, or a Hub id ("owner/model").
        on_bytes: called while a model is downloaded, with bytes done and bytes in all.

    Raises:
        ModelError: it can't be found or downloaded, tells no people or vehicles apart, has no safetensors weights, or
            its weights don't fit its configuration.
    """
    folder, revision = find_segmenter(name, on_bytes)
    model, processor = read_model(folder, name, _AUTO_MODEL, "a segmentation model")
    if model.config.model_type not in ("eomt", "eomt_dinov3", "mask2former", "maskformer"):
        raise ModelError(
            f"{name} is a {model.config.model_type} model, which is asked in another way: use one of EoMT, "
            "Mask2Former or MaskFormer."
        )
    names = _moving_names(model.config.id2label)
    if not names:
        raise ModelError(f"{name} knows no people or vehicles: use a model trained on COCO or Cityscapes.")
    return Segmenter(name, revision, names, model.to(best_device()).eval(), processor)


def _moving_names(labels: dict[int, str]) -> dict[int, str]:
    """Which classes can move; a checkpoint of COCO's size that only numbers its classes has COCO's.

    >>> _moving_names({0: "road", 1: "Car", 2: "person"})
    {1: 'car', 2: 'person'}
    """
    if len(labels) in COCO_SIZES and all(label.startswith("LABEL_") for label in labels.values()):
        return dict(COCO_NAMES)
    return {int(number): label.lower() for number, label in labels.items() if label.lower() in MOVING_NAMES}
