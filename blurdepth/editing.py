"""What a person does to a frame before generating: choose who moves, paint, drag arrows, set the scale, look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from blurdepth.camera import ScaleAssumption, Vector
from blurdepth.errors import InputError
from blurdepth.generators.exposure import HEADINGS
from blurdepth.movers import Ids, Mask, Stroke, mend_mask, mover_at
from blurdepth.prompts import Condition
from blurdepth.prompts.condition import MAX_SPEED_MPS
from blurdepth.setups import (
    F32,
    SMALLEST_PX,
    Point,
    Setup,
    View,
    keep_seen,
    limit_speed,
    scale_by_known_height,
    with_mover,
)
from blurdepth.store.records import Frame
from blurdepth.workspace import Workspace

USUAL_MPS = 8.0


@dataclass(frozen=True)
class Desk:
    """One frame on the desk, under one setup: all that an edit needs. An edit gives a new setup, and keeps nothing.

    Args:
        workspace: the data folder.
        frame: the sharp frame.
        model: name of the depth model.
        setup: as it is now.
        condition: what the words ask for, or the hand has set.
        finder: name of the segmentation model that proposes who could move; "" for none.
    """

    workspace: Workspace
    frame: Frame
    model: str
    setup: Setup
    condition: Condition
    finder: str = ""

    @cached_property
    def ids(self) -> Ids:
        """(H, W) who moves."""
        return self.workspace.object_ids(self.frame, self.setup)

    @cached_property
    def view(self) -> View:
        """The frame's depth under the setup's scale."""
        return View(self._metres(self.setup.scale), self.setup.scale, self.condition.exposure_s)

    def proposals(self) -> Ids:
        """(H, W) who could move, as far as it was not chosen yet."""
        proposed, chosen = self.workspace.proposed_ids(self.frame, self.model, self.finder), self.ids
        taken = np.unique(proposed[chosen > 0])
        return np.where(np.isin(proposed, taken), 0, proposed).astype(np.uint8)

    def choose(self, point: Point) -> Setup:
        """Let what is seen at `point`, in pixels, move: a proposal, or what can be cut out there, unless it does.

        Raises:
            InputError: the point is outside, or there is nothing that could be told apart.
        """
        x, y = (round(each) for each in point)
        if not (0 <= x < self.frame.width and 0 <= y < self.frame.height):
            raise InputError(f"The point ({x}, {y}) is outside the frame: click into the picture.")
        if self.ids[y, x]:  # the second half of a double click
            return self.setup
        proposed = self.proposals()
        if proposed[y, x]:
            return self._with(proposed == proposed[y, x])
        inverse_depth = self.workspace.estimate(self.frame, self.model)[1]
        return self._with(mover_at(self.workspace.pictures.picture(self.frame.image), inverse_depth, (x, y)))

    def paint(self, number: int | None, points: Sequence[Point], radius: float, erase: bool) -> Setup:
        """Paint along `points`, or erase; `number` None paints a new mover. One that is erased wholly is removed."""
        before = np.zeros(self.ids.shape, bool) if number is None else self._mask(number)
        after = mend_mask(before, [Stroke(tuple(points), radius, erase)])
        if erase and number is not None and np.count_nonzero(after) < SMALLEST_PX:
            return self.remove(number)
        return self._with(after, number)

    def drag(self, number: int, to: Point) -> Setup:
        """Let a mover's arrow end at `to`, in pixels."""
        return self._moving(number, self.view.velocity(self._mask(number), to))

    def speed(self, number: int, speed_mps: float) -> Setup:
        """Let a mover go at this speed, 0 to 60 m/s, where it was going."""
        if not 0 <= speed_mps <= MAX_SPEED_MPS:
            raise InputError(f"The speed is {speed_mps:g} m/s: use 0 to {MAX_SPEED_MPS:g}.")
        velocity = np.array(self.setup.velocities_mps[self._known(number)])
        length = float(np.linalg.norm(velocity))
        heading = velocity / length if length else np.array(HEADINGS["right"])
        x, y, z = (float(each) for each in heading * speed_mps)
        return self._moving(number, (x, y, z))

    def remove(self, number: int) -> Setup:
        """Let a mover stand still again."""
        number = self._known(number)
        rest = {each: velocity for each, velocity in self.setup.velocities_mps.items() if each != number}
        return self._keep(np.where(self.ids == number, 0, self.ids).astype(np.uint8), rest)

    def assume(self, scale: ScaleAssumption) -> Setup:
        """Assume another camera or distance."""
        return replace(self.setup, scale=scale)

    def assume_height(self, number: int, height_m: float) -> Setup:
        """Assume the scale at which a mover is so tall. See `scale_by_known_height`."""
        if not 0.1 <= height_m <= 20:
            raise InputError(f"The height is {height_m:g} m: use 0.1 to 20.")
        return self.assume(scale_by_known_height(self.view, self._mask(number), height_m, self._metres))

    def _metres(self, scale: ScaleAssumption) -> F32:
        return self.workspace.metres(self.frame, self.model, scale)[1]

    def _with(self, mask: Mask, number: int | None = None) -> Setup:
        ids, number = with_mover(self.ids, mask, number)
        velocity = self.setup.velocities_mps.get(number, self._first_velocity())
        return self._keep(ids, {**self.setup.velocities_mps, number: velocity})

    def _first_velocity(self) -> Vector:
        x, y, z = HEADINGS[self.condition.direction or "right"]
        speed = self.condition.object_speed_mps or USUAL_MPS
        return x * speed, y * speed, z * speed

    def _keep(self, ids: Ids, velocities: dict[int, Vector]) -> Setup:
        ids, velocities = keep_seen(ids, velocities)
        name = self.workspace.pictures.put_picture(ids) if velocities else ""
        return replace(self.setup, ids=name, velocities_mps=velocities)

    def _moving(self, number: int, velocity: Vector) -> Setup:
        velocities = {**self.setup.velocities_mps, self._known(number): limit_speed(velocity)}
        return replace(self.setup, velocities_mps=velocities)

    def _mask(self, number: int) -> Mask:
        return np.asarray(self.ids == self._known(number))

    def _known(self, number: int) -> int:
        if number not in self.setup.velocities_mps:
            raise InputError(f"Mover {number} is not there any more: choose it again.")
        return number
