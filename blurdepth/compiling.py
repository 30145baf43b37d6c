"""How kernels are compiled. Imported with the first of them, when it is needed, as numba is heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_folder() -> Path:
    """Where compiled code is kept: the user's cache, never beside the source.

    numba looks at the age of the file of the function only that it loads, not of those compiled into it, nor of those
    whose constants are, so the folder is named after what all of them say.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("blurdepth") / "kernels"
    patterns = ("compiling.py", "depth.py", "exposure/*.py", "streets/*.py")
    sources = sorted(path for pattern in patterns for path in Path(__file__).parent.glob(pattern))
    return folder / hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


numba.config.CACHE_DIR = str(_cache_folder())
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    # Arrays are handed in, never made: then none of their references need be counted, which cost as much as the sums.
    "_nrt": False,
    "fastmath": {"nnan", "nsz", "arcp", "contract"},
}
compiled: Callable[[Function], Function] = numba.njit(**_OPTIONS)
inlined: Callable[[Function], Function] = numba.njit(**_OPTIONS, forceinline=True)


@inlined
def clamp(value: float, low: float, high: float) -> float:
    """`value`, or the bound that it is beyond."""
    return min(max(value, low), high)


@inlined
def mix(one: float, other: float, share: float) -> float:
    """`share` of the other."""
    return one + share * (other - one)
