"""Tab 4: two models on one frame, on one scale, in pictures and in numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from blurdepth.errors import BlurdepthError, InputError
from blurdepth.estimators import BUNDLED, TUNED
from blurdepth.evaluate import compare, sample_example
from blurdepth.images import LIMITS, Rgb, read_bytes
from blurdepth.metrics import METRICS, MetricInfo
from blurdepth.render import depth_picture, difference_picture
from blurdepth.store.records import Sample
from blurdepth.ui import html
from blurdepth.ui.shared import (
    HEAVY,
    LIGHT,
    clicked,
    download_progress,
    example_cards,
    example_frame,
    exposure_cards,
    frame_input,
    model_choices,
    picture_grid,
    read_exposure,
    told,
    uploaded,
)
from blurdepth.workspace import Workspace

MODES = ["Slider", "Side by side", "Difference"]
RECENT = 18
_REGIONS = {
    "all": "whole image",
    "static": "at rest",
    "blurred": "blurred",
    "pure": "blurred, one depth",
    "mixed": "blurred, depths mixed",
    "ring": "around mixed depths",
}
_MAIN = ("abs_rel", "rmse", "delta_1")
_NO_RESULT = html.empty("Nothing to compare yet", "Choose a sample or an example on the left, or drop your own frame.")


@dataclass(frozen=True)
class _Subject:
    rgb: Rgb
    words: str
    target: NDArray[np.float32] | None = None
    regions: NDArray[np.uint8] | None = None


class CompareTab:
    """The components and handlers of this tab.

    Args:
        workspace: the data folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.frame_id = gr.State("")
        gr.Markdown("See how two models understand the same frame. Samples and rendered streets give numbers, too.")
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self._lay_out_inputs()
            with gr.Column(scale=3, min_width=320):
                self._lay_out_results()
        self._connect()

    def _lay_out_inputs(self) -> None:
        choices = model_choices(self.workspace)
        self.first = gr.Dropdown(
            choices, value=BUNDLED, label="Model A (base)", allow_custom_value=True, elem_id="model-a"
        )
        self.second = gr.Dropdown(choices, value=TUNED, label="Model B", allow_custom_value=True, elem_id="model-b")
        self.start = gr.Button("Compare", variant="primary", elem_id="compare")
        self.upload = frame_input("Frame, sharp or blurred")
        gr.Markdown(f"{LIMITS}. Or choose one:", elem_classes="bd-note")
        self.samples = picture_grid("Samples and examples", value="", elem_id="compare-samples")

    def _lay_out_results(self) -> None:
        self.mode = gr.Radio(MODES, value=MODES[0], label="View", elem_id="compare-mode")
        self.subject = gr.HTML(_NO_RESULT, elem_id="compare-frame")
        self.slider = gr.ImageSlider(
            label="Model A | Model B",
            format="png",
            visible=False,
            elem_id="compare-slider",
            buttons=["fullscreen"],
        )
        self.pair = gr.HTML("", visible=False, elem_id="compare-pair")
        self.difference = gr.HTML("", visible=False, elem_id="compare-difference")
        self.scale = gr.HTML("", elem_id="compare-scale")
        self.numbers = gr.HTML("", elem_id="compare-numbers")

    def _connect(self) -> None:
        chosen = [self.frame_id, self.subject]
        asked = [self.frame_id, self.first, self.second]
        results = [self.subject, self.slider, self.pair, self.difference, self.scale, self.numbers]
        uploaded_one = self.upload.upload(told(self.keep_upload), self.upload, [*chosen, self.upload], **LIGHT)
        uploaded_one.failure(None, None, self.upload, js="() => null")
        came = (
            uploaded_one,
            self.samples.click(told(self.select), None, chosen, **LIGHT),
            self.start.click(lambda: None, None, None, **LIGHT),
        )
        shown: dict[str, Any] = {"show_progress_on": [self.subject], "trigger_mode": "always_last", **HEAVY}
        for event in came:
            event.success(self.compare, asked, results, **shown).success(
                self.show_mode, self.mode, [self.slider, self.pair, self.difference], **LIGHT
            )
        self.mode.change(self.show_mode, self.mode, [self.slider, self.pair, self.difference], **LIGHT)

    def cards(self) -> str:
        """The newest samples, blurred streets with exact depth, then the example frames."""
        samples = self.workspace.store.samples.newest(RECENT)
        cards = [
            html.Card(
                f"sample:{sample.id}",
                self.workspace.thumbnail(sample.image),
                f"Sample {sample.id}, {sample.status}: has a target",
                sample.status,
                "target",
            )
            for sample in samples
        ]
        exact = [replace(each, id=f"exact:{each.id}") for each in exposure_cards()]
        examples = [replace(each, id=f"example:{each.id}") for each in example_cards()]
        return html.grid([*cards, *exact, *examples])

    def keep_upload(self, path: str | None) -> tuple[str, str, None]:
        """Keep the uploaded frame."""
        return *self._keep_frame(uploaded(path)), None

    def _keep_frame(self, path: Path) -> tuple[str, str]:
        frame = self.workspace.add_frame(read_bytes(path), path.name)
        return f"frame:{frame.id}", html.notice("Looking at the frame…")

    def select(self, event: gr.EventData) -> tuple[str, str]:
        """Choose a sample or an example."""
        name = clicked(event)
        if name.startswith("example:"):
            return self._keep_frame(example_frame(name.removeprefix("example:")))
        return name, html.notice("Looking at the frame…")

    def choose_models(self, job_id: str | None) -> tuple[Any, Any]:
        """The base and the result of a fine-tune as models A and B."""
        if not job_id:
            return self.model_updates()
        job = self.workspace.store.jobs.job(job_id)
        return self.model_updates(job.settings.get("base"), job.id)

    def refresh(self, first: str, second: str) -> tuple[Any, ...]:
        """Frames and models as they are now; two equal models give way to the newest fine-tune."""
        newest = next((job.id for job in self.workspace.store.jobs.jobs("done") if job.checkpoint), None)
        return self.cards(), *self.model_updates(second=newest if first == second else None)

    def model_updates(self, first: str | None = None, second: str | None = None) -> tuple[Any, Any]:
        """Both lists of models, as long as they are now."""
        choices = model_choices(self.workspace)
        chosen = ({"value": name} if name else {} for name in (first, second))
        a, b = (gr.update(choices=choices, **value) for value in chosen)
        return a, b

    def compare(self, chosen: str, first: str, second: str, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        """Pictures and numbers of both models on the chosen frame, or why there are none."""
        try:
            subject = self._subject(chosen)
            predictions = [self._predict(name, subject.rgb, progress) for name in (first, second)]
            result = compare(predictions[0], predictions[1], subject.target, subject.regions)
        except BlurdepthError as error:
            return html.notice(str(error)), None, "", "", "", ""
        scale = html.depth_scale(result.span, in_metres=subject.target is not None)
        maps = {
            f"A: {first}": depth_picture(result.first, result.span),
            f"B: {second}": depth_picture(result.second, result.span),
        }
        slider = tuple(str(self.workspace.keep_picture(depth)) for depth in maps.values())
        if subject.target is not None:
            maps["Target depth"] = depth_picture(subject.target, result.span)
        pair = "".join(self._figure(depth, words) for words, depth in maps.items())
        difference = self._figure(
            difference_picture(result.difference, result.reach), f"Difference of {second} to {first}"
        )
        return (
            self._figure(subject.rgb, "Frame", subject.words),
            gr.update(value=slider, label=f"A: {first}  |  B: {second}"),
            f'<div class="bd-pair">{pair}</div>',
            difference + html.difference_scale(),
            scale,
            (html.notice("A and B are the same model.") if first == second else "") + _numbers(result.metrics),
        )

    def _predict(self, name: str, rgb: Rgb, progress: gr.Progress) -> NDArray[np.float32]:
        progress(0, desc=f"Estimating depth with {name}")
        return self.workspace.estimator(name, download_progress(progress, name)).predict_inverse(rgb)

    def _figure(self, rgb: Rgb, caption: str, note: str = "") -> str:
        return html.figure(self.workspace.keep_picture(rgb), caption, note)

    def _subject(self, chosen: str) -> _Subject:
        kind, _, name = chosen.partition(":")
        if kind == "sample":
            return self._sample_subject(self.workspace.store.samples.sample(name))
        if kind == "frame":
            frame = self.workspace.store.samples.frame(name)
            return _Subject(self.workspace.pictures.picture(frame.image), frame.name)
        if kind == "exact":
            example = read_exposure(name)
            words = f"{name.replace('_', ' ')}, a rendered street with its exact depth"
            return _Subject(example.rgb, words, example.target, example.regions)
        raise InputError("No frame is chosen: drop a picture, or press a sample or an example.")

    def _sample_subject(self, sample: Sample) -> _Subject:
        example = sample_example(self.workspace, sample)
        return _Subject(example.rgb, f"sample {sample.id}, {sample.status}", example.target, example.regions)

    def show_mode(self, mode: str) -> tuple[Any, ...]:
        """Show one of the three views."""
        return tuple(gr.update(visible=mode == each) for each in MODES)


def _numbers(metrics: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]] | None) -> str:
    if metrics is None:
        return html.notice(
            "This frame has no target depth: B is fitted to A by least squares, and there are no numbers."
        )
    first, second = metrics
    regions = [region for region in _REGIONS if region in first]
    rows: list[tuple[str, *tuple[html.Change, ...]]] = [
        (
            f"{metric.label} {'↓' if metric.better == 'lower' else '↑'}",
            *(_change(metric, first[region], second[region]) for region in regions),
        )
        for metric in METRICS
    ]
    head = ("A → B", *(_REGIONS[region] for region in regions))
    main = [row for row, metric in zip(rows, METRICS, strict=True) if metric.key in _MAIN]
    words = "Both fitted to the target by least squares in inverse depth; ↓ lower is better, ↑ higher is better."
    return (
        f"<p>{_verdict(first, second)}</p>{html.table(head, main)}"
        f"{html.folded('All metrics', html.table(head, rows))}"
        f'<p class="bd-note">{words}</p>'
    )


def _verdict(first: dict[str, dict[str, float]], second: dict[str, dict[str, float]]) -> str:
    region = "blurred" if "blurred" in first else "all"
    before, after = first[region]["abs_rel"], second[region]["abs_rel"]
    gain = round(100 * (1 - after / before)) if before else 0
    if not gain:
        return f"B is as far from the target as A ({_REGIONS[region]})."
    return f"B is {abs(gain)} % {'nearer to' if gain > 0 else 'farther from'} the target than A ({_REGIONS[region]})."


def _change(metric: MetricInfo, first: dict[str, float], second: dict[str, float]) -> html.Change:
    return html.Change(first[metric.key], second[metric.key], metric.better == "lower")
