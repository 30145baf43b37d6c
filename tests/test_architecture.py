"""The house rules that a reader can rely on: one import direction, Gradio and SQL in their places, small pieces."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "blurdepth"
# Each room may import from rooms before it. Rooms on one line know nothing of each other.
ORDER = [
    ["errors", "compiling"],
    ["images", "camera"],
    ["files", "depth"],
    ["metrics", "paired", "render", "blurcheck"],
    ["ground", "clips", "shutter", "inbetween"],
    ["exposure", "movers", "weather"],
    ["prompts", "streets", "bursts"],
    ["pretrained", "generators", "scenes"],
    ["estimators", "segmenters", "diffusion", "benchmark"],
    ["setups"],
    ["store", "dataset", "losses", "muon", "processes", "example_cache"],
    ["recipe", "trackers", "model_card"],
    ["training_data", "training_cost"],
    ["training_step", "validation"],
    ["training_state"],
    ["finetune"],
    ["workspace", "judging"],
    ["generation", "blending"],
    ["preflight", "sharing"],
    ["evaluate", "reports", "editing", "repair", "batch"],
    ["jobs"],
    ["ui", "cli"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60
SQL = re.compile(r"\b(SELECT .* FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA)\b")


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    """The part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] == "blurdepth" and parts[1] in RANK and parts[1] != here:
            assert RANK[parts[1]] < RANK[here], f"{here} may not import {parts[1]}"


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms == set(RANK)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_gradio_and_sql_stay_in_their_places(path: Path) -> None:
    text = path.read_text()
    inside = path.is_relative_to(PACKAGE)
    if not (inside and room(path) == "ui"):
        assert not any(name.split(".")[0] == "gradio" for name in imported(ast.parse(text)))
    if not (inside and room(path) == "store"):
        assert not any(name.split(".")[0] in ("sqlite3", "sqlite_utils") for name in imported(ast.parse(text)))
        assert not SQL.search(text)


@pytest.mark.parametrize(
    "path",
    [*SOURCES, ROOT / "app.py", *(ROOT / "tests").rglob("*.py")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{node.name} is too long"


def test_the_page_is_built_without_the_heavy_libraries() -> None:
    """torch, transformers and diffusers come later, in the background."""
    import subprocess
    import sys

    code = (
        "import sys, blurdepth.ui.page, blurdepth.cli;"
        "print([name for name in ('torch', 'transformers', 'diffusers', 'scipy', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
