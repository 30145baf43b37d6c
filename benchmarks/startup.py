"""Time from process start to the page answering, over that of an empty Gradio app in the same run.

usage: python benchmarks/startup.py [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EMPTY_APP = "import gradio as gr\nwith gr.Blocks() as demo: pass\ndemo.launch(ssr_mode=False)"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def seconds_to_answer(command: list[str], scratch: Path) -> float:
    """Start a Gradio app and wait until its page comes with status 200; then end it."""
    port = free_port()
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(scratch / "gradio"),
        "BLURDEPTH_DATA": str(scratch / "data"),
    }
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    answer.read()
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{command} ended with {process.returncode} before it answered")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Time both apps in turn and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    commands = {"blurdepth": [sys.executable, "app.py"], "empty": [sys.executable, "-c", EMPTY_APP]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(args.runs + 1):  # the first turn warms the disk cache and does not count
            for name, command in commands.items():
                seconds = seconds_to_answer(command, Path(scratch))
                if turn:
                    times[name].append(seconds)
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    ratios = [ours / empty for ours, empty in zip(times["blurdepth"], times["empty"], strict=True)]
    result = {
        "seconds": medians["blurdepth"],
        "baseline_seconds": medians["empty"],
        "ratio": round(statistics.median(ratios), 2),
    }
    words = "{seconds} s to the first page, an empty Gradio app {baseline_seconds} s: ratio {ratio}"
    print(json.dumps(result) if args.json else words.format(**result))


if __name__ == "__main__":
    main()
