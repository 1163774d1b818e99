"""Scores of points see positions, not only mean and covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantune.config import DataConfig
from gantune.data import ImageSet, load_images
from gantune.data.sources.builtin import gaussian_modes
from gantune.scores import Evaluator, missing_classes
from tests.scores.conftest import evaluator, shown

DEVIATION = 0.02

pytestmark = pytest.mark.integration


@pytest.fixture(
    scope="module",
    params=["gaussians:grid", "gaussians:ring"],
)
def real(request: pytest.FixtureRequest) -> ImageSet:
    return load_images(DataConfig(source=request.param))


@pytest.fixture(scope="module")
def judge(real: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    return evaluator(real, tmp_path_factory.mktemp("run"), samples=2000)


def drawn(real: ImageSet, modes: slice, deviation: float = DEVIATION) -> torch.Tensor:
    rng = np.random.default_rng(3)
    centres = gaussian_modes(real.source)[modes]
    points = centres[rng.integers(len(centres), size=2000)]
    return torch.tensor(points + deviation * rng.normal(size=points.shape), dtype=torch.float32)


def test_lost_modes_worsen_and_are_named(judge: Evaluator, real: ImageSet) -> None:
    scores = [judge.score(shown(drawn(real, slice(lost, None)))) for lost in (0, 1, 3, 5)]
    values = [score.value for score in scores]
    assert values == sorted(values)
    assert values[1] > 5 * values[0]
    assert missing_classes(scores[0]) == []
    assert missing_classes(scores[2]) == list(real.classes[:3])


def test_wider_modes_worsen(judge: Evaluator, real: ImageSet) -> None:
    wide = [drawn(real, slice(None), DEVIATION * times) for times in (1, 2, 4)]
    values = [judge.score(shown(points)).value for points in wide]
    assert values == sorted(values)
    assert values[1] > 2 * values[0]


def test_a_blob_of_the_same_mean_and_covariance_is_distinguished(
    judge: Evaluator, real: ImageSet
) -> None:
    rng = np.random.default_rng(4)
    blob = rng.multivariate_normal(real.array.mean(0), np.cov(real.array.T), 2000)
    fooled = judge.score(shown(torch.tensor(blob, dtype=torch.float32)))
    assert fooled.value > 20 * judge.score(shown(drawn(real, slice(None)))).value


def test_one_mode_has_lost_its_spread(judge: Evaluator, real: ImageSet) -> None:
    assert judge.score(shown(drawn(real, slice(0, 1)))).spread < 0.2
