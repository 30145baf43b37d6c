"""Fine-tunes in processes of their own, which end with the one that wants them, and with each other."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from blurdepth.errors import BlurdepthError
from blurdepth.pretrained import core_count

_MALLOC_TRIM_THRESHOLD, _MALLOC_TOP_PAD, _MALLOC_MMAP_MAX = -1, -2, -4
"""Options of glibc's allocator."""


def run_side_by_side(work: Callable[..., object], each_with: Sequence[tuple[Any, ...]]) -> None:
    """Call a function with each of several lists of arguments at once, in processes that share cores and memory.

    Args:
        work: a function of a module; what it returns is lost.
        each_with: the arguments of each call.

    Raises:
        BlurdepthError: one was killed, or failed and has told on standard error why; the others are ended.
    """
    # Not copies of this process: torch's threads don't live on in one.
    spawn, count = get_context("spawn"), len(each_with)
    workers = [spawn.Process(target=_work, args=(count, work, *given), daemon=True) for given in each_with]
    for each in workers:
        each.start()
    try:
        while running := _still_running(workers):
            wait([each.sentinel for each in running])
    finally:
        for each in workers:
            each.kill()
            each.join()


def _still_running(workers: Sequence[BaseProcess]) -> list[BaseProcess]:
    """Those that have not ended; raises if one of the others ended badly."""
    # Each is asked once: one that ends between two questions would be neither waited for nor found to have failed.
    codes = [each.exitcode for each in workers]
    if killed := [-code for code in codes if code and code < 0]:
        raise BlurdepthError(
            f"A fine-tune was killed (signal {killed[0]}), maybe for lack of memory: free some and start again, it "
            "goes on from there."
        )
    if any(codes):
        raise BlurdepthError("A fine-tune failed, see above: mend that and start again, it goes on from there.")
    return [each for each, code in zip(workers, codes, strict=True) if code is None]


def _work(count: int, work: Callable[..., object], *given: Any) -> None:
    import torch

    # A parent that is killed can't end its processes, and started again, it needs their folders.
    Thread(target=_end_with_parent, daemon=True).start()
    _keep_freed_memory()
    torch.set_num_threads(max(core_count() // count, 1))
    os.environ["LOCAL_WORLD_SIZE"] = str(count)  # of what shares the memory, see `ExampleCache`
    work(*given)


def _keep_freed_memory() -> None:
    """Large tensors come and go at each step; new pages for each of them take a tenth of the time."""
    if set_option := getattr(ctypes.CDLL(None) if os.name == "posix" else None, "mallopt", None):
        set_option(_MALLOC_MMAP_MAX, 0)
        set_option(_MALLOC_TRIM_THRESHOLD, -1)
        set_option(_MALLOC_TOP_PAD, 2**28)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
