"""Muon: fewer steps than AdamW needs to the same loss, for what multiplies matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Of the quintic that lifts small singular values fastest."""
_LIKE_ADAM = 0.2
"""The root mean square of AdamW's updates, in units of the learning rate."""
_COLOURS = 3


class Muon(torch.optim.AdamW):
    """Moves each matrix by its momentum with all singular values made about 1, and all else as AdamW does.

    So no direction in which a layer could learn waits until the steep ones are through. Updates are as long as those of
    AdamW, and learning rates mean the same.

    torch.optim.Muon has no convolutions, and computes in bfloat16, which takes processors without such arithmetic many
    times as long.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the length of updates from
    Liu et al., "Muon is Scalable for LLM Training" (2025), section 2.2.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take a step; the gradients of matrices are used up by it."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and is_matrix(parameter):
                    self._move(parameter, group["lr"], group["weight_decay"])
                    parameter.grad = None  # AdamW passes over what has none
        return super().step(closure)

    def _move(self, matrix: Tensor, rate: float, weight_decay: float) -> None:
        gradient = matrix.grad.flatten(1)  # type: ignore[union-attr]
        state = self.state[matrix]
        if not state:
            # Named as AdamW's, which looks for its count in all that it restores.
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(gradient))
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1 - _MOMENTUM)
        update = orthogonalize(gradient.lerp(state["exp_avg"], _MOMENTUM))  # Nesterov's
        matrix.mul_(1 - rate * weight_decay)
        matrix.add_(update.reshape(matrix.shape), alpha=-rate * _LIKE_ADAM * max(update.shape) ** 0.5)


def is_matrix(parameter: Tensor) -> bool:
    """Whether it is the weight of a layer from features to features, as a convolution's seen as (out, in * h * w).

    Those that read colours, write depth or see each channel for itself mix none; nor do biases and embeddings.
    """
    return parameter.ndim in (2, 4) and min(parameter.shape[:2]) > _COLOURS


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought to between 0.7 and 1.2, but for those that are all but 0.

    Newton and Schulz's iteration X <- (a + b A + c A A) X with A = X X^T. As A is a polynomial of the first one, the
    factors are gathered in the smaller of the two sizes, and X itself is multiplied but once.

    Args:
        matrix: (m, n) float32.

    Source: Jordan et al. (2024), with their coefficients.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T).T
    scaled = matrix / (matrix.norm() + 1e-7)
    square = scaled @ scaled.T
    one = torch.eye(len(square), device=matrix.device)
    factors = one
    for _ in range(_ROUNDS):
        factor = _A * one + _B * square + _C * square @ square
        factors = factor @ factors
        square = square @ (factor @ factor)
    return factors @ scaled
