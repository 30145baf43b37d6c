"""Render the example frames into `assets/frames`, blurred ones with their exact depth into `assets/exposures`, and the
picture of the README.

python scripts/make_assets.py
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# So that the script runs from a fresh clone, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from blurdepth.camera import Motion
from blurdepth.exposure import expose
from blurdepth.exposure.result import regions
from blurdepth.images import Rgb, object_numbers
from blurdepth.render import depth_picture, depth_range
from blurdepth.scenes import render_scene
from blurdepth.streets import make_street, photograph, render

ROOT = Path(__file__).resolve().parent.parent
FOLDER, EXPOSURES = ROOT / "assets" / "frames", ROOT / "assets" / "exposures"
WIDTH, HEIGHT = 1242, 376
FRAMES = {
    "avenue_noon": (6, "avenue", "noon"),
    "country_road": (3, "country", "noon"),
    "crossing_dusk": (4, "crossing", "dusk"),
    "crossing_evening": (5, "crossing", "low_sun"),
    "highway_noon": (3, "highway", "noon"),
    "suburb_evening": (1, "suburb", "low_sun"),
}
"""Seed, kind and light of each frame, by name."""
EXPOSED = {"oncoming_traffic": 6_000_020, "overtaken": 6_000_059, "evening_drive": 6_000_056}
"""Seed of each blurred frame, by name; none is of the benchmark or was trained on."""


def frame_jpeg(seed: int, kind: str, light: str, samples: int = 3) -> bytes:
    """One street as a JPEG of `WIDTH` x `HEIGHT`."""
    street = make_street(seed, kind, light)
    picture = photograph(street, render(street, WIDTH, HEIGHT, samples=samples).linear)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def write_exposure(name: str, seed: int) -> None:
    """A street over an exposure: its picture; the mean inverse depth, in half precision, and the regions beside it."""
    scene = render_scene(seed, 640, 192)
    Image.fromarray(photograph(make_street(seed), scene.exposure.linear)).save(EXPOSURES / f"{name}.png", optimize=True)
    mean = scene.exposure.mean_inverse_depth.astype(np.float16)
    np.savez_compressed(EXPOSURES / f"{name}.npz", mean_inverse_depth=mean, regions=regions(scene.exposure))


def readme_picture(seed: int, kind: str, light: str) -> Image.Image:
    """Four panels: a street and its exact depth, above; both under an open shutter, below."""
    street = make_street(seed, kind, light)
    sharp = render(street, WIDTH, HEIGHT, samples=2)
    motion = _from_a_tripod(street.motion).only(object_numbers(sharp.object_ids))
    exposure = expose(sharp.linear, sharp.inverse_depth, motion, sharp.object_ids)
    span = depth_range(sharp.inverse_depth)
    panels = {
        "A sharp frame": photograph(street, sharp.linear),
        "Its depth: right for the sharp frame": depth_picture(sharp.inverse_depth, span),
        "A variant: the shutter is open while cars move": photograph(street, exposure.linear),
        "Its target depth: the mean over the exposure": depth_picture(exposure.mean_inverse_depth, span),
    }
    cells = [_captioned(pixels, words) for words, pixels in panels.items()]
    rows = [np.hstack(cells[first : first + 2]) for first in (0, 2)]
    return Image.fromarray(np.vstack(rows)).resize((1600, round(1600 * rows[0].shape[0] / rows[0].shape[1]) * 2))


def _from_a_tripod(motion: Motion) -> Motion:
    """The camera at rest, and the shutter open for eight times as long, so that the smear is plain to see."""
    return Motion(
        motion.fov_x_deg, objects={number: (8 * x, 8 * y, 8 * z) for number, (x, y, z) in motion.objects.items()}
    )


def _captioned(pixels: Rgb, words: str) -> Rgb:
    canvas = Image.new("RGB", (WIDTH + 12, HEIGHT + 64), "white")
    canvas.paste(Image.fromarray(pixels), (6, 6))
    ImageDraw.Draw(canvas).text((10, HEIGHT + 12), words, fill="#333333", font=ImageFont.load_default(34))
    return np.asarray(canvas)


def main() -> None:
    """Render all frames and the picture."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    readme_picture(*FRAMES["crossing_dusk"]).save(ROOT / "assets" / "readme.jpg", quality=88)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, choice in FRAMES.items():
        (FOLDER / f"{name}.jpg").write_bytes(frame_jpeg(*choice))
        print(FOLDER / f"{name}.jpg")
    EXPOSURES.mkdir(exist_ok=True)
    for name, seed in EXPOSED.items():
        write_exposure(name, seed)
        print(EXPOSURES / f"{name}.png")


if __name__ == "__main__":
    main()
