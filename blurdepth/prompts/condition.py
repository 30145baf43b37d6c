"""What a variant shows, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from blurdepth.errors import InputError
from blurdepth.weather import KINDS, Weather

MIN_EXPOSURE_S, MAX_EXPOSURE_S = 1 / 500, 0.5
MAX_SPEED_MPS = 60.0
DIRECTIONS = (None, "left", "right", "oncoming")


@dataclass(frozen=True)
class Condition:
    """What a variant shows: weather and light, and who moves how fast while the shutter is open.

    Attributes:
        weather: strengths of weather, light and sensor.
        camera_speed_mps: of the camera, forward, m/s.
        pan_deg: the camera's turn about its vertical axis over the exposure, degrees; the sign is by chance.
        shake: unsteadiness of the camera, [0, 1].
        object_speed_mps: of what moves by itself, m/s.
        direction: of what moves by itself: "left", "right", "oncoming", or None for by chance.
        exposure_s: for how long the shutter is open, seconds.

    Raises:
        InputError: a value is outside its range.
    """

    weather: Weather = field(default_factory=Weather)
    camera_speed_mps: float = 0.0
    pan_deg: float = 0.0
    shake: float = 0.0
    object_speed_mps: float = 0.0
    direction: str | None = None
    exposure_s: float = 1 / 15

    def __post_init__(self) -> None:
        for name in ("camera_speed_mps", "object_speed_mps"):
            if not 0 <= getattr(self, name) <= MAX_SPEED_MPS:
                raise InputError(f"{name} is {getattr(self, name)}: use 0 to {MAX_SPEED_MPS:.0f} m/s.")
        if not 0 <= self.pan_deg <= 20 or not 0 <= self.shake <= 1:
            raise InputError(f"pan_deg {self.pan_deg}, shake {self.shake}: use 0 to 20 degrees and 0 to 1.")
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
    def from_json(cls, data: Mapping[str, Any]) -> Condition:
        """The inverse of `to_json`.

        >>> Condition.from_json({"weather": {"fog": 0.5}}).weather.fog
        0.5

        Raises:
            InputError: a name is unknown, or a value wrong.
        """
        known = {entry.name for entry in fields(cls)}
        strengths = data.get("weather") or {}
        unknown = sorted((set(data) - known) | (set(strengths) - set(KINDS)))
        if unknown:
            raise InputError(f"The condition has the unknown names {', '.join(unknown)}: remove them.")
        try:
            return cls(**{**data, "weather": Weather(**strengths)})
        except TypeError as error:
            raise InputError(f"The condition has a value of the wrong kind ({error}): use numbers.") from error
