"""Muon: fewer steps than AdamW needs to the same loss, where there is much to learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Of the quintic that lifts small singular values fastest."""
_LENGTH = 0.4
"""Of an update: its root mean square, were all singular values 1, in units of the learning rate. Gradients of depth
models are far from full rank; of the bundled model's layers an update comes to half of that, AdamW's to 0.26. Liu et
al. take 0.2."""
_FEW = 3
"""Features: colours, or a depth."""


class Muon(torch.optim.AdamW):
    """Moves each matrix by its momentum with all singular values made about 1, and all else as AdamW does.

    So no direction in which a layer could learn waits until the steep ones are through. One learning rate serves both.
    A step takes longer, by products as large as the matrices, whatever the batch: little beside a batch of the small
    models, much beside a small crop of the large ones.

    torch.optim.Muon has no convolutions, and always computes in bfloat16, which takes processors without such
    arithmetic many times as long.

    Args:
        params: parameters in float32, or groups of them.
        lr: learning rate.
        weight_decay: as AdamW's, of all.
        dtype: of the products; all else is float32.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); updates grow with the root
    of the larger size as in Liu et al., "Muon is Scalable for LLM Training" (2025), section 2.2.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, weight_decay: float = 0.01, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self._dtype = dtype

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take a step; the gradients of matrices are used up by it."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and is_matrix(parameter):
                    self._move(parameter, group["lr"], group["weight_decay"])
                    parameter.grad = None  # AdamW passes over what has none
        super().step()

    def _move(self, matrix: Tensor, rate: float, weight_decay: float) -> None:
        gradient = matrix.grad.flatten(1)  # type: ignore[union-attr]
        state = self.state[matrix]
        if not state:
            # Named as AdamW's, which looks for its count in all that it restores.
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(gradient))
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1 - _MOMENTUM)
        update = orthogonalize(gradient.lerp(state["exp_avg"], _MOMENTUM), self._dtype)  # Nesterov's
        matrix.mul_(1 - rate * weight_decay)
        matrix.add_(update.reshape(matrix.shape), alpha=-rate * _LENGTH * max(update.shape) ** 0.5)


def is_matrix(parameter: Tensor) -> bool:
    """Whether it is the weight of a layer from features to features, as a convolution's seen as (out, in * h * w).

    Told by the shape alone: what reads colours, writes depth or sees each channel for itself has few features on one
    side. Biases, norms, tokens and positions have one size or three. A table of two sizes passes for a matrix.
    """
    return parameter.ndim in (2, 4) and min(parameter.shape[:2]) > _FEW


def orthogonalize(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix with its singular values brought to between 0.68 and 1.2, those below a 500th of its norm to less.

    Newton and Schulz's iteration X <- (a + b A + c A A) X with A = X X^T. It bears the few digits of bfloat16, in which
    values come to within 0.01 and directions to within 0.02 of that: what one round gets wrong, the next one mends.

    Args:
        matrix: (m, n) float32, as is what is returned.
        dtype: of the products.

    Source: Jordan et al. (2024), with their coefficients.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T, dtype).T
    current = (matrix / (matrix.norm() + 1e-7)).to(dtype)
    for _ in range(_ROUNDS):
        square = current @ current.T
        factor = torch.addmm(square, square, square, beta=_B, alpha=_C)
        current = torch.addmm(current, factor, current, beta=_A)
    return current.to(matrix.dtype)
