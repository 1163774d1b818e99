"""Copies of training images are detected; unseen images and noise do not count as copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from gantune.data import ImageSet
from gantune.gan.sampling import GRAY
from gantune.scores import Evaluator, HeldOut, warnings
from gantune.scores.evaluator import draw_neighbours
from tests.scores.conftest import evaluator, made_up, shown

ORDER = np.random.default_rng(0).permutation(1797)
LEARNED, HELD_OUT, STRANGERS = ORDER[:1350], ORDER[1350:1500], ORDER[1500:]


def some_of(digits: ImageSet, index: np.ndarray) -> ImageSet:
    assert digits.labels is not None
    return replace(
        digits,
        array=digits.array[index],
        labels=digits.labels[index],
        content_hash=f"{digits.content_hash}{index[:3]}",
    )


@pytest.fixture(scope="module", params=["classifier", "random"])
def judge(
    request: pytest.FixtureRequest, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> Evaluator:
    """Nine of ten digits are learned, one is held out."""
    return evaluator(
        some_of(digits, LEARNED),
        tmp_path_factory.mktemp("run"),
        request.param,
        samples=297,
        held_out=some_of(digits, HELD_OUT),
    )


def scored(judge: Evaluator, images: torch.Tensor) -> HeldOut:
    found = judge.score(shown(images), full=True).held_out
    assert found is not None
    return found


def test_copies_are_detected_with_few_held_out_images(judge: Evaluator, digits: ImageSet) -> None:
    copies = torch.tensor(digits.array[LEARNED[:297]])
    found = scored(judge, copies)
    assert found.nearer_training == 1
    assert found.copying > 10
    (warning,) = [w for w in warnings(judge.score(shown(copies), full=True)) if "copies" in w]
    assert "100% of the pairs" in warning


def test_strangers_are_not_taken_for_copies(judge: Evaluator, digits: ImageSet) -> None:
    found = scored(judge, torch.tensor(digits.array[STRANGERS]))
    assert found.nearer_training == pytest.approx(0.5, abs=0.09)
    assert found.copying < 3


def test_garbage_is_not_taken_for_copies(judge: Evaluator) -> None:
    noise = torch.randint(0, 256, (297, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    found = scored(judge, noise.byte())
    assert found.nearer_training < 0.1
    assert found.copying < 0


def test_all_distances_are_between_as_many_images(judge: Evaluator, digits: ImageSet) -> None:
    real = scored(judge, torch.tensor(digits.array[STRANGERS]))
    noise = scored(judge, torch.tensor(digits.array[:2]))
    assert real.count == noise.count == 150
    assert real.between == noise.between
    assert max(real.between, real.value) < 0.2 * noise.value


def test_ties_count_half() -> None:
    from gantune.scores.memorization import _mann_whitney

    same = torch.zeros(40, dtype=torch.float64)
    assert _mann_whitney(same, same) == (0.5, 0.0)
    share, deviations = _mann_whitney(same, same + 1)
    assert share == 1 and deviations > 5


def test_only_the_full_protocol_compares_with_held_out_images(
    judge: Evaluator, digits: ImageSet
) -> None:
    assert judge.score(shown(torch.tensor(digits.array))).held_out is None


def test_nearest_training_images_are_found(judge: Evaluator, digits: ImageSet) -> None:
    copies = torch.tensor(digits.array[LEARNED[100:105]])
    found = judge.nearest_training(copies, 3)
    assert found.images.shape == (5, 3, 1, 32, 32)
    assert torch.equal(found.images[:, 0], copies)
    assert found.distances[:, 0].max() == 0 < found.distances[:, 1].min()


def test_without_held_out_images_there_is_no_comparison(learned: ImageSet, tmp_path: Path) -> None:
    judge = evaluator(learned, tmp_path, samples=50)
    assert judge.score(shown(torch.tensor(learned.array)), full=True).held_out is None


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
def neighbours_judge(request: pytest.FixtureRequest, tmp_path: Path) -> Evaluator:
    return evaluator(made_up(60, channels=request.param), tmp_path, "random", samples=30)


def strangers(neighbours_judge: Evaluator, number: int) -> torch.Tensor:
    array = neighbours_judge._images.array
    return torch.tensor(made_up(number, channels=array.shape[1], seed=9).array)


def test_copies_come_first_next_to_their_originals(
    neighbours_judge: Evaluator, tmp_path: Path
) -> None:
    samples = strangers(neighbours_judge, 20)
    for place, copied in ((3, 41), (17, 5)):
        samples[place] = torch.tensor(neighbours_judge._images.array[copied])
    draw_neighbours(neighbours_judge, samples, tmp_path / "a.png")
    shown = tiles(tmp_path / "a.png")
    assert shown.shape[:2] == (8, 8)
    assert (shown[:, 1] == GRAY).all()
    for row, place in enumerate((3, 17)):
        assert torch.equal(small(shown[row, 0]), samples[place])
        assert torch.equal(small(shown[row, 2]), samples[place])
    assert not torch.equal(small(shown[2, 0]), small(shown[2, 2]))


def test_each_row_has_its_own_neighbours_in_order(
    neighbours_judge: Evaluator, tmp_path: Path
) -> None:
    samples = strangers(neighbours_judge, 20)
    draw_neighbours(neighbours_judge, samples, tmp_path / "a.png")
    found = neighbours_judge.nearest_training(samples, 6)
    first = found.distances[:, 0].sort()
    assert first.values[7] < first.values[8]
    for row, place in zip(tiles(tmp_path / "a.png"), first.indices[:8], strict=True):
        assert torch.equal(small(row[0]), samples[place])
        for tile, image in zip(row[2:], found.images[place], strict=True):
            assert torch.equal(small(tile), image)


def test_of_few_samples_and_few_real_images_all_are_shown(tmp_path: Path) -> None:
    neighbours_judge = evaluator(made_up(4), tmp_path, "random", samples=4)
    draw_neighbours(neighbours_judge, strangers(neighbours_judge, 3), tmp_path / "a.png")
    assert tiles(tmp_path / "a.png").shape[:2] == (3, 6)
