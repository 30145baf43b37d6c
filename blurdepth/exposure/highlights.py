"""Light that clipping took from lamps and glints, given back before it is smeared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.images import channel_range

F32 = NDArray[np.float32]

HIGHLIGHT, HIGHLIGHT_GAIN = np.float32(0.956), np.float32(4.0)
"""Linear light of 250 of 255, and how much brighter the brightest may have been."""
DARK = np.float32(0.35)
"""Mean of the surroundings above which nothing is taken for a lamp."""


def boost_highlights(linear: F32) -> F32:
    """Give small highlights back some of the light that clipping took, or they smear grey.

    What is at 250 of 255 or above and in the dark (lamps and glints; not a sunlit wall or the sky) shone up to four
    times brighter. Light above 1, as of a lamp that the weather drew, wasn't clipped: where that is brighter, it stays.
    """
    _, peak = channel_range(linear)
    share = np.clip((peak - HIGHLIGHT) / (1 - HIGHLIGHT), 0, 1)
    if not share.any():
        return linear
    side = max(3, linear.shape[1] // 16) | 1
    dark = np.clip(1 - cv2.blur(peak, (side, side)) / DARK, 0, 1)
    gain = np.maximum((1 + (HIGHLIGHT_GAIN - 1) * share * dark) / np.maximum(peak, 1), 1)
    return np.asarray(linear * gain[..., None], np.float32)
