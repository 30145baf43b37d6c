"""Names kept work by the code that it comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def parsed_code(paths: Iterable[Path]) -> str:
    """What Python files do: the same text after formatting them or changing a comment or docstring."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return "".join(map(ast.dump, trees))


def _is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
