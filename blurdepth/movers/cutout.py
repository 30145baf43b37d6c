"""Cutting a thing out along its edges in the picture, from a rough idea of where it is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import Rgb
from blurdepth.movers.proposal import Mask

F32 = NDArray[np.float32]

WORK_SIDE = 160
ROUNDS = 4
MARGIN = 0.25
SURE, NEVER = 0.9, 0.03


def cut_out(rgb: Rgb, likely: F32, seed: int = 0) -> Mask | None:
    """Colours and edges decide between what certainly belongs to a thing and what certainly doesn't.

    GrabCut starts from random numbers of OpenCV, whose generator each thread has for itself: it is set here, so that
    the same arguments give the same mask in any thread, at any time.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        likely: (H, W) [0, 1] how likely each pixel belongs to it: from 0.9 it is taken as certain, up to 0.03 as
            certainly not.
        seed: of the random start.

    Returns:
        (H, W), one connected piece without holes; None if nothing is left or there is nothing to tell apart.

    Source: Rother et al., "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts" (SIGGRAPH 2004).
    """
    box = _surroundings(likely > NEVER)
    if box is None:
        return None
    part, chance = rgb[box], likely[box]
    scale = min(1.0, WORK_SIDE / max(chance.shape))
    size = (max(round(chance.shape[1] * scale), 4), max(round(chance.shape[0] * scale), 4))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    found = _grab(small, cv2.resize(chance, size, interpolation=cv2.INTER_AREA), seed)
    if found is None:
        return None
    mask = np.zeros(likely.shape, bool)
    mask[box] = _to_edges(part, found, scale) & (chance > NEVER)
    return mask if mask.any() else None


def _surroundings(possible: Mask) -> tuple[slice, slice] | None:
    """The box around it with a margin, which shows what it is not."""
    rows, columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    if not len(rows):
        return None
    slices = []
    for found, side in zip((rows, columns), possible.shape, strict=True):
        room = max(4, round(MARGIN * (found[-1] - found[0] + 1)))
        slices.append(slice(max(int(found[0]) - room, 0), min(int(found[-1]) + room + 1, side)))
    return slices[0], slices[1]


def _grab(rgb: Rgb, likely: F32, seed: int) -> Mask | None:
    labels = np.where(likely > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[likely >= SURE] = cv2.GC_FGD
    labels[likely <= NEVER] = cv2.GC_BGD
    kept = labels == cv2.GC_FGD
    if not kept.any() or not (labels == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(seed)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    # OpenCV takes the channels as they are, in any order.
    labels, *_ = cv2.grabCut(rgb, labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return _one_piece((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), kept)


def _one_piece(mask: Mask, core: Mask) -> Mask | None:
    """The connected piece that holds most of the core, without thin bits and holes."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(opened, connectivity=4)
    votes = np.bincount(labels[core & (opened > 0)], minlength=2)
    if len(votes) < 2 or not votes[1:].any():
        return None
    piece = (labels == int(votes[1:].argmax()) + 1).astype(np.uint8)
    outside = cv2.copyMakeBorder(1 - piece, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, around = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(around != around[0, 0])[1:-1, 1:-1]


def _to_edges(rgb: Rgb, mask: Mask, scale: float) -> Mask:
    """A small mask at full size, its border drawn along the edges of the picture by a guided filter.

    Source: He et al., "Guided Image Filtering" (ECCV 2010), equations 5 and 6.
    """
    size = rgb.shape[1::-1]
    rough = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    if scale == 1.0:
        return rough > 0.5
    side = 2 * round(1.5 / scale) + 1
    guide = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255

    def mean(values: F32) -> F32:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    mean_guide, mean_rough = mean(guide), mean(rough)
    slope = (mean(guide * rough) - mean_guide * mean_rough) / (mean(guide * guide) - mean_guide**2 + np.float32(1e-3))
    filtered = mean(slope) * guide + mean(mean_rough - slope * mean_guide)
    return np.asarray(filtered > 0.5)
