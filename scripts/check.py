"""Everything that must hold before a change is kept: format, lint, types, tests. `--fix` mends what a tool can mend.

usage: python scripts/check.py [--fix] [PYTEST ARGUMENTS...]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def install_browser() -> None:
    """See to it that the browser tests have a Chromium: the system's, else Debian's, else Playwright's own."""
    if any(map(shutil.which, BROWSERS)):
        return
    if shutil.which("apt-get"):
        become_root = ["sudo"] if shutil.which("sudo") else []
        run([*become_root, "apt-get", "update", "-qq"])
        run([*become_root, "apt-get", "install", "-y", "-qq", "chromium"])
    else:
        run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"])


def run(command: list[str]) -> None:
    """Run a command from the project's root; end with its status if it fails."""
    print("\n$ " + " ".join(command), flush=True)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)


def main() -> None:
    """Run all checks, the quickest first."""
    arguments = sys.argv[1:]
    fix = "--fix" in arguments
    python = [sys.executable, "-m"]
    install_browser()
    run([*python, "ruff", "format", *([] if fix else ["--check"]), "."])
    run([*python, "ruff", "check", *(["--fix"] if fix else []), "."])
    run([*python, "mypy"])
    # Half of the tests wait for a page or a process most of the time. Few tests in a file doesn't mean a short one.
    side_by_side = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    run([*python, "pytest", *side_by_side, *(argument for argument in arguments if argument != "--fix")])


if __name__ == "__main__":
    main()
