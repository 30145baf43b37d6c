import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from blurdepth import benchmark
from blurdepth.benchmark import HEIGHT, MANIFEST, SPLITS, WIDTH, check_benchmark, read_benchmark
from blurdepth.cli import main
from blurdepth.evaluate import benchmark_examples
from blurdepth.scenes import render_scene, scene_path, write_scene
from blurdepth.workspace import Workspace


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> range:
    """Of the validation split only two scenes, for speed."""
    seeds = SPLITS["val"][:2]
    monkeypatch.setitem(benchmark.SPLITS, "val", seeds)
    return seeds


@pytest.fixture
def rendered(two: range, tmp_path: Path) -> Path:
    assert main(["benchmark", "--out", str(tmp_path), "--split", "val"]) == 0
    assert len(list((tmp_path / "val").iterdir())) == len(two)
    return tmp_path


def test_no_seed_is_in_two_splits_and_the_manifest_has_them_all() -> None:
    seeds = [seed for split in SPLITS.values() for seed in split]
    assert len(set(seeds)) == len(seeds) > 300
    manifest = json.loads(MANIFEST.read_text())
    assert {split: [each["scene"] for each in manifest[split]] for split in manifest} == {
        split: list(seeds) for split, seeds in SPLITS.items()
    }
    hashes = [each["sha256"] for split in manifest.values() for each in split]
    assert len(set(hashes)) == len(hashes)


def test_what_is_rendered_here_is_the_benchmark_of_the_manifest(rendered: Path, two: range) -> None:
    check = check_benchmark(rendered, "val")
    assert check.same + check.rounded == 2
    assert [scene.meta["scene"] for scene in read_benchmark(rendered, "val")] == list(two)


def test_the_command_tells_how_many_are_the_same(
    rendered: Path, two: range, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    before = [path.stat().st_mtime_ns for path in sorted((rendered / "val").iterdir())]
    assert main(["benchmark", "--out", str(rendered), "--split", "val", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["splits"] == {"val": len(two)} and report["same"] + report["rounded"] == len(two)
    assert before == [path.stat().st_mtime_ns for path in sorted((rendered / "val").iterdir())]


def test_another_street_is_found_out(rendered: Path, two: range, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (scene_path(rendered / "val", seed, WIDTH, HEIGHT) for seed in two)
    shutil.copyfile(first, second)
    with pytest.raises(benchmark.InputError, match=re.escape(f"{second} and 0 more")):
        check_benchmark(rendered, "val")
    assert main(["benchmark", "--out", str(rendered), "--split", "val"]) == 2
    assert str(second) in capsys.readouterr().err


def test_what_only_rounding_changed_is_told_apart_from_another_street(rendered: Path, two: range) -> None:
    scene = render_scene(two[0], WIDTH, HEIGHT)
    scene.sharp_linear[100, 100] += 0.01
    write_scene(scene_path(rendered / "val", two[0], WIDTH, HEIGHT), scene)
    assert check_benchmark(rendered, "val").rounded in (1, 2)


def test_a_mirrored_scene_is_another_one(rendered: Path, two: range) -> None:
    scene = render_scene(two[0], WIDTH, HEIGHT)
    mirrored = replace(scene, sharp_linear=scene.sharp_linear[:, ::-1])
    write_scene(scene_path(rendered / "val", two[0], WIDTH, HEIGHT), mirrored)
    with pytest.raises(benchmark.InputError, match=str(two[0])):
        check_benchmark(rendered, "val")


def test_a_missing_scene_is_named_with_the_command_that_makes_it(rendered: Path, two: range) -> None:
    gone = scene_path(rendered / "val", two[1], WIDTH, HEIGHT)
    gone.unlink()
    with pytest.raises(benchmark.InputError, match="blurdepth benchmark --out"):
        list(read_benchmark(rendered, "val"))
    workspace = Workspace(rendered / "data")
    with pytest.raises(benchmark.InputError, match="blurdepth benchmark --out"):
        list(benchmark_examples(workspace, str(rendered / "val")))
