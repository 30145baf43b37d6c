"""A fine-tune to watch: its curves, pictures of what it has learned, and what it gained."""

from __future__ import annotations

from html import escape
from pathlib import Path

from blurdepth.metrics import METRICS, MetricInfo
from blurdepth.model_card import MADE_TARGETS_ABS_REL, measured_on
from blurdepth.store.records import Job
from blurdepth.ui import html
from blurdepth.ui.plots import line_chart

Curves = dict[str, list[tuple[int, float]]]

MAIN_METRICS = ("abs_rel", "rmse", "delta_1")
GROUPS = {"blurred": "blurred pixels", "mixed": "mixed pixels", "sharp": "sharp frames"}
EPOCHS_SHOWN = 5


def main_charts(points: Curves) -> str:
    """The training loss, and the metrics that tell most."""
    loss = line_chart("Training loss", {"training": points.get("loss", [])})
    return _grid([loss, *(_metric_chart(metric, points) for metric in METRICS if metric.key in MAIN_METRICS)])


def other_charts(points: Curves) -> str:
    """All other metrics, and the learning rate."""
    rate = line_chart("Learning rate of the encoder", {"rate": points.get("lr", [])})
    return _grid([*(_metric_chart(metric, points) for metric in METRICS if metric.key not in MAIN_METRICS), rate])


def _metric_chart(metric: MetricInfo, points: Curves) -> str:
    """One line for each group, and the base's value on blurred pixels as a dashed one."""
    curves = {words: points.get(f"{metric.key}/{group}", []) for group, words in GROUPS.items()}
    base = curves[GROUPS["blurred"]][:1]
    title = f"{metric.label} ({metric.better} is better)"
    return line_chart(title, curves, ("base, blurred pixels", base[0][1]) if base else None)


def _grid(charts: list[str]) -> str:
    return f'<div class="bd-charts">{"".join(charts)}</div>' if any(charts) else ""


def probes(folder: Path) -> str:
    """A few validation pictures in rows: input, target, the base's depth, and the fine-tuned one's as it learns.

    Args:
        folder: of `RunFolder.probes`.
    """
    epochs = sorted({path.name[:4] for path in folder.glob("[0-9][0-9][0-9][0-9]-*.png")})
    rows = []
    for place in sorted(path.stem.removeprefix("input-") for path in folder.glob("input-*.png")):
        named = [("Input", f"input-{place}.png"), ("Target depth", f"target-{place}.png")]
        named += [(_epoch_words(epoch), f"{epoch}-{place}.png") for epoch in _some(epochs)]
        cells = [html.figure(folder / name, words) for words, name in named if (folder / name).is_file()]
        rows.append(f'<div class="bd-probe">{"".join(cells)}</div>')
    return "".join(rows)


def _epoch_words(epoch: str) -> str:
    return "Base" if epoch == "0000" else f"After epoch {int(epoch)}"


def _some(epochs: list[str]) -> list[str]:
    """The first, the last, and some between, evenly.

    >>> _some([f"{n:04d}" for n in range(9)])
    ['0000', '0002', '0004', '0006', '0008']
    """
    if len(epochs) <= EPOCHS_SHOWN:
        return epochs
    return [epochs[round(k * (len(epochs) - 1) / (EPOCHS_SHOWN - 1))] for k in range(EPOCHS_SHOWN)]


def gain(job: Job) -> str:
    """What the fine-tune gained over its base, and what is to be said about it."""
    base, tuned = job.metrics.get("base"), job.metrics.get("tuned")
    if not base or not tuned:
        return ""
    words = {"all": "blurred images", "mixed": "mixed pixels", "sharp": "sharp frames"}
    rows = [
        (words[group], html.Change(base[group]["abs_rel"], tuned[group]["abs_rel"], lower_is_better=True))
        for group in words
        if group in base and group in tuned
    ]
    said = [html.table(("AbsRel, lower is better", "base → fine-tuned"), rows), _note(measured_on(job.metrics))]
    if job.metrics.get("improved") is False:
        said.append(html.notice("It is not better than its base there: accept more samples of more frames."))
    if job.metrics.get("sharp_worse"):
        said.append(html.notice("It has become worse on sharp frames by more than the recipe allows: look before use."))
    if job.metrics.get("ended_early"):
        best = job.metrics["best_epoch"]
        said.append(_note(f"It ended early: after epoch {best} nothing got better. Epoch {best} is what was kept."))
    if base.get("sharp", {}).get("abs_rel", 1) <= MADE_TARGETS_ABS_REL:
        said.append(
            _note("The base made the targets, so on sharp frames it is right by definition: any change is an error.")
        )
    return "".join(said)


def _note(words: str) -> str:
    return f'<p class="bd-note">{escape(words)}</p>'
