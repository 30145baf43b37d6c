"""Render the example frames of the page and the README into `assets/frames`.

python scripts/make_assets.py
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.streets import make_street, photograph, render

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "assets" / "frames"
WIDTH, HEIGHT = 1242, 376
FRAMES = {
    "avenue_noon": (13, "avenue", "noon"),
    "country_road": (10, "country", "noon"),
    "crossing_dusk": (28, "crossing", "dusk"),
    "crossing_evening": (12, "crossing", "low_sun"),
    "highway_noon": (9, "highway", "noon"),
    "suburb_evening": (8, "suburb", "low_sun"),
}
"""Seed, kind and light of each frame, by name."""


def frame_jpeg(seed: int, kind: str, light: str, samples: int = 3) -> bytes:
    """One street as a JPEG of `WIDTH` x `HEIGHT`."""
    street = make_street(seed, kind, light)
    picture = photograph(street, render(street, WIDTH, HEIGHT, samples=samples).linear)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def main() -> None:
    """Render all frames."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, choice in FRAMES.items():
        (FOLDER / f"{name}.jpg").write_bytes(frame_jpeg(*choice))
        print(FOLDER / f"{name}.jpg")


if __name__ == "__main__":
    main()
