"""Curves of a fine-tune for the dashboards that people have already, through accelerate's trackers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from blurdepth.errors import InputError

TRACKERS = ("tensorboard", "trackio", "wandb", "mlflow")


class Tracker(Protocol):
    """What accelerate's trackers can do."""

    def log(self, values: dict[str, float], step: int | None = None) -> None:
        """Add one point to each of these curves."""

    def finish(self) -> None:
        """Write what isn't written."""


def open_tracker(name: str, run: str, folder: Path, settings: dict[str, Any]) -> Tracker:
    """Start a run of a tracker, or go on with the one of this name.

    Args:
        name: one of `TRACKERS`.
        run: what the run is called.
        folder: for those that write files.
        settings: of the run, shown beside its curves; lists become text.

    Raises:
        InputError: there is no such tracker, its package isn't installed, or it can't start.
    """
    if name not in TRACKERS:
        raise InputError(f"There is no tracker {name!r}: use one of {', '.join(TRACKERS)}.")
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if name not in [str(each) for each in get_available_trackers()]:
        raise InputError(f"The tracker {name} is not installed: run `pip install {name}`, or leave it out.")
    PartialState()  # accelerate's trackers ask it which process they are in
    kind = LOGGER_TYPE_TO_CLASS[name]
    more = {"name": run, "resume": "allow"} if name == "trackio" else {}  # else each start would be another run
    told = kind.requires_logging_directory and (folder / run).is_dir()
    simple = {key: value if isinstance(value, int | float | str) else str(value) for key, value in settings.items()}
    try:
        tracker = kind(run, **({"logging_dir": folder} if kind.requires_logging_directory else {}), **more)
        tracker.start()
        if not told:  # TensorBoard would show the same settings twice, as if there were two runs
            tracker.store_init_configuration(simple)
    except Exception as error:  # each has its own kinds, from disks to logins
        reason = " ".join(str(error).split())
        raise InputError(f"The tracker {name} can't start ({reason}): mend that, or leave it out.") from error
    return tracker
