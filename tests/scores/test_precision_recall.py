"""Precision, recall, density, coverage and neighbours against plain NumPy ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.scores.precision_recall import NeighbourBalls, Overlap, nearest, overlap
from tests.examples import examples

Rows = NDArray[np.float32]


def ours(real: Rows, made: Rows, recall: int = 2, coverage: int = 3) -> Overlap:
    sides = (torch.from_numpy(side) for side in (real, made))
    return overlap(*(NeighbourBalls.of(side, recall, coverage) for side in sides))


def apart(rows: Rows, others: Rows) -> NDArray[np.float64]:
    """All distances, written out."""
    gaps = rows[:, None].astype(np.float64) - others[None].astype(np.float64)
    return np.sqrt((gaps**2).sum(axis=2))


def plain(real: Rows, made: Rows, recall: int = 2, coverage: int = 3) -> Overlap:
    of_real, of_made = (np.sort(apart(rows, rows), axis=1) for rows in (real, made))
    across = apart(made, real)
    inside = across <= of_real[:, coverage]
    return Overlap(
        precision=(across <= of_real[:, recall]).any(axis=1).mean(),
        recall=(across <= of_made[:, recall, None]).any(axis=0).mean(),
        density=inside.sum() / (coverage * len(made)),
        coverage=inside.any(axis=0).mean(),
    )


@examples(50)
@given(
    real=st.integers(4, 40),
    made=st.integers(4, 40),
    size=st.integers(1, 20),
    shift=st.floats(0, 3),
    seed=st.integers(0, 2**32),
)
def test_equals_the_plain_one(real: int, made: int, size: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(real, size)).astype(np.float32)
    y = rng.normal(shift, 1, size=(made, size)).astype(np.float32)
    assert ours(x, y) == pytest.approx(plain(x, y))


@pytest.mark.integration
def test_more_rows_than_a_tile() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(mean, 1, (1100, 16)).astype(np.float32) for mean in (0, 0.3))
    assert ours(x, y) == pytest.approx(plain(x, y))


def test_far_from_zero_equal_rows_are_still_equal() -> None:
    rng = np.random.default_rng(0)
    x = (1e4 + rng.normal(size=(20, 8))).astype(np.float32)
    y = np.repeat(x[:1], 20, axis=0)
    assert ours(x, y) == pytest.approx(plain(x, y))
    assert ours(x, y).recall == 1 / 20


def test_like_sets_overlap_strange_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(300, 4)).astype(np.float32) for _ in range(2))
    like, strange = ours(x, y, 5, 5), ours(x, y + 100, 5, 5)
    assert min(like) > 0.85
    assert strange == (0, 0, 0, 0)


def test_coverage_of_like_sets_is_what_theory_says() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(2000, 4)).astype(np.float32) for _ in range(2))
    assert ours(x, y, 3, 5).coverage == pytest.approx(1 - 2**-5, abs=0.02)  # Naeem et al. 2020


def test_the_nearest_are_found_beyond_one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantune.scores.feature_statistics._BLOCK", 7)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(count, 5)).astype(np.float32) for count in (9, 40))
    found = nearest(torch.from_numpy(x), torch.from_numpy(y), 10)
    across = apart(x, y)
    assert found.places.tolist() == np.argsort(across, axis=1)[:, :10].tolist()
    assert found.distance.numpy() == pytest.approx(np.sort(across, axis=1)[:, :10])
