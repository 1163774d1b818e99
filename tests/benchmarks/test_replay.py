"""A recorded sweep in the place of training."""

from __future__ import annotations

import pytest

from benchmarks.curves import Curves
from benchmarks.replay import Recorded, Replay, recorded
from benchmarks.sweep import TABLES


def replay() -> Replay:
    """Three settings over the range of a rate, of 10 kimg; the second is the best at the end."""
    runs = [
        Curves(
            *(number, 0, {}, {}, []),
            scores=[{"value": value + 20 - k, "error": 0.5} for k in range(21)],
        )
        for number, value in enumerate((3.0, 1.0, 2.0))
    ]
    scaled = [{"generator.lr": 0.0}, {"generator.lr": 0.5}, {"generator.lr": 1.0}]
    return Replay(Recorded("digits", runs, scaled, 10.0, TABLES["digits"].space(), best=1))


def test_the_nearest_setting_is_given_once() -> None:
    table = replay()
    assert [table.nearest({"generator.lr": 3e-4}) for _ in range(4)] == [1, 0, 2, None]


def test_only_what_is_trained_counts_and_the_best_must_reach_its_end() -> None:
    table = replay()
    assert table.train(0, 0, 25) == (3.0 + 20 - 5, 0.5)
    assert table.spent == pytest.approx(2.5)
    table.train(1, 0, 50)
    assert not table.has_best
    table.train(1, 50, 100)
    assert table.has_best
    assert table.spent == pytest.approx(12.5)


def test_the_recorded_settings_are_what_the_sweep_draws() -> None:
    table = recorded("digits")
    assert (len(table.runs), table.best) == (304, 3)
    for run in table.runs[::50]:
        config, params = TABLES["digits"].draw(run.configuration)
        assert params == run.params
        assert config.generator.lr == run.config["generator"]["lr"]
        assert config.loss == run.config["loss"]
        assert config.batch_size == run.config["batch_size"]
    assert all(
        0 <= value <= 1
        for scaled in table.scaled
        for value in scaled.values()
        if isinstance(value, float)
    )
