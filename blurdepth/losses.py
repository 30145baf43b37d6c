"""Training losses on inverse depth, all over (B, H, W).

`mask` is everywhere bool or a weight >= 0, of the prediction's shape. A pixel with weight 0 has no influence,
whatever its target holds, and an image without any valid pixel adds nothing. Where a prediction is laid on its target,
all pixels with a weight count alike. All is computed in float32, also under autocast, and with a gradient through the
alignment.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

GRADIENT_SCALES = 4
_MIN_CORRELATION = 0.25
_TINY = 1e-12

Total = Callable[[Tensor], Tensor]
"""Sums over all processes that share a batch; see `Processes.total`."""


def alone(values: Tensor) -> Tensor:
    """The total where one process has the whole batch."""
    return values


def ssi_loss(prediction: Tensor, target: Tensor, mask: Tensor, total: Total = alone) -> Tensor:
    """Scale-and-shift-invariant L1.

    Each prediction is laid on its target by least squares (`align`); the mean absolute residual is counted in
    units of the target's own mean absolute deviation, so a close and a far scene weigh the same.

    Args:
        prediction: (B, H, W) affine inverse depth, larger = nearer.
        target: (B, H, W) inverse depth in any unit.
        mask: (B, H, W) bool, or a weight for each pixel.
        total: for a batch that several processes share.

    Returns:
        A scalar >= 0: 0 is right up to scale and shift, about 1 is no better than a constant.

    Source: Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2022), equations 1 to 4, with
    the residual's absolute value.
    """
    return _mean_residual(*_residual(prediction, target, mask), total)


def gradient_loss(prediction: Tensor, target: Tensor, mask: Tensor, total: Total = alone) -> Tensor:
    """Multi-scale gradient matching: edges in the right places, flat where the target is flat.

    The prediction is aligned by the same rule as in `ssi_loss`; the residual's steps between valid neighbours
    are summed over four scales, each keeping every second pixel of the one before.

    Args:
        prediction: (B, H, W) affine inverse depth as the model gives it, larger = nearer.
        target: (B, H, W) inverse depth in any unit.
        mask: (B, H, W) bool, or a weight for each pixel.
        total: for a batch that several processes share.

    Returns:
        A scalar >= 0.

    Source: Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2022), equation 11.
    """
    return _residual_steps(*_residual(prediction, target, mask), total)


def ssi_gradient_loss(
    prediction: Tensor, target: Tensor, mask: Tensor, gradient_weight: float, total: Total = alone
) -> Tensor:
    """`ssi_loss` plus `gradient_weight` times `gradient_loss`, aligned but once."""
    residual, weight = _residual(prediction, target, mask)
    return _mean_residual(residual, weight, total) + gradient_weight * _residual_steps(residual, weight, total)


def silog_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    total: Total = alone,
    variance_focus: float = 0.5,
    floor: float = 1e-3,
) -> Tensor:
    """Scale-invariant log loss over the whole batch: sqrt(mean(g^2) - variance_focus * mean(g)^2).

    g = ln(target) - ln(prediction); depth and inverse depth give the same value. A head that ends in ReLU may
    give 0, so `floor` is added to both before the logarithm, which keeps a gradient there.

    Args:
        prediction: (B, H, W), >= 0, in the target's unit.
        target: (B, H, W), > 0 where valid.
        mask: (B, H, W) bool, or a weight for each pixel.
        total: for a batch that several processes share.
        variance_focus: 0 is the plain log RMSE, 1 ignores a common scale.
        floor: in the target's unit, far below its smallest value that matters.

    Source: Eigen et al., "Depth Map Prediction from a Single Image" (NeurIPS 2014), equation 4, under the
    root as in Lee et al., "From Big to Small" (2019).
    """
    prediction, target, weight = _clean(prediction, target, mask)
    gap = torch.log(target.clamp(min=0) + floor) - torch.log(prediction.clamp(min=0) + floor)
    sums = total(torch.stack([weight.sum(), (weight * gap).sum(), (weight * gap.square()).sum()]))
    mean, mean_square = sums[1:] / sums[0].clamp(min=_TINY)
    # The root's slope is infinite at 0: a perfect prediction must not give NaN.
    return torch.sqrt((mean_square - variance_focus * mean.square()).clamp(min=1e-10))


def align(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The prediction laid on the target, image by image: scale * prediction + shift by least squares.

    Written with centred sums, which float32 bears better than the normal equations. The scale is kept
    positive, at least a quarter of the ratio of the spreads. Else a mirrored prediction, far where it should
    be near, would be as good as a right one, and one that has nothing to do with the target would be scaled
    away to a constant, with hardly a slope to learn by; both matter from random weights. Where prediction
    and target correlate by a quarter or more, this is plain least squares.

    Args:
        prediction: (B, H, W) float32.
        target: (B, H, W) float32.
        weight: (B, H, W) float32 >= 0.

    Source: the closed form of Ranftl et al. (TPAMI 2022), equation 4; the bound on the scale is ours.
    """
    mean_p, mean_t = _weighted_mean(prediction, weight), _weighted_mean(target, weight)
    centred_p, centred_t = prediction - mean_p[:, None, None], target - mean_t[:, None, None]
    variance_p = _weighted_mean(centred_p.square(), weight)
    variance_t = _weighted_mean(centred_t.square(), weight)
    # Differences this small against the mean are rounding, not structure: a constant stays a constant.
    variance_p = torch.maximum(variance_p, 1e-10 * mean_p.detach().square() + _TINY)
    least = _MIN_CORRELATION * (variance_p * variance_t.clamp(min=_TINY)).sqrt()
    scale = torch.maximum(_weighted_mean(centred_p * centred_t, weight), least) / variance_p
    return scale[:, None, None] * centred_p + mean_t[:, None, None]


def _residual(prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Aligned prediction minus target, in units of the target's mean absolute deviation; and the weight."""
    prediction, target, weight = _clean(prediction, target, mask)
    # Weights say what of the residual counts. Fit and unit are those of all pixels that count at all: one that counts
    # much must not bend the fit towards itself, or its place among the others is never learned.
    valid = (weight > 0).float()
    centred = target - _weighted_mean(target, valid)[:, None, None]
    spread = _weighted_mean(centred.abs(), valid)
    # A flat target has no spread of its own; its level is the only unit left.
    spread = torch.maximum(spread, 1e-3 * _weighted_mean(target.abs(), valid)).clamp(min=1e-6)
    return (align(prediction, target, valid) - target) / spread[:, None, None], weight


def _mean_residual(residual: Tensor, weight: Tensor, total: Total) -> Tensor:
    return _image_mean(_weighted_mean(residual.abs(), weight), weight, total)


def _residual_steps(residual: Tensor, weight: Tensor, total: Total) -> Tensor:
    steps = residual.new_zeros(len(residual))
    for scale in range(GRADIENT_SCALES):
        step = 2**scale
        steps = steps + _mean_step(residual[:, ::step, ::step], weight[:, ::step, ::step])
    return _image_mean(steps, weight, total)


def _clean(prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """float32 all, and 0 in place of a target that doesn't count, which may be NaN or infinite.

    A prediction that is NaN stays so wherever it is: training must notice.
    """
    weight = mask.float()
    return prediction.float(), torch.where(weight > 0, target.float(), 0.0), weight


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=_TINY)


def _mean_step(residual: Tensor, weight: Tensor) -> Tensor:
    """(B,) mean absolute step to the right plus mean absolute step down, between pixels that both count."""
    total = residual.new_zeros(len(residual))
    for axis in (1, 2):
        size = residual.shape[axis] - 1
        if size < 1:
            continue
        # The geometric mean: 0 if one doesn't count, and in the unit of the weights.
        both = (weight.narrow(axis, 0, size) * weight.narrow(axis, 1, size)).sqrt()
        total = total + _weighted_mean(residual.diff(dim=axis).abs(), both)
    return total


def _image_mean(values: Tensor, weight: Tensor, total: Total) -> Tensor:
    """The mean of (B,) values over the images that have a valid pixel; 0 if none has."""
    filled = (weight.sum((1, 2)) > 0).float()
    value, count = total(torch.stack([(values * filled).sum(), filled.sum()]))
    return value / count.clamp(min=1)
