"""A condition as knobs that a person can turn by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

from blurdepth.errors import InputError
from blurdepth.prompts.condition import (
    DIRECTIONS,
    MAX_EXPOSURE_S,
    MAX_PAN_DEG,
    MAX_SPEED_MPS,
    MIN_EXPOSURE_S,
    Condition,
)
from blurdepth.weather import KINDS

ANY_DIRECTION = "any"
AT_FIRST = 0.5
"""Where a strength starts that is added by hand."""


@dataclass(frozen=True)
class Knob:
    """One value of a condition.

    Attributes:
        name: as `turn` takes it.
        label: in words.
        value: a number, or one of `choices`.
        low, high: range of a number.
        first: what it is set to when it is added by hand.
        unit: of the number; "" for a strength.
        choices: where it is no number.
    """

    name: str
    label: str
    value: float | str
    low: float = 0.0
    high: float = 1.0
    first: float | str = AT_FIRST
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """For a chip.

        >>> Knob("fog", "fog", 0.7).shown, Knob("pan_deg", "camera turns", 3.0, unit="°").shown
        ('fog 0.7', 'camera turns 3°')
        """
        if isinstance(self.value, str):
            return f"{self.label} {self.value}"
        if self.unit == "s" and self.value < 0.4:
            return f"{self.label} 1/{1 / self.value:.0f} s"
        space = "" if self.unit in ("", "°") else " "
        return f"{self.label} {self.value:.3g}{space}{self.unit}"

    @property
    def at_rest(self) -> bool:
        """Whether it changes nothing."""
        return self.value in (0, ANY_DIRECTION)


def knobs(condition: Condition) -> list[Knob]:
    """All knobs of a condition, those at rest too."""
    weather = [Knob(kind, kind.replace("_", " "), getattr(condition.weather, kind)) for kind in KINDS]
    return [
        *weather,
        Knob("object_speed_mps", "objects", condition.object_speed_mps, 0.0, MAX_SPEED_MPS, 8.0, "m/s"),
        Knob(
            "direction",
            "to the" if condition.direction in ("left", "right") else "heading",
            condition.direction or ANY_DIRECTION,
            first="right",
            choices=(ANY_DIRECTION, *(each for each in DIRECTIONS if each)),
        ),
        Knob("camera_speed_mps", "camera forward", condition.camera_speed_mps, 0.0, MAX_SPEED_MPS, 8.0, "m/s"),
        Knob("pan_deg", "camera turns", condition.pan_deg, 0.0, MAX_PAN_DEG, 2.0, "°"),
        Knob("shake", "camera shake", condition.shake),
        Knob("exposure_s", "exposure", condition.exposure_s, MIN_EXPOSURE_S, MAX_EXPOSURE_S, 1 / 15, "s"),
    ]


def turn(condition: Condition, name: str, value: object) -> Condition:
    """The condition with one knob turned.

    >>> turn(Condition(camera_still=True), "camera_speed_mps", 5).camera_still
    False

    Raises:
        InputError: there is no such knob, or the value is outside its range.
    """
    knob = next((each for each in knobs(condition) if each.name == name), None)
    if knob is None:
        raise InputError(f"{name!r} can't be set by hand: reload the page.")
    if knob.choices:
        if value not in knob.choices:
            raise InputError(f"{knob.label} is {value!r}: use one of {', '.join(knob.choices)}.")
        return replace(condition, direction=None if value == ANY_DIRECTION else str(value))
    if not isinstance(value, int | float) or isinstance(value, bool) or not knob.low <= value <= knob.high:
        raise InputError(f"{knob.label} is {value!r}: use a number from {knob.low:g} to {knob.high:g}.")
    number = float(value)
    if name in KINDS:
        return replace(condition, weather=replace(condition.weather, **{name: number}))
    if name == "camera_speed_mps" and number:
        condition = replace(condition, camera_still=False)
    changed: Condition = replace(condition, **{name: number})  # type: ignore[arg-type]
    return changed
