"""Whether a picture is blurred, by motion or by a lens out of focus, and which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blurdepth.blurcheck.energy import (
    BLURRED_SHARE,
    DIRECTIONS_DEG,
    FINE_PX,
    FINER_PX,
    anisotropy,
    gradient_energies,
    is_blank,
    measured_size,
    scale_ratios,
)
from blurdepth.errors import InputError
from blurdepth.images import Rgb

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kind = Literal["sharp", "motion", "defocus"]

TILE_PX = 64
TEXTURED = 5e-5
"""Mean squared gradient from which there is something in a tile that blur could take."""
SOFTEST = 0.1
"""Share of the tiles in which local blur is looked for."""
BLURRED_RATIO, LOCAL_RATIO = 1.75, 1.3
"""Ratios below which a whole picture, and the softest part of one, are blurred: sharp photographs have 1.85 and more,
and 1.5 in their softest part."""
UNEVEN = 1.35
"""Detail left across the blur over detail left along it, above which it is motion: a lens out of focus leaves 1.0 to
1.35 times as much, motion along a line 1.6 and more, an unsteady hand in between."""
LOCAL_UNEVEN = 0.2
"""Anisotropy from which a soft part of a picture is blurred by motion, and not soft by itself."""


@dataclass(frozen=True)
class BlurReading:
    """What was measured of a picture.

    Attributes:
        blur_score: higher is more blurred. Without a source 0.4 to 0.65 in sharp photographs and at most 1 in blurred
            ones; with a source 1 is as sharp as it.
        direction_deg: along which it is blurred most, 0 to 180 in image axes (x right, y down).
        kind: "sharp", "motion" or "defocus".
    """

    blur_score: float
    direction_deg: float
    kind: Kind


def measure_blur(rgb: Rgb, source: Rgb | None = None) -> BlurReading:
    """Measure motion blur in a picture, in the whole of it and in its softest part.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        source: the same frame when it was sharp, of the same shape; the measure is then against it.

    Raises:
        InputError: the source has another size, or a picture shows nothing that could be blurred.
    """
    if source is not None and source.shape != rgb.shape:
        raise InputError(f"The frame is {_size(rgb)} but its source {_size(source)}: give both at the same size.")
    if is_blank(rgb) or (source is not None and is_blank(source)):
        raise InputError("There is nothing in this picture that could be blurred: it is all but one colour.")
    if source is None:
        tiles = _tiles(rgb, FINE_PX)
        return _judge(tiles.ratios, tiles.only(tiles.textured).softest())
    tiles, sharp = (_tiles(each, FINER_PX) for each in (rgb, source))
    both = tiles.textured & sharp.textured
    return _against(*((tiles.only(both), sharp.only(both)) if both.any() else (tiles, sharp)))


def _size(rgb: Rgb) -> str:
    return f"{rgb.shape[1]} x {rgb.shape[0]}"


@dataclass(frozen=True)
class _Tiles:
    """Mean gradient energies of overlapping tiles, each (n, 3)."""

    fine: F64
    coarse: F64

    @property
    def textured(self) -> Mask:
        energy = self.coarse[:, :2].sum(axis=1)
        # In a dark or a strongly blurred picture little is left: then what is best counts.
        return np.asarray(energy > min(TEXTURED, float(energy.max()) / 4))

    @property
    def ratios(self) -> F64:
        """(36,) of all together."""
        return scale_ratios(self.fine.mean(axis=0), self.coarse.mean(axis=0))

    def only(self, where: NDArray[Any]) -> _Tiles:
        return _Tiles(self.fine[where], self.coarse[where])

    def softest(self) -> F64:
        """(36,) of the softest tenth together."""
        return self.only(_lowest(scale_ratios(self.fine, self.coarse))).ratios


def _lowest(ratios: F64) -> NDArray[np.intp]:
    """Which tenth of (n, 36) ratios is the lowest in any direction."""
    return np.argsort(ratios.min(axis=1))[: max(1, round(SOFTEST * len(ratios)))]


def _tiles(rgb: Rgb, fine_px: float) -> _Tiles:
    size = measured_size(*rgb.shape[:2])
    if size != rgb.shape[1::-1]:
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    tile = min(TILE_PX, *rgb.shape[:2])
    # The middles of tiles, half a tile apart.
    at = tuple(slice(tile // 2, side - tile // 2 + 1, max(tile // 2, 1)) for side in rgb.shape[:2])
    fine, coarse = (
        cv2.boxFilter(each, -1, (tile, tile))[at].reshape(-1, 3).astype(np.float64)
        for each in gradient_energies(rgb, fine_px=fine_px)
    )
    return _Tiles(fine, coarse)


def _judge(whole: F64, softest: F64) -> BlurReading:
    score = float((whole.min() * softest.min()) ** -0.5)
    if whole.min() < BLURRED_RATIO:
        return _reading(score, whole, _blur_kind(whole, int(whole.argmin())))
    # A picture always has soft places: only what is soft one way is blur.
    if softest.min() < LOCAL_RATIO and anisotropy(softest) > LOCAL_UNEVEN:
        return _reading(score, softest, "motion")
    return _reading(score, whole, "sharp")


def _against(tiles: _Tiles, sharp: _Tiles) -> BlurReading:
    change = scale_ratios(tiles.fine, tiles.coarse) / scale_ratios(sharp.fine, sharp.coarse)
    softest = _lowest(change)
    after, before = tiles.ratios, sharp.ratios
    if (after / before).min() >= BLURRED_SHARE:
        after, before = tiles.only(softest).ratios, sharp.only(softest).ratios
    share = after / before
    kind = _blur_kind(after, int(share.argmin())) if share.min() < BLURRED_SHARE else "sharp"
    return _reading(float(1 / share.min()), share, kind)


def _blur_kind(ratios: F64, along: int) -> Kind:
    """What blurred a picture most along one of the 36 directions."""
    # All that a ratio is above 1 is detail of the fine scale.
    left_along, left_across = (float(ratios[each % len(ratios)]) - 1 for each in (along, along + len(ratios) // 2))
    return "motion" if left_across > UNEVEN * left_along else "defocus"


def _reading(score: float, ratios: F64, kind: Kind) -> BlurReading:
    return BlurReading(round(score, 4), float(DIRECTIONS_DEG[ratios.argmin()]), kind)
