"""The distance is torchmetrics' own, for any features."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import FrechetInceptionDistance

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores.distance import frechet_distance
from gantune.scores.statistics import Statistics
from tests.scores.conftest import evaluator, shown


def sums(features: torch.Tensor) -> Statistics:
    features = features.double()
    return Statistics(features.sum(0), features.T @ features, len(features), ())


@pytest.mark.parametrize("name", ["classifier", "random"])
def test_equals_torchmetrics_fed_with_the_images(
    name: str, learned: ImageSet, others: ImageSet, tmp_path: Path
) -> None:
    judge = evaluator(learned, tmp_path, name)
    ours = judge.score(shown(torch.tensor(others.array))).value
    metric = FrechetInceptionDistance(feature=judge.extractor.module)
    for images, real in ((learned.array, True), (others.array, False)):
        for batch in torch.split(torch.tensor(images), 250):
            metric.update(batch, real=real)
    assert ours == pytest.approx(float(metric.compute()), rel=1e-6)


def test_equals_the_closed_form_in_one_dimension() -> None:
    a, b = torch.randn(50, 1), 3 * torch.randn(70, 1) + 2
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet_distance(sums(a), sums(b)) == pytest.approx(float(expected), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 12),
    size=st.integers(1, 20),
    scale=st.floats(0, 1e6),
    seed=st.integers(0, 2**32),
)
def test_is_finite_and_not_below_zero(count: int, size: int, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(count, size, generator=generator)
    b = torch.randn(count, size, generator=generator) * scale
    value = frechet_distance(sums(a), sums(b))
    assert math.isfinite(value)
    assert value >= -1e-6 * (1 + scale**2) * size


def test_refuses_fewer_than_two_images() -> None:
    with pytest.raises(ScoreError, match="2 images or more"):
        frechet_distance(sums(torch.randn(1, 3)), sums(torch.randn(5, 3)))
