"""A copier is near the images it was trained on and far from those it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gantune.data import ImageSet
from gantune.scores import Evaluator, HeldOut
from tests.scores.conftest import evaluator, part_of, shown


@pytest.fixture(scope="module", params=["classifier", "random"])
def judge(
    request: pytest.FixtureRequest, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> Evaluator:
    return evaluator(
        part_of(digits, slice(0, 1200, 2)),
        tmp_path_factory.mktemp("run"),
        request.param,
        samples=500,
        held_out=part_of(digits, slice(1, 1200, 2)),
    )


def scored(judge: Evaluator, images: ImageSet) -> HeldOut:
    found = judge.score(shown(torch.tensor(images.array)), full=True).held_out
    assert found is not None
    return found


def test_a_copier_is_caught_and_a_stranger_is_not(judge: Evaluator, digits: ImageSet) -> None:
    copier = scored(judge, part_of(digits, slice(0, 1200, 2)))
    stranger = scored(judge, part_of(digits, slice(1200, 1797)))
    assert copier.nearer_training == 1
    assert copier.training < 0.2 * copier.value
    assert stranger.nearer_training == pytest.approx(0.5, abs=0.1)
    assert stranger.training == pytest.approx(stranger.value, rel=0.35)


def test_counts_are_equal_and_the_floor_is_that_of_real_images(
    judge: Evaluator, digits: ImageSet
) -> None:
    found = scored(judge, part_of(digits, slice(1200, 1797)))
    assert found.count == 600
    noise = scored(judge, part_of(digits, slice(0, 2)))
    assert found.between == noise.between
    assert found.between == pytest.approx(found.value, rel=0.5)
    assert found.between < 0.1 * noise.value


def test_only_the_full_protocol_tells_it(judge: Evaluator, digits: ImageSet) -> None:
    assert judge.score(shown(torch.tensor(digits.array))).held_out is None


def test_nearest_training_images_are_found(judge: Evaluator, digits: ImageSet) -> None:
    copies = torch.tensor(digits.array[100:110:2])
    found = judge.nearest_training(copies, 3)
    assert found.images.shape == (5, 3, 1, 32, 32)
    assert torch.equal(found.images[:, 0], copies)
    assert found.distances[:, 0].max() == 0 < found.distances[:, 1].min()


def test_without_held_out_images_none_are_told(learned: ImageSet, tmp_path: Path) -> None:
    judge = evaluator(learned, tmp_path, samples=50)
    assert judge.score(shown(torch.tensor(learned.array)), full=True).held_out is None
