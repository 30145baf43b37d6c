"""Muon against its definition, against PyTorch's own, and against AdamW where it is to be that."""

import pytest
import torch
from torch import Tensor, nn

from blurdepth.muon import Muon, is_matrix, orthogonalize


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-3), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("shape", [(24, 24), (16, 90), (90, 16)])
def test_singular_values_become_about_one_and_directions_stay(
    shape: tuple[int, int], dtype: torch.dtype, close: float
) -> None:
    matrix = random(*shape)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = values > 0.01 * values[0]
    updated = orthogonalize(matrix, dtype)
    assert updated.dtype == torch.float32
    found = left.T @ updated @ right.T
    assert found.diag()[kept].min() > 0.6 and found.diag().max() < 1.25
    assert (found - found.diag().diag()).abs().max() < close


def test_nothing_to_learn_moves_nothing() -> None:
    assert torch.equal(orthogonalize(torch.zeros(8, 16), torch.bfloat16), torch.zeros(8, 16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(32, 48), (48, 32)])
def test_matrices_move_as_pytorchs_moves_them(shape: tuple[int, int], dtype: torch.dtype) -> None:
    ours, theirs = nn.Parameter(random(*shape)), nn.Parameter(random(*shape))
    # Ours moves twice as far at the same rate.
    optimizers = (
        Muon([ours], lr=0.01, weight_decay=0.1, dtype=dtype),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(1, 4):
        ours.grad, theirs.grad = random(*shape, seed=step), random(*shape, seed=step)
        for optimizer in optimizers:
            optimizer.step()
    moved = theirs.detach() - random(*shape)
    # Theirs is in bfloat16, with eight binary digits.
    assert (ours - theirs).norm() < 0.03 * moved.norm()


def test_a_convolution_moves_as_the_matrix_it_is() -> None:
    layer, matrix = nn.Parameter(random(8, 5, 3, 3)), nn.Parameter(random(8, 45))
    with torch.no_grad():
        layer.copy_(matrix.view_as(layer))
    layer.data = layer.data.contiguous(memory_format=torch.channels_last)
    gradient = random(8, 45, seed=1)
    layer.grad, matrix.grad = gradient.view_as(layer), gradient
    Muon([layer, matrix], lr=0.1).step()
    torch.testing.assert_close(layer.flatten(1), matrix)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Linear(8, 4), True),
        (nn.ConvTranspose2d(8, 8, 2), True),
        (nn.Conv2d(3, 24, 14), False),
        (nn.Conv2d(24, 3, 1), False),
        (nn.Conv2d(24, 24, 3, groups=24), False),
        (nn.LayerNorm(24), False),
    ],
)
def test_layers_from_features_to_features_are_matrices(layer: nn.Module, expected: bool) -> None:
    assert isinstance(layer.weight, Tensor)
    assert is_matrix(layer.weight) == expected


def test_tokens_and_positions_are_none() -> None:
    assert not is_matrix(torch.zeros(1, 50, 24)) and not is_matrix(torch.zeros(24, 50, 24))


def test_a_step_that_float16_could_not_hold_is_left_out() -> None:
    wanted, found = nn.Parameter(random(8, 8)), nn.Parameter(random(8, 8))
    plain, scaled = Muon([wanted], lr=0.1), Muon([found], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.zeros(1))
    for factor in (torch.inf, 4.0):
        found.grad = factor * random(8, 8, seed=1)
        scaler.step(scaled)
        scaler.update()
        if factor == torch.inf:
            assert torch.equal(found, random(8, 8))
    wanted.grad = random(8, 8, seed=1)
    plain.step()
    torch.testing.assert_close(found, wanted)


def test_what_is_no_matrix_moves_as_by_adamw() -> None:
    def model() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 3))

    ours, theirs = model(), model()
    optimizers = Muon(ours.parameters(), lr=0.01), torch.optim.AdamW(theirs.parameters(), lr=0.01)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert is_matrix(one) == (name == "2.weight")
        one.grad = other.grad = random(*one.shape, seed=1)
    for optimizer in optimizers:
        optimizer.step()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other) == (name != "2.weight"), name
