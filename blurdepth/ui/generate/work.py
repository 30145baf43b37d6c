"""What is worked on: a frame, and the variants that are shown of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import gradio as gr

from blurdepth.errors import InputError
from blurdepth.store.records import Frame
from blurdepth.ui.shared import unseen
from blurdepth.workspace import Workspace


@dataclass(frozen=True)
class Work:
    """A frame with the ids of its variants that are shown, oldest first.

    The browser keeps them as one value, so that they are of each other also where two pages of one browser write it.
    `taken` tells one time that a frame was chosen from another.
    """

    frame: Frame | None = None
    shown: tuple[str, ...] = ()
    taken: str = ""

    @staticmethod
    def taking(frame: Frame, shown: Iterable[str] = ()) -> Work:
        """The work on a frame that is chosen now."""
        return Work(frame, tuple(shown), str(time.time_ns()))

    @staticmethod
    def read(workspace: Workspace, kept: object) -> Work:
        """What the browser keeps, as far as this data folder holds it: it may be of another one, or damaged."""
        names = kept if isinstance(kept, dict) else {}
        samples, frame_id, shown, taken = workspace.store.samples, *map(names.get, ("frame", "shown", "taken"))
        if not _is_ascii(frame_id) or not samples.has_frame(frame_id):
            return Work()
        ids = [each for each in shown if _is_ascii(each)] if isinstance(shown, list) else []
        there = (samples.sample(each) for each in ids if samples.has_sample(each))
        of_frame = tuple(each.id for each in there if each.frame_id == frame_id)
        return Work(samples.frame(frame_id), of_frame, taken if _is_ascii(taken) else "")

    def to_json(self) -> dict[str, Any]:
        """What the browser is to keep."""
        return {"frame": self.frame.id if self.frame else "", "shown": list(self.shown), "taken": self.taken}

    def showing(self, ids: Iterable[str]) -> Work:
        """The same frame with these variants, each once."""
        return replace(self, shown=tuple(dict.fromkeys(ids)))

    def required_frame(self) -> Frame:
        """The frame.

        Raises:
            InputError: there is none yet.
        """
        if self.frame is None:
            raise InputError("There is no frame yet: drop a picture, or press one of the examples.")
        return self.frame


def offered(element: str, work: gr.BrowserState, outputs: list[Any]) -> gr.HTML:
    """A component, not to be seen, for what a handler has to `offer` to others."""
    component = unseen(element)
    component.change(None, [component, work], outputs, js="blurdepthMemory.take")
    return component


def offer(kept: object, *values: Any) -> str:
    """Values for the outputs of an `offered` component, as JSON; None leaves an output as it is.

    The page takes them while the frame that it keeps is still that of `kept`, with which they were asked for: an answer
    may come late, when another frame has been chosen, or the same anew.
    """
    of = [kept.get("frame"), kept.get("taken")] if isinstance(kept, dict) else [None, None]
    # Gradio tells the page of a value only if it is another than the one before.
    return json.dumps({"of": of, "values": values, "at": time.monotonic_ns()})


def _is_ascii(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isascii()
