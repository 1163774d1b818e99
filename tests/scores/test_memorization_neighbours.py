"""The picture that shows copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gantune.gan.sampling import GRAY
from gantune.scores import Evaluator
from gantune.scores.neighbours import draw_neighbours
from tests.scores.conftest import evaluator, made_up

GAP = 2


def tiles(path: Path, side: int = 64) -> NDArray[np.uint8]:
    """The picture's tiles, [rows, columns, side, side, C]; images of 16 pixels are magnified."""
    picture = np.asarray(Image.open(path))
    picture = picture.reshape(*picture.shape[:2], -1)[GAP:, GAP:]
    rows, columns = (size // (side + GAP) for size in picture.shape[:2])
    cut = picture.reshape(rows, side + GAP, columns, side + GAP, -1).swapaxes(1, 2)
    return cut[:, :, :side, :side]


def small(tile: NDArray[np.uint8]) -> torch.Tensor:
    """A tile as the image that it shows, [C, 16, 16]."""
    return torch.tensor(tile[::4, ::4]).permute(2, 0, 1)


@pytest.fixture(params=[1, 3])
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Evaluator:
    return evaluator(made_up(60, channels=request.param), tmp_path, "random", samples=30)


def strangers(judge: Evaluator, number: int) -> torch.Tensor:
    array = judge._images.array
    return torch.tensor(made_up(number, channels=array.shape[1], seed=9).array)


def test_copies_stand_first_beside_what_they_copy(judge: Evaluator, tmp_path: Path) -> None:
    samples = strangers(judge, 20)
    for place, copied in ((3, 41), (17, 5)):
        samples[place] = torch.tensor(judge._images.array[copied])
    draw_neighbours(judge, samples, tmp_path / "a.png")
    shown = tiles(tmp_path / "a.png")
    assert shown.shape[:2] == (8, 8)
    assert (shown[:, 1] == GRAY).all()
    for row, place in enumerate((3, 17)):
        assert torch.equal(small(shown[row, 0]), samples[place])
        assert torch.equal(small(shown[row, 2]), samples[place])
    assert not torch.equal(small(shown[2, 0]), small(shown[2, 2]))


def test_each_row_has_its_own_neighbours_in_order(judge: Evaluator, tmp_path: Path) -> None:
    samples = strangers(judge, 20)
    draw_neighbours(judge, samples, tmp_path / "a.png")
    found = judge.nearest_training(samples, 6)
    first = found.distances[:, 0].sort()
    assert first.values[7] < first.values[8]
    for row, place in zip(tiles(tmp_path / "a.png"), first.indices[:8], strict=True):
        assert torch.equal(small(row[0]), samples[place])
        for tile, image in zip(row[2:], found.images[place], strict=True):
            assert torch.equal(small(tile), image)


def test_of_few_samples_and_few_real_images_all_are_shown(tmp_path: Path) -> None:
    judge = evaluator(made_up(4), tmp_path, "random", samples=4)
    draw_neighbours(judge, strangers(judge, 3), tmp_path / "a.png")
    assert tiles(tmp_path / "a.png").shape[:2] == (3, 6)
