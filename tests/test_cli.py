"""The contract of the command line: one JSON object, or exit status 2 and one line that says what to mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blurdepth.cli import main
from blurdepth.images import encode_png
from tests.conftest import sliding_pictures

MOTION = {"fov_x_deg": 80, "camera": {"translation_m": [0, 0, 0], "rotation_deg": [0, 2, 0]}, "objects": []}


@pytest.fixture
def scene(tmp_path: Path) -> list[str]:
    """The files of `expose`: a frame, its depth with sky, and a motion."""
    rng = np.random.default_rng(0)
    (tmp_path / "frame.png").write_bytes(encode_png(rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)))
    depth_m = np.full((64, 96), 12.0, np.float32)
    depth_m[:20] = np.inf
    np.save(tmp_path / "depth.npy", depth_m)
    (tmp_path / "motion.json").write_text(json.dumps(MOTION))
    files = ["--depth", str(tmp_path / "depth.npy"), "--motion", str(tmp_path / "motion.json")]
    return ["expose", str(tmp_path / "frame.png"), *files, "--out", str(tmp_path / "out")]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON of a command that works."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that is refused."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.count("\n") == 1, caught.err
    return caught.err


def test_expose_writes_what_the_contract_names(scene: list[str], tmp_path: Path, capsys: Any) -> None:
    result = answer(capsys, *scene)
    assert set(result) == {"seconds", "subframes", "out"}
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result
    mean = np.load(tmp_path / "out" / "mean_inverse_depth.npy")
    assert mean.dtype == np.float32 and mean.shape == (64, 96)
    assert mean[60, 48] == pytest.approx(1 / 12, rel=1e-3)
    assert mean[2, 48] == 0
    for name in ("blurred.png", "moving_fraction.npy", "valid.png"):
        assert (tmp_path / "out" / name).is_file()


def test_depth_writes_numbers_kind_and_picture(frame_file: Path, tiny_model: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    arguments = ["depth", str(frame_file), "--model", str(tiny_model), "--out", str(out), "--data", str(tmp_path / "d")]
    (predicted,) = answer(capsys, *arguments)["predictions"]
    assert predicted["kind"] == "affine_inverse_depth"
    assert np.load(predicted["path"]).dtype == np.float32
    assert json.loads((out / "street.json").read_text())["kind"] == predicted["kind"]
    assert (out / "street.png").is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--depth": "nowhere.npy"}, "nowhere.npy"),
        ({"--motion": "nowhere.json"}, "nowhere.json"),
        ({"--objects": "nowhere.png"}, "nowhere.png"),
    ],
)
def test_expose_names_a_missing_file(scene: list[str], capsys: Any, change: dict[str, str], words: str) -> None:
    arguments = [*scene, *(part for pair in change.items() for part in pair)]
    assert words in complaint(capsys, *arguments)


def test_expose_refuses_depth_and_motion_that_make_no_sense(scene: list[str], tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "depth.npy", np.ones((10, 10)))
    assert "(10, 10)" in complaint(capsys, *scene)
    np.save(tmp_path / "depth.npy", np.zeros((64, 96)))
    assert "above 0 m" in complaint(capsys, *scene)
    np.save(tmp_path / "depth.npy", np.ones((64, 96)))
    for motion, words in (
        ("{", "not JSON"),
        ("{}", "fov_x_deg"),
        ('{"fov_x_deg": 200}', "200"),
        ('{"fov_x_deg": 80, "shutter": "round"}', "round"),
        ('{"fov_x_deg": 80, "objects": [{"id": 1}]}', "wrong shape"),
    ):
        (tmp_path / "motion.json").write_text(motion)
        assert words in complaint(capsys, *scene)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decide", "ghost", "accept"], "ghost"),
        (["decide", "ghost", "maybe"], "maybe"),
        (["samples", "--status", "odd"], "odd"),
        (["snapshot"], "0 samples are accepted"),
        (["finetune", "v1"], "v1"),
        (["stop", "j4"], "j4"),
        (["resume", "job"], "j1, j2"),
        (["wait", "j" + "9" * 30], "j1, j2"),
        (["jobs", "--data", ""], "empty"),
        (["evaluate", "--model", "bundled", "--benchmark", "v1", "--out", "out"], "v1"),
        (["generate", "nowhere.png"], "nowhere.png"),
        (["burst", "nowhere.mp4"], "nowhere.mp4"),
        (["burst", "a.png", "b.png", "--length", "two"], "two"),
        (["dance"], "dance"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line_that_names_it(tmp_path: Path, capsys: Any, arguments: list[str], words: str) -> None:
    data = ["--data", str(tmp_path)] if arguments and arguments[0] != "dance" else []
    assert words in complaint(capsys, *arguments, *data)


def test_nothing_is_written_over_what_was_read(frame_file: Path, tiny_model: Path, tmp_path: Path, capsys: Any) -> None:
    before = frame_file.read_bytes()
    arguments = ["depth", str(frame_file), "--model", str(tiny_model), "--out", str(frame_file.parent)]
    assert "would be overwritten" in complaint(capsys, *arguments, "--data", str(tmp_path / "data"))
    assert frame_file.read_bytes() == before


def test_without_a_home_help_still_comes(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["jobs", "--help"])
    assert "BLURDEPTH_DATA" in capsys.readouterr().out


@pytest.mark.parametrize("prompt", ["", "fog " * 2500, "<b>fog</b>", "浓雾"])
def test_a_bad_prompt_is_refused_by_the_command_too(frame_file: Path, tmp_path: Path, capsys: Any, prompt: str) -> None:
    complaint(capsys, "generate", str(frame_file), "--prompt", prompt, "--data", str(tmp_path / "data"))


def test_every_command_explains_itself(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    for name in (
        "expose",
        "depth",
        "generate",
        "samples",
        "decide",
        "undo",
        "redo",
        "snapshot",
        "finetune",
        "jobs",
        "stop",
        "resume",
        "wait",
        "evaluate",
    ):
        assert name in listed
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0


def test_burst_makes_one_pending_sample(tiny_model: Path, tmp_path: Path, capsys: Any) -> None:
    files = [str(path) for path in sliding_pictures(tmp_path, 5, 4)]
    common = ["--model", str(tiny_model), "--data", str(tmp_path / "data")]
    (made,) = answer(capsys, "burst", *files, "--length", "3", *common)["samples"]
    assert made["status"] == "pending" and Path(made["image"]).is_file() and Path(made["target"]).is_file()
    assert made["scores"]["blur_px"] > 4
    (same,) = answer(capsys, "burst", *files, "--start", "1", "--length", "3", *common)["samples"]
    (other,) = answer(capsys, "burst", *files, "--shutter", "triangle", "--align", *common)["samples"]
    assert same == made and other["id"] != made["id"]
    assert "but the clip has 5" in complaint(capsys, "burst", *files, "--start", "3", "--length", "3", *common)
    assert "1 frame" in complaint(capsys, "burst", files[0], *common)
