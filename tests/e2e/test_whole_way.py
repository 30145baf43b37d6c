"""The whole way, from a frame to a compared fine-tune: in a browser, by gradio_client, and by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from tests.conftest import street_frame
from tests.e2e.conftest import MINUTES, ROOT, App

ENDPOINTS = {
    *("/estimate_depth", "/generate", "/samples", "/decide", "/undo", "/snapshot", "/launch_finetune"),
    *("/job", "/stop_job", "/compare"),
}


def count(page: Page, status: str, number: int) -> None:
    """Wait until the header shows a count."""
    expect(page.locator(f"#header .bd-count.bd-{status} b")).to_have_text(str(number))


def open_tab(page: Page, name: str) -> None:
    """Turn to a tab."""
    page.locator(f"#tab-{name}-button").click()


@pytest.mark.browser
def test_in_a_browser(app: App, page: Page, frame_file: Path) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "://" in request.url else None)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    page.goto(app.url)
    page.locator("#tab-generate input[type=file]").first.set_input_files(frame_file)
    expect(page.locator("#editor .bd-preview img")).to_be_visible(timeout=2 * MINUTES)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#variants .bd-card")).to_have_count(4, timeout=2 * MINUTES)
    count(page, "pending", 4)
    page.locator("#variants .bd-card").first.click()
    expect(page.locator("#large figcaption")).to_contain_text("Variant")
    expect(page.get_by_label("Target depth")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("#large figcaption")).to_contain_text("Sharp frame")

    page.locator("#to-curate").click()
    expect(page.locator("#sample figure")).to_have_count(3)
    for key, accepted, rejected in (
        ("a", 1, 0),
        ("a", 2, 0),
        ("2", 2, 1),
        ("u", 2, 0),
        ("2", 2, 1),
        ("a", 3, 1),
    ):
        page.keyboard.press(key)
        count(page, "accepted", accepted)
        count(page, "rejected", rejected)
    page.reload()
    expect(page.locator("#variants .bd-card")).to_have_count(4)
    count(page, "accepted", 3)

    open_tab(page, "train")
    page.locator("#snapshot").click()
    expect(page.locator("#version input")).to_have_value("v1: 3 samples of 1 frame")
    page.locator("#start-finetune").click()
    expect(page.locator("#job-card .bd-state")).to_have_text("done", timeout=10 * MINUTES)
    page.locator("#to-compare").click()
    expect(page.locator("#model-b input")).to_have_value("Fine-tuned j1 (from bundled)")
    page.locator("#compare-samples .bd-card").first.click()
    expect(page.locator("#compare-numbers table").first).to_be_visible(timeout=2 * MINUTES)
    expect(page.locator("#compare-slider img").first).to_be_visible()
    page.get_by_label("Difference").check()
    expect(page.locator("#compare-difference figcaption")).to_contain_text("Difference of j1 to bundled")
    # A blurred street whose depth is known to the pixel comes with the app.
    page.locator("#compare-samples [data-id='exact:overtaken']").click()
    expect(page.locator("#compare-frame figcaption")).to_contain_text("overtaken", timeout=MINUTES)
    expect(page.locator("#compare-numbers th").filter(has_text="around mixed depths").first).to_be_visible()
    open_tab(page, "dataset")
    expect(page.locator("#versions td").first).to_have_text("3")
    expect(page.locator("#reasons")).to_contain_text("blur in the wrong place: 1")

    assert hosts == {app.url.split("/")[2]}, "the page asked another host"
    assert not problems


def test_by_gradio_client(app: App, frame_file: Path) -> None:
    client = Client(app.url, verbose=False)
    assert set(client.view_api(print_info=False, return_format="dict")["named_endpoints"]) == ENDPOINTS

    def ask(name: str, **values: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.predict(**values, api_name=f"/{name}")
        return answer

    depth = ask("estimate_depth", frame=handle_file(frame_file))
    assert depth["kind"] == "affine_inverse_depth"
    assert Path(depth["depth"]).suffix == ".npy"
    prompt = "cars speeding past in dense fog with motion blur"
    made = ask("generate", frame=handle_file(frame_file), prompt=prompt, variants=4, seed=3)["samples"]
    ids = [sample["id"] for sample in made]
    assert len(set(ids)) == 4 and all(sample["status"] == "pending" for sample in made)
    assert ask("decide", samples=ids[:3], verdict="accept")["decided"] == ids[:3]
    assert ask("decide", samples=ids[3:], verdict="reject", reason="no motion blur")["decided"] == ids[3:]
    assert ask("undo")["decided"] == ids[3:]
    assert [sample["id"] for sample in ask("samples", status="pending")["samples"]] == ids[3:]
    assert ask("snapshot", note="by client")["samples"] == 3
    job = ask("launch_finetune", version="v1")["job"]
    while job["status"] in ("queued", "running"):
        job = ask("job", job=job["id"])["job"]
    assert job["status"] == "done", job
    compared = ask("compare", model_a="bundled", model_b=job["id"], sample=ids[0])
    assert set(compared["metrics"]) == {"a", "b"}
    assert compared["metrics"]["a"]["all"]["abs_rel"] != compared["metrics"]["b"]["all"]["abs_rel"]
    with pytest.raises(Exception, match="only a queued or running job"):
        ask("stop_job", job=job["id"])
    with pytest.raises(Exception, match="handle_file"):
        ask("estimate_depth", frame="/etc/hostname")
    for stolen in ({"path": str(frame_file), "meta": {}}, {"path": str(frame_file)}):
        body = json.dumps({"data": [stolen, "bundled"]}).encode()
        asked = urllib.request.Request(
            f"{app.url}gradio_api/call/estimate_depth", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answer:
            event = json.loads(answer.read())["event_id"]
        with urllib.request.urlopen(f"{app.url}gradio_api/call/estimate_depth/{event}") as answer:
            assert b"event: error" in answer.read()


def run(data: Path, *arguments: str) -> dict[str, Any]:
    """A command's JSON."""
    command = [sys.executable, "-m", "blurdepth", arguments[0], "--json", *arguments[1:], "--data", str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_by_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for seed in (0, 1):
        (tmp_path / f"street{seed}.png").write_bytes(street_frame(seed))
    frames = [str(tmp_path / f"street{seed}.png") for seed in (0, 1)]
    made = run(data, "generate", *frames, "--variants", "2", "--seed", "5")["samples"]
    ids = [sample["id"] for sample in made]
    assert len(set(ids)) == 4
    assert run(data, "decide", *ids[:3], "accept")["decided"] == ids[:3]
    assert run(data, "decide", ids[3], "reject", "--reason", "looks unreal")["decided"] == ids[3:]
    assert run(data, "undo")["decided"] == run(data, "redo")["decided"] == ids[3:]
    assert [sample["reason"] for sample in run(data, "samples", "--status", "rejected")["samples"]] == ["looks unreal"]
    assert run(data, "snapshot", "--note", "first")["samples"] == 3
    job = run(data, "finetune", "v1", "--preset", "quick")["job"]
    job = run(data, "wait", job["id"])["job"]
    assert job["status"] == "done", job
    assert (Path(job["checkpoint"]) / "model.safetensors").is_file()
    report = run(
        data,
        "evaluate",
        "--model",
        "bundled",
        "--model",
        job["id"],
        "--benchmark",
        "v1",
        "--out",
        str(tmp_path),
    )
    assert report["images"] == 3 and len(report["models"]) == 2
    assert (tmp_path / "report.html").is_file()
    predicted = run(data, "depth", frames[0], "--model", job["id"], "--out", str(tmp_path / "depth"))["predictions"]
    assert Path(predicted[0]["path"]).is_file()
