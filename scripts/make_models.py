"""Make both models that come with the project, and the proof in the README.

    python scripts/make_models.py

trains `checkpoints/bundled` (see train_bundled.py), fine-tunes it on blurred streets towards both targets with three
seeds each (see benchmarks/headline.py), writes the table into the README, picture and figures into `assets/`, and takes
the first seed's fine-tune on exposure targets as `checkpoints/bundled-blur`. On two CPU cores the first takes three
hours, and the six fine-tunes with their streets four; two and a half with `--precision bfloat16` where the CPU has it,
seven where it has no AVX-512. Killed at any time and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train_bundled
from bundled_measures import measure_real, read_photographs

from benchmarks import headline, samples
from benchmarks.parsed_code import parsed_code
from blurdepth import (
    camera,
    depth,
    estimators,
    example_cache,
    finetune,
    images,
    losses,
    metrics,
    muon,
    pretrained,
    recipe,
    training_data,
    training_step,
    validation,
)
from blurdepth.benchmark import MANIFEST
from blurdepth.estimators import BUNDLED, SHIPPED, TUNED, find_model, load_estimator
from blurdepth.exposure import motion, result
from blurdepth.files import replacing, write_atomically
from blurdepth.images import content_hash
from blurdepth.recipe import Precision, Recipe

ROOT = Path(__file__).resolve().parent.parent
README, ASSETS = ROOT / "README.md", ROOT / "assets"
BEGIN, END = "<!-- proof -->", "<!-- end of proof -->"
SEEDS = 3
_ON_PHOTOGRAPHS = {**{name: f"`{name}`" for name in SHIPPED}, "ramp": "a straight slope from near to far"}
LEARNING = (
    *(camera, depth, estimators, example_cache, finetune, headline, images, losses, metrics, motion, muon, pretrained),
    *(recipe, result, samples, training_data, training_step, validation),
)
"""The code that decides what a fine-tune becomes."""


def prove(cache: Path, precision: Precision, real: Path | None) -> None:
    """Fine-tune the bundled model and measure; then table, picture, figures and tuned model go where they ship.

    Args:
        cache: where the fine-tunes are kept.
        precision: of the recipe.
        real: folder of photographs with known depth, on which the models that ship are measured, too.
    """
    asked = replace(headline.RECIPE, precision=precision)
    benchmark = cache / f"benchmark-{content_hash(MANIFEST.read_bytes())[:12]}"
    out = cache / f"proof-{_key(asked, benchmark.name)}"
    headline.prepare(benchmark)
    report = headline.prove(out, cache, benchmark, BUNDLED, asked, SEEDS)
    tuned = out / "exposure_0" / "checkpoint"
    if real is not None:
        report["photographs"] = on_photographs({BUNDLED: SHIPPED[BUNDLED], TUNED: tuned}, real)
    readme = with_proof(README.read_text(encoding="utf-8"), report)
    # From here on nothing takes long or can be wrong.
    with replacing(SHIPPED[TUNED]) as fresh:
        shutil.copytree(tuned, fresh)
    write_atomically(ASSETS / headline.PICTURE, (out / headline.PICTURE).read_bytes())
    write_atomically(ASSETS / headline.REPORT, json.dumps(report, indent=1).encode())
    write_atomically(README, readme.encode())


def _key(asked: Recipe, benchmark: str) -> str:
    """Names the fine-tunes by what decides their outcome."""
    code = parsed_code(Path(str(module.__file__)) for module in LEARNING)
    parts = [find_model(BUNDLED)[1], benchmark, asked.as_dict(), code]
    return content_hash(json.dumps(parts).encode())[:12]


def on_photographs(models: dict[str, Path], folder: Path) -> dict[str, Any]:
    """The photographs' names, and what the models and a straight ramp measure on them."""
    photographs = read_photographs(folder)
    report: dict[str, Any] = {"names": [each.name for each in photographs]}
    for name, path in models.items():
        measured = measure_real(load_estimator(str(path)).predict_inverse, photographs)
        report |= {name: measured["model"], "ramp": measured["ramp"]}
    return report


def with_proof(readme: str, report: dict[str, Any]) -> str:
    """The README with the table of the proof in its place, and with what was measured on photographs, if anything.

    Raises:
        ValueError: it has no such place, or several.
    """
    if [readme.count(mark) for mark in (BEGIN, END)] != [1, 1]:
        raise ValueError(f"The README needs one {BEGIN} and one {END}: put them where the proof goes.")
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    proof = headline.table(report, "error")
    if measured := report.get("photographs"):
        figures = ", ".join(f"{measured[name]['abs_rel']:.3f} for {words}" for name, words in _ON_PHOTOGRAPHS.items())
        proof += f"\n\nOn sharp photographs with lidar ({', '.join(measured['names'])}) AbsRel is {figures}."
    return f"{before}{BEGIN}\n\n{proof}\n\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Make the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_cache = platformdirs.user_cache_path("blurdepth", appauthor=False)
    parser.add_argument("--cache", type=Path, default=default_cache, help="where streets and progress are kept")
    parser.add_argument("--real", type=Path, metavar="DIR", help="photographs with known depth, see train_bundled.py")
    parser.add_argument(
        "--precision", type=headline.precision, default="auto", metavar="NAME", help="see benchmarks/headline.py"
    )
    options = parser.parse_args(arguments)
    train_bundled.make(options.cache, options.real, SHIPPED[BUNDLED])
    prove(options.cache, options.precision, options.real)
    return 0


if __name__ == "__main__":
    sys.exit(main())
