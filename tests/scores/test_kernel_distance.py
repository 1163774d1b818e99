"""The kernel distance against a plain NumPy one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.scores.frechet import Distance
from gantune.scores.kernel_distance import KernelSide, kernel_distance
from tests.examples import examples

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
def test_the_standard_error_is_the_spread_over_draws(shift: float) -> None:
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
