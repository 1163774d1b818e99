from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config.loss_families import LOSSES
from gantune.health import History
from gantune.health.history import FEWEST_TICKS, FEWEST_WITHOUT_BUDGET, SIGNALS, Window


def observed(values: list[float | None], budget: float | None = 40.0) -> History:
    history = History(LOSSES["vanilla"], budget)
    for k, value in enumerate(values):
        history.add_tick(float(k + 1), {"d_loss": value})
    return history


def test_signals_are_those_of_a_tick() -> None:
    tick = pytest.importorskip("gantune.gan.tick")
    assert set(SIGNALS) <= set(tick.Tick.__dataclass_fields__)


def test_window_is_a_share_of_the_budget() -> None:
    window = observed([float(k) for k in range(1, 31)]).window("d_loss", 0.25)
    assert window == Window([float(k) for k in range(21, 31)], 20.0, 30.0)


def test_window_is_a_share_of_the_observed_length_where_that_is_longer() -> None:
    for budget in (10.0, None):
        window = observed([float(k) for k in range(1, 101)], budget).window("d_loss", 0.25)
        assert window is not None
        assert (window.length, len(window.values)) == (25.0, 25)


def test_window_is_never_shorter_than_the_fewest_ticks() -> None:
    values: list[float | None] = [1.0] * 30
    short = observed(values).window("d_loss", 0.01)
    assert short == Window([1.0] * FEWEST_TICKS, 30.0 - FEWEST_TICKS, 30.0)
    unknown = observed(values, None).window("d_loss", 0.01)
    assert unknown == Window([1.0] * FEWEST_WITHOUT_BUDGET, 30.0 - FEWEST_WITHOUT_BUDGET, 30.0)


def test_no_window_before_enough_ticks() -> None:
    assert observed([1.0] * 9).window("d_loss", 0.25) is None
    assert observed([1.0] * 10).window("d_loss", 0.25) is not None
    assert observed([1.0] * 4).window("d_loss", 0.01) is None


def test_ticks_longer_than_the_window_still_make_five() -> None:
    history = History(LOSSES["vanilla"], 40.0)
    for k in range(1, 6):
        history.add_tick(8.0 * k, {"d_loss": 1.0})
    assert history.window("d_loss", 0.1) == Window([1.0] * 5, 0.0, 40.0)


def test_missing_and_non_finite_values_are_skipped() -> None:
    history = observed([1.0, None, math.nan, 2.0, math.inf, 3.0, None, 4.0, 5.0, 6.0])
    window = history.window("d_loss", 0.25)
    assert window is not None
    assert window.values == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    opening = history.opening("d_loss")
    assert opening is not None and opening.size == 3.0
    assert history.highest("d_loss", until=10.0) == 6.0
    assert history.highest("d_loss", until=4.0) == 2.0
    assert history.window("spread", 0.25) is None
    assert history.opening("spread") is None
    assert history.highest("spread", until=10.0) is None


def test_figures_of_a_window() -> None:
    window = Window([-9.0, 1.0, 2.0, 3.0, 4.0], 0.0, 5.0)
    assert (window.median, window.size, window.lower, window.upper) == (2.0, 3.0, 1.0, 3.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=60))
def test_upper_and_lower_are_the_80th_and_20th_percentile(values: list[float]) -> None:
    window = Window(values, 0.0, 5.0)
    assert sum(v <= window.upper for v in values) >= 0.8 * len(values)
    assert sum(v >= window.lower for v in values) >= 0.8 * len(values)
    assert window.lower <= window.median <= window.upper


def test_resume_from_a_checkpoint_drops_later_observations() -> None:
    history = observed([float(k) for k in range(1, 11)])
    history.add_tick(6.0, {"d_loss": 60.0})
    history.add_tick(7.0, {"d_loss": 70.0})
    assert [tick.at for tick in history.ticks] == [1, 2, 3, 4, 5, 6, 7]
    assert history.ticks[-2].values["d_loss"] == 60.0
    for kimg in (0.0, 10.0, 20.0, 10.0):
        history.add_score(kimg, 100.0 - kimg)
    assert [point.at for point in history.scores] == [0, 10]


def test_going_back_drops_ticks_and_scores_alike() -> None:
    for by_score in (False, True):
        history = observed([float(k) for k in range(1, 11)])
        for kimg in (0.0, 5.0, 10.0):
            history.add_score(kimg, 100.0 - kimg)
        if by_score:
            history.add_score(5.0, 96.0)
        else:
            history.add_tick(5.0, {"d_loss": 50.0})
        assert [point.at for point in history.scores] == [0, 5]
        assert [tick.at for tick in history.ticks] == [1, 2, 3, 4, 5]
        assert history.now == 5.0


@pytest.mark.parametrize("kimg", [-1.0, math.nan, math.inf])
def test_impossible_kimg_is_refused(kimg: float) -> None:
    history = observed([])
    with pytest.raises(ValueError, match="kimg must be"):
        history.add_tick(kimg, {})
    with pytest.raises(ValueError, match="kimg must be"):
        history.add_score(kimg, 1.0)
    assert history.now == 0.0
