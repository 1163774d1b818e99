"""The surrogate of a table, and what is written of searches on it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import search_surrogate
from benchmarks.replay import Replay, recorded
from benchmarks.search_surrogate import MARKS, PLAIN, Surrogate, main, report, search
from benchmarks.searches import DEFAULT


def params_of(number: int) -> dict[str, Any]:
    return dict(recorded("digits").runs[number].params)


def test_recorded_settings_have_about_their_recorded_scores() -> None:
    replay, surrogate = Replay(recorded("digits")), Surrogate(recorded("digits"), seed=0)
    for place in range(0, 300, 30):
        number = surrogate.nearest(params_of(place))
        assert number is not None
        for percent in (25, 100):
            value, error = surrogate.train(number, 0, percent)
            ratio = value / min(replay.score(place, percent)[0], 2000)
            assert abs(math.log(ratio)) < 0.5  # noise, and the second seed of a third of them
            assert error == pytest.approx(0.02 * value)


def test_what_is_trained_counts_and_the_best_of_the_whole_runs_wins() -> None:
    surrogate, table = Surrogate(recorded("digits"), seed=1), recorded("digits")
    surrogate.train(surrogate.nearest(params_of(0)) or 0, 0, 25)
    assert surrogate.spent == pytest.approx(table.kimg / 4)
    while not surrogate.has_best:
        number = surrogate.nearest(params_of(len(surrogate.found)))
        assert number is not None
        surrogate.train(number, 0, 100)
    assert len(surrogate.found) == len(MARKS)
    assert surrogate.spent == pytest.approx((MARKS[-1] + 0.25) * table.kimg)


@pytest.mark.integration
@pytest.mark.parametrize("strategy", [PLAIN, DEFAULT])
def test_a_search_ends_with_a_winner_at_each_mark(strategy: str) -> None:
    found = search("digits", strategy, seed=3)
    assert len(found) == len(MARKS)
    assert 20 < found[-1] < 200
    if strategy == PLAIN:
        assert found == search("digits", strategy, seed=3)


def test_figures_are_ratios_to_the_plain_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {PLAIN: [[100.0, 80.0, 40.0], [50.0, 40.0, 40.0]], "x": [[50.0, 40.0, 20.0]] * 2}
    tree = {"fit": 0.81, "seeds": 2, "machine": "a machine", "found": found}
    monkeypatch.setattr(search_surrogate, "measure", lambda *_: tree)
    main(["--tables", "digits"], tmp_path, tmp_path / "page.md")
    assert capsys.readouterr().out == report({"digits": tree}) + "\n"
    written = (tmp_path / "search_surrogate_cpu.md").read_text()
    assert (
        "| x | 0.71 (0.36 to 1.39) | 0.71 (0.36 to 1.39) | 0.50 (0.50 to 0.50) | 20.0 |" in written
    )
    assert f"| {PLAIN} | 1.00 (1.00 to 1.00)" in written
    assert "81%" in written
