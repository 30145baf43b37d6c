"""A blurred frame, and the inverse depth that belongs to it, from several sharp frames of a clip.

The frames are linearised, in-between ones are made along the optical flow until nothing jumps by more than 1.5 px,
and light and inverse depth are averaged by the same weights over the time in which the shutter is open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.depth import MIXED, fit_affine
from blurdepth.errors import InputError
from blurdepth.exposure.highlights import boost_highlights
from blurdepth.exposure.moments import STEP_PX
from blurdepth.exposure.result import BLURRED_PX, MIN_IN_VIEW, MIXED_SPREAD, label_regions
from blurdepth.images import Rgb, srgb_to_linear
from blurdepth.inbetween import (
    F32,
    MAX_UNEXPLAINED,
    Between,
    Mask,
    agreeing,
    find_shake,
    follow,
    gray,
    measure_both,
    unexplained,
)
from blurdepth.shutter import MAX_FRAMES, MIN_FRAMES, Shape, moment_weights

MAX_STEPS = 48
STILL_PX, MOVED_PX = 0.1, 0.5
MIN_STILL = 0.1
FIT_SLACK = (0.3, 0.1, 0.02)


@dataclass(frozen=True)
class BurstExposure:
    """The blurred frame with its target; maps are (H, W).

    Attributes:
        linear: (H, W, 3) float32 linear light; highlights may be above 1.
        mean_inverse_depth: mean over the exposure, in the unit of the middle frame's inverse depth.
        spread: standard deviation of the inverse depth over the exposure, over its mean; 0 where that is 0.
        flow_px: length of the way that what is seen at the pixel moves over the exposure, mean over what is seen.
        valid: what was seen came from inside the frames for at least 90 % of the exposure.
        moments: how many frames were averaged, real ones and in-between ones.
        step_px: the largest motion from one of these to the next, but for single pixels.
    """

    linear: F32
    mean_inverse_depth: F32
    spread: F32
    flow_px: F32
    valid: Mask
    moments: int
    step_px: float


def regions(exposure: BurstExposure) -> NDArray[np.uint8]:
    """(H, W): which pixels are STATIC, BLURRED (moved by 1 px or more), MIXED (spread over 5 % too), INVALID.

    Unlike in a simulated exposure, a spread without motion is the teacher's unrest and doesn't make a pixel MIXED.
    """
    blurred = exposure.flow_px >= BLURRED_PX
    return label_regions(blurred, blurred & (exposure.spread > MIXED_SPREAD), exposure.valid)


def score(exposure: BurstExposure) -> dict[str, float]:
    """What is worth knowing of it: "blur_px" (95th percentile of the motion in what moved), "mixed_share",
    "subframes", "step_px".
    """
    moved = exposure.flow_px[exposure.flow_px >= BLURRED_PX]
    return {
        "blur_px": round(float(np.percentile(moved, 95)), 2) if moved.size else 0.0,
        "mixed_share": round(float((regions(exposure) == MIXED).mean()), 4),
        "subframes": float(exposure.moments),
        "step_px": round(exposure.step_px, 2),
    }


def check_frames(frames: Sequence[Rgb], first: int = 0) -> None:
    """Refuse frames that can't be one exposure; quick, so that it can come before the teacher.

    Args:
        frames: (H, W, 3) uint8 sRGB.
        first: what number messages give to the first of them.

    Raises:
        InputError: fewer than 2, more than 32, of different sizes, or with a cut between two of them.
    """
    if not MIN_FRAMES <= len(frames) <= MAX_FRAMES:
        raise InputError(f"{len(frames)} frames were given: use {MIN_FRAMES} to {MAX_FRAMES}.")
    shape = frames[0].shape
    for number, frame in enumerate(frames, first):
        if frame.shape != shape:
            raise InputError(
                f"Frame {number} is {frame.shape[1]} x {frame.shape[0]}, the first {shape[1]} x {shape[0]}: "
                "use frames of one size."
            )
    for number, (one, two) in enumerate(pairwise(frames), first):
        if unexplained(one, two) > MAX_UNEXPLAINED:
            raise InputError(
                f"Frames {number} and {number + 1} don't show one scene (a cut, or a jump too far to follow): "
                "choose frames on one side of it."
            )


def blend(
    frames: Sequence[Rgb],
    inverse_depths: Sequence[F32],
    shape: Shape = "box",
    *,
    align: bool = False,
    drifting: bool = True,
) -> BurstExposure:
    """Open the shutter from the moment of the first frame to that of the last.

    Args:
        frames: 2 to 32 of (H, W, 3) uint8 sRGB, equally far apart in time.
        inverse_depths: (H, W) float32 of each, as one teacher sees it; finite, the middle one's at least 0.
        shape: how moments count; see `Shutter`.
        align: whether to take the camera's shake out: each frame is laid over the middle one.
        drifting: whether scale and shift of the inverse depth differ from frame to frame, as those of a relative
            model do; each frame's are then fitted to the middle one's, from neighbour to neighbour.

    Raises:
        InputError: see `check_frames`; a depth doesn't fit its frame or the other depths; `align` finds nothing to
            hold on to.
    """
    check_frames(frames)
    blending = Blending(frames, inverse_depths, shape, align=align, drifting=drifting)
    for _ in blending.steps():
        pass
    return blending.finish()


class Blending:
    """`blend`, step by step. For the arguments and the errors see there; `first` is that of `check_frames`."""

    def __init__(
        self,
        frames: Sequence[Rgb],
        inverse_depths: Sequence[F32],
        shape: Shape = "box",
        *,
        align: bool = False,
        drifting: bool = True,
        first: int = 0,
    ) -> None:
        _check_depths(frames, inverse_depths, drifting, first)
        self._burst = _Burst(frames, inverse_depths, align, drifting, first)
        self._sum = _Sum(frames[0].shape[:2])
        self._shape, self._last = shape, len(frames) - 1

    def steps(self) -> Iterator[int]:
        """Work; yields how many of the pairs of neighbours, one fewer than frames, are done."""
        for done, (near, far) in enumerate(_outwards(self._last // 2, self._last), 1):
            between, inside = self._burst.pair(near, far)
            count = int(np.clip(math.ceil(between.longest_px / STEP_PX), 1, MAX_STEPS))
            weights = moment_weights(min(near, far) / self._last, max(near, far) / self._last, count, self._shape)
            for k, weight in enumerate(weights if far > near else weights[::-1]):
                self._sum.add(between, k / count, float(weight), inside)
            self._sum.step_px = max(self._sum.step_px, between.longest_px / count)
            yield done

    def finish(self) -> BurstExposure:
        """The exposure, after all steps."""
        return self._sum.finish(self._last)


def _check_depths(frames: Sequence[Rgb], inverse_depths: Sequence[F32], drifting: bool, first: int) -> None:
    if len(inverse_depths) != len(frames):
        raise InputError(f"{len(frames)} frames but {len(inverse_depths)} depths: give one depth a frame.")
    for number, (frame, depth) in enumerate(zip(frames, inverse_depths, strict=True)):
        if depth.shape != frame.shape[:2]:
            raise InputError(
                f"Frame {first + number} is {frame.shape[:2]} but its depth {depth.shape}: estimate it again."
            )
        signed = drifting and number != (len(frames) - 1) // 2
        if not np.isfinite(depth).all() or (depth.min() < 0 and not signed):
            raise InputError(
                f"The depth of frame {first + number} has values that are negative or not finite: mend them."
            )


def _outwards(middle: int, last: int) -> Iterator[tuple[int, int]]:
    """Pairs of neighbours from the middle frame to both ends: (the one nearer the middle, the other)."""
    yield from ((k, k + 1) for k in range(middle, last))
    yield from ((k, k - 1) for k in range(middle, 0, -1))


class _Burst:
    """The frames as light and inverse depth, laid over the middle one and brought to its scale, as they are asked for.

    Pairs must be asked for from the middle outwards, as the scale is handed on from neighbour to neighbour.
    """

    def __init__(
        self, frames: Sequence[Rgb], inverse_depths: Sequence[F32], align: bool, drifting: bool, first: int
    ) -> None:
        self._first = first
        self._frames, self._depths, self._align, self._drifting = frames, inverse_depths, align, drifting
        self._middle = (len(frames) - 1) // 2
        self._still = gray(frames[self._middle])
        self._reference = self._plain(self._middle)
        self._near: tuple[int, F32, NDArray[np.uint8], Mask] | None = None

    def _plain(self, number: int) -> F32:
        return np.dstack([srgb_to_linear(self._frames[number]), self._depths[number]])

    def _laid(self, number: int) -> tuple[F32, NDArray[np.uint8], Mask]:
        """Light and inverse depth, gray, and what lies inside the frame."""
        look, grey = self._plain(number), gray(self._frames[number])
        inside = np.ones(grey.shape, bool)
        if not self._align or number == self._middle:
            return look, grey, inside
        try:
            shake = find_shake(self._still, grey)
        except InputError as error:
            raise InputError(
                f"Frame {self._first + number} can't be laid over frame {self._first + self._middle} ({error}): "
                "turn the alignment off."
            ) from error
        size, how = grey.shape[::-1], cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        look = np.maximum(cv2.warpPerspective(look, shake, size, flags=how), 0)
        moved = cv2.warpPerspective(grey, shake, size, flags=how)
        covered = cv2.warpPerspective(np.ones(grey.shape, np.float32), shake, size, flags=how)
        inside = covered > 0.999
        look[~inside], moved[~inside] = self._reference[~inside], self._still[~inside]
        return look, np.asarray(moved, np.uint8), inside

    def pair(self, near: int, far: int) -> tuple[Between, Mask]:
        """The time between two neighbours, and what lies inside both."""
        if self._near is None or self._near[0] != near:
            self._near = (near, *self._laid(near))
        _, first, first_gray, first_inside = self._near
        second, second_gray, second_inside = self._laid(far)
        there, back = measure_both(first_gray, second_gray)
        inside = first_inside & second_inside
        if self._drifting:
            second[..., 3] = self._to_scale(second[..., 3], first[..., 3], there, agreeing(there, back) & inside, far)
        self._near = (far, second, second_gray, second_inside)
        return Between(_brighten(first, there), _brighten(second, back), there, back), inside

    def _to_scale(self, depth: F32, wanted: F32, there: F32, good: Mask, number: int) -> F32:
        """`depth` by the scale of `wanted`, from what stands still, or from all that both show if that says little."""
        depth_there = follow(np.ascontiguousarray(depth), there)
        still = good & (np.hypot(there[..., 0], there[..., 1]) < MOVED_PX)
        counts = still if _varied(wanted, still) else good
        counts = counts if counts.any() else np.ones_like(good)
        line = fit_affine(depth_there, wanted, counts)
        for slack in FIT_SLACK:
            # Without what doesn't follow: things that come nearer, and edges.
            rest = np.abs(line.apply(depth_there) - wanted)
            bound = max(3 * float(np.median(rest[counts])), slack * float(np.ptp(wanted)))
            following = counts & (rest <= bound)
            if not _varied(wanted, following):
                break
            line = fit_affine(depth_there, wanted, following)
        if line.scale <= 0 and float(np.ptp(wanted)) > 0 and float(np.ptp(depth)) > 0:
            raise InputError(
                f"The depth of frame {self._first + number} has nothing in common with its neighbour's: "
                "use a better depth model."
            )
        return np.maximum(line.apply(depth), self._reference[..., 3].min())


def _varied(depth: F32, here: Mask) -> bool:
    """Whether the pixels `here` are enough, and of different enough depth, to tell a scale by."""
    if here.mean() < MIN_STILL:
        return False
    low, high = np.percentile(depth[here], (2, 98))
    return bool(high - low > MIN_STILL * (depth.max() - depth.min()))


def _brighten(look: F32, flow: F32) -> F32:
    """Highlights with the light that clipping took, where they move; at rest they stay what the frame shows."""
    linear = np.ascontiguousarray(look[..., :3])
    bright = boost_highlights(linear)
    if bright is linear:
        return np.ascontiguousarray(look)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    moving = np.clip((speed - STILL_PX) / (MOVED_PX - STILL_PX), 0, 1)[..., None]
    return np.dstack([linear + (bright - linear) * moving, look[..., 3]])


class _Sum:
    """The running sums of one exposure; weights sum up to 1."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.look = np.zeros((*shape, 4), np.float32)
        self.squares, self.speed, self.inside = (np.zeros(shape, np.float32) for _ in range(3))
        self.step_px, self.moments = 0.0, 1

    def add(self, between: Between, t: float, weight: float, inside: Mask) -> None:
        """Add what is seen at `t` between two frames."""
        moment, share = between.at(t), np.float32(weight)
        depth = moment.look[..., 3]
        self.look += moment.look * share
        self.squares += depth * depth * share
        speed = np.hypot(moment.speed[..., 0], moment.speed[..., 1])
        # Below this, flow is noise, and would add up over many frames.
        self.speed += np.where(speed > STILL_PX, speed, 0) * share
        self.inside += inside * share
        self.moments += t > 0

    def finish(self, intervals: int) -> BurstExposure:
        """The exposure of `intervals` times between frames."""
        depth = np.ascontiguousarray(self.look[..., 3])
        variance = np.maximum(self.squares - depth * depth, 0)
        return BurstExposure(
            linear=np.ascontiguousarray(self.look[..., :3]),
            mean_inverse_depth=depth,
            spread=np.asarray(np.sqrt(variance) / np.maximum(depth, np.float32(1e-6)), np.float32),
            flow_px=self.speed * np.float32(intervals),
            valid=self.inside >= MIN_IN_VIEW,
            moments=self.moments,
            step_px=self.step_px,
        )
