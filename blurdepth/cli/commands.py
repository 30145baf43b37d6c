"""What each command does: from parsed arguments to (JSON object, text for a person)."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from blurdepth import jobs as background
from blurdepth import sharing
from blurdepth.batch import Skipped, generate_batch, pictures_in, read_book
from blurdepth.benchmark import SPLITS, check_benchmark, render_benchmark
from blurdepth.blending import BlendRequest, blend_clip
from blurdepth.blurcheck import measure_blur
from blurdepth.camera import motion_from_json
from blurdepth.clips import clip_of_pictures, read_clip
from blurdepth.depth import to_inverse_depth
from blurdepth.diffusion import DiffusionModels, PaintSettings, plan_painting
from blurdepth.errors import InputError
from blurdepth.files import encode_array, read_array, write_atomically
from blurdepth.generation import GenerationRequest
from blurdepth.images import encode_png, linear_to_srgb, read_bytes, read_image, read_labels, srgb_to_linear
from blurdepth.preflight import Preflight
from blurdepth.render import depth_picture, depth_range
from blurdepth.repair import failed
from blurdepth.repair import repair as repair_samples
from blurdepth.reports import job_report, sample_report
from blurdepth.scenes import render_scenes
from blurdepth.shutter import choose_shutter
from blurdepth.store.records import BookEntry, Job
from blurdepth.workspace import Workspace, default_data_folder

DEFAULT_PROMPT = "cars speeding past on a foggy street, strong motion blur"
DEFAULT_NEGATIVE = "static cars, sharp car details"

_ACTOR = "command line"

Output = tuple[dict[str, Any], str]


def open_workspace(args: Namespace) -> Workspace:
    """The data folder that a command works on."""
    return Workspace(args.data or default_data_folder())


def expose(args: Namespace) -> Output:
    """The exposure simulator on a frame with known depth."""
    from blurdepth.exposure import expose as simulate
    from blurdepth.exposure import warm_up

    linear = srgb_to_linear(read_image(args.frame))
    depth_m = read_array(args.depth)
    if depth_m.shape != linear.shape[:2]:
        raise InputError(f"{args.depth} has the shape {depth_m.shape}, the frame {linear.shape[:2]}: use one size.")
    if not (depth_m > 0).all():
        raise InputError(f"{args.depth} has values that are not above 0 m: use metres, and inf for the sky.")
    ids = read_labels(args.objects, linear.shape[:2]) if args.objects else None
    motion = motion_from_json(read_bytes(args.motion).decode(errors="replace"))
    warm_up()  # The seconds are those of the work on the frame: the kernel is loaded, or compiled, before.
    began = time.perf_counter()
    exposure = simulate(linear, (1 / depth_m).astype(np.float32), motion, ids)
    seconds = round(time.perf_counter() - began, 4)
    result = {"seconds": seconds, "subframes": exposure.subframes, "out": str(args.out)}
    files = {
        "blurred.png": encode_png(linear_to_srgb(exposure.linear)),
        "mean_inverse_depth.npy": encode_array(exposure.mean_inverse_depth),
        "moving_fraction.npy": encode_array(exposure.moving_fraction),
        "valid.png": encode_png(exposure.valid.astype(np.uint8) * 255),
        "result.json": json.dumps(result).encode(),
    }
    _spare([args.frame, args.depth, args.objects], [args.out / name for name in files])
    for name, data in files.items():
        write_atomically(args.out / name, data)
    return result, f"{args.out}: {exposure.subframes} sub-frames in {seconds} s"


def _spare(inputs: Sequence[Path | None], outputs: Iterable[Path]) -> None:
    """Refuse to write over what was read."""
    read = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path.resolve() in read:
            raise InputError(f"{path} would be overwritten: choose another folder for --out.")


def depth(args: Namespace) -> Output:
    """Predict the depth of frames and write it as numbers and as a picture."""
    frames = [(path, read_image(path)) for path in args.frames]
    stems = [path.stem for path in args.frames]
    if len(set(stems)) < len(stems):
        raise InputError(f"Two frames have one name ({', '.join(stems)}): rename one, their results would collide.")
    _spare(args.frames, [args.out / f"{stem}{suffix}" for stem in stems for suffix in (".npy", ".json", ".png")])
    estimator = open_workspace(args).estimator(args.model)
    predictions = []
    for path, rgb in frames:
        values = estimator.predict(rgb)
        target = args.out / f"{path.stem}.npy"
        inverse_depth = to_inverse_depth(values, estimator.kind)
        about = {"kind": estimator.kind, "model": estimator.name, "revision": estimator.revision}
        write_atomically(target, encode_array(values))
        write_atomically(target.with_suffix(".json"), json.dumps(about).encode())
        picture = depth_picture(inverse_depth, depth_range(inverse_depth))
        write_atomically(target.with_suffix(".png"), encode_png(picture))
        predictions.append({"frame": str(path), "path": str(target), "kind": estimator.kind})
    return {"predictions": predictions}, "\n".join(f"{each['path']} ({each['kind']})" for each in predictions)


def blur(args: Namespace) -> Output:
    """Measure motion blur in a frame."""
    source = read_image(args.source) if args.source else None
    reading = measure_blur(read_image(args.frame), source)
    return asdict(reading), f"{reading.kind}: score {reading.blur_score}, along {reading.direction_deg:.0f} degrees"


def generate(args: Namespace) -> Output:
    """Make variants of frames and keep them as pending samples."""
    workspace = open_workspace(args)
    models = DiffusionModels(args.base, args.adapter, args.vae, DiffusionModels().preview_lora if args.preview else "")
    request = GenerationRequest(
        args.prompt,
        args.negative,
        args.variants,
        args.seed,
        backend=args.backend,
        model=args.model,
        painters=DiffusionModels.from_folder(args.sdxl) if args.sdxl else models,
        paint=PaintSettings(
            args.steps, args.guidance, args.adapter_scale, args.adapter_factor, args.short_side, args.preview
        ),
    )
    frames = pictures_in(args.frames)
    if not args.book:
        request.read()  # What no frame could be made with is refused at once.
    if request.paints:
        _tell_cost(request, frames)
    book = read_book(workspace) if args.book else []
    if args.background:
        return _job(workspace, background.submit_generate(workspace, frames, request, book))
    return _generate_now(workspace, frames, request, book)


def _generate_now(
    workspace: Workspace, frames: Sequence[Path], request: GenerationRequest, book: Sequence[BookEntry]
) -> Output:
    made, skipped = [], []
    for each in generate_batch(workspace, frames, request, book):
        if isinstance(each, Skipped):
            skipped.append({"frame": str(each.frame), "prompt": each.prompt, "reason": each.reason})
        else:
            made.append(sample_report(workspace, each))
    if skipped and not made:
        raise InputError(skipped[0]["reason"])
    for left_out in skipped:
        print(f"{left_out['frame']} skipped: {left_out['reason']}", file=sys.stderr)
    return {"samples": made, "skipped": skipped}, _sample_lines(made)


def _tell_cost(request: GenerationRequest, frames: Sequence[Path]) -> None:
    """Say on standard error what painting will take by the first frame that can be painted; nothing is loaded yet."""
    for path in frames:
        try:
            height, width, _ = read_image(path).shape
            plan = plan_painting(request.painters, width, height, request.paint)
        except InputError:
            continue  # The batch goes on without it, and says so.
        print("\n".join(plan.words()), file=sys.stderr)
        return


def repair(args: Namespace) -> Output:
    """Give painted variants whose blur failed the exposure of the simulator."""
    workspace = open_workspace(args)
    kept = workspace.store.samples
    chosen = [kept.sample(each) for each in args.samples] if args.samples else failed(workspace, kept.samples())
    made = [sample_report(workspace, sample) for sample in repair_samples(workspace, chosen)]
    return {"samples": made}, _sample_lines(made) or "Nothing to repair: no painted variant failed."


def burst(args: Namespace) -> Output:
    """Make one blurred frame of a clip, or of several pictures, and keep it as a pending sample."""
    clip = read_clip(args.frames[0]) if len(args.frames) == 1 else clip_of_pictures(args.frames)
    shutter = choose_shutter(clip.count, args.start, args.length, args.shutter)
    workspace = open_workspace(args)
    steps = blend_clip(workspace, clip, BlendRequest(shutter, args.align, args.model))
    made = [sample_report(workspace, step.sample) for step in steps if step.sample]
    return {"samples": made}, _sample_lines(made)


def scenes(args: Namespace) -> Output:
    """Render street scenes with exact truth."""
    if args.count < 1:
        raise InputError(f"{args.count} scenes were asked for: give 1 or more.")
    started = time.perf_counter()
    seeds = range(args.seed, args.seed + args.count)
    paths = _tracked(render_scenes(args.out, seeds, args.width, args.height), "scenes", args.count)
    seconds = time.perf_counter() - started
    return {"scenes": paths, "seconds": round(seconds, 3)}, f"{len(paths)} scenes in {args.out}, {seconds:.1f} s"


def _tracked(paths: Iterable[Path], what: str, count: int) -> list[str]:
    """All of the paths, with a bar on a terminal."""
    from tqdm import tqdm

    return [str(path) for path in tqdm(paths, what, count, unit="", disable=None)]


def benchmark(args: Namespace) -> Output:
    """Render the benchmark, and hold it against the manifest."""
    started, counts = time.perf_counter(), {}
    checks = []
    for split in dict.fromkeys(args.split or SPLITS):
        paths = render_benchmark(args.out, split)
        counts[split] = len(_tracked(paths, f"{split} scenes", len(SPLITS[split])))
        checks.append(check_benchmark(args.out, split))
    same, rounded = sum(check.same for check in checks), sum(check.rounded for check in checks)
    seconds = round(time.perf_counter() - started, 3)
    told = f"{sum(counts.values())} scenes in {args.out}, {seconds:.0f} s: {same} the same to the bit"
    more = f", {rounded} but for rounding" if rounded else ""
    return {"splits": counts, "same": same, "rounded": rounded, "seconds": seconds}, told + more


def samples(args: Namespace) -> Output:
    """List samples."""
    workspace = open_workspace(args)
    found = [sample_report(workspace, sample) for sample in workspace.store.samples.samples(args.status)]
    return {"samples": found}, _sample_lines(found) or "No samples: make some with `generate`."


def _sample_lines(reports: list[dict[str, Any]]) -> str:
    return "\n".join(" ".join([each["id"], each["status"], each["image"], each["reason"]]) for each in reports)


def decide(args: Namespace) -> Output:
    """Accept or reject samples."""
    workspace = open_workspace(args)
    return _decided(workspace.store.samples.decide(args.samples, args.verdict, args.reason, _ACTOR))


def undo(args: Namespace) -> Output:
    """Take back the last decision."""
    return _decided(open_workspace(args).store.samples.undo(_ACTOR))


def redo(args: Namespace) -> Output:
    """Decide again what was taken back."""
    return _decided(open_workspace(args).store.samples.redo(_ACTOR))


def _decided(ids: list[str]) -> Output:
    return {"decided": ids}, f"{len(ids)} changed: {' '.join(ids)}"


def snapshot(args: Namespace) -> Output:
    """Make a dataset version of the accepted samples."""
    version = open_workspace(args).store.versions.snapshot(args.note)
    result = {"version": version.id, "samples": version.samples, "manifest": version.manifest}
    return result, f"{version.id}: {version.samples} samples of {version.frames} frames"


def finetune(args: Namespace) -> Output:
    """Queue a fine-tune."""
    workspace = open_workspace(args)
    job = background.submit_finetune(workspace, args.version, args.base, args.preset, args.seed, _tell_findings)
    return _job(workspace, job)


def _tell_findings(found: Preflight) -> None:
    for finding in found.findings:
        print(" ".join(filter(None, (finding.words, finding.mend))), file=sys.stderr)


def jobs(args: Namespace) -> Output:
    """List jobs."""
    workspace = open_workspace(args)
    background.tend(workspace)
    found = workspace.store.jobs.jobs()
    reports = [job_report(workspace, job) for job in found]
    return {"jobs": reports}, "\n".join(map(_job_line, reports)) or "No jobs: start one with `finetune`."


def label(args: Namespace) -> Output:
    """Queue a teacher's depth of frames."""
    workspace = open_workspace(args)
    return _job(workspace, background.submit_label(workspace, args.frames, args.model))


def export_checkpoint(args: Namespace) -> Output:
    """Queue a copy of a job's checkpoint."""
    workspace = open_workspace(args)
    return _job(workspace, background.submit_export(workspace, args.job, args.out))


def stop(args: Namespace) -> Output:
    """Ask a job to stop."""
    workspace = open_workspace(args)
    return _job(workspace, background.stop(workspace, args.job))


def pause(args: Namespace) -> Output:
    """Ask a job to hold."""
    workspace = open_workspace(args)
    return _job(workspace, background.pause(workspace, args.job))


def move_to_front(args: Namespace) -> Output:
    """Let a queued job be the next."""
    workspace = open_workspace(args)
    return _job(workspace, background.move_to_front(workspace, args.job))


def resume(args: Namespace) -> Output:
    """Let a job go on."""
    workspace = open_workspace(args)
    return _job(workspace, background.resume(workspace, args.job))


def wait(args: Namespace) -> Output:
    """Wait for a job."""
    workspace = open_workspace(args)
    return _job(workspace, background.wait(workspace, args.job))


def work(args: Namespace) -> Output:
    """Do queued jobs."""
    done = background.work(open_workspace(args), None if args.device is None else [args.device])
    return {"done": done}, f"{done} jobs done"


def _job(workspace: Workspace, job: Job) -> Output:
    report = job_report(workspace, job)
    return {"job": report}, _job_line(report)


def _job_line(report: dict[str, Any]) -> str:
    return (
        f"{report['id']} {report['kind']} {report['status']} {report['step']}/{report['steps']} {report['checkpoint']}"
    )


def push(args: Namespace) -> Output:
    """Put a checkpoint on the Hub."""
    url = sharing.push(open_workspace(args), args.job, args.repo, private=args.private)
    return {"url": url}, url


def evaluate(args: Namespace) -> Output:
    """Measure models on a benchmark and write a report."""
    from blurdepth.evaluate import benchmark_report, write_report

    workspace = open_workspace(args)
    if args.background:
        return _job(workspace, background.submit_evaluate(workspace, args.models, args.benchmark))
    report = benchmark_report(workspace, args.models, args.benchmark)
    write_report(report, args.out)
    return report, f"{Path(args.out) / 'report.html'}"
