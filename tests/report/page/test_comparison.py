"""Comparing several searches: only under one protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantune.errors import ScoreError
from gantune.report.page.comparison import (
    best_of,
    check_same_protocol,
    compare_runs,
    make_comparison,
    progress_of,
    rank_runs,
    run_names,
    tied_names,
)
from gantune.report.run_data import RunData
from gantune.trial.records import Outcome
from tests.canned import make_score
from tests.report.factory import finals, outcome, search, state, trial
from tests.report.pages import canned_run, make_run


def test_runs_under_two_protocols_raise_with_the_differences(tmp_path: Path) -> None:
    one = canned_run(tmp_path / "one")
    ended = Outcome("completed", 40.0, score=make_score(3.0, generated=5000), best_kimg=40.0)
    other = make_run(tmp_path / "other", [trial(0, ended)])
    with pytest.raises(ScoreError, match="generated: 2000 against 5000") as raised:
        check_same_protocol([one, other])
    assert str(tmp_path / "other") in str(raised.value)


def test_the_best_run_comes_first_and_others_are_compared_with_it(tmp_path: Path) -> None:
    worse = [trial(0, outcome("completed", value=50.0))]
    runs = [RunData(state(worse, folder=tmp_path / "b", winner=None)), canned_run(tmp_path / "a")]
    names = run_names(runs)
    assert names == ["b", "a"]
    ranked = rank_runs(runs)
    assert [place for place, _ in ranked] == [1, 0] and ranked[0][1].mean == 8.5
    (found,) = compare_runs(ranked, names)
    assert found.text == "b is worse than a: 5.9 times the score."
    assert found.details.startswith("b has 5.9 times the score of a; 95% interval 4")
    assert tied_names(ranked, names) == [] and "Best: a, trial" in make_comparison(runs)


def test_a_lucky_single_run_is_not_called_the_best(tmp_path: Path) -> None:
    lucky = [trial(0, outcome("completed", value=8.4))]
    runs = [RunData(state(lucky, folder=tmp_path / "b", winner=None)), canned_run(tmp_path / "a")]
    ranked, names = rank_runs(runs), run_names(runs)
    assert ranked[0][0] == 0 and tied_names(ranked, names) == ["a"]
    page = make_comparison(runs)
    assert "A tie: b, a. The lowest score: b, trial 0" in page and ", of one seed." in page


def test_folders_of_the_same_name_are_named_by_their_paths(tmp_path: Path) -> None:
    runs = [RunData(state([], folder=tmp_path / k / "dcgan")) for k in ("x", "y")]
    assert run_names(runs) == [str(tmp_path / "x" / "dcgan"), str(tmp_path / "y" / "dcgan")]
    assert best_of(runs[0].state) is None and rank_runs(runs) == []


def test_the_best_score_improves_over_the_training_spent() -> None:
    steps = progress_of(state(search(), finals()))
    assert [value for _, value, _ in steps] == [12.06, 8.1, 8.1]
    assert steps[0][0] == 40.0 and steps[1][0] == 40 + 8 + 20 + 40
    assert steps[-1][0] == sum(r.outcome.kimg for r in search() if r.outcome)
    assert progress_of(state([trial(0)])) == []
