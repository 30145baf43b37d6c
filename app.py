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


def main() -> int:
    """Parse settings, build, launch."""
    parser = argparse.ArgumentParser(description="blurdepth: depth models that work on motion-blurred frames")
    parser.add_argument("--data", type=Path, default=default_data_folder(), help="the data folder (%(default)s)")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
    args = parser.parse_args()
    try:
        serve(Workspace(args.data), args.host, args.port)
    except BlurdepthError as error:
        print(f"blurdepth: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
