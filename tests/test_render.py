"""Depth in colours: near is bright, the ends are the ends, and zero difference is neutral."""

from __future__ import annotations

import numpy as np

from blurdepth.render import Range, css_gradient, depth_picture, depth_range, difference_picture, shrink, thumbnail


def test_nearer_is_brighter_all_the_way() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None]
    light = depth_picture(ramp, Range(0, 1)).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(light[0]) >= -1).all()
    assert light[0, -1] > light[0, 0] + 150


def test_values_beyond_the_range_take_the_colour_of_its_ends() -> None:
    values = np.array([[-5, 0, 1, 9]], np.float32)
    picture = depth_picture(values, Range(0, 1))
    assert np.array_equal(picture[0, 0], picture[0, 1])
    assert np.array_equal(picture[0, 2], picture[0, 3])


def test_zero_difference_is_grey_and_the_signs_differ_in_hue() -> None:
    below, zero, above = difference_picture(np.array([[-1, 0, 1]], np.float32), 1.0)[0].astype(int)
    assert np.ptp(zero) < 6
    assert below[2] > below[0] and above[0] > above[2]


def test_one_range_serves_several_maps_and_is_never_empty() -> None:
    flat = np.full((4, 4), 2.0, np.float32)
    span = depth_range(flat, flat)
    assert span.high > span.low
    assert depth_range(np.array([[0, 1]], np.float32), np.array([[9, 10]], np.float32)).high > 9


def test_a_map_without_numbers_has_a_range() -> None:
    assert depth_range(np.full((3, 3), np.nan, np.float32)) == Range(0, 1)


def test_thumbnails_shrink_and_never_grow() -> None:
    assert thumbnail(np.zeros((100, 800, 3), np.uint8)).shape == (40, 320, 3)
    small = np.zeros((10, 20, 3), np.uint8)
    assert thumbnail(small).shape == small.shape
    assert shrink(small, 2.0) is small


def test_scale_bars_run_from_end_to_end() -> None:
    assert css_gradient("depth").startswith("linear-gradient(90deg, #000004")
    assert css_gradient("difference") != css_gradient("depth")
