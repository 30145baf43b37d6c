"""Another way in: a short clip, or several pictures in a row, become one blurred frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from blurdepth.blending import BlendRequest, BlendStep, blend_clip
from blurdepth.clips import CLIP_LIMITS, CLIP_SUFFIXES, Clip, clip_of_pictures, read_clip
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.shutter import MAX_FRAMES, MIN_FRAMES, Shape, Shutter, choose_shutter
from blurdepth.ui import html
from blurdepth.ui.shared import LIGHT, told, uploaded
from blurdepth.workspace import Workspace

_SHAPES = [("evenly", "box"), ("most in the middle", "triangle")]
_STRIP = 24


class ClipInput:
    """The components and handlers of the clip. `blend` is what the button asks for; the tab connects it.

    Args:
        workspace: the data folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        with gr.Accordion("Or blend a short clip, or several frames", open=False, elem_id="clip"):
            gr.Markdown(
                "Real motion, real blur: the frames are averaged as an open shutter would, and so is their depth.",
                elem_classes="bd-note",
            )
            self.files = gr.File(
                label="Clip or frames",
                file_count="multiple",
                file_types=["image", "video", *CLIP_SUFFIXES],
                height=110,
            )
            gr.Markdown(f"{CLIP_LIMITS}; or pictures of one size, in their order.", elem_classes="bd-note")
            self.strip = gr.HTML("", elem_id="clip-strip")
            with gr.Group(visible=False) as self.controls:
                self.first = gr.Slider(1, 2, value=1, step=1, label="Shutter opens at frame")
                self.length = gr.Slider(MIN_FRAMES, MAX_FRAMES, value=2, step=1, label="Frames while it is open")
                self.shape = gr.Radio(_SHAPES, value="box", label="These count")
                self.align = gr.Checkbox(False, label="Take the camera's shake out")
                self.start = gr.Button("Blend into one frame", variant="primary", elem_id="blend")
        chosen = [self.first, self.length]
        self.files.upload(told(self.open), self.files, [self.strip, self.controls, *chosen], **LIGHT)
        self.files.clear(self.close, None, [self.strip, self.controls], **LIGHT)
        for slider in chosen:
            slider.release(told(self.show_strip), [self.files, *chosen], self.strip, **LIGHT)

    @property
    def asked(self) -> list[Any]:
        """What `blend` takes first."""
        return [self.files, self.first, self.length, self.shape, self.align]

    def open(self, paths: list[str] | None) -> tuple[Any, ...]:
        """Show a clip that came, with a shutter in its middle."""
        try:
            clip = _clip(paths)
            shutter = choose_shutter(clip.count)
            strip = self._strip(clip, shutter.start + 1, shutter.length)
        except BlurdepthError as error:
            return html.notice(str(error)), gr.update(visible=False), gr.skip(), gr.skip()
        return (
            strip,
            gr.update(visible=True),
            gr.update(maximum=clip.count - 1, value=shutter.start + 1),
            gr.update(maximum=min(MAX_FRAMES, clip.count), value=shutter.length),
        )

    def close(self) -> tuple[Any, ...]:
        """No clip any more."""
        return "", gr.update(visible=False)

    def show_strip(self, paths: list[str] | None, first: int, length: int) -> str:
        """The clip with the frames that the shutter spans."""
        return self._strip(_clip(paths), int(first), int(length))

    def _strip(self, clip: Clip, first: int, length: int) -> str:
        small = ((number, self.workspace.keep_picture(rgb)) for number, rgb in clip.thumbnails(_STRIP))
        inside = range(first - 1, first - 1 + length)
        rate = f", {clip.fps:.0f} a second" if clip.fps else ""
        about = f"{clip.count} frames of {clip.width} × {clip.height}{rate}; {length} of them are blended"
        return html.film([(f"frame {number + 1}", path, number in inside) for number, path in small], about)

    def blend(
        self, paths: list[str] | None, first: int, length: int, shape: Shape, align: bool, model: str
    ) -> Iterator[BlendStep]:
        """Blend the frames; each step says how far it is, and the last one holds the sample.

        Raises:
            InputError: there is no clip, or the frames can't be blended.
        """
        request = BlendRequest(Shutter(int(first) - 1, int(length), shape), align, model)
        yield from blend_clip(self.workspace, _clip(paths), request)


def _clip(paths: list[str] | None) -> Clip:
    if not paths:
        raise InputError(f"There is no clip yet: choose one ({CLIP_LIMITS}), or several pictures.")
    files: list[Path] = [uploaded(path) for path in paths]
    return read_clip(files[0]) if len(files) == 1 else clip_of_pictures(files)
