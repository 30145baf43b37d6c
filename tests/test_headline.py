"""The proof: what is learned and asked, its processes, tables."""

import multiprocessing
import os
import pickle
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from benchmarks import headline
from benchmarks import samples as street_samples
from benchmarks.headline import KINDS, REGIONS, TARGETS, summary, table
from benchmarks.side_by_side import run_side_by_side
from blurdepth import benchmark
from blurdepth.benchmark import SPLITS
from blurdepth.errors import BlurdepthError
from blurdepth.exposure.result import regions
from blurdepth.images import read_image
from blurdepth.scenes import render_scene
from tests.test_architecture import ROOT
from tests.test_finetune import recipe, write_sample


def test_the_table_has_a_row_for_each_region_and_a_column_for_each_model_and_change() -> None:
    rng = np.random.default_rng(2)

    def run() -> dict[str, headline.Errors]:
        return {kind: {region: rng.uniform(0.1, 0.3, 20) for region in REGIONS} for kind in KINDS}

    base, *tuned = run(), run(), run(), run(), run()
    for each in (base, *tuned):
        for kind in KINDS:
            each[kind]["mixed"][7] = np.nan  # one scene has no mixed pixels
    report = summary({"base": [base], "paper": tuned[:2], "exposure": tuned[2:]})
    first, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in table(report, "error").splitlines())
    changes = ("base → paper's targets", "base → exposure targets", "paper's targets → exposure targets")
    assert first == ["", "scenes", *headline.WORDS.values(), *changes]
    assert [row[0] for row in rows] == list(REGIONS)
    assert all(len(row) == len(first) for row in rows)
    assert (
        [row[1] for row in rows[:3]] == ["20", "20", "20"]
        and rows[3][1] == "19"
        and rows[3][4] == f"{report['means']['error']['exposure']['mixed']:.4f}"
    )


def test_a_street_is_written_as_it_was_rendered_towards_both_targets(tmp_path: Path) -> None:
    scene = render_scene(4_000_000, 160, 64)
    question = street_samples.ask(scene)
    assert not np.array_equal(question.mean_inverse_depth, question.inverse_depth)
    sample = street_samples._write_street(tmp_path, 160, 64, 4_000_000)
    # The last file tells that all are there: one that was ended before is written anew.
    sample.sharp_target.unlink()
    sample.image.write_bytes(b"torn")
    assert street_samples._write_street(tmp_path, 160, 64, 4_000_000) == sample
    np.testing.assert_array_equal(read_image(sample.image), question.blurred)
    np.testing.assert_array_equal(read_image(sample.sharp_image), question.sharp)
    np.testing.assert_array_equal(np.load(sample.target), scene.exposure.mean_inverse_depth)
    np.testing.assert_array_equal(np.load(sample.sharp_target), scene.inverse_depth)
    np.testing.assert_array_equal(read_image(sample.regions)[..., 0], regions(scene.exposure))


def test_a_precision_that_is_none_here_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headline, "best_device", lambda: torch.device("cpu"))
    for asked, words in (("float16", "needs a CUDA GPU"), ("fp8", "precision = 'fp8'")):
        with pytest.raises(SystemExit):
            headline.main(["--out", str(tmp_path), "--precision", asked])
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_two_steps_of_it_run_on_a_tiny_model_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in SPLITS:
        monkeypatch.setitem(benchmark.SPLITS, split, SPLITS[split][:2])
    monkeypatch.setattr(benchmark, "WIDTH", 160)
    monkeypatch.setattr(benchmark, "HEIGHT", 64)
    for split in SPLITS:
        list(benchmark.render_benchmark(tmp_path / "benchmark", split))
    monkeypatch.setattr(street_samples, "WIDTH", 160)
    monkeypatch.setattr(street_samples, "HEIGHT", 64)
    monkeypatch.setattr(headline, "MORE_STREETS", range(4_000_000, 4_000_002))
    short = replace(headline.RECIPE, epochs=1, batch=2, warmup_steps=0)
    report = headline.prove(tmp_path, tmp_path, tmp_path / "benchmark", str(tiny_model), short, seeds=1)
    assert report["scenes"] == 2 and set(report["means"]["error"]) == {"base", "paper", "exposure"}
    assert report["means"]["error"]["paper"]["all"] != report["means"]["error"]["exposure"]["all"]
    with Image.open(tmp_path / headline.PICTURE) as shown:
        assert shown.size[0] > 2 * 160 and shown.size[1] > 5 * 64
    written = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*_0/**/*.safetensors"))]
    again = headline.prove(tmp_path, tmp_path, tmp_path / "benchmark", str(tiny_model), short, seeds=1)
    assert again["means"] == report["means"]
    assert written == [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*_0/**/*.safetensors"))] != []


def test_fine_tunes_end_with_a_proof_that_is_killed(tiny_model: Path, tmp_path: Path) -> None:
    samples = [write_sample(tmp_path, frame, 0) for frame in range(3)]
    asked = str(tiny_model), samples, recipe(epochs=10_000, include_sharp=False), tmp_path, 1
    (tmp_path / "asked").write_bytes(pickle.dumps(asked))
    code = "import pickle, sys; from benchmarks import headline; "
    code += "headline.tune_all(*pickle.load(open(sys.argv[1], 'rb')))"
    on_cpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    proof = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "asked")], cwd=ROOT, env=on_cpu)
    try:
        states, deadline = [tmp_path / f"{name}_0" / "state.safetensors" for name in TARGETS], time.monotonic() + 240
        while not all(state.exists() for state in states):
            assert proof.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        helpers = psutil.Process(proof.pid).children(recursive=True)
        assert len(helpers) >= len(states)
    finally:
        proof.kill()
        proof.wait()
    _, left = psutil.wait_procs(helpers, timeout=60)
    # Where nobody waits for orphans, one that has ended stays in the list of processes.
    working = [each for each in left if each.status() != psutil.STATUS_ZOMBIE]
    for each in working:
        each.kill()
    assert not working


def test_a_fine_tune_that_is_killed_is_told_as_such() -> None:
    with pytest.raises(BlurdepthError, match=r"was killed \(signal 9\).* start again"):
        run_side_by_side(signal.raise_signal, [(signal.SIGKILL,)])


def test_a_fine_tune_that_fails_ends_the_other_at_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(headline, "best_device", lambda: torch.device("cpu"))
    samples = [write_sample(tmp_path, frame, 0) for frame in range(3)]
    samples[0].target.write_bytes(b"damaged")  # which is learned towards by one of the two
    with pytest.raises(BlurdepthError, match="A fine-tune failed, see above"):
        headline.tune_all(str(tiny_model), samples, recipe(epochs=10_000, include_sharp=False), tmp_path, 1)
    assert str(samples[0].target) in capfd.readouterr().err
    assert not multiprocessing.active_children()


def test_blurred_frames_are_held_against_the_exposure_and_against_its_middle() -> None:
    question = headline.ask(render_scene(3_000_001, 320, 96))

    class Told:
        """Answers with what it is given, whatever it sees."""

        def __init__(self, answer: np.ndarray) -> None:
            self.predict_inverse = lambda _: answer

    truths = question.mean_inverse_depth, question.inverse_depth
    mean, middle = (headline.measure(Told(truth), [question]) for truth in truths)
    for right, wrong in ((mean["error"], middle["error"]), (middle["mid_error"], mean["mid_error"])):
        assert right["mixed"] < 1e-3
        assert wrong["mixed"] > 0.02
    assert middle["error"]["sharp"] < 1e-3 < mean["error"]["sharp"]
    assert not (question.masks["mixed"] & (question.masks["pure"] | question.masks["ring"])).any()


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_memory_that_a_tensor_leaves_is_taken_by_the_next_one() -> None:
    code = """
import resource, torch
from benchmarks.side_by_side import _keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(50_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
_keep_freed_memory()
faults()
print(usual, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 20
