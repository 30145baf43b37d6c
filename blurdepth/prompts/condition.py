"""What a variant shows, in numbers."""

from __future__ import annotations

import math
import reprlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from blurdepth.errors import InputError
from blurdepth.weather import KINDS, Weather

MIN_EXPOSURE_S, MAX_EXPOSURE_S = 1 / 500, 0.5
MAX_SPEED_MPS, MAX_PAN_DEG = 60.0, 20.0
DIRECTIONS = (None, "left", "right", "oncoming")


@dataclass(frozen=True)
class Condition:
    """What a variant shows: weather and light, and who moves how fast while the shutter is open.

    Attributes:
        weather: strengths of weather, light and sensor.
        camera_speed_mps: of the camera, forward, m/s.
        camera_still: the camera was asked to stay where it is: it doesn't travel, not even in place of objects; it
            turns only by `pan_deg` and `shake`.
        pan_deg: the camera's turn about its vertical axis over the exposure, degrees; the sign is by chance.
        shake: unsteadiness of the camera, [0, 1].
        object_speed_mps: of what moves by itself, m/s.
        direction: of what moves by itself: "left", "right", "oncoming", or None for by chance.
        exposure_s: for how long the shutter is open, seconds.

    Raises:
        InputError: a value is outside its range, or a camera that stays where it is has a speed.
    """

    weather: Weather = field(default_factory=Weather)
    camera_speed_mps: float = 0.0
    camera_still: bool = False
    pan_deg: float = 0.0
    shake: float = 0.0
    object_speed_mps: float = 0.0
    direction: str | None = None
    exposure_s: float = 1 / 15

    def __post_init__(self) -> None:
        for name in ("camera_speed_mps", "object_speed_mps"):
            if not 0 <= getattr(self, name) <= MAX_SPEED_MPS:
                raise InputError(f"{name} is {getattr(self, name)}: use 0 to {MAX_SPEED_MPS:.0f} m/s.")
        if self.camera_still and self.camera_speed_mps:
            raise InputError(f"The camera is to stand still and to move at {self.camera_speed_mps} m/s: choose one.")
        if not 0 <= self.pan_deg <= MAX_PAN_DEG or not 0 <= self.shake <= 1:
            raise InputError(
                f"pan_deg {self.pan_deg}, shake {self.shake}: use 0 to {MAX_PAN_DEG:g} degrees and 0 to 1."
            )
        if not MIN_EXPOSURE_S <= self.exposure_s <= MAX_EXPOSURE_S:
            raise InputError(f"exposure_s is {self.exposure_s}: use {MIN_EXPOSURE_S} to {MAX_EXPOSURE_S} seconds.")
        if self.direction not in DIRECTIONS:
            raise InputError(f"direction is {self.direction!r}: use left, right, oncoming or none.")

    @property
    def moves(self) -> bool:
        """Whether anything moves."""
        return any((self.camera_speed_mps, self.pan_deg, self.shake, self.object_speed_mps))

    def to_json(self) -> dict[str, Any]:
        """The values by their names; `weather` holds the strengths above 0."""
        data = asdict(self)
        data["weather"] = {name: value for name, value in data["weather"].items() if value}
        return data

    @classmethod
    def from_json(cls, data: object) -> Condition:
        """The inverse of `to_json`, for a condition that was changed by hand; what is left out is as by default.

        >>> Condition.from_json({"weather": {"fog": 0.5}, "camera_speed_mps": 8}).weather.fog
        0.5

        Raises:
            InputError: it isn't such an object, or a name or value in it is not known; the message names it.
        """
        values = _checked(data, "condition", {field.name for field in fields(cls)})
        values["weather"] = Weather(**_checked(values.get("weather", {}), "weather", set(KINDS)))
        for name, value in values.items():
            expected: tuple[type, ...] = _TYPES.get(name, (int, float))
            known = isinstance(value, expected) and (bool in expected or not isinstance(value, bool))
            if not known or (isinstance(value, float) and not math.isfinite(value)):
                raise InputError(f"{name} of the condition is {value!r}: {_USE.get(name, 'use a number')}.")
        return cls(**values)


_TYPES: dict[str, tuple[type, ...]] = {"weather": (Weather,), "camera_still": (bool,), "direction": (str, type(None))}
_USE = {"camera_still": "use true or false", "direction": "use left, right, oncoming or none"}


def _checked(data: object, what: str, names: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"The {what} is {reprlib.repr(data)}: give an object of names and values.")
    for name in data:
        if name not in names:
            raise InputError(f"The {what} has {name!r}, which is not known: use {', '.join(sorted(names))}.")
    return dict(data)
