"""A loaded SDXL pipeline that paints frames along their control maps."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from blurdepth.diffusion.frames import Fit, latent_picture, paint_size
from blurdepth.diffusion.memory import is_memory, memory_told
from blurdepth.diffusion.plan import MemoryMode
from blurdepth.diffusion.settings import PaintSettings
from blurdepth.errors import Cancelled, InputError, ModelError
from blurdepth.images import Rgb

if TYPE_CHECKING:
    import torch

OnStep = Callable[[int, int, Rgb | None], None]

_LORA = "preview"
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Painter:
    """SDXL with a depth adapter, in memory.

    Attributes:
        name: of the base, as it was asked for.
        revision: of all parts' weights.
        mode: how memory is saved.
    """

    name: str
    revision: str
    pipeline: Any = field(repr=False)
    mode: MemoryMode
    preview_lora: Path | None
    # The pipeline keeps its scheduler's state: one picture at a time.
    _lock: threading.Lock = field(repr=False, compare=False)

    def paint(
        self,
        control_map: Rgb,
        prompts: Sequence[str],
        negative: str,
        seeds: Sequence[int],
        settings: PaintSettings,
        on_step: OnStep | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Rgb]:
        """Paint one picture for each prompt and its seed.

        Pictures are painted one after the other, so that each depends on its own prompt and seed alone: in a batch,
        rounding makes it depend on the others. At these sizes a single picture keeps a GPU busy.

        Args:
            control_map: (H, W, 3) uint8 of the frame's size, see `control_map`.
            prompts: one a picture.
            negative: what all of them should not show.
            seeds: one a picture.
            settings: how to paint.
            on_step: called after each step with steps done and steps in all, of all pictures together, and a small
                rough picture of what is emerging.
            cancelled: asked before each step.

        Returns:
            (H, W, 3) uint8 sRGB of the frame's size, one for each prompt. One that turned into numbers that are not
            finite is black, which `is_blank` tells.

        Raises:
            InputError: numbers of prompts and seeds differ, or a value is out of its range.
            Cancelled: `cancelled` said so; within one step.
            ModelError: the preview's LoRA is damaged or of another model.
            MemoryLimitError: there was too little memory.
        """
        self._check(control_map, prompts, seeds, settings)
        fit = paint_size(control_map.shape[1], control_map.shape[0], settings.short_side_px)
        by_lora = settings.preview and self.preview_lora is not None
        settings = settings.in_effect(self.preview_lora is not None)
        control = Image.fromarray(fit.to_paint(control_map))
        run = _Run(self.pipeline, control, fit, settings, by_lora, len(prompts), on_step, cancelled or (lambda: False))
        width, height = fit.size
        with _turn(self._lock, run), memory_told(f"paint {width} x {height} pixels"), _models_put_back(self.pipeline):
            self._take_lora(settings.preview)
            texts = [run.encode(prompt, negative) for prompt in prompts]
            return [run.paint(k, text, seed) for k, (text, seed) in enumerate(zip(texts, seeds, strict=True))]

    def _check(self, control_map: Rgb, prompts: Sequence[str], seeds: Sequence[int], settings: PaintSettings) -> None:
        if control_map.dtype != np.uint8 or control_map.ndim != 3 or control_map.shape[2] != 3:
            raise InputError(f"The control map is {control_map.dtype} of {control_map.shape}: give uint8 of (H, W, 3).")
        if not prompts or len(prompts) != len(seeds):
            raise InputError(f"{len(prompts)} prompts and {len(seeds)} seeds: give one seed for each prompt.")
        for seed in seeds:
            if not 0 <= seed <= _MAX_SEED:
                raise InputError(f"The seed is {seed}: use 0 to {_MAX_SEED}.")
        # SDXL fails below half of the size it was trained at: 512 px.
        least = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor // 2
        if settings.short_side_px < least:
            raise InputError(f"short_side_px is {settings.short_side_px}: {self.name} needs at least {least}.")

    def _take_lora(self, preview: bool) -> None:
        """The preview's LoRA is loaded when a preview is first asked, and is off in all else."""
        if self.preview_lora is None:
            return
        has_lora = _LORA in self.pipeline.get_list_adapters().get("unet", [])
        if preview and not has_lora:
            self._load_lora(self.preview_lora)
        if preview:
            self.pipeline.enable_lora()
        elif has_lora:
            self.pipeline.disable_lora()

    def _load_lora(self, path: Path) -> None:
        from safetensors import SafetensorError

        try:
            self.pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=_LORA)
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
            if is_memory(error):
                raise
            first_line = str(error).strip().split("\n")[0][:200]
            raise ModelError(
                f"{path} is no LoRA that fits {self.name} ({first_line}): give another, or none."
            ) from error


@dataclass(frozen=True)
class _Run:
    """One call of `Painter.paint`."""

    pipeline: Any
    control: Image.Image
    fit: Fit
    settings: PaintSettings
    by_lora: bool
    pictures: int
    on_step: OnStep | None
    cancelled: Callable[[], bool]

    def encode(self, prompt: str, negative: str) -> dict[str, torch.Tensor | None]:
        """Both prompts as the U-Net takes them. No negative prompt is zeros, as in SDXL's training."""
        self.stop_if_cancelled()
        import torch

        guided = self.settings.guidance > 1
        with torch.no_grad():
            made = self.pipeline.encode_prompt(
                prompt, negative_prompt=negative.strip() or None, do_classifier_free_guidance=guided
            )
        names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        return dict(zip(names, made, strict=True))

    def paint(self, index: int, text: dict[str, torch.Tensor | None], seed: int) -> Rgb:
        """One picture at the frame's size."""
        self.stop_if_cancelled()
        import torch

        width, height = self.fit.size
        scheduler = _new_scheduler(self.pipeline.scheduler.config, self.by_lora)
        self.pipeline.scheduler = scheduler
        emerging = _watch(scheduler) if self.on_step else []
        done = index * self.settings.steps

        def after_step(step: int, _time: Any, _latents: torch.Tensor) -> None:
            if self.on_step is not None:
                picture = latent_picture(emerging[0][0].float().cpu().numpy())
                self.on_step(done + step + 1, self.pictures * self.settings.steps, picture)
            self.stop_if_cancelled()

        latents = self.pipeline(
            **text,
            image=self.control,
            width=width,
            height=height,
            num_inference_steps=self.settings.steps,
            guidance_scale=self.settings.guidance,
            adapter_conditioning_scale=self.settings.adapter_scale,
            adapter_conditioning_factor=self.settings.adapter_factor,
            # On the CPU, so that all devices start from the same noise.
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="latent",
            callback=after_step,
        ).images
        return self.fit.to_frame(_decode(self.pipeline, latents))

    def stop_if_cancelled(self) -> None:
        """Raises `Cancelled` if it is."""
        if self.cancelled():
            raise Cancelled("Painting was cancelled.")


@contextmanager
def _turn(lock: threading.Lock, run: _Run) -> Iterator[None]:
    """The painter's own turn, waited for as long as nobody cancels."""
    while not lock.acquire(timeout=0.2):
        run.stop_if_cancelled()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _models_put_back(pipeline: Any) -> Iterator[None]:
    """However painting ends, a pipeline that moves its models to the GPU in turn has them moved back."""
    try:
        yield
    finally:
        pipeline.maybe_free_model_hooks()


def _new_scheduler(config: Any, by_lora: bool) -> Any:
    """From the checkpoint's own noise schedule: ancestral Euler, or the LCM's for a preview by its LoRA."""
    from diffusers import EulerAncestralDiscreteScheduler, LCMScheduler

    kind = LCMScheduler if by_lora else EulerAncestralDiscreteScheduler
    known = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in config.items() if name in known})


def _watch(scheduler: Any) -> list[torch.Tensor]:
    """A list that will hold what the scheduler's last step takes the finished latents for."""
    emerging: list[Any] = [None]
    step = scheduler.step

    # The pipeline asks for the step's parameters by name, which `wraps` keeps.
    @functools.wraps(step)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        emerging[0] = result[1]
        return result

    scheduler.step = watched
    return emerging


def _decode(pipeline: Any, latents: torch.Tensor) -> Rgb:
    """(H, W, 3) uint8 of latents; black if they are not finite. A VAE that overflows is put into float32 for good."""
    import torch

    vae = pipeline.vae
    if not torch.isfinite(latents).all():
        height, width = (side * pipeline.vae_scale_factor for side in latents.shape[-2:])
        return np.zeros((height, width, 3), np.uint8)
    with torch.no_grad():
        picture = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        if vae.dtype == torch.float16 and not torch.isfinite(picture).all():
            vae.to(torch.float32)
            picture = vae.decode(latents.float() / vae.config.scaling_factor, return_dict=False)[0]
    values = (picture[0].float() / 2 + 0.5).clamp(0, 1).nan_to_num(0).permute(1, 2, 0)
    return (values * 255).round().to(torch.uint8).cpu().numpy()
