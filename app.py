"""Start the app: `python app.py`, then open http://localhost:7860."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it would call home

from blurdepth.errors import BlurdepthError
from blurdepth.ui.page import serve
from blurdepth.workspace import Workspace, default_data_folder

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main() -> int:
    """Parse settings, build, launch."""
    parser = argparse.ArgumentParser(description="blurdepth: depth models that work on motion-blurred frames")
    parser.add_argument("--data", type=Path, help="the data folder (default: BLURDEPTH_DATA, else the system's)")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("GRADIO_SERVER_PORT", "7860"))
    args = parser.parse_args()
    try:
        mine = args.host in LOOPBACK
        serve(Workspace(args.data or default_data_folder(), model_folders=mine), args.host, args.port)
    except BlurdepthError as error:
        print(f"blurdepth: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
