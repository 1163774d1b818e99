"""How many workers a GPU is worth: decided on canned measurements."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.tuner.engines.probe import Measured, Memory, best_count, describe, next_count

speeds = st.floats(1.0, 1e6)


def played(curve: list[float], most: int) -> list[Measured]:
    """What is measured where so many trainings are as fast as the curve says."""
    measured: list[Measured] = []
    while (count := next_count(measured, most)) is not None:
        measured.append(Measured(count, curve[min(count, len(curve)) - 1]))
    return measured


@pytest.mark.parametrize(
    ("speeds", "counts", "best"),
    [
        ([9000, 14100, 14200, 14300], [1, 2, 4], 2),  # the third is never measured
        ([9000, 9100], [1, 2], 1),
        ([9000, 8000, 8000, 30000], [1, 2], 1),  # nobody goes on after a loss
        ([1000, 2000, 3000, 4000, 5000, 6000], [1, 2, 4, 6], 6),
        ([1000, 2000, 3000, 2050], [1, 2, 4], 2),
    ],
)
def test_the_smallest_number_within_5_percent_is_taken(
    speeds: list[float], counts: list[int], best: int
) -> None:
    measured = played(speeds, len(speeds))
    assert [m.workers for m in measured] == counts
    assert best_count(measured) == best


@given(st.lists(speeds, min_size=1, max_size=40), st.integers(1, 40))
def test_it_always_ends_within_its_limit(curve: list[float], most: int) -> None:
    measured = played(curve, most)
    counts = [m.workers for m in measured]
    assert counts[0] == 1 and counts == sorted(set(counts)) and counts[-1] <= most
    assert all(later <= 2 * earlier for earlier, later in pairwise(counts))
    best, fastest = best_count(measured), max(m.images_per_second for m in measured)
    at = {m.workers: m.images_per_second for m in measured}
    assert at[best] >= 0.95 * fastest
    assert all(at[count] < 0.95 * fastest for count in counts if count < best)


@given(speeds, st.integers(1, 40))
def test_one_that_shares_perfectly_takes_all_there_is(one: float, most: int) -> None:
    measured = played([one * count for count in range(1, 41)], most)
    assert measured[-1].workers == most
    assert best_count(measured) >= 0.95 * most


@given(st.floats(1, 200), st.floats(0, 1), st.floats(0.01, 300))
def test_what_is_taken_leaves_a_tenth_free(total: float, share: float, one: float) -> None:
    memory = Memory(total, total * share, one)
    assert memory.most >= 1
    if memory.most > 1:
        assert memory.most * one <= total * share - 0.1 * total + 1e-9
    assert (memory.most + 1) * one > total * share - 0.1 * total


def test_it_is_said_in_one_line() -> None:
    three = [Measured(1, 9000.4), Measured(2, 14100), Measured(4, 14300)]
    assert describe(three) == (
        "2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300"
    )
    assert describe([Measured(1, 70.0)]) == "1 worker a GPU: 1 trains 70 images/s"
