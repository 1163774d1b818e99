"""The distance is torchmetrics' own, for any features, with a standard error that is one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores.distances import (
    Distance,
    Gaussian,
    KernelSide,
    frechet_distance,
    frechet_extrapolated,
    frechet_with_error,
    kernel_distance,
)
from gantune.scores.feature_statistics import Features, Moments
from tests.examples import examples, in_integration
from tests.scores.conftest import evaluator, shown


class Given(torch.nn.Module):
    """Stands where torchmetrics wants a network: the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def reference(real: Tensor, made: Tensor) -> float:
    """What torchmetrics computes of these features, in float64."""
    metric = FrechetInceptionDistance(feature=Given(real.shape[1]))
    metric.update(real.double(), real=True)
    metric.update(made.double(), real=False)
    metric.orig_dtype = torch.float64
    return float(metric.compute())


def exact(real: Tensor, made: Tensor) -> float:
    """The same by another way, which squares nothing: with the real covariance R'R and the samples'
    S'S, the trace of their product's root is the sum of the singular values of RS'."""
    means = [side.double().mean(dim=0) for side in (real, made)]
    roots = [
        torch.linalg.qr((side.double() - mean) / (len(side) - 1) ** 0.5, mode="r").R
        for side, mean in zip((real, made), means, strict=True)
    ]
    variance = sum(float(root.square().sum()) for root in roots)
    trace = float(torch.linalg.svdvals(roots[0] @ roots[1].T).sum())
    return float((means[0] - means[1]).square().sum()) + variance - 2 * trace


def distance(real: Tensor, made: Tensor) -> float:
    return frechet_distance(Gaussian.of(Features(real, len(real))), Features(made, len(made)))


def drawn(count: int, size: int, decades: float, seed: int, rank: int | None = None) -> Tensor:
    """Correlated features about zero whose variances fall by so many decades, and of this rank.

    About zero, because a mean of its own would be most of the distance and hide the rest.
    """
    mixing = torch.randn(rank or size, size, generator=torch.Generator().manual_seed(7))
    scales = torch.logspace(0, -decades / 2, rank or size)
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, rank or size, generator=generator) * scales) @ mixing


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
    assert ours == pytest.approx(float(metric.compute()), rel=1e-4)


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize("decades", [0, 4, 12], ids=["well", "ill", "worse"])
@pytest.mark.parametrize(("real", "made"), [(900, 700), (900, 40), (50, 700), (50, 40), (3, 2)])
def test_equals_torchmetrics_on_any_covariance(
    size: int, decades: float, real: int, made: int
) -> None:
    features = drawn(real, size, decades, 0), drawn(made, size, decades, 1)
    assert distance(*features) == pytest.approx(reference(*features), rel=1e-4)


@pytest.mark.parametrize("size", [64, 256])
def test_equals_torchmetrics_where_small_variances_are_true_ones(size: int) -> None:
    real, made = drawn(5000, size, 12, 0), drawn(5000, size, 12, 1)
    assert distance(real, made) == pytest.approx(reference(real, made), rel=1e-4)
    assert distance(real, made) == pytest.approx(exact(real, made), rel=1e-9)
    told = frechet_with_error(Gaussian.of(Features(real, 5000)), Features(made, 5000))
    assert told.value == pytest.approx(reference(real, made), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 10])
def test_equals_torchmetrics_where_dimensions_are_dead(rank: int) -> None:
    features = drawn(300, 64, 1, 0, rank), drawn(200, 64, 1, 1, rank)
    assert distance(*features) == pytest.approx(reference(*features), rel=1e-4)


@pytest.mark.parametrize("made", [700, 300, 4], ids=["many", "few", "fewer than ranks"])
@pytest.mark.parametrize(
    "ranks",
    [
        *((5, 5), (5, None), (None, 1)),
        *in_integration((None, 5), (100, 100), (5, 100)),
    ],
)
def test_is_exact_where_covariances_have_no_inverse(
    ranks: tuple[int | None, int | None], made: int
) -> None:
    features = drawn(900, 512, 1, 0, ranks[0]), drawn(made, 512, 1, 1, ranks[1])
    assert distance(*features) == pytest.approx(exact(*features), rel=1e-6)


def test_a_mean_of_its_own_adds_to_the_distance() -> None:
    real, made = drawn(900, 64, 4, 0), drawn(700, 64, 4, 1)
    apart = torch.linspace(-1, 1, 64)
    assert distance(real, made + apart) == pytest.approx(exact(real, made + apart), rel=1e-6)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("made", "size"), [(3000, 1024), (500, 2048)], ids=["by dimensions", "by samples"]
)
def test_equals_torchmetrics_at_the_size_of_inception(made: int, size: int) -> None:
    features = drawn(4000, size, 6, 0), drawn(made, size, 6, 1)
    assert distance(*features) == pytest.approx(reference(*features), rel=1e-4)


def test_equals_the_closed_form_in_one_dimension() -> None:
    a, b = torch.randn(50, 1), 3 * torch.randn(70, 1) + 2
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert distance(a, b) == pytest.approx(float(expected), rel=1e-4)


@examples(60)
@given(
    count=st.integers(2, 12),
    size=st.integers(1, 20),
    scale=st.floats(0, 1e6),
    seed=st.integers(0, 2**32),
)
def test_is_finite_never_negative_and_zero_to_itself(
    count: int, size: int, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(count, size, generator=generator)
    b = torch.randn(count, size, generator=generator) * scale
    assert 0 <= distance(a, b) < math.inf
    assert 0 <= distance(b, b) <= 1e-6 * size * (1 + scale**2)


@pytest.mark.parametrize("made", [700, 40], ids=["many", "few"])
def test_the_error_comes_with_the_same_value(made: int) -> None:
    real = Gaussian.of(Features(drawn(900, 64, 4, 0), 900))
    features = Features(drawn(made, 64, 4, 1), made)
    told = frechet_with_error(real, features)
    assert told.value == pytest.approx(frechet_distance(real, features), rel=1e-9)
    assert told.error > 0


def test_constant_features_have_a_distance() -> None:
    assert distance(torch.ones(5, 3), torch.zeros(4, 3)) == pytest.approx(3)


@pytest.mark.parametrize(("made", "size"), [(400, 16), (25, 64)], ids=["many", "few"])
def test_the_standard_error_is_the_spread_over_draws(made: int, size: int) -> None:
    real = Gaussian.of(Features(drawn(2000, size, 2, 0), 2000))
    draws = [
        frechet_with_error(real, Features(drawn(made, size, 2, seed) + 1, made))
        for seed in range(1, 81)
    ]
    spread = torch.tensor([draw.value for draw in draws]).std()
    told = torch.tensor([draw.error for draw in draws]).mean()
    assert 0.7 < told / spread < 1.5


def extrapolated(real: Gaussian, made: Features) -> Distance:
    return frechet_extrapolated(real, made, frechet_with_error(real, made))


def bent(count: int, seed: int) -> Tensor:
    """Samples that differ from ``drawn(..., seed=0)`` in their mean and their spread."""
    return 1.2 * drawn(count, 32, 1, seed) + 0.1


def test_the_extrapolation_removes_the_bias_of_few_samples() -> None:
    real = Gaussian.of(Features(drawn(4000, 32, 1, 0), 4000))
    truth = frechet_distance(real, Features(bent(100_000, 99), 100_000))
    draws = [Features(bent(256, seed), 256) for seed in range(1, 61)]
    plain = torch.tensor([frechet_distance(real, one) for one in draws])
    found = [extrapolated(real, one) for one in draws]
    values = torch.tensor([one.value for one in found])
    chance = 3 * values.std() / len(draws) ** 0.5
    assert plain.mean() - truth > 4 * chance
    assert abs(values.mean() - truth) < chance
    told = torch.tensor([one.error for one in found]).mean()
    assert 0.8 < told / values.std() < 1.5


def test_an_extrapolation_does_not_depend_on_the_order_of_the_samples() -> None:
    real = Gaussian.of(Features(drawn(4000, 32, 1, 0), 4000))
    rows = bent(600, 1)
    ordered = rows[rows[:, 0].argsort()]  # as of a folder that is sorted by class
    first, second = (extrapolated(real, Features(r, 600)) for r in (rows, ordered))
    assert first.value == pytest.approx(second.value, abs=first.error)


def test_an_extrapolation_from_a_part_of_the_rows() -> None:
    real = Gaussian.of(Features(drawn(4000, 32, 1, 0), 4000))
    rows = bent(4000, 1)
    sums = Moments(rows[:100])
    for part in rows.split(100):
        sums.add(part)
    whole = extrapolated(real, Features(rows, 4000))
    kept = extrapolated(real, Features(rows[::8], 4000, streamed=sums))
    plain = frechet_distance(real, Features(rows, 4000))
    assert plain - whole.value == pytest.approx(plain - kept.value, rel=0.2)


def test_six_samples_are_needed_to_extrapolate() -> None:
    real = Gaussian.of(Features(drawn(40, 4, 1, 0), 40))
    with pytest.raises(ScoreError, match="at least 6 samples"):
        extrapolated(real, Features(drawn(5, 4, 1, 1), 5))


def test_streamed_features_give_the_same() -> None:
    real, made = drawn(500, 32, 3, 0), drawn(400, 32, 3, 1)
    sums = Moments(made[:30])
    for part in made.split(30):
        sums.add(part)
    gaussian = Gaussian.of(Features(real, 500))
    streamed = frechet_with_error(gaussian, Features(made[::4], 400, streamed=sums))
    whole = frechet_with_error(gaussian, Features(made, 400))
    assert streamed.value == pytest.approx(whole.value, rel=1e-9)
    assert streamed.error == pytest.approx(whole.error, rel=0.3)


def test_features_that_are_not_finite_are_an_error() -> None:
    real = Gaussian.of(Features(torch.randn(9, 3), 9))
    with pytest.raises(ScoreError, match="Frechet distance"):
        frechet_distance(real, Features(torch.full((5, 3), math.nan), 5))
    with pytest.raises(ScoreError, match="Frechet distance"):
        frechet_distance(real, Features(torch.full((5, 3), math.inf), 5))


Rows = NDArray[np.float32]


def ours(real: Rows, made: Rows) -> Distance:
    return kernel_distance(*(KernelSide.of(torch.from_numpy(side)) for side in (real, made)))


def plain(real: Rows, made: Rows) -> float:
    """The unbiased estimate, written out."""
    x, y = real.astype(np.float64), made.astype(np.float64)

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def others(values: NDArray[np.float64]) -> float:
        count = len(values)
        return float((values.sum() - np.trace(values)) / (count * (count - 1)))

    return others(kernel(x, x)) + others(kernel(y, y)) - 2 * float(kernel(x, y).mean())


def jackknife(real: Rows, made: Rows) -> float:
    """Each row left out in turn."""
    left = np.array([plain(np.delete(real, i, 0), made) for i in range(len(real))])
    right = np.array([plain(real, np.delete(made, i, 0)) for i in range(len(made))])
    variance = (len(left) - 1) * left.var() + (len(right) - 1) * right.var()
    return float(np.sqrt(variance))


@examples(50)
@given(
    real=st.integers(2, 30),
    made=st.integers(2, 30),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**32),
)
def test_equals_the_plain_one(real: int, made: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(real, size)).astype(np.float32)
    y = rng.normal(1, 2, size=(made, size)).astype(np.float32)
    assert ours(x, y).value == pytest.approx(plain(x, y), rel=1e-9, abs=1e-9)


def test_more_rows_than_a_tile_and_the_size_of_inception() -> None:
    rng = np.random.default_rng(0)
    x, y = (
        rng.normal(mean, 1, (count, 2048)).astype(np.float32)
        for mean, count in ((0, 700), (0.1, 600))
    )
    assert ours(x, y).value == pytest.approx(plain(x, y), rel=1e-9)


def test_the_standard_error_is_the_jackknifes() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 8)).astype(np.float32), rng.normal(1, 1, (30, 8)).astype(np.float32)
    assert ours(x, y).error == pytest.approx(jackknife(x, y), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["same", "apart"])
def test_kid_the_standard_error_is_the_spread_over_draws(shift: float) -> None:
    rng = np.random.default_rng(0)
    found = [
        ours(*(rng.normal(mean, 1, (60, 8)).astype(np.float32) for mean in (0, shift)))
        for _ in range(100)
    ]
    spread = np.std([one.value for one in found])
    assert 0.7 < np.mean([one.error for one in found]) / spread < 1.6


def test_is_unbiased_so_it_averages_to_zero_between_draws_of_one_kind() -> None:
    rng = np.random.default_rng(0)
    found = [
        ours(*(rng.normal(size=(20, 8)).astype(np.float32) for _ in range(2))).value
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert min(found) < 0
