"""The pinhole camera, and what moves while its shutter is open."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
Shutter = Callable[[NDArray[np.float64]], NDArray[np.float64]]
SHUTTERS: dict[str, Shutter] = {
    "box": np.ones_like,
    "trapezoid": lambda t: np.clip(4 * (0.5 - np.abs(t)), 0, 1) / 0.75,
    "triangle": lambda t: 2 - 4 * np.abs(t),
}
"""Weight over time, -0.5 to 0.5, with mean 1: an electronic shutter; a leaf shutter that takes a quarter of the
exposure to open and as long to close; and one that turns as soon as it is open."""
MAX_READOUT = 4.0


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion whose axis meets the middle of the frame.

    Camera axes: x right, y down, z forward. The centre of the top left pixel is (0, 0).
    """

    width: int
    height: int
    fov_x_deg: float

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, the same along x and y.

        >>> round(Pinhole(640, 192, 90.0).focal_px)
        320
        """
        return self.width / 2 / math.tan(math.radians(self.fov_x_deg) / 2)

    @property
    def centre_px(self) -> tuple[float, float]:
        """Where the axis meets the frame, as (x, y) in pixels."""
        return (self.width - 1) / 2, (self.height - 1) / 2


@dataclass(frozen=True)
class Motion:
    """All motion over one whole exposure; the frame is at its middle.

    A point X of object i has the camera coordinates R(t)^T (X + v_i t - T t) for t from -0.5 to 0.5, where T is
    the camera's translation, R(t) its rotation by t times `rotation_deg`, and v_i the object's translation.

    Attributes:
        fov_x_deg: horizontal field of view, degrees, above 0 and below 180.
        translation_m: the camera's translation over the exposure, metres.
        rotation_deg: the camera's rotation over the exposure about x, y and z (a rotation vector), degrees.
        objects: translation over the exposure, metres, by object id (1 to 255; 0 is the static world).
        shutter: weight over time, one of `SHUTTERS`; "box" is open, then shut.
        readout: how much later the last row is exposed than the first, in exposures, 0 to 4; 0 is a global shutter.
            Row y of H is exposed later than the middle by readout ((y + 0.5) / H - 0.5). The frame itself is taken
            as if all its rows were of the middle.
    """

    fov_x_deg: float
    translation_m: Vector = ZERO
    rotation_deg: Vector = ZERO
    objects: Mapping[int, Vector] = field(default_factory=dict)
    shutter: str = "box"
    readout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.fov_x_deg < 180:
            raise InputError(f"fov_x_deg is {self.fov_x_deg}: give degrees between 0 and 180.")
        if self.shutter not in SHUTTERS:
            raise InputError(f"The shutter {self.shutter!r} is not known: use one of {', '.join(SHUTTERS)}.")
        if not 0 <= self.readout <= MAX_READOUT:
            raise InputError(f"readout is {self.readout}: give exposures between 0 and {MAX_READOUT:g}.")
        self._check_vector("translation_m", self.translation_m)
        self._check_vector("rotation_deg", self.rotation_deg)
        for number, move in self.objects.items():
            if not 1 <= number <= 255:
                raise InputError(f"The object id {number} is not between 1 and 255 (0 is the static world).")
            self._check_vector(f"The motion of object {number}", move)

    @staticmethod
    def _check_vector(name: str, vector: Vector) -> None:
        if not all(math.isfinite(part) for part in vector):
            raise InputError(f"{name} is {vector}: give three finite numbers.")

    def only(self, numbers: Collection[int]) -> Motion:
        """The same motion, but of all objects only these move."""
        return replace(self, objects={number: move for number, move in self.objects.items() if number in numbers})

    def moving(self, ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) of `ids` those objects that move here, 0 elsewhere.

        >>> Motion(80.0, objects={2: (1.0, 0.0, 0.0)}).moving(np.array([[0, 1, 2]], np.uint8)).tolist()
        [[0, 0, 2]]
        """
        return np.where(np.isin(ids, list(self.objects)), ids, 0).astype(np.uint8)

    @property
    def latest(self) -> float:
        """When the shutter of the last row closes, in exposures after the middle; the first row's opens as long before.

        >>> Motion(80.0).latest, Motion(80.0, readout=1.0).latest
        (0.5, 1.0)
        """
        return (1 + self.readout) / 2

    def to_json(self) -> dict[str, Any]:
        """The motion in the form of MOTION.json, the inverse of `motion_from_json`."""
        return {
            "fov_x_deg": self.fov_x_deg,
            "camera": {"translation_m": list(self.translation_m), "rotation_deg": list(self.rotation_deg)},
            "objects": [{"id": number, "translation_m": list(move)} for number, move in self.objects.items()],
            "shutter": self.shutter,
            "readout": self.readout,
        }


def motion_from_json(text: str) -> Motion:
    """Read MOTION.json.

    >>> motion_from_json('{"fov_x_deg": 80, "objects": [{"id": 1, "translation_m": [1, 0, 0]}]}').objects
    {1: (1.0, 0.0, 0.0)}

    Raises:
        InputError: it is not JSON, has names that mean nothing, or a value is missing, given twice or of the
            wrong shape; the message names it.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The motion is not JSON that can be read ({error}): {_SEE_HELP}") from error
    motion = _members(data, "The motion", {"fov_x_deg", "camera", "objects", "shutter", "readout"})
    if "fov_x_deg" not in motion:
        raise InputError("The motion has no fov_x_deg: add the horizontal field of view in degrees.")
    camera = _members(motion.get("camera", {}), "camera", {"translation_m", "rotation_deg"})
    return Motion(
        fov_x_deg=_number(motion["fov_x_deg"], "fov_x_deg"),
        translation_m=_vector(camera.get("translation_m", ZERO), "camera.translation_m"),
        rotation_deg=_vector(camera.get("rotation_deg", ZERO), "camera.rotation_deg"),
        objects=_objects(motion.get("objects", [])),
        shutter=str(motion.get("shutter", "box")),
        readout=_number(motion.get("readout", 0.0), "readout"),
    )


_SEE_HELP = "see `expose --help` for an example."


def _wrong_shape(where: str, value: object, wanted: str) -> InputError:
    return InputError(f"{where} is {reprlib.repr(value)}, which has the wrong shape: use {wanted}; {_SEE_HELP}")


def _members(value: object, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_shape(where, value, "an object in braces")
    unknown = sorted(set(value) - known)
    if unknown:
        raise InputError(f"{where} has the unknown name {unknown[0][:40]!r}: use {', '.join(sorted(known))}.")
    return value


def _number(value: object, where: str) -> float:
    # A huge whole number has no float, and true and false count as numbers in Python.
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e9 < value < 1e9:
        raise _wrong_shape(where, value, "a number between -1e9 and 1e9")
    return float(value)


def _vector(value: object, where: str) -> Vector:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise _wrong_shape(where, value, "three numbers, such as [0, 0, 1.2]")
    x, y, z = (_number(part, where) for part in value)
    return x, y, z


def _objects(value: object) -> dict[int, Vector]:
    if not isinstance(value, list):
        raise _wrong_shape("objects", value, "a list")
    objects: dict[int, Vector] = {}
    for place, entry in enumerate(value):
        where = f"objects[{place}]"
        item = _members(entry, where, {"id", "translation_m"})
        number = item.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise _wrong_shape(f"{where}.id", number, "a whole number from 1 to 255")
        if number in objects:
            raise InputError(f"The object id {number} is given twice (again by {where}): give each object one entry.")
        objects[number] = _vector(item.get("translation_m"), f"{where}.translation_m")
    return objects


@dataclass(frozen=True)
class ScaleAssumption:
    """What is taken for granted to give metres to a depth without scale.

    The lowest row of the frame is taken to see the ground `camera_height_m` below the camera, and the farthest
    surface to be `far_m` away. Both are written into each variant's provenance.
    """

    camera_height_m: float = 1.65
    fov_x_deg: float = 80.0
    far_m: float = 80.0

    def near_m(self, width: int, height: int) -> float:
        """Distance of the ground at the lowest row of a `width` x `height` frame, metres.

        >>> round(ScaleAssumption().near_m(1242, 375), 1)
        6.5
        """
        focal_px = Pinhole(width, height, self.fov_x_deg).focal_px
        return self.camera_height_m * focal_px / (height / 2)

    def range_m(self, width: int, height: int) -> tuple[float, float]:
        """Nearest and farthest distance in a `width` x `height` frame, metres.

        In a frame so wide and low that its lowest row lies far away, the farthest is at least twice as far.

        >>> ScaleAssumption(far_m=10).range_m(1242, 375)[1] > 10
        True
        """
        near_m = self.near_m(width, height)
        return near_m, max(self.far_m, 2 * near_m)

    def to_json(self) -> dict[str, float]:
        """The three numbers by their names."""
        return asdict(self)


SCALE_RANGES = {"camera_height_m": (0.2, 20.0), "fov_x_deg": (20.0, 150.0), "far_m": (10.0, 1000.0)}


def scale_from_json(value: object) -> ScaleAssumption:
    """The inverse of `ScaleAssumption.to_json`; what is left out is as usual.

    Raises:
        InputError: it has names that mean nothing, or a value is outside its range.
    """
    given = _members(value, "The scale", set(SCALE_RANGES))
    numbers = {name: _number(number, name) for name, number in given.items()}
    for name, number in numbers.items():
        low, high = SCALE_RANGES[name]
        if not low <= number <= high:
            raise InputError(f"{name} is {number:g}: use {low:g} to {high:g}.")
    return ScaleAssumption(**numbers)
