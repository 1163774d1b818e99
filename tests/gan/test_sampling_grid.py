"""The picture of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantune.gan.sampling import save_grid


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("channels", "side", "times"), [(1, 16, 4), (3, 32, 2), (1, 28, 2), (3, 64, 1), (1, 128, 1)]
)
def test_images_stand_in_rows(tmp_path: Path, channels: int, side: int, times: int) -> None:
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
