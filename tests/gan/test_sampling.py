"""Samples of a generator."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gantune.errors import ScoreError
from gantune.gan.sampling import sample_images, save_grid


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
def test_the_first_images_do_not_depend_on_the_number(number: int) -> None:
    images = sample_images(Flat(), number, rng())
    assert images.shape == (number, 3, 4, 4)
    assert torch.equal(images, sample_images(Flat(), number, rng()))


def test_points_come_as_they_are() -> None:
    points = sample_images(Flat(points=True), 20, rng())
    assert torch.equal(points, torch.randn(20, 2, generator=rng()))


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_samples_are_refused(points: bool, value: float) -> None:
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


def test_classes_have_their_shares_in_the_data() -> None:
    classes = sample_images(Classed(), 4000, rng())[:, 0]
    assert classes.mean().item() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000))
    assert torch.equal(
        sample_images(Classed(), 300, rng())[:, 0], sample_images(Classed(), 300, rng())[:, 0]
    )


def test_labels_can_be_given() -> None:
    labels = torch.arange(300) % 2
    assert torch.equal(sample_images(Classed(), 300, rng(), labels)[:, 0], labels.float())


# ---- The picture of samples ----------


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("channels", "side", "times"), [(1, 16, 4), (3, 32, 2), (1, 28, 2), (3, 64, 1), (1, 128, 1)]
)
def test_images_are_laid_out_in_rows(tmp_path: Path, channels: int, side: int, times: int) -> None:
    images = torch.randint(0, 256, (5, channels, side, side), dtype=torch.uint8)
    save_grid(images, tmp_path / "new" / "grid.png")
    picture = read(tmp_path / "new" / "grid.png")
    tile = side * times + 2
    assert picture.shape[:2] == (2 * tile + 2, 3 * tile + 2)
    assert picture.ndim == (2 if channels == 1 else 3)
    fourth = picture[tile + 2 : 2 * tile : times, 2:tile:times]
    expected = images[3].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(fourth, expected[:, :, 0] if channels == 1 else expected)
    assert (picture[tile:, 2 * tile :] == 64).all()  # no sixth image
    assert (picture[:2] == 64).all() and (picture[:, tile : tile + 2] == 64).all()


def test_columns(tmp_path: Path) -> None:
    images = torch.zeros(4, 1, 64, 64, dtype=torch.uint8)
    save_grid(images, tmp_path / "grid.png", columns=4)
    assert read(tmp_path / "grid.png").shape == (68, 266)
    save_grid(images, tmp_path / "grid.png", columns=9)
    assert read(tmp_path / "grid.png").shape == (68, 266)


def test_points_are_dots_with_y_upwards(tmp_path: Path) -> None:
    points = torch.tensor([[0.6, 1.0], [50.0, 0.0], [float("nan"), 0.0]])
    save_grid(points, tmp_path / "points.png")
    picture = read(tmp_path / "points.png")
    assert picture.shape == (512, 512)
    rows, columns = np.nonzero(picture < 255)
    assert len(rows) == 9  # one dot: the others lie outside
    assert rows.max() < 100 and columns.min() > 300


def test_points_at_the_edge(tmp_path: Path) -> None:
    save_grid(torch.tensor([[1.2499, -1.2499], [-1.2499, 1.2499]]), tmp_path / "points.png")
    assert (read(tmp_path / "points.png") < 255).any()


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images"):
        save_grid(torch.zeros(0, 1, 8, 8, dtype=torch.uint8), tmp_path / "grid.png")
    assert not list(tmp_path.iterdir())
