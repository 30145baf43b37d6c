"""Variants by simulation: weather and light on the sharp scene, an open shutter, then the sensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blurdepth.camera import Motion, Pinhole, ScaleAssumption, Vector
from blurdepth.depth import MIXED
from blurdepth.errors import InputError
from blurdepth.exposure import Exposure, expose, motion_flow, regions
from blurdepth.generators import Variant
from blurdepth.images import Rgb, linear_to_srgb, object_numbers, srgb_to_linear
from blurdepth.prompts.condition import MAX_EXPOSURE_S, MAX_PAN_DEG, MAX_SPEED_MPS, MIN_EXPOSURE_S, Condition
from blurdepth.weather import View, Weather, apply_falling, apply_scene, apply_sensor, look

F32 = NDArray[np.float32]
Ids = NDArray[np.uint8]

BACKEND = "exposure"
MIN_BLUR_PX, GOOD_BLUR_PX, MAX_BLUR_PX, MAX_BLUR_SHARE = 4.0, 7.0, 60.0, 0.05
MOVES_SHARE = 0.8
SKY_FROM, SKY_AT = 0.94, 0.98
"""Shares of the assumed farthest distance: from the first on things fade into the sky, from the second it is sky."""
HEADINGS: dict[str, Vector] = {
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "oncoming": (0.0, 0.0, -1.0),
    "away": (0.0, 0.0, 1.0),
}


@dataclass(frozen=True)
class Movers:
    """Who may move in a frame.

    Attributes:
        ids: (H, W) uint8, 0 = static world.
        velocities_mps: by id, in camera axes, as set by hand: then these move, exactly so. None where the condition
            and chance say who of them moves, and how.
    """

    ids: Ids
    velocities_mps: Mapping[int, Vector] | None = None


@dataclass(frozen=True)
class StillScene:
    """A sharp frame with its depth, which all its variants start from.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB, sharp.
        inverse_depth: (H, W) float32 1/m.
        movers: who may move.
        scale: what is assumed of the camera; its farthest distance is the sky, for the air.
        true_scale: the depth's metres are not assumed: nothing but inverse depth 0 is sky.

    Raises:
        InputError: frame and depth differ in size.
    """

    rgb: Rgb
    inverse_depth: F32
    movers: Movers
    scale: ScaleAssumption
    true_scale: bool = False

    def __post_init__(self) -> None:
        if self.rgb.shape[:2] != self.inverse_depth.shape:
            raise InputError(
                f"The frame is {self.rgb.shape[:2]} but its depth {self.inverse_depth.shape}: estimate it again."
            )

    @cached_property
    def linear(self) -> F32:
        """(H, W, 3) linear light."""
        return srgb_to_linear(self.rgb)

    @cached_property
    def view(self) -> View:
        """What the weather needs to know of it."""
        depth = self.inverse_depth if self.true_scale else _without_sky(self.inverse_depth, self.scale)
        height, width = depth.shape
        return look(self.linear, depth, Pinhole(width, height, self.scale.fov_x_deg).focal_px)


@dataclass(frozen=True)
class Plan:
    """What a variant will show, before any pixel is made: the condition and all motion, with chance settled.

    Attributes:
        camera_instead: objects were asked to move, but none is known in the frame: the camera moves in their place.
    """

    condition: Condition
    motion: Motion
    seed: int
    camera_instead: bool = False


def plan_variant(scene: StillScene, condition: Condition, seed: int) -> Plan:
    """Settle chance: the same arguments give the same plan.

    Speeds vary by 30 %, among movers by as much again, and strengths by 20 %; so do which of the proposed movers move,
    and where to. The exposure is made longer where the blur would hardly be seen, and shorter where it would leave
    nothing. Movers that were set by hand move as they were set, and so long is the exposure.

    Args:
        scene: the sharp frame.
        condition: what to show.
        seed: 0 or more.

    Raises:
        InputError: only objects may move and the frame shows none.
    """
    chance, movers, fov_x_deg = np.random.default_rng([seed, 0]), scene.movers, scene.scale.fov_x_deg
    condition = _vary(condition, chance)
    if movers.velocities_mps:
        return Plan(condition, _plan_by_hand(condition, movers.velocities_mps, fov_x_deg, chance), seed)
    camera_instead = bool(condition.object_speed_mps) and not movers.ids.any()
    if camera_instead:
        condition = _move_camera_instead(condition)
    motion = _plan(condition, movers.ids, fov_x_deg, chance)
    luck = float(chance.uniform(0.6, 1.0))
    stretch = _stretch(motion, condition.exposure_s, scene.inverse_depth, movers.ids, luck)
    condition = replace(
        condition, exposure_s=condition.exposure_s * stretch, pan_deg=min(condition.pan_deg * stretch, MAX_PAN_DEG)
    )
    return Plan(condition, _longer(motion, stretch), seed, camera_instead)


def take_variant(scene: StillScene, plan: Plan) -> Variant:
    """Make the variant that was planned; the same arguments give the same bytes.

    The scene in its weather, the exposure, what falls, and the sensor, in this order.

    Args:
        scene: the sharp frame, of the size that the plan was made for or another.
        plan: by `plan_variant`.

    Raises:
        InputError: the depth isn't usable (see `expose`).
    """
    condition, motion, ids = plan.condition, plan.motion, scene.movers.ids
    weather, chance = condition.weather, np.random.default_rng([plan.seed, 1])
    light = apply_scene(scene.linear, scene.view, weather, chance) if weather.changes_scene else scene.linear
    exposure = expose(light, scene.inverse_depth, motion, ids)
    light = apply_falling(exposure.linear, exposure.mean_inverse_depth, weather, condition.exposure_s, motion, chance)
    parts = regions(exposure)
    return Variant(
        rgb=linear_to_srgb(apply_sensor(light, weather, chance)),
        mean_inverse_depth=exposure.mean_inverse_depth,
        regions=parts,
        condition=condition,
        motion=motion,
        seed=plan.seed,
        backend=BACKEND,
        scores=_score(exposure, parts, motion, ids),
    )


def _without_sky(inverse_depth: F32, scale: ScaleAssumption) -> F32:
    """Inverse depth with the sky at 0, where a model without scale puts it at the farthest distance assumed."""
    height, width = inverse_depth.shape
    far_m = scale.range_m(width, height)[1]
    distance = 1 / np.maximum(inverse_depth * np.float32(far_m), np.float32(1e-6))
    solid = np.clip((SKY_AT - distance) / (SKY_AT - SKY_FROM), 0, 1)
    return np.asarray(inverse_depth * solid, np.float32)


def _vary(condition: Condition, chance: np.random.Generator) -> Condition:
    strengths = {
        name: float(np.clip(value * chance.uniform(0.8, 1.2), 0, 1))
        for name, value in asdict(condition.weather).items()
    }
    camera, objects = (
        min(speed * float(chance.uniform(0.7, 1.3)), MAX_SPEED_MPS)
        for speed in (condition.camera_speed_mps, condition.object_speed_mps)
    )
    return replace(condition, weather=Weather(**strengths), camera_speed_mps=camera, object_speed_mps=objects)


def _move_camera_instead(condition: Condition) -> Condition:
    """Nothing to move was found in the frame: the motion asked of objects becomes the camera's."""
    still = replace(condition, object_speed_mps=0.0)
    if condition.camera_still and not still.moves:
        raise InputError(
            "No car or person could be told apart in this frame, and the camera was asked to stand still: click or "
            "paint what should move, let the camera move, or use a frame with a car or a person nearby."
        )
    if condition.camera_still or condition.camera_speed_mps or condition.pan_deg:
        return still
    return replace(still, camera_speed_mps=condition.object_speed_mps)


def _plan(condition: Condition, ids: Ids, fov_x_deg: float, chance: np.random.Generator) -> Motion:
    """The motion over the exposure: who moves, where to, and how the camera does."""
    seconds = condition.exposure_s
    objects: dict[int, Vector] = {}
    numbers = object_numbers(ids)
    for number in numbers:
        moves = chance.random() < MOVES_SHARE
        heading = condition.direction or str(chance.choice(list(HEADINGS), p=[0.38, 0.38, 0.16, 0.08]))
        metres = condition.object_speed_mps * seconds * float(chance.uniform(0.7, 1.3))
        # The largest always moves, or a frame with few movers would often stay sharp.
        if condition.object_speed_mps and (moves or number == 1):
            x, y, z = HEADINGS[heading]
            objects[number] = (x * metres, y * metres, z * metres)
    shake = condition.shake * 0.5 * chance.standard_normal(3)
    pan = condition.pan_deg * float(chance.choice([-1, 1]))
    drift = 0.05 * float(chance.standard_normal()) if condition.camera_speed_mps else 0.0
    rotation = (float(shake[0]), pan + drift + float(shake[1]), float(shake[2]) / 2)
    return Motion(fov_x_deg, (0.0, 0.0, condition.camera_speed_mps * seconds), rotation, objects)


def _plan_by_hand(
    condition: Condition, velocities_mps: Mapping[int, Vector], fov_x_deg: float, chance: np.random.Generator
) -> Motion:
    seconds = condition.exposure_s
    objects = {number: (x * seconds, y * seconds, z * seconds) for number, (x, y, z) in velocities_mps.items()}
    return replace(_plan(condition, np.zeros((1, 1), np.uint8), fov_x_deg, chance), objects=objects)


def _stretch(motion: Motion, exposure_s: float, inverse_depth: F32, ids: Ids, luck: float) -> float:
    """By how much longer the shutter must be open for blur that is seen but leaves something to see.

    `luck`, up to 1, scales the longest blur that is let through, or all seeds of a fast scene would be alike.
    """
    height, width = inverse_depth.shape
    camera = Pinhole(width, height, motion.fov_x_deg)
    moving = motion.moving(ids)
    flow = motion_flow(camera, inverse_depth, motion, moving)
    flow_px = np.hypot(flow[..., 0], flow[..., 1])
    longest = luck * min(MAX_BLUR_PX, MAX_BLUR_SHARE * width)
    main = float(np.percentile(flow_px[_moving_part(motion, moving)], 95))
    stretch = luck * GOOD_BLUR_PX / main if 0 < main < MIN_BLUR_PX else 1.0
    stretch = min(stretch, longest / max(float(np.percentile(flow_px, 99.5)), main, 1e-6))
    return float(np.clip(stretch, MIN_EXPOSURE_S / exposure_s, MAX_EXPOSURE_S / exposure_s))


def _longer(motion: Motion, stretch: float) -> Motion:
    def times(vector: Vector) -> Vector:
        x, y, z = (component * stretch for component in vector)
        return x, y, z

    return replace(
        motion,
        translation_m=times(motion.translation_m),
        rotation_deg=times(motion.rotation_deg),
        objects={number: times(move) for number, move in motion.objects.items()},
    )


def _moving_part(motion: Motion, ids: Ids) -> NDArray[np.bool_]:
    """Where motion is looked for: the moving objects, else the whole frame."""
    objects = motion.moving(ids) > 0
    return objects if objects.any() else np.ones(ids.shape, bool)


def _score(exposure: Exposure, parts: NDArray[np.uint8], motion: Motion, ids: Ids) -> dict[str, float]:
    blur_px = float(np.percentile(exposure.flow_px[_moving_part(motion, ids)], 95))
    return {
        "blur_px": round(blur_px, 2),
        "mixed_share": round(float((parts == MIXED).mean()), 4),
        "moving_share": round(float(exposure.moving_fraction.mean()), 4),
        "subframes": float(exposure.subframes),
    }
