"""The training losses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from blurdepth.losses import align, gradient_loss, silog_loss, ssi_gradient_loss, ssi_loss

LOSSES = [ssi_loss, gradient_loss, silog_loss]


def example(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and mask of (2, 24, 36)."""
    random = torch.Generator().manual_seed(seed)
    prediction = torch.rand(2, 24, 36, generator=random) * 10
    target = torch.rand(2, 24, 36, generator=random) * 0.5 + 0.01
    return prediction, target, torch.rand(2, 24, 36, generator=random) > 0.2


@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_an_affine_copy_of_the_target_costs_nothing(scale: float, shift: float) -> None:
    _, target, mask = example()
    assert ssi_loss(scale * target + shift, target, mask) < 2e-3
    assert gradient_loss(scale * target + shift, target, mask) < 2e-2


@pytest.mark.parametrize("loss", [ssi_loss, gradient_loss])
def test_scale_and_shift_of_either_side_change_nothing(loss) -> None:
    prediction, target, mask = example()
    plain = loss(prediction, target, mask).item()
    assert loss(7 * prediction - 20, target, mask) == pytest.approx(plain, rel=1e-4)
    assert loss(prediction, 0.3 * target + 2, mask) == pytest.approx(plain, rel=1e-4)


def test_ssi_is_the_least_squares_residual_of_numpy() -> None:
    _, target, mask = example()
    prediction = target**2 + 0.3
    expected = []
    for given_p, given_t, given_m in zip(prediction.numpy(), target.numpy(), mask.numpy(), strict=True):
        p, t = given_p[given_m], given_t[given_m]
        (scale, shift), *_ = np.linalg.lstsq(np.stack([p, np.ones_like(p)], 1), t, rcond=None)
        expected.append(np.abs(scale * p + shift - t).mean() / np.abs(t - t.mean()).mean())
    assert ssi_loss(prediction, target, mask) == pytest.approx(np.mean(expected), rel=1e-4)


def test_both_parts_aligned_once_are_their_sum_to_the_bit() -> None:
    prediction, target, mask = example()
    whole, parts = prediction.clone().requires_grad_(), prediction.clone().requires_grad_()
    together = ssi_gradient_loss(whole, target, mask, 0.5)
    apart = ssi_loss(parts, target, mask) + 0.5 * gradient_loss(parts, target, mask)
    assert torch.equal(together, apart)
    together.backward()
    apart.backward()
    torch.testing.assert_close(whole.grad, parts.grad, rtol=1e-5, atol=1e-9)


def test_a_mirrored_prediction_costs_more_than_a_flat_one() -> None:
    _, target, mask = example()
    assert ssi_loss(-target, target, mask) > ssi_loss(torch.ones_like(target), target, mask) > 0.9


def test_training_turns_a_mirrored_prediction_round() -> None:
    _, target, mask = example()
    prediction = (-target).clone().requires_grad_()
    optimizer = torch.optim.Adam([prediction], lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        ssi_loss(prediction, target, mask).backward()
        optimizer.step()
    assert ssi_loss(prediction, target, mask) < 0.2


def test_gradient_loss_by_hand() -> None:
    target = torch.zeros(1, 1, 4)
    target[..., 2:] = 1
    prediction = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]]) * 3
    # Uncorrelated, so the scale is the least that is allowed; steps of target / its deviation of 0.5.
    mask = torch.ones(1, 1, 4, dtype=torch.bool)
    scaled = 0.25 * torch.tensor([-0.5, 0.5, 0.5, -0.5]) + 0.5
    residual = (scaled - target[0, 0]) / 0.5
    expected = residual.diff().abs().mean() + residual[::2].diff().abs().mean()
    assert gradient_loss(prediction, target, mask) == pytest.approx(expected.item(), rel=1e-4)


@given(st.floats(0.2, 5))
def test_silog_of_a_common_factor_is_half_forgiven(factor: float) -> None:
    target = torch.linspace(1, 50, 60).reshape(1, 6, 10)
    loss = silog_loss(target * factor, target, torch.ones_like(target), floor=0)
    assert loss == pytest.approx(abs(np.log(factor)) * np.sqrt(0.5), abs=2e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_pixels_have_no_influence(loss) -> None:
    prediction, target, mask = example()
    plain = loss(prediction, target, mask).item()
    target[~mask] = torch.tensor([float("nan"), float("inf")]).repeat(mask.numel())[: int((~mask).sum())]
    prediction[~mask] = 1e3
    assert loss(prediction, target, mask) == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("level", "valid"), [(0.0, True), (5.0, True), (0.0, False)], ids=["zeros", "constant", "no pixel"]
)
def test_degenerate_input_gives_a_finite_loss_and_gradient(loss, level: float, valid: bool) -> None:
    _, target, mask = example()
    prediction = torch.full_like(target, level).requires_grad_()
    value = loss(prediction, target, mask & valid)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(prediction.grad).all()


def test_an_image_without_targets_does_not_dilute_the_others() -> None:
    prediction, target, mask = example()
    mask[1] = False
    alone = ssi_loss(prediction[:1], target[:1], mask[:1]).item()
    assert ssi_loss(prediction, target, mask) == pytest.approx(alone)


def test_a_flat_target_gives_a_finite_loss() -> None:
    prediction, target, mask = example()
    assert torch.isfinite(ssi_loss(prediction, torch.full_like(target, 0.2), mask))
    assert torch.isfinite(ssi_loss(prediction, torch.zeros_like(target), mask))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_prediction_that_is_no_number_is_not_hidden(loss) -> None:
    prediction, target, mask = example()
    prediction[mask] = float("nan")
    assert torch.isnan(loss(prediction, target, mask))


def test_a_weight_counts_in_the_mean_and_does_not_bend_the_fit() -> None:
    prediction, target, _ = example()
    weight, ones = torch.ones_like(target), torch.ones_like(target)
    weight[:, :3] = 5
    residual = (align(prediction, target, ones) - target).abs()
    spread = (target - target.mean((1, 2), keepdim=True)).abs().mean((1, 2))
    expected = ((residual * weight).sum((1, 2)) / weight.sum((1, 2)) / spread).mean()
    assert ssi_loss(prediction, target, weight) == pytest.approx(expected.item(), rel=1e-4)
    assert ssi_loss(prediction, target, weight) != pytest.approx(ssi_loss(prediction, target, ones).item(), rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_count_against_each_other_alone(loss) -> None:
    prediction, target, mask = example()
    weight = torch.where(mask, 1 + torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)), 0)
    assert loss(prediction, target, 7 * weight) == pytest.approx(loss(prediction, target, weight).item(), rel=1e-4)
