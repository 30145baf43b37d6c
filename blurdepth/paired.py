"""Ranges of what was measured twice: on the same scenes, before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mean_gap(gaps: Floats, groups: Sequence[str]) -> dict[str, float | None]:
    """The mean of all gaps, and its 95 % range where those of one group are not independent.

    The mean is a ratio of sums over the groups, which is taken as linear in them (delta method).

    Args:
        gaps: (N,), N > 0.
        groups: of each gap, its group.

    Returns:
        "mean", "low" and "high"; the last two are None for fewer than two groups.

    >>> mean_gap(np.array([1.0, 2.0, 3.0]), ["a", "a", "a"])
    {'mean': 2.0, 'low': None, 'high': None}
    """
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    mean = float(gaps.mean())
    half = _half_range(np.bincount(place, gaps - mean) / sizes.mean())
    low, high = (None, None) if np.isnan(half) else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high}


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
    halves = [_half_range(each) for each in (parts.mean(axis=0), parts.mean(axis=1)) if len(each) > 1]
    half = np.linalg.norm(halves) if halves else np.nan
    percent, low, high = (float(100 * (ratio - 1 + step)) for step in (0, -half, half))
    return {"percent": percent, "low": low, "high": high}


def _half_range(parts: Floats) -> float:
    """Half of the 95 % range of the mean of independent parts, by Student's t.

    One part tells nothing of what others would have been:

    >>> round(_half_range(np.array([1.0, 2.0, 3.0])), 2), _half_range(np.array([1.0]))
    (2.48, nan)
    """
    from scipy.special import stdtrit  # late: the page is built without scipy

    if len(parts) < 2:
        return float("nan")
    return float(stdtrit(len(parts) - 1, 0.975) * parts.std(ddof=1) / np.sqrt(len(parts)))
