import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from blurdepth.camera import Motion
from blurdepth.cli import main
from blurdepth.depth import BLURRED, MIXED, STATIC, inverse_to_depth_m
from blurdepth.errors import InputError
from blurdepth.exposure.result import regions
from blurdepth.images import linear_to_srgb
from blurdepth.scenes import motion_kind, read_scene, render_scene, render_scenes, write_scene
from blurdepth.streets import make_street, render, render_exposure

SIZE = (160, 48)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_scene(tmp_path / name, render_scene(7, *SIZE))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_keys_shapes_and_ranges_are_those_that_scripts_rely_on(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.npz", render_scene(12, *SIZE))
    with np.load(tmp_path / "a.npz") as kept:
        names = {"sharp_linear", "blur_linear", "depth_m", "ids", "mean_inverse_depth", "mover_fraction", "meta"}
        assert names <= set(kept.files)
        assert kept["blur_linear"].shape == (48, 160, 3) and kept["ids"].dtype == np.uint8
        assert np.isinf(kept["depth_m"]).any() and kept["depth_m"].min() > 0
        assert 0 <= kept["mover_fraction"].min() <= kept["mover_fraction"].max() <= 1
        meta = json.loads(str(kept["meta"]))
    seen = set(np.unique(read_scene(tmp_path / "a.npz").ids))
    assert {moved["id"] for moved in meta["objects"]} <= seen
    assert (meta["scene"], meta["width"], meta["height"]) == (12, *SIZE)


def test_a_scene_is_read_as_it_was_written_but_for_half_precision(tmp_path: Path) -> None:
    scene = render_scene(3, *SIZE)
    write_scene(tmp_path / "a.npz", scene)
    again = read_scene(tmp_path / "a.npz")
    assert np.array_equal(scene.ids, again.ids) and scene.meta == again.meta
    for name in ("sharp_linear", "depth_m", "inverse_depth"):
        np.testing.assert_allclose(getattr(again, name), getattr(scene, name), rtol=1e-3, atol=1e-6)
    for field in dataclasses.fields(scene.exposure):
        before, after = getattr(scene.exposure, field.name), getattr(again.exposure, field.name)
        # Flow is worked out from depth that was rounded, the variance squared after rounding.
        np.testing.assert_allclose(after, before, rtol=3e-3, atol=1e-2 if field.name == "flow" else 1e-6)
    assert (regions(scene.exposure) != regions(again.exposure)).mean() < 0.002


def test_all_of_the_motion_is_read_as_it_was_written(tmp_path: Path) -> None:
    scene = render_scene(3, *SIZE)
    motion = Motion(70.0, (0.1, 0, 1), (0, 2, 0), {2: (0.5, 0, 0)}, "triangle", readout=0.7)
    write_scene(tmp_path / "a.npz", dataclasses.replace(scene, meta={**scene.meta, **motion.to_json()}))
    assert read_scene(tmp_path / "a.npz").motion == motion


def test_the_mean_lies_between_the_farthest_and_the_nearest() -> None:
    exposure = render_scene(5, *SIZE).exposure
    assert (exposure.mean_inverse_depth <= exposure.nearest_inverse_depth + 1e-6).all()
    assert (exposure.mean_inverse_depth >= exposure.farthest_inverse_depth - 1e-6).all()
    assert (
        exposure.variance <= (exposure.nearest_inverse_depth - exposure.farthest_inverse_depth) ** 2 / 4 + 1e-6
    ).all()


def test_mean_depth_and_variance_are_those_of_the_moments() -> None:
    street = make_street(12, "crossing", "noon")
    moments = [render(street, *SIZE, time=(k + 0.5) / 16 - 0.5).inverse_depth for k in range(16)]
    seen = render_exposure(street, *SIZE)
    np.testing.assert_allclose(seen.variance, np.var(np.array(moments, np.float64), axis=0), rtol=1e-3, atol=1e-7)
    metres = np.mean([inverse_to_depth_m(moment) for moment in moments], axis=0)
    np.testing.assert_allclose(seen.depth_m, metres, rtol=1e-5)


def test_regions_are_those_of_the_truth() -> None:
    seed = next(seed for seed in range(100) if render_scene(seed, 80, 24).meta["kind"] == "standing, objects")
    scene = render_scene(seed, *SIZE)
    labels = regions(scene.exposure)
    mixed = np.sqrt(scene.exposure.variance) > 0.05 * scene.exposure.mean_inverse_depth
    assert mixed.any() and ((labels == MIXED) == mixed).all()
    # The camera shakes by less than a pixel: all that is blurred belongs to what moves.
    assert (scene.exposure.moving_fraction[labels == BLURRED] > 0).mean() > 0.9
    assert (labels[(scene.ids == 0) & (scene.exposure.moving_fraction == 0) & ~mixed] == STATIC).mean() > 0.9


def test_a_scene_of_another_maker_needs_no_more_than_the_named_keys(tmp_path: Path) -> None:
    scene = render_scene(12, *SIZE)
    with np.errstate(over="ignore"):
        maps = {name: getattr(scene, name).astype(np.float16) for name in ("sharp_linear", "depth_m")}
    mean = scene.exposure.mean_inverse_depth.astype(np.float16)
    np.savez(tmp_path / "a.npz", **maps, blur_linear=scene.exposure.linear.astype(np.float16), mean_inverse_depth=mean)
    bare = read_scene(tmp_path / "a.npz")
    assert bare.motion is None and not bare.exposure.flow.any()
    sharp, blurred = (linear_to_srgb(each).astype(int) for each in (scene.sharp_linear, scene.exposure.linear))
    changed = np.abs(sharp - blurred).max(axis=-1) > 16
    assert changed.any() and (regions(bare.exposure)[changed] != STATIC).all()
    differs = np.abs(bare.inverse_depth - mean) > 0.05 * np.maximum(mean, 1e-6)
    assert differs.any() and ((regions(bare.exposure) == MIXED) == differs).mean() > 0.999


def test_the_exposure_is_the_mean_of_its_moments() -> None:
    street = make_street(12, "crossing", "noon")
    moments = [render(street, *SIZE, time=(k + 0.5) / 64 - 0.5) for k in range(64)]
    exposed = render_exposure(street, *SIZE, times=64)
    mean = np.mean([moment.inverse_depth for moment in moments], axis=0)
    np.testing.assert_allclose(exposed.inverse_depth, mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(exposed.linear, np.mean([moment.linear for moment in moments], axis=0), atol=1e-5)


def test_where_nothing_moves_the_blurred_frame_is_the_sharp_one() -> None:
    street = make_street(12, "avenue", "overcast")
    still = dataclasses.replace(street, motion=dataclasses.replace(street.motion, translation_m=(0, 0, 0)))
    still = dataclasses.replace(still, motion=dataclasses.replace(still.motion, rotation_deg=(0, 0, 0), objects={}))
    exposed, sharp = render_exposure(still, *SIZE), render(still, *SIZE)
    np.testing.assert_allclose(exposed.linear, sharp.linear, atol=1e-6)
    np.testing.assert_array_equal(exposed.near, exposed.far)
    assert exposed.moving_share.max() == 0


def test_a_mover_is_seen_for_a_share_of_the_exposure() -> None:
    seed = next(seed for seed in range(100) if "objects" in render_scene(seed, 80, 24).meta["kind"])
    share = render_scene(seed, *SIZE).exposure.moving_fraction
    assert ((share > 0.1) & (share < 0.9)).any() and share.max() == pytest.approx(1, abs=0.3)


def test_many_scenes_hold_every_kind_of_motion() -> None:
    kinds = {motion_kind(make_street(seed).motion).split(",")[0] for seed in range(60)}
    assert kinds == {"driving", "turning", "standing"}


def test_the_command_renders_and_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "scenes",
        "--out",
        str(tmp_path),
        "--count",
        "2",
        "--seed",
        "4",
        "--width",
        "64",
        "--height",
        "24",
        "--json",
    ]
    assert main(asked) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["scenes"]) == 2 and report["seconds"] > 0
    before = [Path(path).stat().st_mtime_ns for path in report["scenes"]]
    assert main(asked) == 0
    assert [Path(path).stat().st_mtime_ns for path in report["scenes"]] == before


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--width", "0"], ["--height", "9999"], ["--seed", "-1"]])
def test_bad_numbers_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    assert main(["scenes", "--out", str(tmp_path), *wrong]) == 2
    assert wrong[1] in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_is_too_far_for_half_precision_is_kept_as_the_sky(tmp_path: Path) -> None:
    scene = render_scene(3, *SIZE)
    scene.depth_m[20, 3] = 1e5
    write_scene(tmp_path / "a.npz", scene)
    assert np.isinf(read_scene(tmp_path / "a.npz").depth_m[20, 3])


def test_what_another_maker_adds_is_left_alone(tmp_path: Path) -> None:
    write_scene(tmp_path / "a.npz", render_scene(3, *SIZE))
    with np.load(tmp_path / "a.npz") as kept:
        np.savez(tmp_path / "b.npz", **kept, weather=np.array("rain"))
    assert np.array_equal(read_scene(tmp_path / "b.npz").depth_m, read_scene(tmp_path / "a.npz").depth_m)


def test_what_is_no_scene_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a scene"):
        read_scene(tmp_path / "a.npz")


def test_a_folder_of_scenes_is_rendered_in_order(tmp_path: Path) -> None:
    paths = list(render_scenes(tmp_path, range(2, 4), *SIZE))
    assert [read_scene(path).meta["scene"] for path in paths] == [2, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": np.ones((50, 170), np.uint8)},
        {"mean_inverse_depth": np.ones((4, 4), np.float16)},
        {"depth_m": np.ones(8, np.float16)},
        {"meta": np.array("[1]")},
        {"meta": np.array('{"fov_x_deg": "wide"}')},
        {"meta": np.array("{")},
        {"blur_linear": np.ones((48, 160, 4), np.float16)},
    ],
    ids=str,
)
def test_a_scene_that_does_not_fit_together_is_refused_with_its_path(tmp_path: Path, wrong: dict) -> None:
    write_scene(tmp_path / "a.npz", render_scene(12, *SIZE))
    with np.load(tmp_path / "a.npz") as kept:
        arrays = {**kept, **wrong}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "a.npz"))):
        read_scene(tmp_path / "a.npz")


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"PK\x03\x04 and no more"])
def test_what_is_no_archive_is_refused_with_its_path(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match="is not a scene"):
        read_scene(tmp_path / "a.npz")
