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
    """Start a run of a tracker.

    Args:
        name: one of `TRACKERS`.
        run: what the run is called.
        folder: for those that write files.
        settings: of the run, shown beside its curves; lists become text.

    Raises:
        InputError: there is no such tracker, or its package isn't installed.
    """
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if name not in TRACKERS:
        raise InputError(f"There is no tracker {name!r}: use one of {', '.join(TRACKERS)}.")
    if name not in [str(each) for each in get_available_trackers()]:
        raise InputError(f"The tracker {name} is not installed: run `pip install {name}`, or leave it out.")
    PartialState()  # accelerate's trackers ask it which process they are in
    kind = LOGGER_TYPE_TO_CLASS[name]
    tracker = kind(run, logging_dir=folder) if kind.requires_logging_directory else kind(run)
    tracker.start()
    simple = {key: value if isinstance(value, int | float | str) else str(value) for key, value in settings.items()}
    tracker.store_init_configuration(simple)
    return tracker
