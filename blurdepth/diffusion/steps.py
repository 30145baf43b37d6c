"""A picture that is being painted, step by step, for somebody who watches and may leave."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from blurdepth.diffusion.painter import Painter
from blurdepth.diffusion.settings import PaintSettings
from blurdepth.images import Rgb


@dataclass(frozen=True)
class PaintStep:
    """How far a picture has come.

    Attributes:
        done, total: steps.
        rough: (h, w, 3) uint8, small, what is emerging; None while nothing is.
    """

    done: int
    total: int
    rough: Rgb | None


def paint_steps(
    painter: Painter, control_map: Rgb, prompt: str, negative: str, seed: int, settings: PaintSettings
) -> Iterator[PaintStep | Rgb]:
    """Paint one picture: its steps as they go, at last the picture itself, of the control map's size.

    Closing the iterator stops the painting within one step.

    Raises:
        BlurdepthError: see `Painter.paint`.
    """
    news: queue.SimpleQueue[PaintStep | Rgb | BaseException] = queue.SimpleQueue()
    left = threading.Event()

    def paint() -> None:
        try:
            [picture] = painter.paint(
                control_map,
                [prompt],
                negative,
                [seed],
                settings,
                lambda done, total, rough: news.put(PaintStep(done, total, rough)),
                left.is_set,
            )
            news.put(picture)
        except BaseException as error:  # handed on to who watches
            news.put(error)

    worker = threading.Thread(target=paint, name="paint", daemon=True)
    worker.start()
    try:
        while True:
            latest = news.get()
            if isinstance(latest, BaseException):
                raise latest
            yield latest
            if not isinstance(latest, PaintStep):
                return
    finally:
        left.set()
        worker.join()
