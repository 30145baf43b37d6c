"""Write `assets/benchmark.json`: what each scene of the benchmark holds.

    python scripts/benchmark_manifest.py BENCHMARK

BENCHMARK is the folder of `python -m blurdepth benchmark --out BENCHMARK`. To be run when what is rendered was changed
on purpose; figures of before and after are then of different benchmarks.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.benchmark import MANIFEST, SPLITS, describe, read_benchmark, render_benchmark


def main(arguments: list[str] | None = None) -> int:
    """Render what is missing, describe all, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the benchmark")
    folder = parser.parse_args(arguments).folder
    splits = []
    for split in SPLITS:
        for path in render_benchmark(folder, split):
            print(path, flush=True)
        rows = ",\n".join(json.dumps(describe(scene)) for scene in read_benchmark(folder, split))
        splits.append(f'"{split}": [\n{rows}\n]')
    MANIFEST.write_text("{\n" + ",\n".join(splits) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
