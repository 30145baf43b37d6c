"""How good a model is while it is trained: metrics by group, and pictures to watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blurdepth.errors import InputError
from blurdepth.estimators import Estimator
from blurdepth.example_cache import Example
from blurdepth.images import Rgb, encode_png
from blurdepth.metrics import align, mean_metrics, metrics_by_region
from blurdepth.processes import Processes
from blurdepth.render import depth_picture, depth_range, thumbnail
from blurdepth.training_data import Item, read_example

PROBE_COUNT, PROBE_SIDE_PX = 3, 480

Groups = dict[str, dict[str, float]]
"""Mean metrics by group: of blurred images as `metrics_by_region` has them, and of sharp frames "sharp"."""

KeepPicture = Callable[[str, bytes], None]
"""Takes the name of a picture and its PNG."""


@dataclass(frozen=True)
class Validation:
    """Pictures that a model is measured on.

    Attributes:
        blurred, sharp: variants, and the sharp frames behind them.
        processes: who share the work.
        keep: takes pictures of a few of the variants, to be watched.
    """

    blurred: Sequence[Item]
    sharp: Sequence[Item]
    processes: Processes
    keep: KeepPicture

    def measure(self, estimator: Estimator, epoch: int, go_on: Callable[[], bool]) -> Groups | None:
        """Mean metrics by group, each picture at its own size.

        Args:
            estimator: the model as it is now.
            epoch: of which it is; 0 is the base.
            go_on: asked after each picture, as often in each process; where it says no, the result is None.

        Raises:
            InputError: a picture's files are damaged, or it can't be measured.
        """
        estimator.model.eval()
        # Variants of one frame stand side by side: probes far apart show different frames.
        places = sorted({round(k * (len(self.blurred) - 1) / (PROBE_COUNT - 1)) for k in range(PROBE_COUNT)})
        watched = {place: k for k, place in enumerate(places)}
        blurred = [(item, watched.get(place)) for place, item in enumerate(self.blurred)]
        rows: list[tuple[bool, Groups]] = []
        for each in self.processes.rounds(
            [(item, False, probe) for item, probe in blurred] + [(item, True, None) for item in self.sharp]
        ):
            if each is not None:
                item, is_sharp, probe = each
                name = "" if probe is None else f"{epoch:04d}-{probe}"
                rows.append((is_sharp, self._measure_one(estimator, item, name)))
            if not go_on():
                return None
        return _means(self.processes.gathered(rows))

    def _measure_one(self, estimator: Estimator, item: Item, probe: str) -> Groups:
        example = read_example(item)
        prediction = estimator.predict_inverse(example.rgb)
        try:
            found = metrics_by_region(prediction, example.inverse_depth, example.regions)
        except InputError as error:
            raise InputError(f"Sample {item.id} can't be measured: {error} Reject it.") from error
        if probe:
            self._keep_probe(probe, example, prediction)
        return found

    def _keep_probe(self, name: str, example: Example, prediction: Any) -> None:
        """The prediction laid on its target, in the colours of the target; with the base, input and target too."""
        span = depth_range(example.inverse_depth)
        aligned = align(prediction, example.inverse_depth, example.regions)
        self._keep_small(f"{name}.png", depth_picture(aligned, span))
        if name.startswith("0000-"):
            place = name.removeprefix("0000-")
            self._keep_small(f"input-{place}.png", example.rgb)
            self._keep_small(f"target-{place}.png", depth_picture(np.asarray(example.inverse_depth), span))

    def _keep_small(self, name: str, picture: Rgb) -> None:
        self.keep(name, encode_png(thumbnail(picture, PROBE_SIDE_PX)))


def _means(rows: Sequence[tuple[bool, Groups]]) -> Groups:
    groups: dict[str, list[dict[str, float]]] = {}
    for is_sharp, found in rows:
        for name, values in found.items():
            if not is_sharp:
                groups.setdefault(name, []).append(values)
            elif name == "all":
                groups.setdefault("sharp", []).append(values)
    return {name: mean_metrics(values) for name, values in groups.items()}
