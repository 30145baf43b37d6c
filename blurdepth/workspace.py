"""Everything one data folder holds and can do: what the page, the endpoints and the command line all call."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from blurdepth import __version__
from blurdepth.camera import ScaleAssumption
from blurdepth.dataset import SplitRule, TrainingSample, split_samples
from blurdepth.depth import metres_from_affine
from blurdepth.errors import InputError, ModelError, StorageError
from blurdepth.estimators import BUNDLED, Estimator, EstimatorCache
from blurdepth.files import ContentFolder, write_atomically
from blurdepth.generators import Variant
from blurdepth.generators.exposure import generate_variant
from blurdepth.images import Rgb, content_hash, decode_image, encode_png
from blurdepth.pretrained import OnBytes
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.render import depth_picture, depth_range, shrink, thumbnail
from blurdepth.store import Store
from blurdepth.store.records import Frame, Prediction, Sample

MAX_FRAME_PIXELS = 1920 * 1088
MAX_VARIANTS = 50
BACKENDS = ("exposure",)


@dataclass(frozen=True)
class GenerationRequest:
    """What is asked of a generator. Variant k of it has the seed `seed + k`."""

    prompt: str
    negative: str = ""
    variants: int = 4
    seed: int = 0
    backend: str = "exposure"
    model: str = BUNDLED
    scale: ScaleAssumption = field(default_factory=ScaleAssumption)

    def __post_init__(self) -> None:
        for name in ("variants", "seed"):
            if type(getattr(self, name)) is not int:
                raise InputError(f"{name} is {getattr(self, name)!r}: give a whole number.")
        if not 1 <= self.variants <= MAX_VARIANTS:
            raise InputError(f"{self.variants} variants were asked for: choose 1 to {MAX_VARIANTS}.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"The seed is {self.seed}: choose a whole number from 0 to {2**31 - 1}.")
        if self.backend not in BACKENDS:
            raise InputError(f"The backend {self.backend!r} is not known: use {' or '.join(BACKENDS)}.")


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
        self._model_folders = model_folders
        self.store = Store(self.folder / "blurdepth.db")
        self.pictures = ContentFolder(self.folder / "pictures")
        self.arrays = ContentFolder(self.folder / "arrays")
        self._estimators = EstimatorCache()

    def add_frame(self, data: bytes, name: str) -> Frame:
        """Keep a sharp frame under the hash of its pixels.

        A frame of more than 1920 x 1088 pixels is reduced to that many.

        Raises:
            InputError: see `decode_image`.
            StorageError: it can't be kept.
        """
        rgb = decode_image(data, name)
        rgb = shrink(rgb, (MAX_FRAME_PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5)
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
            if not self._model_folders and name != BUNDLED and not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
                raise ModelError(f"{name!r} is no model here: give bundled, a job (j1), or a Hub id (owner/model).")
            return name
        job = self.store.jobs.job(name)
        if not job.checkpoint:
            raise ModelError(f"Job {name} is {job.status} and has no checkpoint: wait for it, or resume it.")
        return str(self.folder / job.checkpoint)

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
        return prediction, values

    def inverse_depth(self, frame: Frame, request: GenerationRequest) -> tuple[Prediction, NDArray[np.float32]]:
        """The teacher's depth of a frame in 1/m: as predicted, or by the request's assumption of scale."""
        prediction, values = self.estimate(frame, request.model)
        if prediction.kind == "affine_inverse_depth":
            near_m, far_m = request.scale.range_m(frame.width, frame.height)
            values = metres_from_affine(values, near_m, far_m)
        return prediction, values

    def generate(self, frame: Frame, request: GenerationRequest) -> Iterator[Sample]:
        """Make the variants of a request, each kept as a pending sample before it is handed out.

        A variant that was made before (same frame, words, seed, teacher and code) is handed out as it is kept, with
        whatever was decided about it. Closing the iterator cancels what is left.

        Raises:
            InputError: the prompt is refused; see `parse_prompt`.
        """
        condition = parse_prompt(request.prompt, request.negative).condition
        teacher, inverse_depth = self.inverse_depth(frame, request)
        rgb = self.pictures.picture(frame.image)
        for seed in range(request.seed, request.seed + request.variants):
            yield self._variant(frame, rgb, teacher, inverse_depth, condition, request, seed)

    def _variant(
        self,
        frame: Frame,
        rgb: Rgb,
        teacher: Prediction,
        inverse_depth: NDArray[np.float32],
        condition: Condition,
        request: GenerationRequest,
        seed: int,
    ) -> Sample:
        asked = {
            "prompt": request.prompt,
            "negative": request.negative,
            "seed": seed,
            "backend": request.backend,
            "scale": request.scale.to_json(),
            "teacher": teacher.model,
            "teacher_revision": teacher.revision,
            "code_version": __version__,
        }
        sample_id = content_hash(json.dumps([frame.id, asked], sort_keys=True).encode())[:12]
        if self.store.samples.has_sample(sample_id):
            return self.store.samples.sample(sample_id)
        true_scale = teacher.kind != "affine_inverse_depth"
        variant = generate_variant(rgb, inverse_depth, condition, seed, request.scale, true_scale)
        return self._keep(sample_id, frame, variant, inverse_depth, asked)

    def _keep(
        self,
        sample_id: str,
        frame: Frame,
        variant: Variant,
        inverse_depth: NDArray[np.float32],
        asked: dict[str, object],
    ) -> Sample:
        sample = Sample(
            id=sample_id,
            frame_id=frame.id,
            image=self.pictures.put_picture(variant.rgb),
            target=self.arrays.put_array(variant.mean_inverse_depth),
            sharp_target=self.arrays.put_array(inverse_depth),
            regions=self.pictures.put_picture(variant.regions),
            status="pending",
            reason="",
            version=0,
            scores=variant.scores,
            provenance={
                **asked,
                "condition": variant.condition.to_json(),
                "motion": variant.motion.to_json(),
            },
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

    def _draw_prediction(self, prediction: Prediction) -> Rgb:
        inverse_depth = self.arrays.array(prediction.array)
        return depth_picture(inverse_depth, depth_range(inverse_depth))

    def _draw_target(self, sample: Sample) -> Rgb:
        return depth_picture(self.arrays.array(sample.target), depth_range(self.arrays.array(sample.sharp_target)))

    def _derived(self, name: str, draw: Callable[[], Rgb]) -> Path:
        path = self.folder / "previews" / name
        if not path.is_file():
            write_atomically(path, encode_png(draw()))
        return path
