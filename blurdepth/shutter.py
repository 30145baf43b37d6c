"""When the shutter of a burst opens and closes, and how much each moment between counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import SHUTTERS
from blurdepth.errors import InputError

Shape = Literal["box", "triangle"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
MIN_FRAMES, MAX_FRAMES, USUAL_FRAMES = 2, 32, 9


@dataclass(frozen=True)
class Shutter:
    """Which frames of a clip the exposure spans.

    Attributes:
        start: the frame at whose moment the shutter opens, counted from 0.
        length: how many frames, the last being the one at whose moment it closes: 2 to 32. With an odd number
            the sharp frame is that of mid exposure.
        shape: "box" lets all moments count alike, "triangle" the middle most and the ends nothing.
    """

    start: int
    length: int
    shape: Shape = "box"

    def __post_init__(self) -> None:
        for name in ("start", "length"):
            if type(getattr(self, name)) is not int:
                raise InputError(f"The shutter's {name} is {getattr(self, name)!r}: give a whole number of frames.")
        if not MIN_FRAMES <= self.length <= MAX_FRAMES:
            raise InputError(f"The shutter is {self.length} frames long: choose {MIN_FRAMES} to {MAX_FRAMES}.")
        if self.start < 0:
            raise InputError(f"The shutter opens at frame {self.start}: choose 0, the first, or a later one.")
        if self.shape not in SHAPES:
            raise InputError(f"The shutter {self.shape!r} is not known: use {' or '.join(SHAPES)}.")

    @property
    def frames(self) -> range:
        """The numbers of its frames."""
        return range(self.start, self.start + self.length)

    @property
    def middle(self) -> int:
        """The number of its sharp frame, at mid exposure or half a frame before.

        >>> Shutter(4, 9).middle
        8
        """
        return self.start + (self.length - 1) // 2

    def check(self, count: int) -> None:
        """Refuse a clip of `count` frames that it reaches out of.

        Raises:
            InputError: it does.
        """
        if self.frames[-1] >= count:
            raise InputError(
                f"The shutter needs frames {self.start} to {self.frames[-1]} but the clip has {count} "
                f"(0 to {count - 1}): let it start earlier, or make it shorter."
            )


def choose_shutter(count: int, start: int | None = None, length: int | None = None, shape: Shape = "box") -> Shutter:
    """The shutter for a clip of `count` frames; what isn't given lies in its middle and spans up to 9 frames.

    Raises:
        InputError: the clip has fewer than 2 frames, or the shutter reaches out of it.

    >>> choose_shutter(30)
    Shutter(start=10, length=9, shape='box')
    >>> choose_shutter(30, start=25)
    Shutter(start=25, length=5, shape='box')
    """
    if count < MIN_FRAMES:
        raise InputError(f"{count} frame: a blurred frame needs at least {MIN_FRAMES}, taken one after the other.")
    if length is None:
        length = min(count - (start or 0), USUAL_FRAMES)
        length = max(length - (length % 2 == 0 and length > MIN_FRAMES), MIN_FRAMES)
    shutter = Shutter(max((count - length) // 2, 0) if start is None else start, length, shape)
    shutter.check(count)
    return shutter


def moment_weights(begin: float, end: float, steps: int, shape: Shape) -> NDArray[np.float64]:
    """(steps + 1,) the weight of each moment from `begin` to `end`, shares of the exposure.

    It is the integral of the shutter times a straight ramp to the next moment, so that real frames need no
    in-between ones beside them.

    >>> moment_weights(0, 0.5, 2, "box").tolist()
    [0.125, 0.25, 0.125]
    """
    fine = 8
    place = (np.arange(steps * fine) + 0.5) / fine
    time = begin + (end - begin) * place / steps
    open_ = SHUTTERS[shape](time - 0.5) * (end - begin) / place.size
    left = np.floor(place).astype(int)
    before = np.bincount(left, open_ * (left + 1 - place), minlength=steps + 1)
    after = np.bincount(left + 1, open_ * (place - left), minlength=steps + 1)
    return np.asarray(before + after, np.float64)
