"""A step of training: micro-batches, frozen encoders, weights of regions, precision."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from blurdepth import muon
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED, SHIPPED, load_estimator
from blurdepth.processes import Processes
from blurdepth.recipe import Recipe, load_recipe
from blurdepth.training_data import Batch
from blurdepth.training_step import Trainer, choose_precision, encoder_of, has_bfloat16, make_optimizer
from tests.conftest import write_tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base"))


def recipe(**values: Any) -> Recipe:
    return replace(load_recipe("quick"), crop=(56, 84), **values)


def trainer(base: Path, **values: Any) -> Trainer:
    estimator = load_estimator(str(base))
    return Trainer(estimator.model, estimator.kind, recipe(**values), Processes())


def batch(images: int = 4, empty: int | None = None, size: tuple[int, int] = (56, 84)) -> Batch:
    random = torch.Generator().manual_seed(1)
    weight = torch.ones(images, *size)
    if empty is not None:
        weight[empty] = 0
    target = torch.rand(images, *size, generator=random) * 0.2 + 0.01
    return Batch(torch.randn(images, 3, *size, generator=random), target, weight)


def gradients(trained: Trainer) -> torch.Tensor:
    return torch.cat([each.grad.flatten() for each in trained.model.parameters() if each.grad is not None])


def batch_normed() -> Any:
    """A tiny GLPN, whose decoder normalises by batches."""
    from transformers import GLPNConfig, GLPNForDepthEstimation

    torch.manual_seed(0)
    sizes = {"hidden_sizes": [8, 8, 8, 8], "depths": [1] * 4, "num_attention_heads": [1] * 4}
    return GLPNForDepthEstimation(GLPNConfig(**sizes, decoder_hidden_size=8, max_depth=1, drop_path_rate=0.0))


def test_batch_statistics_stay_those_of_the_base_so_that_pieces_learn_what_the_whole_would() -> None:
    given = batch(size=(64, 96))
    whole, pieces = (
        Trainer(batch_normed(), "affine_inverse_depth", recipe(micro_batch=size), Processes()) for size in (0, 1)
    )
    before = {name: value.clone() for name, value in whole.model.named_buffers()}
    assert any("running_mean" in name for name in before)
    assert pieces.step(given, 1e-4) == pytest.approx(whole.step(given, 1e-4), rel=1e-5)
    assert (gradients(pieces) - gradients(whole)).norm() < 1e-4 * gradients(whole).norm()
    for name, value in whole.model.named_buffers():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("empty", [None, 3])
@pytest.mark.parametrize("micro_batch", [1, 3])
def test_micro_batches_learn_what_the_whole_batch_would(base: Path, micro_batch: int, empty: int | None) -> None:
    whole, pieces = trainer(base), trainer(base, micro_batch=micro_batch)
    given = batch(empty=empty)
    assert pieces.step(given, 1e-4) == pytest.approx(whole.step(given, 1e-4), rel=1e-5)
    # One by one they wouldn't do: the loss ignores shifts, so the last bias has a gradient of rounding alone.
    apart = (gradients(pieces) - gradients(whole)).norm()
    assert apart < 1e-4 * gradients(whole).norm()


def test_a_frozen_encoder_stays_and_the_head_learns(base: Path) -> None:
    trained = trainer(base, freeze_encoder=True, lr=1e-2, lr_min=0.0)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    trained.step(batch(), 1e-2)
    encoder = encoder_of(trained.model)
    assert encoder is not None
    inside = {f"backbone.{name}" for name in encoder.state_dict()}
    changed = {name for name, value in trained.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not changed & inside
    assert [group["factor"] for group in trained.optimizer.param_groups] == [1.0]  # quick's head has the same rate


def test_a_frozen_encoder_works_without_dropout(base: Path) -> None:
    for frozen in (True, False):
        trained = trainer(base, freeze_encoder=frozen)
        encoder = encoder_of(trained.model)
        assert encoder is not None
        dropouts = [module for module in encoder.modules() if isinstance(module, torch.nn.Dropout)]
        assert dropouts
        for module in dropouts:
            module.p = 0.5
        losses = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            losses.append(trained.step(batch(), 0.0))
        assert (losses[0] == losses[1]) == frozen
        assert trained.model.head.training and encoder.training != frozen


def test_a_model_without_a_head_cannot_have_its_encoder_frozen(base: Path) -> None:
    estimator = load_estimator(str(base))
    for part in (estimator.model.neck, estimator.model.head):
        part.requires_grad_(False)
    with pytest.raises(InputError, match="is all encoder: with freeze_encoder nothing learns"):
        Trainer(estimator.model, estimator.kind, recipe(freeze_encoder=True), Processes())


def test_checkpointing_gives_the_same_gradients(base: Path) -> None:
    plain, saving = trainer(base), trainer(base, checkpointing=True)
    assert saving.step(batch(), 1e-4) == pytest.approx(plain.step(batch(), 1e-4), rel=1e-6)
    torch.testing.assert_close(gradients(saving), gradients(plain), rtol=1e-4, atol=1e-7)
    assert any(getattr(module, "gradient_checkpointing", False) for module in saving.model.modules())


def test_a_loss_that_is_no_number_changes_nothing(base: Path) -> None:
    trained = trainer(base)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    given = batch()
    given.pixel_values[0, 0, 0, 0] = float("nan")
    assert not torch.isfinite(torch.tensor(trained.step(given, 1e-3)))
    assert all(torch.equal(value, before[name]) for name, value in trained.model.state_dict().items())


@pytest.mark.parametrize("has_it", [False, True])
def test_half_precision_is_for_who_has_it(has_it: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**torch.cpu.get_capabilities(), "amx_bf16": False, "bf16": False, "avx10_2": False, "avx512_bf16": has_it}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    cpu = torch.device("cpu")
    assert choose_precision(recipe(), cpu) == torch.float32
    with pytest.raises(InputError, match="precision = 'float16' needs a CUDA GPU"):
        choose_precision(recipe(precision="float16"), cpu)
    if has_it:
        assert choose_precision(recipe(precision="bfloat16"), cpu) == torch.bfloat16
    else:
        with pytest.raises(InputError, match="precision = 'bfloat16' would be slow"):
            choose_precision(recipe(precision="bfloat16"), cpu)


def test_a_step_in_bfloat16_learns_what_one_in_float32_would() -> None:
    if not has_bfloat16(torch.device("cpu")):
        pytest.skip("this CPU has no bfloat16")
    # A random model's prediction is all but flat, and what little there is falls between two numbers of bfloat16.
    full, half = (trainer(SHIPPED[BUNDLED], precision=precision) for precision in ("float32", "bfloat16"))
    given = batch(size=(64, 96))
    assert half.step(given, 1e-4) == pytest.approx(full.step(given, 1e-4), rel=1e-2)
    apart = (gradients(half) - gradients(full)).norm()
    assert 0 < apart < 0.2 * gradients(full).norm()
    assert {value.dtype for value in half.model.state_dict().values() if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(
    ("precision", "expected"),
    [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)],
)
def test_muon_computes_in_the_precision_of_the_recipe_but_in_float16(
    base: Path, precision: torch.dtype, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def orthogonalize(matrix: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        seen.add(dtype)
        return matrix

    monkeypatch.setattr(muon, "orthogonalize", orthogonalize)
    model = load_estimator(str(base)).model
    optimizer = make_optimizer(model, recipe(optimizer="muon"), precision)
    for each in model.parameters():
        each.grad = torch.ones_like(each)
    optimizer.step()
    assert seen == {expected}
