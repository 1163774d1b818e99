"""What is scored: images in their order, and generators."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gantune.data import resolved
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import save_weights
from gantune.gan.trainer import Trainer
from gantune.scores.sample_sources import GeneratorSamples, ImageSamples
from tests.gan.builders import config_of, images_for
from tests.scores.conftest import made_up

CPU = torch.device("cpu")


def checkpoint(path: Path, network: str = "dcgan") -> Path:
    config = config_of(network)
    images = images_for(config)
    trainer = Trainer(resolved(config, images), images, "cpu")
    save_weights(path / "best.pt", trainer.weights)
    return path / "best.pt"


def test_images_come_in_their_order_and_again_from_the_first() -> None:
    images = made_up(7, side=8, channels=3)
    samples = ImageSamples("mine", images)
    assert (samples.count, samples.resolution, samples.colour) == (7, 8, "rgb")
    for _ in range(2):
        sample = samples.sampler(CPU)
        parts = [sample(count, torch.Generator()) for count in (4, 2, 1)]
        assert torch.equal(torch.cat(parts), torch.from_numpy(images.array))


def test_a_generator_draws_what_the_random_numbers_say(tmp_path: Path) -> None:
    samples = GeneratorSamples.read("mine", checkpoint(tmp_path))
    assert (samples.resolution, samples.colour) == (16, "gray")
    sample = samples.sampler(CPU)
    one, same, other = (sample(3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == (3, 1, 16, 16) and one.dtype == torch.uint8
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_generator_of_points(tmp_path: Path) -> None:
    samples = GeneratorSamples.read("mine", checkpoint(tmp_path, "mlp"))
    assert (samples.resolution, samples.colour) == (0, "points")
    assert samples.sampler(CPU)(3, torch.Generator()).shape == (3, 2)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        GeneratorSamples.read("mine", tmp_path / "best.pt")
