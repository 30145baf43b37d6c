"""Any depth model that transformers loads, by folder and by Hub id; everything else is refused with a reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blurdepth.errors import ModelError
from blurdepth.estimators import EstimatorCache, find_model, load_estimator
from blurdepth.images import decode_image
from tests.conftest import street_frame, write_tiny_model

FRAME = decode_image(street_frame())
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_gives_depth_of_the_frames_size(tiny_model: Path) -> None:
    estimator = load_estimator(str(tiny_model))
    values = estimator.predict(FRAME)
    assert values.shape == FRAME.shape[:2]
    assert values.dtype == np.float32
    assert estimator.kind == "affine_inverse_depth"
    assert np.array_equal(values, estimator.predict(FRAME))


def test_a_metric_model_is_known_as_such_and_inverted(tmp_path: Path) -> None:
    estimator = load_estimator(str(write_tiny_model(tmp_path / "metric", metric=True)))
    assert estimator.kind == "depth_m"
    assert np.allclose(estimator.predict_inverse(FRAME), 1 / estimator.predict(FRAME), rtol=1e-5)


def test_the_revision_follows_the_weights(tiny_model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert find_model(str(tiny_model))[1] != find_model(str(other))[1]
    assert find_model(str(tiny_model))[1] == find_model(str(tiny_model))[1]


def in_hub_layout(model: Path, cache: Path, name: str) -> None:
    """Lay a model out as the Hub's cache does: blobs, a snapshot of links, and refs."""
    folder = cache / ("models--" + name.replace("/", "--"))
    snapshot = folder / "snapshots" / COMMIT
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    snapshot.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for number, file in enumerate(sorted(model.iterdir())):
        shutil.copy(file, folder / "blobs" / f"blob{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob{number}")


def test_a_hub_id_loads_from_the_hubs_own_cache(tiny_model: Path, tmp_path: Path) -> None:
    in_hub_layout(tiny_model, tmp_path / "hub", "depth-anything/Tiny-hf")
    code = (
        "import json, numpy as np; from blurdepth.estimators import load_estimator;"
        "e = load_estimator('depth-anything/Tiny-hf');"
        "v = e.predict(np.full((84, 196, 3), 128, np.uint8)); print(json.dumps([e.revision, e.kind, list(v.shape)]))"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [COMMIT, "affine_inverse_depth", [84, 196]]


def test_a_hub_id_that_cannot_be_had_names_itself_and_a_way_out(tmp_path: Path) -> None:
    code = "from blurdepth.estimators import load_estimator; load_estimator('nobody/no-model')"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "ModelError" in last and "nobody/no-model" in last and "bundled" in last


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no such model", "owner/model"),
        ("", "owner/model"),
        ("../../no/such", "owner/model"),
        ("/tmp", "config.json"),
        ("a/b/c", "owner/model"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        find_model(name)


def test_pickled_weights_are_not_loaded(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_estimator(str(folder))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20)
    BertModel(config).save_pretrained(tmp_path / "words")
    with pytest.raises(ModelError, match="not a depth model"):
        load_estimator(str(tmp_path / "words"))


def test_weights_that_do_not_fit_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_model, tmp_path / "torn")
    weights = load_file(folder / "model.safetensors")
    del weights["head.conv1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"head\.conv1\.weight"):
        load_estimator(str(folder))


def test_damaged_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged"):
        load_estimator(str(folder))


def test_the_cache_loads_once_and_forgets_the_oldest(tiny_model: Path, tmp_path: Path) -> None:
    cache = EstimatorCache(size=1)
    first = cache.get(str(tiny_model))
    assert cache.get(str(tiny_model)) is first
    cache.get(str(write_tiny_model(tmp_path / "other", seed=1)))
    assert cache.get(str(tiny_model)) is not first
