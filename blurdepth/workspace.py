"""Everything one data folder holds and can do: what the page, the endpoints and the command line all call."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.camera import ScaleAssumption
from blurdepth.dataset import SplitRule, TrainingSample, split_samples
from blurdepth.depth import metres_from_affine
from blurdepth.diffusion import DiffusionModels, MemoryMode, Painter, find_painter, load_painter
from blurdepth.errors import InputError, ModelError, StorageError
from blurdepth.estimators import BUNDLED, SHIPPED, Estimator, find_model, load_estimator
from blurdepth.files import ContentFolder, write_atomically
from blurdepth.images import Rgb, content_hash, decode_image, encode_png, read_labels
from blurdepth.movers import propose_movers, to_ids
from blurdepth.pretrained import ModelCache, OnBytes
from blurdepth.render import depth_picture, depth_range, shrink, thumbnail
from blurdepth.segmenters import Segmenter, find_segmenter, load_segmenter
from blurdepth.setups import Setup
from blurdepth.store import Store
from blurdepth.store.records import Frame, Prediction, Sample

_log = logging.getLogger(__name__)
MAX_FRAME_PIXELS = 1920 * 1088


@dataclass(frozen=True)
class NewSample:
    """A sample that was just made, with its pixels.

    Attributes:
        id: names all that decided it.
        frame_id: of the sharp frame.
        rgb: (H, W, 3) uint8 sRGB, blurred.
        target: (H, W) float32 mean inverse depth.
        sharp_target: (H, W) float32 inverse depth of the sharp frame, in the same unit.
        regions: (H, W) uint8 as by `exposure.regions`.
        scores: by name.
        provenance: how it came about.
    """

    id: str
    frame_id: str
    rgb: Rgb
    target: NDArray[np.float32]
    sharp_target: NDArray[np.float32]
    regions: NDArray[np.uint8]
    scores: dict[str, float]
    provenance: dict[str, Any]


def default_data_folder() -> Path:
    """The folder named by BLURDEPTH_DATA, else the user's data folder of this operating system.

    Raises:
        StorageError: there is neither.
    """
    try:
        return Path(os.environ.get("BLURDEPTH_DATA") or platformdirs.user_data_path("blurdepth", appauthor=False))
    except RuntimeError as error:
        raise StorageError("This user has no home folder: name a data folder by --data or BLURDEPTH_DATA.") from error


class Workspace:
    """One data folder: `blurdepth.db`, `pictures/` and `arrays/` named by their content, `jobs/`.

    Args:
        folder: made as needed.
        model_folders: whether a model may be named by its folder; not where strangers may ask.

    Raises:
        StorageError: it can't be used; see `Store`.
    """

    def __init__(self, folder: Path, *, model_folders: bool = True) -> None:
        self.folder = folder.expanduser().resolve()
        self.model_folders = model_folders
        self.store = Store(self.folder / "blurdepth.db")
        self.pictures = ContentFolder(self.folder / "pictures")
        self.arrays = ContentFolder(self.folder / "arrays")
        self._estimators = ModelCache(find_model, load_estimator)
        self._segmenters = ModelCache(find_segmenter, load_segmenter, size=1)
        self._painters = ModelCache(find_painter, load_painter, size=1)

    def add_frame(self, data: bytes, name: str) -> Frame:
        """Keep a sharp frame under the hash of its pixels.

        A frame of more than 1920 x 1088 pixels is reduced to that many.

        Raises:
            InputError: see `decode_image`.
            StorageError: it can't be kept.
        """
        return self.keep_frame(reduce_frame(decode_image(data, name)), name)

    def keep_frame(self, rgb: Rgb, name: str) -> Frame:
        """Keep (H, W, 3) uint8 pixels as a frame; see `reduce_frame`."""
        png = encode_png(rgb)
        # A file name may hold bytes that are no text.
        name = name.encode(errors="replace").decode()
        frame = Frame(content_hash(png), name, rgb.shape[1], rgb.shape[0], self.pictures.put(png, ".png"), "")
        return self.store.samples.add_frame(frame)

    def estimator(self, name: str, on_bytes: OnBytes | None = None) -> Estimator:
        """The depth model called `name`: also "j3", the checkpoint of job j3.

        Raises:
            ModelError: see `load_estimator`, or the job has no checkpoint.
        """
        return self._estimators.get(str(self.resolve_model(name)), on_bytes)

    def resolve_model(self, name: str) -> str:
        """The folder of a job's checkpoint for a name such as "j3"; other names as they are.

        Raises:
            ModelError: the job has no checkpoint yet.
        """
        if not (name.startswith("j") and name[1:].isdecimal()):
            if name not in SHIPPED:
                self._refuse_folders(name)
            return name
        job = self.store.jobs.job(name)
        if not job.checkpoint:
            raise ModelError(f"Job {name} is {job.status} and has no checkpoint: wait for it, or resume it.")
        return str(self.folder / job.checkpoint)

    def _refuse_folders(self, name: str) -> None:
        if not self.model_folders and not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
            names = ", ".join(SHIPPED)
            raise ModelError(f"{name!r} is no model here: give {names}, a job (j1), or a Hub id (owner/model).")

    def estimate(
        self, frame: Frame, model: str = BUNDLED, on_bytes: OnBytes | None = None
    ) -> tuple[Prediction, NDArray[np.float32]]:
        """A model's depth of a frame, predicted once for each revision of the model and kept.

        Returns:
            The record, and inverse depth (larger = nearer) as (H, W) float32 of the record's kind; a metric
            model's metres are inverted to "inverse_depth".
        """
        estimator = self.estimator(model, on_bytes)
        kept = self.store.samples.prediction(frame.id, model, estimator.revision)
        if kept is not None:
            return kept, self.arrays.array(kept.array)
        values = estimator.predict_inverse(self.pictures.picture(frame.image))
        kind = "inverse_depth" if estimator.kind == "depth_m" else estimator.kind
        prediction = Prediction(frame.id, model, estimator.revision, kind, self.arrays.put_array(values))
        self.store.samples.add_prediction(prediction)
        _log.info("predicted the depth of %s by %s", frame.name, model)
        return prediction, values

    def metres(self, frame: Frame, model: str, scale: ScaleAssumption) -> tuple[Prediction, NDArray[np.float32]]:
        """A model's depth of a frame in 1/m, (H, W): as predicted, or by the assumption of scale."""
        prediction, values = self.estimate(frame, model)
        if prediction.relative:
            near_m, far_m = scale.range_m(frame.width, frame.height)
            values = metres_from_affine(values, near_m, far_m)
        return prediction, values

    def segmenter(self, name: str, on_bytes: OnBytes | None = None) -> Segmenter:
        """The segmentation model called `name`.

        Raises:
            ModelError: see `load_segmenter`.
        """
        self._refuse_folders(name)
        return self._segmenters.get(name, on_bytes)

    def painter(self, models: DiffusionModels, on_bytes: OnBytes | None = None) -> Painter:
        """The pipeline of these models.

        Raises:
            ModelError, MemoryLimitError: see `load_painter`.
        """
        self.check_painters(models)
        return self._painters.get(models, on_bytes)

    def painter_mode(self, models: DiffusionModels) -> MemoryMode | None:
        """How the pipeline of these models saves memory, if it is loaded."""
        painter = self._painters.peek(models)
        return painter.mode if painter else None

    def check_painters(self, models: DiffusionModels) -> None:
        """Whether these models may be named here.

        Raises:
            ModelError: one is a folder, where strangers may ask.
        """
        for _, name, _ in models.parts():
            self._refuse_folders(name)

    def proposed_ids(self, frame: Frame, model: str, finder: str = "") -> NDArray[np.uint8]:
        """(H, W) ids of what could move in a frame, found once and kept.

        Args:
            frame: the sharp frame.
            model: name of the depth model, by whose depth and the picture they are found,
            finder: unless this segmentation model is named.
        """
        if finder:
            segmenter = self.segmenter(finder)
            name = f"movers/{__version__}/{segmenter.revision}/{frame.image}"
            return self._kept_ids(name, frame, lambda rgb: to_ids(segmenter.propose(rgb), rgb.shape[:2]))
        prediction, values = self.estimate(frame, model)
        name = f"movers/{__version__}/{prediction.array.removesuffix('.npy')}.png"
        return self._kept_ids(name, frame, lambda rgb: propose_movers(rgb, values))

    def _kept_ids(self, name: str, frame: Frame, find: Callable[[Rgb], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        path = self._derived(name, lambda: find(self.pictures.picture(frame.image)))
        return read_labels(path, (frame.height, frame.width))

    def object_ids(self, frame: Frame, setup: Setup) -> NDArray[np.uint8]:
        """(H, W) ids of who was chosen to move."""
        shape = (frame.height, frame.width)
        return read_labels(self.pictures.path(setup.ids), shape) if setup.ids else np.zeros(shape, np.uint8)

    def setup(self, frame_id: str, setup_id: str) -> Setup:
        """What was set for a frame; without an id, nothing.

        Raises:
            NotFoundError: there is no such setup.
            InputError: it belongs to another frame.
        """
        setup = self.store.setups.setup(setup_id) if setup_id else Setup(frame_id)
        if setup.frame_id != frame_id:
            raise InputError("What was set belongs to another frame: choose this frame again.")
        return setup

    def keep_sample(self, made: NewSample) -> Sample:
        """Keep what was made as a pending sample; one that is there already stays as it is."""
        # Encoding and the disk's word that it is written take longest: side by side.
        with ThreadPoolExecutor() as pool:
            image = pool.submit(self.pictures.put_picture, made.rgb)
            target = pool.submit(self.arrays.put_array, made.target)
            sharp_target = pool.submit(self.arrays.put_array, made.sharp_target)
            regions = pool.submit(self.pictures.put_picture, made.regions)
        sample = Sample(
            id=made.id,
            frame_id=made.frame_id,
            image=image.result(),
            target=target.result(),
            sharp_target=sharp_target.result(),
            regions=regions.result(),
            status="pending",
            reason="",
            version=0,
            scores=made.scores,
            provenance=made.provenance,
            created_at="",
        )
        return self.store.samples.add_sample(sample)

    def training_samples(self, version_id: str, rule: SplitRule, val_share: float, seed: int) -> list[TrainingSample]:
        """The files of a dataset version, split.

        Raises:
            NotFoundError: there is no such version, or a file is missing.
            InputError: it has too few samples.
        """
        self.store.versions.version(version_id)
        samples = self.store.samples.samples_of_version(version_id)
        sides = split_samples([(sample.id, sample.frame_id) for sample in samples], rule, val_share, seed)
        return [
            TrainingSample(
                id=sample.id,
                frame_id=sample.frame_id,
                split=sides[sample.id],
                image=self.pictures.path(sample.image),
                target=self.arrays.path(sample.target),
                regions=self.pictures.path(sample.regions),
                sharp_image=self.pictures.path(self.store.samples.frame(sample.frame_id).image),
                sharp_target=self.arrays.path(sample.sharp_target),
            )
            for sample in samples
        ]

    def training_provenance(self, version_id: str, base: str, preset: str) -> dict[str, str]:
        """Where a fine-tune comes from, for its checkpoint."""
        version = self.store.versions.version(version_id)
        data = {"dataset_version": version_id, "dataset_manifest": version.manifest, "dataset_note": version.note}
        return {**data, "base": base, "preset": preset}

    def thumbnail(self, picture: str) -> Path:
        """A small copy of a picture, made once."""
        return self._derived(f"small/{picture}", lambda: thumbnail(self.pictures.picture(picture)))

    def target_picture(self, sample: Sample) -> Path:
        """A sample's target depth in colours, in the range of its sharp frame's depth, made once."""
        name = f"target/{sample.target.removesuffix('.npy')}-{Path(sample.sharp_target).stem[:12]}.png"
        return self._derived(name, lambda: self._draw_target(sample))

    def keep_picture(self, pixels: Rgb) -> Path:
        """Keep a picture that the page is to show; returns where it lies."""
        return self._derived(f"shown/{content_hash(pixels.tobytes())}.png", lambda: pixels)

    def prediction_picture(self, prediction: Prediction) -> Path:
        """A model's depth of a frame in colours, made once."""
        name = f"depth/{prediction.array.removesuffix('.npy')}.png"
        return self._derived(name, lambda: self._draw_prediction(prediction))

    def probe_pictures(self, job_id: str) -> Path:
        """The folder from which the page shows what a fine-tune has drawn so far; see `Validation`."""
        drawn, shown = self.folder / "jobs" / job_id / "probes", self.folder / "previews" / "probes" / job_id
        with suppress(FileNotFoundError):  # it is begun anew at this moment
            times = {path.name: path.stat().st_mtime_ns for path in drawn.glob("*.png")}
            there = {path.name: path.stat().st_mtime_ns for path in shown.glob("*.png")}
            for name in there.keys() - times:
                (shown / name).unlink()  # of an earlier run
            for name, time in times.items():
                if there.get(name, 0) < time:
                    write_atomically(shown / name, (drawn / name).read_bytes())
        return shown

    def _draw_prediction(self, prediction: Prediction) -> Rgb:
        inverse_depth = self.arrays.array(prediction.array)
        return depth_picture(inverse_depth, depth_range(inverse_depth))

    def _draw_target(self, sample: Sample) -> Rgb:
        return depth_picture(self.arrays.array(sample.target), depth_range(self.arrays.array(sample.sharp_target)))

    def _derived(self, name: str, draw: Callable[[], NDArray[np.uint8]]) -> Path:
        path = self.folder / "previews" / name
        if not path.is_file():
            write_atomically(path, encode_png(draw()))
        return path


def reduce_frame(rgb: Rgb) -> Rgb:
    """(H, W, 3) `rgb` with at most 1920 x 1088 pixels."""
    return shrink(rgb, (MAX_FRAME_PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5)
