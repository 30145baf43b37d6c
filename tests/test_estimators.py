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
import torch
from torch import nn

from blurdepth.errors import ModelError
from blurdepth.estimators import NOTES, SHIPPED, find_model, lasting_name, load_estimator
from blurdepth.images import decode_image
from blurdepth.pretrained import ModelCache, _is_complete
from tests.conftest import COMMIT, in_hub_layout, street_frame, write_tiny_model

FRAME = decode_image(street_frame())


def test_a_folder_gives_depth_of_the_frames_size(tiny_model: Path) -> None:
    estimator = load_estimator(str(tiny_model))
    values = estimator.predict(FRAME)
    assert values.shape == FRAME.shape[:2]
    assert values.dtype == np.float32
    assert estimator.kind == "affine_inverse_depth"
    assert np.array_equal(values, estimator.predict(FRAME))


def test_the_values_of_a_pixel_lie_side_by_side_where_convolutions_are_fast(tiny_model: Path) -> None:
    convolutions = [each for each in load_estimator(str(tiny_model)).model.modules() if isinstance(each, nn.Conv2d)]
    spatial = [each.weight for each in convolutions if min(each.weight.shape[1:]) > 1]
    assert spatial
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in spatial)


def test_a_metric_model_is_known_as_such_and_inverted(tmp_path: Path) -> None:
    estimator = load_estimator(str(write_tiny_model(tmp_path / "metric", metric=True)))
    assert estimator.kind == "depth_m"
    assert np.allclose(estimator.predict_inverse(FRAME), 1 / estimator.predict(FRAME), rtol=1e-5)


def test_a_configuration_tells_what_the_numbers_are_where_notes_are_missing(tmp_path: Path) -> None:
    """The bundled model's type is that of models whose depth is in metres."""
    for name, folder in SHIPPED.items():
        alone = shutil.copytree(folder, tmp_path / name)
        (alone / NOTES).unlink()
        assert load_estimator(str(alone)).kind == "affine_inverse_depth"


@pytest.mark.parametrize(
    "notes",
    ["[" * 100_000, "[]", "{}", '{"kind": "feet"}']
    + [
        f'{{"kind": "depth_m", {more}}}'
        for more in ('"base": "mine"', '"provenance": null', '"base": {"streets": null}', '"base": {"streets": [[1]]}')
    ],
)
def test_notes_that_are_none_are_refused_when_the_model_is_loaded(tmp_path: Path, tiny_model: Path, notes: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "odd")
    (folder / NOTES).write_text(notes)
    with pytest.raises(ModelError, match=r"blurdepth\.json .* restore it, or load a copy"):
        load_estimator(str(folder))


def test_the_revision_follows_the_weights(tiny_model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert find_model(str(tiny_model))[1] != find_model(str(other))[1]
    assert find_model(str(tiny_model))[1] == find_model(str(tiny_model))[1]


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


def test_a_download_that_was_interrupted_is_taken_up_again(tiny_model: Path, tmp_path: Path) -> None:
    in_hub_layout(tiny_model, tmp_path, "depth-anything/Tiny-hf")
    snapshot = tmp_path / "models--depth-anything--Tiny-hf" / "snapshots" / COMMIT
    (snapshot / "model.safetensors").unlink()
    code = "from blurdepth.estimators import load_estimator; load_estimator('depth-anything/Tiny-hf')"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "download was interrupted (try again with a network)" in last


def test_a_snapshot_is_complete_with_all_its_shards(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForDepthEstimation

    AutoModelForDepthEstimation.from_pretrained(tiny_model).save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert not _is_complete(tmp_path)
    shutil.copy(tiny_model / "preprocessor_config.json", tmp_path)
    assert _is_complete(tmp_path)
    last = max(tmp_path.glob("*.safetensors"))
    last.rename(tmp_path / "elsewhere")
    assert not _is_complete(tmp_path)
    last.symlink_to(tmp_path / "gone")
    assert not _is_complete(tmp_path)
    assert not _is_complete(tmp_path / "nowhere")


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
        ("x" * 300, "owner/model"),
        ("x" * 300 + "/y", "owner/model"),
        ("owner/mo del", "owner/model"),
        ("a\0b", "owner/model"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, words: str) -> None:
    for find in (find_model, lasting_name):
        with pytest.raises(ModelError, match=words):
            find(name)


def test_a_folders_lasting_name_holds_in_any_working_folder(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)
    name = lasting_name(tiny_model.name)
    monkeypatch.chdir("/")
    assert find_model(name)[0] == tiny_model
    assert (lasting_name("bundled"), lasting_name("owner/model")) == ("bundled", "owner/model")


@pytest.mark.parametrize("asked", ["load_estimator", "model_structure"])
@pytest.mark.parametrize("known", [True, False])
def test_code_in_a_model_folder_is_never_run(tiny_model: Path, tmp_path: Path, known: bool, asked: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "evil")
    (folder / "conf.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass C: pass\n")
    for file in ("config.json", "preprocessor_config.json"):
        values = json.loads((folder / file).read_text())
        values["auto_map"] = dict.fromkeys(
            ("AutoConfig", "AutoModelForDepthEstimation", "AutoImageProcessor"), "conf.C"
        )
        if not known:
            values |= {"model_type": "new_kind", "image_processor_type": "NewKind"}
        (folder / file).write_text(json.dumps(values))
    code = f"from blurdepth.estimators import {asked}; print({asked}({str(folder)!r}))"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, input="y\ny\n", capture_output=True, text=True, check=False
    )
    assert not (tmp_path / "ran").exists()
    assert "Do you wish" not in done.stdout + done.stderr
    assert known or done.stdout.strip() == "None" or "ModelError" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("notes", ["{}", '{"kind": "foo"}', '{"kind": ["foo"]}', "[]", "null", "{", "\udcff"])
def test_notes_without_a_kind_are_refused(tiny_model: Path, tmp_path: Path, notes: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "noted")
    (folder / "blurdepth.json").write_bytes(notes.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"blurdepth\.json"):
        load_estimator(str(folder))


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
    cache = ModelCache(find_model, load_estimator, size=1)
    first = cache.get(str(tiny_model))
    assert cache.get(str(tiny_model)) is first
    cache.get(str(write_tiny_model(tmp_path / "other", seed=1)))
    assert cache.get(str(tiny_model)) is not first


def test_the_cache_notices_weights_that_changed(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    cache = ModelCache(find_model, load_estimator)
    first = cache.get(str(folder))
    write_tiny_model(folder, seed=1)
    second = cache.get(str(folder))
    assert second.revision != first.revision
    assert not np.array_equal(second.predict(FRAME), first.predict(FRAME))
    assert cache.get(str(folder)) is second


def test_a_crop_becomes_the_nearest_size_that_the_model_takes(tiny_model: Path) -> None:
    estimator = load_estimator(str(tiny_model))
    assert estimator.processor.ensure_multiple_of == 14
    assert estimator.fitting((518, 500)) == (518, 504)
    assert estimator.fitting((3, 20)) == (14, 14)
