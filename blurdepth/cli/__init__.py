"""The command line: every step of the page, for scripts.

With --json a command prints one JSON object on standard output and everything else on standard error. It ends with
0, with 2 and one line that names the bad value and the mend, or with 130 where it was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from blurdepth import __version__
from blurdepth.benchmark import SPLITS
from blurdepth.camera import SHUTTERS
from blurdepth.cli import commands, training
from blurdepth.diffusion import DiffusionModels, PaintSettings
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.estimators import BUNDLED, MODEL_NAMES
from blurdepth.generation import BACKENDS, MAX_VARIANTS
from blurdepth.recipe import PRESETS
from blurdepth.shutter import MAX_FRAMES, MIN_FRAMES, SHAPES, USUAL_FRAMES
from blurdepth.store.records import SAMPLE_STATUSES
from blurdepth.trackers import TRACKERS

_MOTION_EXAMPLE = (
    'MOTION.json, over the whole exposure: {"fov_x_deg": 80, "camera": {"translation_m": [0, 0, 1.2], '
    '"rotation_deg": [0, 1.5, 0]}, "objects": [{"id": 1, "translation_m": [0.9, 0, 0]}], '
    '"shutter": "box", "readout": 0}. '
    f"shutter is one of {', '.join(SHUTTERS)}; readout is how much later the last row is exposed than the first, in "
    "exposures (rolling shutter), 0 if left out."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, 0, 2 or 130."""
    try:
        args = _parser().parse_args(arguments)
        # What libraries print must not mix with the one JSON object.
        with contextlib.redirect_stdout(sys.stderr):
            result, text = args.run(args)
    except BlurdepthError as error:
        print(" ".join(f"blurdepth: {error}".split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(json.dumps(result) if args.json else text)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}: see `{self.prog} --help`.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="blurdepth", description=__doc__.split("\n")[0])
    parser.add_argument("--version", action="version", version=__version__)
    add = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser).add_parser
    _add_depth_commands(add)
    _add_curation_commands(add)
    _add_job_commands(add)
    _add_sharing_commands(add)
    _add_scene_commands(add)
    return parser


def _command(add: Any, name: str, run: Any, about: str, *, data: bool = True, **more: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = add(name, help=about, description=about, **more)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    if data:
        words = "the data folder (default: BLURDEPTH_DATA, else your system's folder for user data)"
        parser.add_argument("--data", type=_folder, help=words)
    return parser


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the folder's name is empty")
    return Path(text)


def _add_depth_commands(add: Any) -> None:
    about = "simulate an exposure of a frame with known depth"
    expose = _command(add, "expose", commands.expose, about, data=False, epilog=_MOTION_EXAMPLE)
    expose.add_argument("frame", type=Path)
    expose.add_argument("--depth", type=Path, required=True, help=".npy, (H, W), metres, inf = sky")
    expose.add_argument("--motion", type=Path, required=True, help="MOTION.json, see below")
    expose.add_argument("--objects", type=Path, help="PNG of object ids, 0 = static world")
    expose.add_argument("--out", type=Path, required=True)

    depth = _command(add, "depth", commands.depth, "predict the depth of frames")
    depth.add_argument("frames", nargs="+", type=Path, metavar="FRAME")
    depth.add_argument("--model", default=BUNDLED, help=MODEL_NAMES)
    depth.add_argument("--out", type=Path, required=True)

    blur = _command(add, "blur", commands.blur, "measure motion blur in a frame", data=False)
    blur.add_argument("frame", type=Path, metavar="FRAME")
    blur.add_argument("--source", type=Path, metavar="SHARP", help="the same frame when sharp: measure against it")

    generate = _command(
        add, "generate", commands.generate, "add blurred, adverse variants of frames as pending samples"
    )
    generate.add_argument("frames", nargs="+", type=Path, metavar="FRAME|FOLDER")
    generate.add_argument("--book", action="store_true", help="each variant has the next prompt of the prompt book")
    generate.add_argument("--prompt", default=commands.DEFAULT_PROMPT, help="default: %(default)r")
    generate.add_argument("--negative", default=commands.DEFAULT_NEGATIVE, help="default: %(default)r")
    generate.add_argument("--variants", type=int, default=10, help=f"1 to {MAX_VARIANTS}, default 10")
    generate.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0])
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--model", default=BUNDLED, help=f"the teacher: {MODEL_NAMES}")
    generate.add_argument("--background", action="store_true", help="as a job, that `jobs` lists")
    _add_painting(generate)

    label = _command(add, "label", commands.label, "predict the depth of frames in the background, and keep it")
    about = "default: all frames of the data folder"
    label.add_argument("frames", nargs="*", type=Path, metavar="FRAME|FOLDER", help=about)
    label.add_argument("--model", default=BUNDLED, help=MODEL_NAMES)

    repair = _command(
        add, "repair", commands.repair, "give painted variants whose blur failed the simulator's exposure"
    )
    repair.add_argument("samples", nargs="*", metavar="SAMPLE", help="default: all that failed and were not repaired")

    burst = _command(add, "burst", commands.burst, "make a blurred frame of a clip or of several frames in a row")
    burst.add_argument("frames", nargs="+", type=Path, metavar="CLIP|FRAME", help="one clip, or 2 pictures or more")
    burst.add_argument("--start", type=int, help="first frame, counted from 0 (default: so that the middle is used)")
    burst.add_argument(
        "--length", type=int, help=f"frames, {MIN_FRAMES} to {MAX_FRAMES} (default: up to {USUAL_FRAMES})"
    )
    burst.add_argument("--shutter", choices=SHAPES, default=SHAPES[0])
    burst.add_argument("--align", action="store_true", help="take the camera's shake out")
    burst.add_argument("--model", default=BUNDLED, help=f"the teacher: {MODEL_NAMES}")

    evaluate = _command(add, "evaluate", commands.evaluate, "measure models on scenes with exact truth or on a version")
    evaluate.add_argument("--model", action="append", required=True, dest="models", help="repeat to compare")
    evaluate.add_argument("--benchmark", required=True, help="a folder of scenes (.npz), one scene, or a version (v1)")
    place = evaluate.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, help="folder for the report")
    place.add_argument("--background", action="store_true", help="as a job, that keeps the report in its own folder")


def _add_scene_commands(add: Any) -> None:
    about = "render street scenes with exact truth, to measure models on"
    scenes = _command(add, "scenes", commands.scenes, about, data=False)
    scenes.add_argument("--out", type=Path, required=True, help="folder; scenes that it has already are kept")
    scenes.add_argument("--count", type=int, default=20, help="how many, default 20")
    scenes.add_argument("--seed", type=int, default=0, help="of the first; the others follow it")
    scenes.add_argument("--width", type=int, default=640, help="pixels, default 640")
    scenes.add_argument("--height", type=int, default=192, help="pixels, default 192")
    about = "render the benchmark (train, val, test), and check that it is the one that others have"
    benchmark = _command(add, "benchmark", commands.benchmark, about, data=False)
    benchmark.add_argument("--out", type=Path, required=True, help="folder; scenes that it has already are kept")
    benchmark.add_argument("--split", choices=SPLITS, action="append", help="only this one; may be given again")


def _add_painting(generate: argparse.ArgumentParser) -> None:
    """How the SDXL backends paint; the defaults are the paper's."""
    group = generate.add_argument_group("SDXL backends")
    usual, settings = DiffusionModels(), PaintSettings()
    group.add_argument("--sdxl", default="", metavar="FOLDER", help="one folder with the pipeline and adapter/ in it")
    group.add_argument("--base", default=usual.base, help="default: %(default)s")
    group.add_argument("--adapter", default=usual.adapter, help="default: %(default)s")
    group.add_argument("--vae", default=usual.vae, help="'' for the base's own; default: %(default)s")
    group.add_argument("--steps", type=int, default=settings.steps, help="default: %(default)s")
    group.add_argument("--guidance", type=float, default=settings.guidance, help="default: %(default)s")
    group.add_argument("--adapter-scale", type=float, default=settings.adapter_scale, help="default: %(default)s")
    group.add_argument("--adapter-factor", type=float, default=settings.adapter_factor, help="default: %(default)s")
    group.add_argument("--short-side", type=int, default=settings.short_side_px, help="px, default: %(default)s")
    group.add_argument("--preview", action="store_true", help="few steps, for a first look")


def _add_curation_commands(add: Any) -> None:
    samples = _command(add, "samples", commands.samples, "list samples")
    samples.add_argument("--status", choices=SAMPLE_STATUSES)

    decide = _command(add, "decide", commands.decide, "accept or reject samples")
    decide.add_argument("samples", nargs="+", metavar="SAMPLE")
    decide.add_argument("verdict", choices=("accept", "reject"))
    decide.add_argument("--reason", default="", help="why it was rejected")

    _command(add, "undo", commands.undo, "take back the last decision")
    _command(add, "redo", commands.redo, "decide again what was taken back")

    snapshot = _command(add, "snapshot", commands.snapshot, "make a dataset version of the accepted samples")
    snapshot.add_argument("--note", default="")


def _add_sharing_commands(add: Any) -> None:
    push = _command(add, "push", commands.push, "put a fine-tuned model on the Hugging Face Hub")
    push.add_argument("job", metavar="JOB", help="such as j1")
    push.add_argument("--repo", required=True, metavar="OWNER/NAME", help="made if it is not there yet")
    push.add_argument("--private", action="store_true", help="only its owner sees it")


def _add_job_commands(add: Any) -> None:
    _add_training(_command(add, "finetune", commands.finetune, "fine-tune a depth model in the background"))
    about = "fine-tune in the foreground, on all processes of `accelerate launch -m blurdepth train …`"
    train = _command(add, "train", training.train, about)
    _add_training(train)
    train.add_argument("--out", type=Path, required=True, help="a folder of this run alone, the same for all processes")
    train.add_argument("--tracker", default="", choices=("", *TRACKERS), help="draws the curves elsewhere, too")

    _command(add, "jobs", commands.jobs, "list background jobs")
    about = "copy a job's checkpoint, in the background"
    checkpoint = _command(add, "export-checkpoint", commands.export_checkpoint, about)
    checkpoint.add_argument("--out", type=Path, required=True, help="a new folder, or a new file called ….zip")
    checkpoint.add_argument("job", metavar="JOB", help="such as j1")
    for name, run, about in (
        ("stop", commands.stop, "ask a job to stop; it can be resumed"),
        ("pause", commands.pause, "let a running job hold, with its model in memory"),
        ("resume", commands.resume, "let a job go on that is paused or ended early"),
        ("move-to-front", commands.move_to_front, "let a queued job be the next"),
        ("wait", commands.wait, "wait until a job has ended"),
    ):
        _command(add, name, run, about).add_argument("job", metavar="JOB", help="such as j1")
    about = "do queued jobs until none is left (the app starts this by itself)"
    worker = _command(add, "work", commands.work, about)
    worker.add_argument("--device", help="only jobs for this one, '' for jobs that need none")


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("version", metavar="VERSION", help="a dataset version, such as v1")
    command.add_argument("--base", default=BUNDLED, help=MODEL_NAMES)
    command.add_argument("--preset", default="quick", help=f"{', '.join(PRESETS)}, or a .toml file")
    command.add_argument("--seed", type=int, help="of the split, order, crops and colours, in place of the recipe's")
