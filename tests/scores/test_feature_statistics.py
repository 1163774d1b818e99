"""Streamed features: evenly spaced rows, exact sums, and errors for wrong features."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.backends import cudnn

from gantune.errors import ScoreError
from gantune.scores import Extractor
from gantune.scores.feature_statistics import gather, subset_indices
from gantune.scores.features import FeatureNetwork
from tests.examples import examples
from tests.float32 import CHANGES, Changes, apply, named, settings, unchanged


class Echo(FeatureNetwork):
    """Gives back what it is given; the class is the sign of the first feature."""

    kind = "echo"

    def __init__(self, size: int) -> None:
        super().__init__({}, size, "none")

    def forward(self, images: Tensor) -> Tensor:
        return images

    def classify(self, features: Tensor) -> Tensor:
        return (features[:, 0] > 0).long()


def echo(size: int) -> Extractor:
    return Extractor("echo", Echo(size), "a test", ("minus", "plus"))


@examples(60)
@given(
    count=st.integers(2, 60),
    keep=st.integers(1, 70),
    batch=st.integers(1, 20),
    mean=st.sampled_from([0.0, 1e3]),
    seed=st.integers(0, 2**32),
)
def test_moments_and_classes_are_of_all_and_rows_are_a_random_subset(
    count: int, keep: int, batch: int, mean: float, seed: int
) -> None:
    rows = torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)) + mean
    found = gather(echo(5), torch.split(rows, batch), count, keep, "a test")
    assert torch.equal(found.rows, rows[subset_indices(count, min(keep, count))])
    assert (found.streamed is None) == (keep >= count)
    torch.testing.assert_close(found.mean, rows.double().mean(0))
    torch.testing.assert_close(found.covariance, rows.double().T.cov(), atol=1e-9, rtol=1e-9)
    plus = int((rows[:, 0] > 0).sum())
    assert (found.classes, found.count) == ((count - plus, plus), count)


@given(total=st.integers(1, 1000), count=st.integers(1, 1000))
def test_a_subset_is_distinct_and_in_order(total: int, count: int) -> None:
    count = min(total, count)
    found = subset_indices(total, count)
    assert len(found) == count and found[0] >= 0 and found[-1] < total
    assert count == 1 or found.diff().min() >= 1
    assert torch.equal(found, subset_indices(total, count))


@pytest.mark.parametrize("turns", [2, 10, 32])
def test_a_subset_has_every_class_whose_images_take_turns(turns: int) -> None:
    counts = (subset_indices(32 * turns * 10, 16 * turns) % turns).bincount(minlength=turns)
    assert counts.min() >= 4 and counts.max() <= 32


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("keep", [1, 9], ids=["streamed", "whole"])
def test_features_that_are_not_finite_are_an_error(value: float, keep: int) -> None:
    rows = torch.zeros(9, 3)
    rows[5, 1] = value
    with pytest.raises(ScoreError, match=r"samples: features are not finite.*extractor echo"):
        gather(echo(3), torch.split(rows, 4), 9, keep, "samples")


@pytest.mark.parametrize("changes", CHANGES, ids=named)
def test_features_are_exact_and_the_callers_settings_come_back(changes: Changes) -> None:
    seen = []

    class Looks(Echo):
        def forward(self, images: Tensor) -> Tensor:
            seen.append((settings(), cudnn.benchmark, cudnn.deterministic))
            return images

    with cudnn.flags(enabled=True, benchmark=True, deterministic=False), unchanged():
        apply(changes)
        before = settings()
        gather(Extractor("echo", Looks(3), "a test"), [torch.zeros(4, 3)], 4, 9, "samples")
        assert (settings(), cudnn.benchmark, cudnn.deterministic) == (before, True, False)
    ((inside, benchmark, deterministic),) = seen
    products = {inside[b, op] for b in ("cuda", "mkldnn") for op in ("matmul", "conv", "rnn")}
    assert (products, benchmark, deterministic) == ({"ieee"}, False, True)


def test_one_image_is_an_error() -> None:
    with pytest.raises(ScoreError, match="samples: 1 images; a distance needs at least 2"):
        gather(echo(3), [torch.zeros(1, 3)], 1, 9, "samples")


@pytest.mark.parametrize(
    "rows",
    [torch.zeros(4, 2), torch.zeros(4, 3, 1), torch.zeros(4, 3, dtype=torch.int64)],
    ids=["width", "dimensions", "number format"],
)
def test_other_than_one_row_an_image_is_an_error(rows: Tensor) -> None:
    with pytest.raises(ScoreError, match=r"extractor echo: returned .* \[4, 3\] was expected"):
        gather(echo(3), [rows], 4, 9, "samples")
