"""What a person has set about one frame: who moves and where to, and the assumption of scale.

A setup is never changed: each touch gives a new one, so that undo is going back to the one before, and two people
at the same frame don't disturb each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import SCALE_RANGES, Pinhole, ScaleAssumption, Vector
from blurdepth.errors import InputError
from blurdepth.images import content_hash, object_numbers
from blurdepth.movers import Ids, Mask
from blurdepth.prompts.condition import MAX_SPEED_MPS

F32 = NDArray[np.float32]
Point = tuple[float, float]

MAX_MOVERS = 20
LEVEL = 0.27
"""Rise by run up to which an arrow counts as level: about 15 degrees."""
SMALLEST_PX = 12
"""Fewer pixels than this can't be seen to move."""


@dataclass(frozen=True)
class Setup:
    """Who moves in a frame, and how far a metre is.

    Attributes:
        frame_id: whose.
        ids: name of a PNG (H, W) uint8 of the data folder, 0 = static world; "" where nobody was chosen.
        velocities_mps: by id, in camera axes.
        scale: used where the depth model knows no metres.
    """

    frame_id: str
    ids: str = ""
    velocities_mps: Mapping[int, Vector] = field(default_factory=dict)
    scale: ScaleAssumption = field(default_factory=ScaleAssumption)

    @property
    def id(self) -> str:
        """The same for the same setup."""
        return content_hash(json.dumps([self.frame_id, self.to_json()], sort_keys=True).encode())[:16]

    def to_json(self) -> dict[str, Any]:
        """All but the frame; the inverse of `setup_from_json`."""
        velocities = {str(number): list(velocity) for number, velocity in sorted(self.velocities_mps.items())}
        return {"ids": self.ids, "velocities_mps": velocities, "scale": self.scale.to_json()}


def setup_from_json(frame_id: str, values: Mapping[str, Any]) -> Setup:
    """The setup that gave these values by `Setup.to_json`."""
    velocities = {int(number): (float(x), float(y), float(z)) for number, (x, y, z) in values["velocities_mps"].items()}
    return Setup(frame_id, values["ids"], velocities, ScaleAssumption(**values["scale"]))


@dataclass(frozen=True)
class View:
    """What ties metres to pixels while somebody draws: the frame's depth, its camera, and how long the shutter is open.

    Attributes:
        inverse_depth: (H, W) 1/m.
        scale: the assumed camera.
        exposure_s: seconds.
    """

    inverse_depth: F32
    scale: ScaleAssumption
    exposure_s: float

    @property
    def camera(self) -> Pinhole:
        """The camera that took the frame."""
        height, width = self.inverse_depth.shape
        return Pinhole(width, height, self.scale.fov_x_deg)

    def arrow(self, mask: Mask, velocity: Vector) -> tuple[Point, Point]:
        """Where a mover is and where the exposure takes it, as two points in pixels.

        Along the picture it is the way of its middle. Towards or away from the camera it is the way of its foot on the
        ground: the camera stands `camera_height_m` above it, so a foot at inverse depth d lies f h d below the horizon.
        """
        (x, y), inverse = self._middle(mask)
        right, _down, forward = (metres * self.exposure_s for metres in velocity)
        focal = self.camera.focal_px
        converging = (x - self.camera.centre_px[0]) * inverse * forward
        dx = focal * right * inverse - converging
        dy = -focal * self.scale.camera_height_m * inverse**2 * forward
        return (x, y), (x + dx, y + dy)

    def velocity(self, mask: Mask, to: Point) -> Vector:
        """The velocity along the ground whose arrow ends at `to`, in pixels; the inverse of `arrow`.

        A nearly level arrow counts as level: far away, a few pixels downwards are many metres towards the camera. The
        speed is held to 60 m/s.
        """
        (x, y), inverse = self._middle(mask)
        focal = self.camera.focal_px
        level = abs(to[1] - y) < LEVEL * abs(to[0] - x)
        forward = 0.0 if level else -(to[1] - y) / (focal * self.scale.camera_height_m * inverse**2)
        converging = (x - self.camera.centre_px[0]) * inverse * forward
        right = (to[0] - x + converging) / (focal * inverse)
        return limit_speed((right / self.exposure_s, 0.0, forward / self.exposure_s))

    def height_m(self, mask: Mask) -> float:
        """How tall what the mask shows is, metres."""
        rows = np.flatnonzero(mask.any(axis=1))
        _, inverse = self._middle(mask)
        return float(rows[-1] - rows[0] + 1) / (self.camera.focal_px * inverse)

    def _middle(self, mask: Mask) -> tuple[Point, float]:
        rows, columns = np.nonzero(mask)
        inverse = max(float(np.median(self.inverse_depth[mask])), 1e-4)
        return (float(columns.mean()), float(rows.mean())), inverse


def limit_speed(velocity: Vector) -> Vector:
    """The velocity, made shorter where it is faster than anything may be.

    >>> limit_speed((0.0, 0.0, -120.0))
    (0.0, 0.0, -60.0)
    """
    x, y, z = velocity
    factor = min(1.0, MAX_SPEED_MPS / max(math.hypot(x, y, z), 1e-9))
    return x * factor, y * factor, z * factor


def with_mover(ids: Ids, mask: Mask, number: int | None = None) -> tuple[Ids, int]:
    """Put a mover's mask into the ids, in place of what that mover had before.

    Args:
        ids: (H, W) uint8.
        mask: (H, W); takes pixels from other movers too.
        number: of the mover; None for a new one.

    Returns:
        The new ids, and the mover's number.

    Raises:
        InputError: the mask is next to nothing, or there are too many movers.
    """
    if np.count_nonzero(mask) < SMALLEST_PX:
        raise InputError("That is too small to be seen moving: paint or choose more of it.")
    used = object_numbers(ids)
    if number is None:
        number = next(each for each in range(1, 256) if each not in used)
        if len(used) >= MAX_MOVERS:
            raise InputError(f"{MAX_MOVERS} things move already: remove one first.")
    changed = np.where(ids == number, 0, ids)
    return np.where(mask, number, changed).astype(np.uint8), number


def keep_seen(ids: Ids, velocities: Mapping[int, Vector]) -> tuple[Ids, dict[int, Vector]]:
    """Leave out movers that others have covered but for a few pixels."""
    sizes = np.bincount(ids.ravel(), minlength=256)
    kept = {number: velocity for number, velocity in velocities.items() if sizes[number] >= SMALLEST_PX}
    return np.where(np.isin(ids, list(kept)), ids, 0).astype(np.uint8), kept


def scale_by_known_height(
    view: View, mask: Mask, height_m: float, metres: Callable[[ScaleAssumption], F32]
) -> ScaleAssumption:
    """The scale at which what the mask shows is `height_m` tall.

    Everything grows with the camera's height, but not in proportion, as the farthest distance stays: so it is sought
    by halving.

    Args:
        view: at the scale so far.
        mask: (H, W) of the known thing, wholly in the picture.
        height_m: its height, metres.
        metres: function of a scale that gives the frame's inverse depth under it, (H, W) 1/m.

    Raises:
        InputError: no camera height from 0.2 to 20 m makes it so.
    """
    low, high = (math.log(each) for each in SCALE_RANGES["camera_height_m"])

    def too_tall(log_height: float) -> bool:
        scale = replace(view.scale, camera_height_m=math.exp(log_height))
        return View(metres(scale), scale, view.exposure_s).height_m(mask) > height_m

    if too_tall(low) or not too_tall(high):
        raise InputError(f"No camera height makes this {height_m:g} m tall: choose something that is seen whole.")
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (low, middle) if too_tall(middle) else (middle, high)
    return replace(view.scale, camera_height_m=round(math.exp((low + high) / 2), 2))
