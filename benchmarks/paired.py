"""By how much errors change where the same scenes are measured before and after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Floats = NDArray[np.float64]


def change(before: Floats, after: Floats) -> dict[str, float]:
    """By how many percent a mean error changes, with its 95 % range.

    The ratio of the means is taken as linear in the errors (delta method). Scenes and seeds each give a range of its
    mean by Student's t; the two are combined by the root of the sum of their squares.

    Args:
        before: (seeds, scenes); a base has one row.
        after: (seeds, scenes) of the same scenes, and of the same seeds unless `before` is of the base.
    """
    seen = ~np.isnan(before).any(axis=0) & ~np.isnan(after).any(axis=0)
    before, after = np.broadcast_to(before, after.shape)[:, seen], after[:, seen]
    ratio = after.mean() / before.mean()
    parts = (after - ratio * before) / before.mean()
    # One seed tells nothing of what another would have given, one scene nothing of scenes.
    groups = [each for each in (parts.mean(axis=0), parts.mean(axis=1)) if len(each) > 1]
    halves = [t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)) for each in groups]
    half = np.linalg.norm(halves) if halves else np.nan
    percent, low, high = (float(100 * (ratio - 1 + step)) for step in (0, -half, half))
    return {"percent": percent, "low": low, "high": high}
