"""The named endpoints, for gradio_client and scripts. Their names and keys are a contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from blurdepth import jobs
from blurdepth.errors import InputError
from blurdepth.estimators import BUNDLED
from blurdepth.evaluate import compare, sample_example
from blurdepth.generation import GenerationRequest, generate
from blurdepth.images import read_bytes
from blurdepth.recipe import PRESETS
from blurdepth.render import depth_picture, difference_picture
from blurdepth.reports import job_report, sample_report
from blurdepth.store.records import Frame
from blurdepth.ui.shared import told, uploaded
from blurdepth.workspace import Workspace

_ACTOR = "endpoint"


def add_endpoints(workspace: Workspace) -> None:
    """Add the endpoints to the page that is being built."""
    endpoints = Endpoints(workspace)
    for name in ("estimate_depth", "generate", "compare"):
        gr.api(told(getattr(endpoints, name)), api_name=name, concurrency_id="heavy", concurrency_limit=1)
    for name in ("samples", "decide", "undo", "snapshot", "launch_finetune", "job", "stop_job"):
        gr.api(told(getattr(endpoints, name)), api_name=name, concurrency_limit=None)


class Endpoints:
    """What the endpoints do. A frame is given as `handle_file(path)`; files come back as downloads."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def estimate_depth(self, frame: dict[str, Any], model: str = BUNDLED) -> dict[str, Any]:
        """Depth of a frame: `kind`, `depth` (.npy, float32, larger = nearer), `picture`, and the `frame`'s id."""
        kept = self._frame(frame)
        prediction, _ = self._workspace.estimate(kept, model)
        return {
            "frame": kept.id,
            "kind": prediction.kind,
            "depth": _file(self._workspace.arrays.path(prediction.array)),
            "picture": _file(self._workspace.prediction_picture(prediction)),
        }

    def generate(
        self,
        frame: dict[str, Any],
        prompt: str,
        negative: str = "",
        variants: int = 10,
        seed: int = 0,
        backend: str = "exposure",
        model: str = BUNDLED,
    ) -> dict[str, Any]:
        """Add variants of a frame as pending `samples`: id, image, target, status, scores."""
        request = GenerationRequest(prompt, negative, variants, seed, backend, model)
        made = generate(self._workspace, self._frame(frame), request)
        return {"samples": [sample_report(self._workspace, sample) for sample in made]}

    def samples(self, status: str | None = None) -> dict[str, Any]:
        """All `samples`, or those that are pending, accepted or rejected."""
        found = self._workspace.store.samples.samples(status or None)
        return {"samples": [sample_report(self._workspace, sample) for sample in found]}

    def decide(self, samples: list[str], verdict: str, reason: str = "") -> dict[str, Any]:
        """Accept or reject samples; `decided` names those that changed."""
        return {"decided": self._workspace.store.samples.decide(samples, verdict, reason, _ACTOR)}

    def undo(self) -> dict[str, Any]:
        """Take back the last decision made through this endpoint; `decided` names the samples."""
        return {"decided": self._workspace.store.samples.undo(_ACTOR)}

    def snapshot(self, note: str = "") -> dict[str, Any]:
        """Make a dataset `version` of the accepted samples."""
        version = self._workspace.store.versions.snapshot(note)
        return {"version": version.id, "samples": version.samples, "manifest": version.manifest}

    def launch_finetune(
        self, version: str, base: str = BUNDLED, preset: str = "quick", seed: int = 0
    ) -> dict[str, Any]:
        """Queue a fine-tune by one of the presets; returns its `job`."""
        if preset not in PRESETS:
            raise InputError(f"The preset {preset!r} is not known: use {', '.join(PRESETS)}.")
        return self._job(jobs.submit_finetune(self._workspace, version, base, preset, seed).id)

    def job(self, job: str) -> dict[str, Any]:
        """A `job` as it is now."""
        jobs.tend(self._workspace)
        return self._job(job)

    def stop_job(self, job: str) -> dict[str, Any]:
        """Ask a `job` to stop."""
        return self._job(jobs.stop(self._workspace, job).id)

    def compare(
        self, model_a: str, model_b: str, frame: dict[str, Any] | None = None, sample: str = ""
    ) -> dict[str, Any]:
        """Two models on a frame or on a sample: pictures `a`, `b` and `difference`, and `metrics` for a sample."""
        if bool(frame) == bool(sample):
            raise InputError("Give either a frame or a sample to compare on.")
        target = regions = None
        if sample:
            example = sample_example(self._workspace, self._workspace.store.samples.sample(sample))
            rgb, target, regions = example.rgb, example.target, example.regions
        else:
            rgb = self._workspace.pictures.picture(self._frame(frame).image)
        first, second = (self._workspace.estimator(name).predict_inverse(rgb) for name in (model_a, model_b))
        result = compare(first, second, target, regions)
        pictures = {
            "a": depth_picture(result.first, result.span),
            "b": depth_picture(result.second, result.span),
            "difference": difference_picture(result.difference, result.reach),
        }
        kept = {name: _file(self._workspace.keep_picture(picture)) for name, picture in pictures.items()}
        metrics = dict(zip(("a", "b"), result.metrics, strict=True)) if result.metrics else None
        return {**kept, "metrics": metrics}

    def _frame(self, frame: Any) -> Frame:
        if not isinstance(frame, dict):
            raise InputError(f"The frame {frame!r} is not an upload: wrap its path in gradio_client.handle_file().")
        path = uploaded(frame.get("path"))
        return self._workspace.add_frame(read_bytes(path), str(frame.get("orig_name") or path.name))

    def _job(self, job_id: str) -> dict[str, Any]:
        return {"job": job_report(self._workspace, self._workspace.store.jobs.job(job_id))}


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path)).model_dump()
