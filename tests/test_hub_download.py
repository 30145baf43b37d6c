"""A model is fetched from a Hub, with its progress told: the real client against a small Hub on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
NAME = "somebody/tiny-depth"
CODE = """
import json, sys
from blurdepth.estimators import load_estimator
seen = []
estimator = load_estimator(sys.argv[1], lambda done, total: seen.append((done, total)))
print(json.dumps({"revision": estimator.revision, "seen": seen}))
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves one model: its file list and its files. `folder` is set by the fixture."""

    folder: Path
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

    def _missing(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound" if NAME not in self.path else "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """The file list as JSON, or a file."""
        path = self.path.split("?")[0]
        files = sorted(self.folder.iterdir())
        if path.startswith(f"/api/models/{NAME}/tree/"):
            tree = [{"type": "file", "path": each.name, "size": each.stat().st_size, "oid": "0"} for each in files]
            self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/api/models/{NAME}"):
            about = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": each.name} for each in files]}
            self._send(json.dumps(about).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/{NAME}/resolve/") and (self.folder / path.rsplit("/", 1)[1]).is_file():
            body = (self.folder / path.rsplit("/", 1)[1]).read_bytes()
            self._send(body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self._missing()

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    """The address of the small Hub."""
    handler = type("TinyHub", (Hub,), {"folder": tiny_model})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def load(hub: str, cache: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Load a model in a process of its own, as the client reads its settings once."""
    settings = {"HF_ENDPOINT": hub, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    environment = {**os.environ, **settings, "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", CODE, name]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_model_is_downloaded_with_its_progress_told(hub: str, tiny_model: Path, tmp_path: Path) -> None:
    done = load(hub, tmp_path / "cache", NAME)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["revision"] == COMMIT
    size = sum(each.stat().st_size for each in tiny_model.iterdir())
    assert answer["seen"][-1] == [size, size]
    again = load("http://127.0.0.1:9", tmp_path / "cache", NAME)
    assert json.loads(again.stdout.splitlines()[-1]) == {"revision": COMMIT, "seen": []}


def test_a_model_that_the_hub_does_not_have_is_named(hub: str, tmp_path: Path) -> None:
    done = load(hub, tmp_path / "cache", "somebody/else")
    last = done.stderr.strip().splitlines()[-1]
    assert "ModelError: somebody/else could not be downloaded" in last and "bundled" in last
