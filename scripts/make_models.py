"""Make both models that come with the project, and the proof in the README.

    python scripts/make_models.py

trains `checkpoints/bundled` (see train_bundled.py), fine-tunes it on blurred streets towards both targets with three
seeds each (see benchmarks/headline.py), writes the table into the README, picture and figures into `assets/`, and takes
the first seed's fine-tune on exposure targets as `checkpoints/bundled-blur`. On two CPU cores the first takes three
hours and the six fine-tunes three and a half; two and a half with `--precision bfloat16` where the CPU has it. Killed
at any time and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

import platformdirs

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train_bundled
from bundled_measures import measure_real, read_photographs

from benchmarks import headline
from blurdepth.benchmark import MANIFEST
from blurdepth.estimators import BUNDLED, SHIPPED, TUNED, find_model, load_estimator
from blurdepth.files import write_atomically
from blurdepth.images import content_hash
from blurdepth.recipe import Precision

ROOT = Path(__file__).resolve().parent.parent
README, ASSETS = ROOT / "README.md", ROOT / "assets"
BEGIN, END = "<!-- proof -->", "<!-- end of proof -->"


def prove(cache: Path, precision: str, real: Path | None) -> None:
    """Fine-tune the bundled model and measure; table, picture, figures and tuned model go where they ship.

    Args:
        cache: where the fine-tunes are kept.
        precision: of the recipe.
        real: folder of photographs with known depth, on which the models that ship are measured, too.
    """
    benchmark = cache / f"benchmark-{content_hash(MANIFEST.read_bytes())[:12]}"
    recipe = {**headline.RECIPE.as_dict(), "precision": precision}
    key = content_hash(json.dumps([find_model(BUNDLED)[1], benchmark.name, recipe]).encode())
    out = cache / f"proof-{key[:12]}"
    headline.main(["--out", str(out), "--benchmark", str(benchmark), "--precision", precision])
    report = json.loads((out / headline.REPORT).read_text(encoding="utf-8"))
    with train_bundled.replacing(SHIPPED[TUNED]) as fresh:
        shutil.copytree(out / "exposure_0" / "checkpoint", fresh)
    if photographs := read_photographs(real):
        report["photographs"] = {"names": [each.name for each in photographs]}
        for name in SHIPPED:
            measured = measure_real(load_estimator(name).predict_inverse, photographs)
            report["photographs"] |= {name: measured["model"], "ramp": measured["ramp"]}
    write_atomically(ASSETS / headline.PICTURE, (out / headline.PICTURE).read_bytes())
    write_atomically(ASSETS / headline.REPORT, json.dumps(report, indent=1).encode())
    write_atomically(README, with_proof(README.read_text(encoding="utf-8"), report).encode())


def with_proof(readme: str, report: dict[str, Any]) -> str:
    """The README with the table of the proof in its place.

    Raises:
        ValueError: it has no such place, or several.
    """
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{headline.table(report, 'error')}\n\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Make the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_cache = platformdirs.user_cache_path("blurdepth", appauthor=False)
    parser.add_argument("--cache", type=Path, default=default_cache, help="where streets and progress are kept")
    parser.add_argument("--real", type=Path, metavar="DIR", help="photographs with known depth, see train_bundled.py")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto", help="see benchmarks/headline.py")
    options = parser.parse_args(arguments)
    train_bundled.make(options.cache, options.real, SHIPPED[BUNDLED])
    prove(options.cache, options.precision, options.real)
    return 0


if __name__ == "__main__":
    sys.exit(main())
