"""What lies between two frames of a clip: how things moved, and the frames that a faster camera would have taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import InputError
from blurdepth.images import Rgb

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Gray = NDArray[np.uint8]

AGREE_PX, AGREE_SHARE = 1.0, 0.05
SAME_SURFACE = 0.9
DEPTH_BINS = 8
PASS_ON_PX, MATCH_PX, BETTER = 8, 5, 0.8
AROUND_PX, REST_SLACK = 15, 0.5
CORNERS, MIN_CORNERS, MIN_AGREEING = 1000, 12, 0.4
SMALL_WIDTH = 192
MAX_UNEXPLAINED = 0.3


def gray(rgb: Rgb) -> Gray:
    """(H, W) uint8 brightness of (H, W, 3) sRGB."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def measure_flow(first: Gray, second: Gray) -> F32:
    """How far each pixel of the first frame moves until the second: (H, W, 2) px, x then y.

    Source: Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016).
    """
    flow: F32 = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)
    return flow


def measure_both(first: Gray, second: Gray) -> tuple[F32, F32]:
    """`measure_flow` there and back, each mended by the other and by neighbours where that explains a pixel better.

    Dense inverse search drags small fast things along with their background; the way back often tells better, as do
    the pixels beside.
    """
    there, back = measure_flow(first, second), measure_flow(second, first)
    if max(float(np.abs(there).max()), float(np.abs(back).max())) < AGREE_PX:
        return there, back
    one, two = first.astype(np.float32), second.astype(np.float32)
    forth, home = _Choice(one, two, there), _Choice(two, one, back)
    for _ in range(2):
        forth.offer(-follow(home.flow, forth.flow))
        home.offer(-follow(forth.flow, home.flow))
    for choice in (forth, home):
        for step in ((PASS_ON_PX, 0), (-PASS_ON_PX, 0), (0, PASS_ON_PX), (0, -PASS_ON_PX)):
            choice.offer(_shifted(choice.flow, *step))
        choice.prefer_rest()
    return forth.flow, home.flow


class _Choice:
    """The flow from one frame to another that explains each pixel and its surroundings best, of those offered."""

    def __init__(self, first: F32, second: F32, flow: F32) -> None:
        self._first, self._second, self.flow = first, second, flow
        self._miss = self._missed(flow)

    def _missed(self, flow: F32) -> F32:
        return np.asarray(cv2.blur(cv2.absdiff(self._first, follow(self._second, flow)), (MATCH_PX, MATCH_PX)))

    def offer(self, flow: F32) -> None:
        """Take `flow` where it is clearly better."""
        miss = self._missed(flow)
        better = miss < BETTER * self._miss - 1
        self.flow = np.where(better[..., None], flow, self.flow)
        self._miss = np.where(better, miss, self._miss)

    def prefer_rest(self) -> None:
        """Where standing still explains as much, nothing moves: on a bare sky, flow follows the noise."""
        side = (AROUND_PX, AROUND_PX)
        miss = cv2.blur(cv2.absdiff(self._first, follow(self._second, self.flow)), side)
        still = cv2.blur(cv2.absdiff(self._first, self._second), side)
        self.flow = np.where((still <= miss + REST_SLACK)[..., None], np.float32(0), self.flow)


def _shifted(flow: F32, x: int, y: int) -> F32:
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(flow, move, flow.shape[1::-1], borderMode=cv2.BORDER_REPLICATE))


def follow(image: F32, flow: F32, share: float = 1.0) -> F32:
    """`image`, (H, W) or (H, W, C), at the places to which `flow`, (H, W, 2), leads by `share` of its way."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    part = np.float32(share)
    fetched: F32 = cv2.remap(
        image, x + part * flow[..., 0], y + part * flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return fetched


def agreeing(there: F32, back: F32) -> Mask:
    """Pixels of the first frame that the second shows too: there and back again leads to where one began."""
    miss = there + follow(back, there)
    bound = AGREE_PX + AGREE_SHARE * np.hypot(there[..., 0], there[..., 1])
    return np.asarray(np.hypot(miss[..., 0], miss[..., 1]) < bound)


def unexplained(first: Rgb, second: Rgb) -> float:
    """Share of the contrast that motion between two frames does not explain, on a small copy: 0 to about 1."""
    one, two = (_small(each) for each in (first, second))
    shares = []
    for a, b in ((one, two), (two, one)):
        rest = a.astype(np.float32) - follow(b.astype(np.float32), measure_flow(a, b))
        shares.append(float(np.median(np.abs(rest - np.median(rest))) / (_contrast(a) + _contrast(b) + 4)))
    return 2 * min(shares)


def _small(rgb: Rgb) -> Gray:
    height, width = rgb.shape[:2]
    size = (SMALL_WIDTH, max(32, round(height * SMALL_WIDTH / width)))
    return gray(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8))


def _contrast(values: Gray) -> float:
    return float(np.abs(values - np.median(values)).mean())


def find_shake(still: Gray, moved: Gray) -> NDArray[np.float64]:
    """The (3, 3) homography that takes places in `still` to places in `moved`, for most of what both show.

    It is exact for a camera that turned, and for a plane; what moves by itself is outvoted if it is the lesser part.

    Raises:
        InputError: too little of the two frames fits together.
    """
    corners = cv2.goodFeaturesToTrack(still, CORNERS, 0.005, 7)
    if corners is None or len(corners) < MIN_CORNERS:
        raise InputError("there is too little to hold on to")
    there, found = _track(still, moved, corners)
    back, found_again = _track(moved, still, there)
    kept = (found[:, 0] == 1) & (found_again[:, 0] == 1) & (np.abs(back - corners).max(axis=(1, 2)) < 0.5)
    if kept.sum() < MIN_CORNERS:
        raise InputError("too little of one is found in the other")
    shake, agree = cv2.findHomography(corners[kept], there[kept], cv2.RANSAC, 1.0)
    if shake is None or agree.mean() < MIN_AGREEING:
        raise InputError("no one motion of the camera fits most of the frame")
    return np.asarray(shake, np.float64)


def _track(first: Gray, second: Gray, points: Any) -> tuple[Any, Any]:
    """Where `points` of the first frame are in the second, and which were found."""
    places: Any = np.zeros_like(points)
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, places, winSize=(21, 21), maxLevel=4)
    return there, found


@dataclass(frozen=True)
class Moment:
    """What is seen at one time between two frames.

    Attributes:
        look: (H, W, 4) float32 linear light and inverse depth.
        speed: (H, W, 2) float32, the motion of what is seen, px from the one frame to the other.
    """

    look: F32
    speed: F32


class Between:
    """The time between two frames.

    Args:
        first: (H, W, 4) float32 linear light and inverse depth.
        second: the same, of the next frame.
        there: (H, W, 2) px from the first to the second.
        back: (H, W, 2) px from the second to the first.
    """

    def __init__(self, first: F32, second: F32, there: F32, back: F32) -> None:
        both = agreeing(there, back), agreeing(back, there)
        self._first = _Side(first, _mend(there, both[0], first[..., 3]))
        self._second = _Side(second, _mend(back, both[1], second[..., 3]))
        self.longest_px = max(_longest(there, both[0]), _longest(back, both[1]))
        """The longest motion that both frames agree on, but for single pixels."""

    def at(self, t: float) -> Moment:
        """What is seen at `t`, 0 (the first frame) to 1 (the second)."""
        if t in (0, 1):
            side = self._second if t else self._first
            return Moment(side.look, side.flow * np.float32(-1 if t else 1))
        (one, one_flow, one_hit), (two, two_flow, two_hit) = self._first.seen(t), self._second.seen(1 - t)
        # Where one side shows what the other's nearer surface hides, that nearer surface is right.
        one_front = one[..., 3] * np.float32(SAME_SURFACE) > two[..., 3]
        two_front = two[..., 3] * np.float32(SAME_SURFACE) > one[..., 3]
        only_one, only_two = one_hit & (one_front | ~two_hit), two_hit & (two_front | ~one_hit)
        share = np.where(only_one, np.float32(1), np.where(only_two, np.float32(0), np.float32(1 - t)))
        look = cv2.blendLinear(one, two, share, 1 - share)
        return Moment(look, cv2.blendLinear(one_flow, -two_flow, share, 1 - share))


class _Side:
    """One of the two frames, whose pixels can be sent along their flow; the nearest arrives on top."""

    def __init__(self, look: F32, flow: F32) -> None:
        self.look, self.flow = look, flow
        self.parts = np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1])
        height, width = look.shape[:2]
        self.grid = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        depth = look[..., 3]
        span = max(float(depth.max() - depth.min()), 1e-12)
        levels = ((depth - depth.min()) * np.float32(255 / span)).astype(np.uint8)
        self.order = np.argsort(levels, axis=None, kind="stable")
        self.start_x, self.start_y, self.flow_x, self.flow_y = (
            part.ravel()[self.order] for part in (*self.grid, *self.parts)
        )
        self.ranks = np.arange(depth.size, dtype=np.float32)

    def seen(self, t: float) -> tuple[F32, F32, Mask]:
        """Light and inverse depth, flow, and where anything arrived, after `t` of the way."""
        source, hit = self._arrivals(np.float32(t))
        flow_x, flow_y = (part.ravel()[source] for part in self.parts)
        x, y = self.grid[0] - np.float32(t) * flow_x, self.grid[1] - np.float32(t) * flow_y
        look = cv2.remap(self.look, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return look, np.dstack([flow_x, flow_y]), hit

    def _arrivals(self, t: np.float32) -> tuple[NDArray[np.intp], Mask]:
        """(H, W) flat index of the pixel that is seen at each place, and where there is one; elsewhere its own."""
        height, width = self.look.shape[:2]
        x, y = np.rint(self.start_x + t * self.flow_x), np.rint(self.start_y + t * self.flow_y)
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        place = (y * width + x)[inside].astype(np.intp)
        top = np.full((height, width), -1, np.float32)
        # Of several that arrive at one place the last is kept, and they are sorted from far to near.
        top.ravel()[place] = self.ranks[inside]
        cracks = cv2.morphologyEx(top, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        top = np.where(top < 0, cracks, top)
        hit = top >= 0
        own = np.arange(top.size).reshape(top.shape)
        return np.where(hit, self.order[top.astype(np.intp)], own), hit


def _longest(flow: F32, good: Mask) -> float:
    length = np.where(good, np.hypot(flow[..., 0], flow[..., 1]), 0).astype(np.float32)
    return float(cv2.medianBlur(length, 5).max())


def _mend(flow: F32, good: Mask, inverse_depth: F32) -> F32:
    """Flow with what is hidden in the other frame set to the motion of its neighbours of like inverse depth."""
    if good.all() or not good.any():
        return flow
    side = max(flow.shape[1] // 16, 9) | 1
    low, high = float(inverse_depth.min()), float(inverse_depth.max())
    bins = ((inverse_depth - low) * np.float32((DEPTH_BINS - 1) / max(high - low, 1e-12)) + 0.5).astype(np.uint8)
    mended = flow.copy()
    for number in np.unique(bins[~good]):
        here = (good & (bins == number)).astype(np.float32)
        weight = cv2.blur(here, (side, side))
        mean = cv2.blur(flow * here[..., None], (side, side)) / np.maximum(weight, 1e-6)[..., None]
        hidden = ~good & (bins == number) & (weight > 1e-3)
        mended[hidden] = mean[hidden]
    return mended
