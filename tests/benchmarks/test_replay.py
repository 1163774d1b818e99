"""A recorded sweep in the place of training."""

from __future__ import annotations

import pytest

from benchmarks.curves import Curves
from benchmarks.replay import Recorded, Replay, recorded
from benchmarks.sweep import TABLES


def replay(scores: int = 20) -> Replay:
    """Three settings over the range of a rate, of 10 kimg; the second is the best at the end."""
    runs = [
        Curves(
            *(number, 0, {}, {}, []),
            scores=[{"value": value + scores - k, "error": 0.5} for k in range(scores + 1)],
        )
        for number, value in enumerate((3.0, 1.0, 2.0))
    ]
    scaled = [{"generator.lr": 0.0}, {"generator.lr": 0.5}, {"generator.lr": 1.0}]
    space, again = TABLES["digits"].space(), {1: 3.0}
    return Replay(Recorded("digits", runs, scaled, 10.0, space, best=1, again=again))


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


@pytest.mark.parametrize(
    ("percents", "kimg", "score"),
    [((5,), 1.0, 3 + 9), ((10,), 1.0, 3 + 9), ((5, 10), 1.0, 3 + 9), ((5, 25), 3.0, 3 + 7)],
)
def test_a_rung_without_a_score_is_trained_to_the_next_one(
    percents: tuple[int, ...], kimg: float, score: float
) -> None:
    table, before = replay(scores=10), 0
    for percent in percents:
        found, before = table.train(0, before, percent)[0], percent
    assert (table.spent, found) == (pytest.approx(kimg), score)


def test_progress_is_the_rank_of_the_best_setting_that_reached_its_end() -> None:
    table = replay()
    table.train(0, 0, 100)
    table.train(2, 0, 25)
    assert table.progress == [(10.0, 3)]
    table.train(2, 25, 100)
    table.train(1, 0, 100)
    assert table.progress == [(10.0, 3), (20.0, 2), (30.0, 1)]
    assert (table.reached(0), table.reached(100)) == ({0, 1, 2}, {0, 1, 2})


def test_a_second_training_has_the_second_seeds_score_and_costs_as_much() -> None:
    table = replay()
    assert [table.train_again(number) for number in range(3)] == [3.0, 3.0, 2.0]
    assert table.spent == 30.0
    assert table.by_mean() == [1, 2, 0]  # of 1 the mean of two seeds is 2, as that of 2


def test_the_best_are_those_by_the_mean_of_their_seeds() -> None:
    table = recorded("digits")
    assert len(table.again) == 102
    found = Replay(table).best_by_mean()
    assert len(found) == 9
    means = {
        n: (Replay(table).score(n, 100)[0] + table.again[n]) / 2 for n in {*found} & {*table.again}
    }
    assert all(mean < 50 for mean in means.values())


def test_rungs_agree_more_the_later_they_are() -> None:
    found = Replay(recorded("digits")).agreement((5, 25, 75, 100))
    assert list(found.values()) == sorted(found.values())
    assert found[100] == pytest.approx(1)


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
