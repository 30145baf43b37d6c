"""Models are fetched from a Hub, with their progress told: the real client against a small Hub on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blurdepth.estimators import NOTES, SHIPPED, TUNED
from scripts.tiny_sdxl import write_tiny_sdxl

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
NAME = "somebody/tiny-depth"
CODE = """
import json, sys
from blurdepth.estimators import load_estimator
seen = []
estimator = load_estimator(sys.argv[1], lambda done, total: seen.append((done, total)))
print(json.dumps({"revision": estimator.revision, "kind": estimator.kind, "seen": seen}))
"""
PAINT = """
import json, sys
import numpy as np
from blurdepth.diffusion import DiffusionModels, PaintSettings, load_painter, plan_painting
models = DiffusionModels("somebody/tiny-sdxl", "somebody/tiny-adapter", "", "somebody/tiny-lora")
settings = PaintSettings(steps=1, short_side_px=32)
before, seen = plan_painting(models, 96, 64, settings).downloads, []
painter = load_painter(models, lambda done, total: seen.append((done, total)))
shape = painter.paint(np.zeros((64, 96, 3), np.uint8), ["rain"], "", [1], settings)[0].shape
after = plan_painting(models, 96, 64, settings).downloads
print(json.dumps({"shape": shape, "seen": seen, "before": before, "after": after, "revision": painter.revision}))
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves models: their file lists and their files. `models` is set by whoever starts it."""

    models: dict[str, Path]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """The file list as JSON, or a file."""
        path = self.path.split("?")[0]
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        if name not in self.models:
            self._missing("RepoNotFound")
            return
        folder = self.models[name]
        files = {str(each.relative_to(folder)): each for each in sorted(folder.rglob("*")) if each.is_file()}
        if path.startswith(f"/api/models/{name}/tree/"):
            tree = [{"type": "file", "path": each, "size": files[each].stat().st_size, "oid": "0"} for each in files]
            self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/api/models/{name}"):
            about = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": each} for each in files]}
            self._send(json.dumps(about).encode(), {"Content-Type": "application/json"})
        elif (asked := path.removeprefix(f"/{name}/resolve/{COMMIT}/")) in files:
            body = files[asked].read_bytes()
            self._send(body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self._missing("EntryNotFound")

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def serving(models: dict[str, Path]) -> Iterator[str]:
    """The address of a small Hub."""
    handler = type("TinyHub", (Hub,), {"models": models})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    """The address of a Hub with a depth model."""
    with serving({NAME: tiny_model}) as address:
        yield address


def load(hub: str, cache: Path, name: str, code: str = CODE) -> subprocess.CompletedProcess[str]:
    """Load models in a process of its own, as the client reads its settings once."""
    settings = {"HF_ENDPOINT": hub, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    environment = {**os.environ, **settings, "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", code, name]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_model_is_downloaded_with_its_progress_told(hub: str, tiny_model: Path, tmp_path: Path) -> None:
    done = load(hub, tmp_path / "cache", NAME)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["revision"] == COMMIT
    size = sum(each.stat().st_size for each in tiny_model.iterdir())
    assert answer["seen"][-1] == [size, size]
    again = load("http://127.0.0.1:9", tmp_path / "cache", NAME)
    assert json.loads(again.stdout.splitlines()[-1]) == {**answer, "seen": []}


def test_what_a_fine_tune_says_of_its_depth_comes_along(tmp_path: Path) -> None:
    """The bundled model is of a type whose depth is in metres otherwise."""
    cache = tmp_path / "cache"
    with serving({NAME: SHIPPED[TUNED]}) as address:
        for _ in range(2):
            done = load(address, cache, NAME)
            assert json.loads(done.stdout.splitlines()[-1])["kind"] == "affine_inverse_depth", done.stderr
            # A snapshot that was downloaded without it isn't whole.
            (notes,) = cache.glob(f"*/snapshots/*/{NOTES}")
            notes.unlink()


def test_a_model_that_the_hub_does_not_have_is_named(hub: str, tmp_path: Path) -> None:
    done = load(hub, tmp_path / "cache", "somebody/else")
    last = done.stderr.strip().splitlines()[-1]
    assert "ModelError: somebody/else could not be downloaded" in last and "bundled" in last


def test_of_a_pipeline_only_what_is_used_is_downloaded(tmp_path: Path) -> None:
    """Weights that are there in half precision too come once; neither pickles nor single files come along."""
    whole = write_tiny_sdxl(tmp_path / "tiny")
    adapter = Path(shutil.move(whole / "adapter", tmp_path / "adapter"))
    lora = Path(shutil.move(whole / "preview_lora", tmp_path / "lora"))
    files = [each for folder in (whole, adapter, lora) for each in folder.rglob("*") if each.is_file()]
    # Both tokenizers are the same, and the client fetches the same bytes once.
    used = sum(map(len, {each.read_bytes() for each in files}))
    for weights in whole.rglob("*.safetensors"):
        shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
        weights.write_bytes(b"not to be fetched")
    for unused in (whole / "sd_xl.safetensors", whole / "unet" / "model.bin", adapter / "diffusion_pytorch_model.bin"):
        unused.write_bytes(b"neither this")
    cache, models = tmp_path / "cache", {"sdxl": whole, "adapter": adapter, "lora": lora}
    with serving({f"somebody/tiny-{name}": folder for name, folder in models.items()}) as address:
        done = load(address, cache, "", PAINT)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["shape"] == [64, 96, 3]
    done_bytes, all_bytes = answer["seen"][-1]
    # Where there is no half precision, the configuration that came before may be left out of the sum.
    assert done_bytes == all_bytes and used - 1000 < all_bytes <= used
    assert set(answer["before"]) == {f"somebody/tiny-{name}" for name in models} and answer["after"] == {}
    assert not [each for each in cache.rglob("*") if each.is_file() and b"this" in each.read_bytes()[:99]]
    again = json.loads(load("http://127.0.0.1:9", cache, "", PAINT).stdout.splitlines()[-1])
    assert again["seen"] == [] and again["revision"] == answer["revision"]
