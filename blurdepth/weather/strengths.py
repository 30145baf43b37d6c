"""Which weather, light and sensor a variant shows, and how strongly."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from blurdepth.errors import InputError


@dataclass(frozen=True)
class Weather:
    """Strengths of weather, light and sensor, each in [0, 1]; 0 is absent.

    Attributes:
        fog, smog, haze: what is in the air, by density and colour.
        rain, snow: what falls, with what it leaves in the air and on the ground.
        wet: the ground after rain.
        dusk, night: the light.
        noise: of a sensor at a high gain; 1 is ISO 12800.
        low_light: too little light for the camera: a darker frame at a high gain.
        camera_curve: the tone curve of a camera's own pictures on top of plain sRGB.

    Raises:
        InputError: a strength is not a number in [0, 1].
    """

    fog: float = 0.0
    smog: float = 0.0
    haze: float = 0.0
    rain: float = 0.0
    snow: float = 0.0
    wet: float = 0.0
    dusk: float = 0.0
    night: float = 0.0
    noise: float = 0.0
    low_light: float = 0.0
    camera_curve: float = 0.0

    def __post_init__(self) -> None:
        for name, strength in asdict(self).items():
            if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
                raise InputError(f"The strength of {name} is {strength!r}: use a number from 0 to 1.")

    @property
    def changes_scene(self) -> bool:
        """Whether there is more than what falls before the lens and what the sensor does."""
        air_and_ground = (self.fog, self.smog, self.haze, self.rain, self.snow, self.wet)
        return any((*air_and_ground, self.dusk, self.night))


KINDS = tuple(field.name for field in fields(Weather))
