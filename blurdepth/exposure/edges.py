"""Where in a pixel an edge runs: a depth map tells each pixel's middle only, the image how the pixel is shared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

MAX_SPLIT = 0.5
NOISE = 1e-3
"""Square of the difference in linear light below which two surfaces aren't told apart."""


def find_splits(linear: F32, edge: Mask) -> F32:
    """How far each pixel's neighbours across an edge reach into it.

    Between two surfaces, the colour of the pixels next to the edge is a mixture of those one farther in, and by how
    much tells where the edge runs. Where the colours are alike, it is taken to run between the two pixels.

    Args:
        linear: (H, W, 3) linear light.
        edge: (H, W) pixels on either side of depth edges.

    Returns:
        (H, W, 2) for x and y, -0.5 to 0.5: above 0 the share of the pixel, at its right or lower side, that the
        neighbour there fills; below 0 likewise at its left or upper side.

    >>> light = np.repeat(np.array([0, 0, 0.25, 1, 1], np.float32)[None, :, None], 3, axis=2)
    >>> find_splits(light, np.array([[False, False, True, True, False]]))[0, :, 0].round(2).tolist()
    [0.0, 0.0, 0.25, 0.0, 0.0]
    """
    splits = np.zeros((*edge.shape, 2), np.float32)
    _split_rows(linear, edge, splits[..., 0])
    _split_rows(linear.swapaxes(0, 1), edge.T, splits[..., 1].T)
    return splits


def _split_rows(linear: F32, edge: Mask, splits: F32) -> None:
    width = edge.shape[1]
    row, left = np.nonzero(edge[:, :-1] & edge[:, 1:])
    right = left + 1
    pure_left, pure_right = linear[row, np.maximum(left - 1, 0)], linear[row, np.minimum(right + 1, width - 1)]
    step = pure_right - pure_left
    contrast = (step * step).sum(axis=1)
    mixed_left = ((linear[row, left] - pure_left) * step).sum(axis=1)
    mixed_right = ((pure_right - linear[row, right]) * step).sum(axis=1)
    reach = (mixed_right - mixed_left) * contrast / np.maximum(contrast**2 + NOISE * contrast, NOISE**2)
    reach = np.clip(reach, -MAX_SPLIT, MAX_SPLIT)
    grows = reach > 0
    splits[row[~grows], left[~grows]] = -reach[~grows]
    splits[row[grows], right[grows]] = -reach[grows]
