"""A fine-tuned model leaves as a zip and to a Hub: the real client against a small Hub on this machine."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from blurdepth.cli import main
from blurdepth.errors import InputError, NotFoundError
from blurdepth.estimators import load_estimator
from blurdepth.sharing import checkpoint_contents, checkpoint_folder, copy_checkpoint
from blurdepth.workspace import Workspace

TOKEN = "hf_tell_nobody"
COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
SECRET_FOLDER = "/home/somebody/models/mine"
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from blurdepth.sharing import checkpoint_contents, checkpoint_folder, copy_checkpoint
from blurdepth.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    copy_checkpoint(checkpoint_contents(checkpoint_folder(workspace, "j1")), Path(sys.argv[2]), "x")
except Exception as error:
    print(type(error).__name__, error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Takes repositories and commits as the Hub does. `got` is set by whoever starts it."""

    got: ClassVar[dict[str, Any]]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(200, {"id": "ann/blur", "sha": COMMIT, "siblings": [], "private": self.got["private"]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": f"Bad token {self.headers.get('Authorization')}"})
        elif b'"others' in body or "others/" in self.path:
            self.answer(403, {"error": "Forbidden"})
        elif self.path == "/api/repos/create":
            self.got["created"] = json.loads(body)
            self.answer(200, {"url": f"http://{self.headers['Host']}/ann/blur", "id": "1"})
        elif self.path.endswith("/preupload/main"):
            files = [{"path": each["path"], "uploadMode": "regular"} for each in json.loads(body)["files"]]
            self.answer(200, {"files": [{**each, "shouldIgnore": False} for each in files]})
        elif self.path == "/api/models/ann/blur/commit/main":
            rows = [json.loads(line) for line in body.splitlines()]
            files = [row["value"] for row in rows if row["key"] == "file"]
            self.got["files"] = {each["path"]: base64.b64decode(each["content"]) for each in files}
            url = f"http://{self.headers['Host']}/ann/blur/commit/{COMMIT}"
            self.answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            self.answer(200, {})


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a Hub, and what it got."""
    got: dict[str, Any] = {"private": False}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHub", (Hub,), {"got": got})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


@pytest.fixture
def workspace(tmp_path: Path, tiny_model: Path) -> Workspace:
    """A data folder with job j1, done, and job j2, which has no checkpoint."""
    made = Workspace(tmp_path / "data")
    claimed = made.store.jobs.claim(made.store.jobs.add("finetune", {}).id, 1, 1.0)
    assert claimed is not None
    shutil.copytree(tiny_model, made.folder / "jobs" / "j1" / "checkpoint")
    notes = {
        "kind": "affine_inverse_depth",
        "base": {"name": SECRET_FOLDER, "revision": "ab"},
        "provenance": {"base": SECRET_FOLDER},
    }
    (made.folder / "jobs" / "j1" / "checkpoint" / "blurdepth.json").write_text(json.dumps(notes))
    made.store.jobs.finish(claimed, "done", checkpoint="jobs/j1/checkpoint")
    made.store.jobs.add("finetune", {})
    return made


def push(workspace: Workspace, hub: str, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """`push` in a process of its own, as the client reads its settings once."""
    settings = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"}
    home = str(workspace.folder / "nobody")
    environment = {**os.environ, **settings, "HF_HOME": home, "HF_TOKEN": token, "HF_TOKEN_PATH": f"{home}/token"}
    command = [sys.executable, "-m", "blurdepth", "push", *arguments, "--data", str(workspace.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    return done


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a push that failed."""
    assert done.returncode == 2 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("blurdepth: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_checkpoint_comes_whole_to_the_hub(workspace: Workspace, hub: tuple[str, dict[str, Any]]) -> None:
    address, got = hub
    done = push(workspace, address, "j1", "--repo", "ann/blur", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"url": f"{address}/ann/blur"}
    folder = workspace.folder / "jobs" / "j1" / "checkpoint"
    assert set(got["files"]) == {path.name for path in folder.iterdir()} | {"README.md"}
    assert got["files"]["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert not got["created"].get("private")
    assert not any(SECRET_FOLDER.encode() in content for content in got["files"].values())


def test_what_is_to_be_private_never_goes_into_what_is_public(
    workspace: Workspace, hub: tuple[str, dict[str, Any]]
) -> None:
    address, got = hub
    asked = ("j1", "--repo", "ann/blur", "--private")
    assert "ann/blur is public already" in complaint(push(workspace, address, *asked))
    assert "files" not in got
    got["private"] = True
    assert push(workspace, address, *asked).returncode == 0
    assert "files" in got and "private" in json.dumps(got["created"])


@pytest.mark.parametrize(
    ("job", "repo", "words"),
    [
        ("j1", "ann", "'ann' is no name of a repository"),
        ("j1", "ann/b l/ur", "is no name of a repository"),
        ("j1", "ann/-x..y", "is no name of a repository"),
        ("j2", "ann/blur", "Job j2 is queued and has no checkpoint"),
        ("j9", "ann/blur", "no job 'j9'"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_the_hub_is_asked(
    workspace: Workspace, job: str, repo: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", job, "--repo", repo, "--data", str(workspace.folder)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_what_stands_in_the_way_is_said_in_one_line(workspace: Workspace, hub: tuple[str, dict[str, Any]]) -> None:
    address, got = hub
    own = ("j1", "--repo", "ann/blur")
    assert "may not write to others/blur" in complaint(push(workspace, address, "j1", "--repo", "others/blur"))
    assert "Nobody is logged in" in complaint(push(workspace, address, *own, token=""))
    wrong = complaint(push(workspace, address, *own, token="hf_wrong"))
    assert "doesn't accept the login" in wrong and "hf_wrong" not in wrong
    assert "can't be reached" in complaint(push(workspace, "http://127.0.0.1:9", *own))
    assert "files" not in got


def test_a_zip_holds_a_model_that_can_be_loaded(workspace: Workspace, tmp_path: Path) -> None:
    copy_checkpoint(checkpoint_contents(checkpoint_folder(workspace, "j1")), tmp_path / "j1.zip", "x")
    with zipfile.ZipFile(tmp_path / "j1.zip") as file:
        assert all(name.startswith("j1/") for name in file.namelist())
        assert b"somebody" not in file.read("j1/blurdepth.json") + file.read("j1/README.md")
        file.extractall(tmp_path / "out")
    first, second = (load_estimator(str(each)) for each in (tmp_path / "out" / "j1", workspace.resolve_model("j1")))
    assert first.revision == second.revision


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_weights_of_the_same_size_are_not_taken_for_the_same(workspace: Workspace, tmp_path: Path, name: str) -> None:
    weights, out = checkpoint_folder(workspace, "j1") / "model.safetensors", tmp_path / name
    copy_checkpoint(checkpoint_contents(weights.parent), out, "x")
    made, before = out.stat().st_mtime_ns, weights.stat()
    copy_checkpoint(checkpoint_contents(weights.parent), out, "x")
    assert out.stat().st_mtime_ns == made, "the same is left as it is"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="exists and is something else"):
        copy_checkpoint(checkpoint_contents(weights.parent), out, "x")
    (tmp_path / "half.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="exists and is something else"):
        copy_checkpoint(checkpoint_contents(weights.parent), tmp_path / "half.zip", "x")


def test_a_zip_that_cannot_be_written_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint_folder(workspace, "j2")
    with pytest.raises(NotFoundError):
        checkpoint_folder(workspace, "j7")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(workspace.folder), str(tmp_path / "j1.zip")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("StorageError")
    assert not list(tmp_path.glob("*.zip"))
