"""One step of a fine-tune: forward, loss, backward, and what the optimizer makes of it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from blurdepth.depth import DepthKind
from blurdepth.errors import InputError
from blurdepth.losses import Total, alone, silog_loss, ssi_gradient_loss
from blurdepth.muon import Muon
from blurdepth.processes import Processes
from blurdepth.recipe import Recipe
from blurdepth.training_data import Batch

_BFLOAT16 = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16")
"""Sets of instructions with arithmetic in it, of Intel, AMD and ARM."""
_ADAMS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Trainer:
    """A model that learns by a recipe.

    Args:
        model: of transformers, on its device; encoder frozen or checkpointed as the recipe wants it.
        kind: of what it predicts.
        recipe: see `Recipe`.
        processes: with whom each batch is shared.

    Raises:
        InputError: the model or its device can't do what the recipe wants.
    """

    def __init__(self, model: Any, kind: DepthKind, recipe: Recipe, processes: Processes) -> None:
        self.model, self._kind, self._recipe, self._processes = model, kind, recipe, processes
        self._precision = choose_precision(recipe, model.device)
        prepare(model, recipe)
        self.optimizer = make_optimizer(model, recipe, self._precision)
        # What is tiny in float16 becomes 0 unless it is scaled up; the other precisions don't need it.
        self.scaler = torch.amp.GradScaler(model.device.type, enabled=self._precision == torch.float16)

    def step(self, batch: Batch, rate: float) -> float:
        """Learn from this process's share of a batch at the encoder's learning rate.

        Returns:
            The loss of the whole batch. Where it is no number any more, nothing was learned.
        """
        self.model.train()
        if self._recipe.freeze_encoder and (encoder := encoder_of(self.model)) is not None:
            encoder.eval()  # frozen, it is to work as it will later, without dropout
        keep_statistics(self.model)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        value = self._gather_gradients(batch)
        if math.isfinite(value):
            self._processes.average_gradients(self.model.parameters())
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return value

    def _gather_gradients(self, batch: Batch) -> float:
        pieces = batch.split(self._recipe.micro_batch or len(batch.weight))
        # Of all processes: each knows but its own share, and together they have one loss.
        counts = torch.tensor([piece.filled() for piece in pieces], device=self.model.device)
        filled: list[int] = self._processes.total(counts).tolist()
        value = 0.0
        for piece, count in zip(pieces, filled, strict=True):
            share = 1.0 if len(pieces) == 1 else count / max(sum(filled), 1)
            loss = self._loss(piece.to(self.model.device)) * share
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            value += loss.item()
        return value

    def _loss(self, batch: Batch) -> Tensor:
        device = self.model.device.type
        with torch.autocast(device, self._precision, enabled=self._precision != torch.float32):
            prediction = self.model(pixel_values=batch.pixel_values).predicted_depth
        return training_loss(self._recipe, self._kind, prediction, batch, self._processes.total)


def choose_precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    """The precision of the arithmetic on a device.

    Raises:
        InputError: a half precision is asked for where it would be slow or is not known.
    """
    asked: str = recipe.precision
    on_gpu = device.type == "cuda"
    if asked == "auto" and on_gpu:
        asked = "bfloat16" if has_bfloat16(device) else "float16"
    if asked == "float16" and not on_gpu:
        raise InputError("precision = 'float16' needs a CUDA GPU, and this device is none: use 'auto'.")
    if asked == "bfloat16" and not has_bfloat16(device):
        raise InputError(
            "precision = 'bfloat16' would be slow on this device, which has no arithmetic for it: use 'auto'."
        )
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(asked, torch.float32)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for it; where it has not, it is many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(known.get(name, False) for name in _BFLOAT16)


def keep_statistics(model: nn.Module) -> None:
    """Let batch normalisation go by the statistics that the model came with.

    Those of a few blurred images are not those of all that it was made for, and pieces of a batch have others than the
    whole.
    """
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def make_optimizer(model: nn.Module, recipe: Recipe, precision: torch.dtype) -> torch.optim.Optimizer:
    """The recipe's optimizer of all that learns, in the groups of `parameter_groups`.

    Args:
        model: on its device.
        recipe: see `Recipe`.
        precision: of the arithmetic, see `choose_precision`.

    Raises:
        InputError: nothing learns.
    """
    groups = parameter_groups(model, recipe)
    if recipe.optimizer == "muon":
        # The numbers of float16 don't become small enough for its products.
        dtype = torch.float32 if precision == torch.float16 else precision
        return Muon(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, dtype=dtype)
    return _ADAMS[recipe.optimizer](groups, lr=recipe.lr, weight_decay=recipe.weight_decay)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The encoder at the recipe's rate, all else `head_lr_factor` times faster; what is frozen is in neither.

    Each group holds its "factor", by which `learning_rate` is multiplied at each step.

    Raises:
        InputError: nothing learns.
    """
    encoder = encoder_of(model)
    inside = {id(parameter) for parameter in encoder.parameters()} if encoder is not None else set()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parts = [
        ([p for p in trained if id(p) in inside], 1.0),
        ([p for p in trained if id(p) not in inside], recipe.head_lr_factor),
    ]
    if not trained:
        raise InputError(f"{type(model).__name__} is all encoder: with freeze_encoder nothing learns, leave it out.")
    return [{"params": params, "factor": factor, "lr": recipe.lr * factor} for params, factor in parts if params]


def encoder_of(model: nn.Module) -> nn.Module | None:
    """The part of a depth model that was trained on other tasks before."""
    found = getattr(model, "backbone", None) or getattr(model, getattr(model, "base_model_prefix", ""), None)
    return found if isinstance(found, nn.Module) else None


def training_loss(recipe: Recipe, kind: DepthKind, prediction: Tensor, batch: Batch, total: Total = alone) -> Tensor:
    """The recipe's loss of a prediction of any kind, in inverse depth.

    SiLog doesn't ignore scale wholly. A model of metres is held to metres; a relative one to each target over
    its own maximum, in (0, 1], which its head learns first; sky has no logarithm and is left out.

    Args:
        recipe: names the loss.
        kind: of the prediction.
        prediction: (B, h, w); resized to the targets if need be.
        batch: on the same device.
        total: for a batch that several processes share.
    """
    prediction, target, weight = prediction.float(), batch.inverse_depth, batch.weight
    if prediction.shape != target.shape:
        prediction = nn.functional.interpolate(
            prediction[:, None], target.shape[1:], mode="bilinear", align_corners=True
        )[:, 0]
    if kind == "depth_m":
        prediction = 1 / prediction.clamp(min=1e-3)
    if recipe.loss == "ssi+gradient":
        return ssi_gradient_loss(prediction, target, weight, recipe.gradient_weight, total)
    weight = weight * (target > 0)
    if kind == "affine_inverse_depth":
        target = target / (target * (weight > 0)).amax((1, 2), keepdim=True).clamp(min=1e-6)
    return silog_loss(prediction, target, weight, total)


def prepare(model: Any, recipe: Recipe) -> None:
    """Freeze the encoder, or save the memory of its activations, as the recipe wants it.

    Raises:
        InputError: the model can't do what the recipe wants.
    """
    encoder = encoder_of(model)
    if not (recipe.freeze_encoder or recipe.checkpointing):
        return
    if encoder is None:
        raise InputError(
            f"{type(model).__name__} has no encoder of its own: leave freeze_encoder and checkpointing out."
        )
    if recipe.freeze_encoder:
        encoder.requires_grad_(False)
    if recipe.checkpointing:
        try:
            encoder.activation_checkpointing_enable()  # type: ignore[operator]
        except (AttributeError, ValueError) as error:
            raise InputError(f"{type(model).__name__} can't do with checkpointing ({error}): leave it out.") from error
