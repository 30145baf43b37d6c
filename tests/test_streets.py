import dataclasses

import numpy as np
import pytest

from blurdepth.camera import Motion, Pinhole
from blurdepth.errors import InputError
from blurdepth.streets import KINDS, LIGHTS, Street, make_street, photograph, render
from blurdepth.streets.scene import Pose, Surface, box, f32

WIDTH, HEIGHT = 160, 64


def empty_street(height_m: float = 1.5, pitch_deg: float = 0.0, **motion: object) -> Street:
    """A street without anything on it, seen straight ahead."""
    street = make_street(1, "country", "overcast")
    road = dataclasses.replace(street.road, kerb_m=0.0, bend=0.0)
    pose = Pose(height_m, pitch_deg, 0.0, 0.0)
    return dataclasses.replace(street, shapes=(), pose=pose, road=road, motion=Motion(80.0, **motion))


def with_block(street: Street, z: float, actor: int = 0) -> Street:
    """The street with a block 2 m wide, high and deep whose front is at depth `z`."""
    block = box(Surface.PLAIN, f32(0, 0, z + 1), 0.0, (2, 2, 2), f32(0.5, 0.1, 0.1), actor=actor)
    return dataclasses.replace(street, shapes=(block,))


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = (render(make_street(7), WIDTH, HEIGHT) for _ in range(2))
    for name in ("linear", "inverse_depth", "object_ids"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert photograph(make_street(7), first.linear).tobytes() == photograph(make_street(7), again.linear).tobytes()


def test_another_seed_gives_another_street() -> None:
    assert np.abs(render(make_street(7), 64, 32).linear - render(make_street(8), 64, 32).linear).mean() > 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("light", LIGHTS)
def test_every_kind_in_every_light_is_well_exposed_and_finite(kind: str, light: str) -> None:
    street = make_street(3, kind, light)
    seen = render(street, WIDTH, HEIGHT)
    assert seen.linear.shape == (HEIGHT, WIDTH, 3) and seen.linear.dtype == np.float32
    assert seen.inverse_depth.dtype == np.float32 and seen.object_ids.dtype == np.uint8
    assert np.isfinite(seen.linear).all() and seen.linear.min() >= 0
    assert np.isfinite(seen.inverse_depth).all() and seen.inverse_depth.min() >= 0
    assert 40 < photograph(street, seen.linear).mean() < 220


@pytest.mark.parametrize("height_m", [1.2, 2.2])
def test_the_ground_follows_row_below_the_horizon_over_focal_length_and_height(height_m: float) -> None:
    inverse = render(empty_street(height_m), WIDTH, HEIGHT).inverse_depth
    focal = Pinhole(WIDTH, HEIGHT, 80.0).focal_px
    below = np.arange(HEIGHT) - (HEIGHT - 1) / 2
    expected = np.clip(below / (focal * height_m), 0, None)
    np.testing.assert_allclose(inverse, np.repeat(expected[:, None], WIDTH, axis=1), atol=1e-5)


def test_pitching_down_raises_the_horizon_by_the_tangent() -> None:
    inverse = render(empty_street(pitch_deg=5.0), WIDTH, HEIGHT).inverse_depth
    focal = Pinhole(WIDTH, HEIGHT, 80.0).focal_px
    horizon = (HEIGHT - 1) / 2 - focal * np.tan(np.radians(5.0))
    assert abs(np.flatnonzero(inverse[:, 0] > 0)[0] - horizon) <= 1


def test_the_sky_has_inverse_depth_zero_and_no_object() -> None:
    seen = render(empty_street(), WIDTH, HEIGHT)
    assert (seen.inverse_depth[: HEIGHT // 2] == 0).all() and (seen.object_ids == 0).all()


def test_a_block_has_the_depth_of_its_front_and_its_own_id() -> None:
    seen = render(with_block(empty_street(), 10.0, actor=9), WIDTH, HEIGHT)
    assert (seen.object_ids == 9).sum() > 20
    front = seen.object_ids[HEIGHT // 2] == 9
    np.testing.assert_allclose(1 / seen.inverse_depth[HEIGHT // 2][front], 10.0, rtol=1e-4)


def test_time_moves_the_object_by_its_motion_and_leaves_the_rest() -> None:
    street = with_block(empty_street(objects={9: (2.0, 0.0, 0.0)}), 10.0, actor=9)
    before, middle, after = (render(street, WIDTH, HEIGHT, time) for time in (-0.5, 0.0, 0.5))
    shift = Pinhole(WIDTH, HEIGHT, 80.0).focal_px * 2.0 / 10.0

    def column(seen: object) -> float:
        return float(np.nonzero(seen.object_ids[HEIGHT // 2] == 9)[0].mean())  # type: ignore[attr-defined]

    assert column(after) - column(before) == pytest.approx(shift, abs=1)
    assert column(middle) == pytest.approx((WIDTH - 1) / 2, abs=1)
    still = (before.object_ids == 0) & (after.object_ids == 0)
    np.testing.assert_array_equal(before.inverse_depth[still], after.inverse_depth[still])


def test_moving_forward_brings_the_block_nearer_by_the_translation() -> None:
    street = with_block(empty_street(translation_m=(0.0, 0.0, 2.0)), 10.0, actor=9)
    for time in (-0.5, 0.5):
        seen = render(street, WIDTH, HEIGHT, time)
        depth_m = 1 / seen.inverse_depth[HEIGHT // 2, WIDTH // 2]
        assert depth_m == pytest.approx(10.0 - 2.0 * time, rel=1e-4)


def test_turning_right_moves_the_picture_left() -> None:
    street = with_block(empty_street(rotation_deg=(0.0, 4.0, 0.0)), 10.0, actor=9)
    early, late = (render(street, WIDTH, HEIGHT, t).object_ids[HEIGHT // 2] == 9 for t in (-0.5, 0.5))
    turned = Pinhole(WIDTH, HEIGHT, 80.0).focal_px * np.radians(4.0)
    assert np.nonzero(early)[0].mean() - np.nonzero(late)[0].mean() == pytest.approx(turned, abs=1)


def test_more_samples_keep_the_picture_and_smooth_its_edges() -> None:
    street = with_block(empty_street(), 10.0, actor=9)
    rough, smooth = render(street, WIDTH, HEIGHT), render(street, WIDTH, HEIGHT, samples=2)
    assert smooth.inverse_depth.shape == rough.inverse_depth.shape
    assert np.abs(smooth.linear - rough.linear).mean() < 0.02
    assert np.abs(smooth.inverse_depth - rough.inverse_depth).mean() < 0.01


def test_moving_actors_are_named_in_the_motion_and_can_be_seen() -> None:
    street = make_street(12, "crossing", "noon")
    assert street.motion.objects
    assert set(np.unique(render(street, 320, 100).object_ids)) & set(street.motion.objects)
    assert set(street.motion.objects) <= {shape.actor for shape in street.shapes}


@pytest.mark.parametrize("size", [(0, 10, 1), (10, 10, 0)])
def test_an_empty_frame_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        render(empty_street(), size[0], size[1], samples=size[2])


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="avenue"):
        make_street(1, kind="harbour")
