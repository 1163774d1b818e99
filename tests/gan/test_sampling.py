"""Samples of a generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gantune.errors import ScoreError
from gantune.gan.sampling import sample_images


class Flat(nn.Module):
    """Images of one level each, the first latent; or the latents themselves, as points."""

    latent = 2

    def __init__(self, points: bool = False) -> None:
        super().__init__()
        self.points = points

    def forward(self, z: Tensor) -> Tensor:
        return z.clone() if self.points else z[:, :1, None, None].expand(-1, 3, 4, 4).clone()


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_levels_are_rounded_and_clamped() -> None:
    levels = sample_images(Flat(), 1000, rng())[:, 0, 0, 0]
    latents = torch.randn(1000, 2, generator=rng())[:, 0]
    expected = ((latents.clamp(-1, 1) + 1) * 127.5 + 0.5).floor()
    assert levels.dtype == torch.uint8 and levels.min() == 0 and levels.max() == 255
    assert (levels.float() - expected).abs().max() <= 1  # ties apart, the nearest level
    assert (levels.float() == expected).float().mean() > 0.99


@pytest.mark.parametrize("number", [1, 7, 255, 257, 600])
def test_any_number_and_the_same_images_however_many(number: int) -> None:
    images = sample_images(Flat(), number, rng())
    assert images.shape == (number, 3, 4, 4)
    assert torch.equal(images, sample_images(Flat(), number, rng()))


def test_points_come_as_they_are() -> None:
    points = sample_images(Flat(points=True), 20, rng())
    assert torch.equal(points, torch.randn(20, 2, generator=rng()))


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_numbers_are_no_images(points: bool, value: float) -> None:
    class Broken(Flat):
        def forward(self, z: Tensor) -> Tensor:
            images = super().forward(z)
            images[-1, 0] = value
            return images

    with pytest.raises(ScoreError, match="not numbers"):
        sample_images(Broken(points), 300, rng())


class Classed(nn.Module):
    """Points that are their own class, three times as often 1 as 0."""

    latent, classes = 1, 2

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("label_shares", torch.tensor([0.25, 0.75]))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([labels.float(), z[:, 0]], 1)


def test_classes_come_as_often_as_the_data_has_them() -> None:
    classes = sample_images(Classed(), 4000, rng())[:, 0]
    assert classes.mean().item() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000))
    assert torch.equal(
        sample_images(Classed(), 300, rng())[:, 0], sample_images(Classed(), 300, rng())[:, 0]
    )


def test_classes_may_be_named() -> None:
    labels = torch.arange(300) % 2
    assert torch.equal(sample_images(Classed(), 300, rng(), labels)[:, 0], labels.float())
