"""What a training step sees: order, crops, flips, colours and sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from blurdepth.dataset import TrainingSample
from blurdepth.errors import InputError
from blurdepth.files import encode_array
from blurdepth.images import encode_png
from blurdepth.training_data import Item, TrainingSet, cover, jitter_colors, read_example
from tests.test_finetune import HEIGHT, WIDTH, recipe, write_sample


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingSample]:
    """Three frames with two variants each; the last frame is held out."""
    folder = tmp_path_factory.mktemp("samples")
    return [write_sample(folder, frame, variant) for frame in range(3) for variant in range(2)]


def test_a_batch_follows_from_seed_epoch_and_step_alone(samples: list[TrainingSample]) -> None:
    items = [Item(sample.id, sample.image, sample.target, sample.regions) for sample in samples]
    first, second = (TrainingSet(items, recipe(), [0.5] * 3, [0.5] * 3) for _ in range(2))
    second.batch(0, 0)
    for name in ("pixel_values", "inverse_depth", "weight"):
        assert torch.equal(getattr(first.batch(3, 1), name), getattr(second.batch(3, 1), name))
    assert not torch.equal(first.batch(0, 0).pixel_values, first.batch(1, 0).pixel_values)
    assert first.batch(0, 0).pixel_values.shape == (4, 3, 56, 84)
    assert first.batch(0, 1).pixel_values.shape == (2, 3, 56, 84)


def test_image_and_target_are_cropped_and_flipped_alike(samples: list[TrainingSample]) -> None:
    items = [Item(sample.id, sample.image, sample.target, sample.regions) for sample in samples]
    # Without a resize, as the crop is as high as the image: brightness is 600 times inverse depth.
    data = TrainingSet(items, recipe(crop=(70, 84)), [0.0] * 3, [1.0] * 3)
    for epoch in range(4):
        batch = data.batch(epoch, 0)
        brightness = batch.pixel_values[:, 0] * 255 / 600
        inside = (batch.weight > 0) & (brightness > 0)
        apart = (brightness - batch.inverse_depth).abs()[inside]
        assert apart.median() < 0.01
        assert not (batch.weight > 0).all()


def test_colours_vary_within_their_share_and_nothing_else_does(samples: list[TrainingSample]) -> None:
    items = [Item(sample.id, sample.image, sample.target, sample.regions) for sample in samples]
    plain, varied = (
        TrainingSet(items, recipe(color_jitter=strength), [0.0] * 3, [1.0] * 3).batch(1, 0) for strength in (0.0, 0.4)
    )
    assert torch.equal(plain.inverse_depth, varied.inverse_depth) and torch.equal(plain.weight, varied.weight)
    assert all(not torch.equal(*pair) for pair in zip(plain.pixel_values, varied.pixel_values, strict=True))

    grey = np.full((4, 4, 3), 100, np.uint8)  # has neither contrast nor colour: brightness is all that changes
    random = np.random.default_rng(0)
    levels = [jitter_colors(grey, 0.4, random)[0, 0, 0] for _ in range(200)]
    assert 60 <= min(levels) < 65 and 135 < max(levels) <= 140

    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0], rgb[1] = (120, 80, 80), (80, 80, 80)
    apart = np.array([np.subtract(*jitter_colors(rgb, 0.4, random)[:, 0, 0].astype(int)) for _ in range(200)])
    assert apart.min() < 30 and apart.max() > 60  # 40 before: contrast and saturation vary it, too


def test_a_pixel_weighs_what_the_recipe_says_of_its_region(samples: list[TrainingSample], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    regions = rng.choice(np.array([0, 1, 2, 255], np.uint8), (HEIGHT, WIDTH))
    # The red of each pixel tells its region.
    rgb = np.stack([regions, *rng.integers(0, 256, (2, HEIGHT, WIDTH), np.uint8)], axis=-1)
    (tmp_path / "image.png").write_bytes(encode_png(rgb))
    (tmp_path / "regions.png").write_bytes(encode_png(regions))
    item = Item("s", tmp_path / "image.png", samples[0].target, tmp_path / "regions.png")
    asked = recipe(crop=(HEIGHT, 84), region_weights=(1.0, 0.5, 20.0), batch=1)
    batch = TrainingSet([item], asked, [0.0] * 3, [1.0] * 3).batch(0, 0)
    red = (batch.pixel_values[:, 0] * 255).round()
    for region, weight in ((0, 1.0), (1, 0.5), (2, 20.0)):
        counted = batch.weight[(red == region) & (batch.weight > 0)]
        assert len(counted) and (counted == weight).all()
    assert (batch.weight[red == 255] == 0).all()


def test_a_resize_covers_the_crop_in_proportion(samples: list[TrainingSample]) -> None:
    example = read_example(Item("s", samples[0].image, samples[0].target, samples[0].regions))
    for crop, size in (((56, 84), (56, 87)), ((140, 28), (140, 218)), ((14, 280), (180, 280))):
        covered = cover(example, crop)
        assert covered.rgb.shape == (*size, 3)
        assert covered.inverse_depth.shape == covered.regions.shape == size
        assert set(np.unique(covered.regions)) <= {0, 1, 2, 255}


def test_files_that_do_not_fit_are_named(samples: list[TrainingSample], tmp_path: Path) -> None:
    target = tmp_path / "target.npy"
    target.write_bytes(encode_array(np.ones((30, 30), np.float32)))
    with pytest.raises(InputError, match=r"Sample s9: image \(72, 112\), target \(30, 30\)"):
        read_example(Item("s9", samples[0].image, target, None))


def test_targets_that_are_no_number_do_not_count(samples: list[TrainingSample], tmp_path: Path) -> None:
    inverse_depth = np.ones((HEIGHT, WIDTH), np.float32)
    inverse_depth[0], inverse_depth[1], inverse_depth[2] = np.nan, np.inf, -1
    target = tmp_path / "target.npy"
    target.write_bytes(encode_array(inverse_depth))
    example = read_example(Item("s", samples[0].image, target, None))
    assert (example.regions[:3] == 255).all()
    assert (example.regions[3:] == 0).all()
    assert np.isfinite(example.inverse_depth).all()
