"""Which devices jobs have to themselves, one job each at a time; found without loading torch."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from functools import cache

NO_DEVICE = ""
"""The device of jobs that need none: they run beside all others."""
_NEED_NONE = ("export",)


def fits(kind: str, device: str) -> bool:
    """Whether a job of this kind may run on this device: those that need none run on none.

    >>> fits("finetune", "cuda:1"), fits("finetune", NO_DEVICE), fits("export", NO_DEVICE)
    (True, False, True)
    """
    return (kind in _NEED_NONE) == (device == NO_DEVICE)


def devices() -> tuple[str, ...]:
    """The names of all devices: "cuda:0", "cuda:1", … where torch can use GPUs, else "cpu".

    The environment variable BLURDEPTH_DEVICES names others, such as "cuda:1" to leave the first GPU alone.
    """
    named = tuple(filter(None, map(str.strip, os.environ.get("BLURDEPTH_DEVICES", "").split(","))))
    return named or tuple(f"cuda:{number}" for number in range(len(_gpus()))) or ("cpu",)


def environment(device: str) -> dict[str, str]:
    """The environment of a process that is to see this device only."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number.isdecimal() or int(number) >= len(_gpus()):
        return {}
    return {"CUDA_VISIBLE_DEVICES": _gpus()[int(number)]}


def _gpus() -> list[str]:
    """The GPUs that torch would see, as CUDA_VISIBLE_DEVICES calls them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [
            each.strip() for each in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if each.strip() not in ("", "-1")
        ]
    return [str(number) for number in range(_gpu_count())]


@cache
def _gpu_count() -> int:
    if importlib.metadata.version("torch").endswith("+cpu"):
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())
