"""Running out of memory, as one clear error whichever library says it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from blurdepth.errors import MemoryLimitError

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


@contextmanager
def memory_told(task: str) -> Iterator[None]:
    """Turns an allocation that failed into a `MemoryLimitError`, with what was allocated before freed.

    Args:
        task: what could not be done, in words.
    """
    failed = False
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory(error):
            raise
        failed = True
    # Out of the handler, as the traceback holds the tensors that are to be freed.
    if failed:
        _free()
        raise MemoryLimitError(
            f"There was not enough memory to {task}: use a smaller size (short_side_px), close other programs, or "
            "take the exposure simulator."
        )


def is_memory(error: Exception) -> bool:
    """Whether an error says that an allocation failed."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def _free() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
