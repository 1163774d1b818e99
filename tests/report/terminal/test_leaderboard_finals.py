from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gantune.report.terminal.leaderboard import Finals
from tests.canned import make_score
from tests.report.factory import (
    NAME,
    PROTOCOL,
    finalist,
    finals,
    outcome,
    row,
    score,
    search,
    shown,
    state,
)


def test_finals_show_mean_spread_and_every_seed() -> None:
    text = shown(Finals(state(search(), finals())))
    assert f"{NAME}, mean over 3 fresh seeds" in text
    assert row(text, "1 ") == "1 3 8.50 ± 0.50 0.10 0.60 0.70 8.00 8.50 9.00"
    assert row(text, "2 ") == "2 0 start 12.5 ± 0.50 0.10 0.60 0.70 12.0 12.5 13.0"
    assert row(text, "3 ") == "3 4 7.25 ± 0.35 0.10 0.60 0.70 7.00 diverged 7.50"
    assert "! trial 4, seed 2 diverged" in text
    assert f"protocol {PROTOCOL}, 2,000 samples; error: of one seed's score" in text


def test_a_finalist_without_a_score_stands_last_with_its_endings() -> None:
    runs = [run for run in finals() if run.origin != 0]
    runs += [finalist(20 + seed, 0, seed, outcome("stalled", 20.0)) for seed in (1, 2, 3)]
    lines = shown(Finals(state(search(), runs))).splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("-"))
    assert lines[place].split() == ["-", "0", "start", *4 * ["-"], *3 * ["stalled"]]
    assert lines[place - 1].split()[:2] == ["2", "4"]


def test_many_warnings_are_one_line() -> None:
    lost = replace(outcome("completed", value=5.0), score=score(5.0, spread=0.1))
    runs = [*finals(), *(finalist(20 + seed, 1, seed, lost) for seed in (1, 2, 3))]
    text = shown(Finals(state(search(), runs)), 140)
    (line,) = [line for line in text.splitlines() if line.startswith("! trial 1")]
    assert "lost spread" in line and "2 more warnings" in line


def test_finals_of_many_seeds_fit() -> None:
    runs = [replace(run, seed=seed) for seed in range(1, 12) for run in finals()[:3]]
    text = shown(Finals(state(search(), runs)), 80)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "over 11 fresh seeds" in text and "coverage" in text
    assert "seed 1" not in text and "seed 11" in shown(Finals(state(search(), runs)), 160)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_it_fits_whole(width: int) -> None:
    text = shown(Finals(state(search(), finals())), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text and ("seed 3" in text) == (width >= 80)


def test_the_error_is_of_one_seed_and_recall_a_mean() -> None:
    scores = [make_score(8.0, error=e, recall=r) for e, r in ((0.3, 0.2), (0.4, 0.6))]
    runs = [
        finalist(n, 3, n, replace(outcome("completed"), score=score))
        for n, score in enumerate(scores)
    ]
    line = row(shown(Finals(state(search(), runs))), "1 ")
    assert line == "1 3 8.00 ± 0 0.35 0.40 0.70 8.00 8.00"


def test_no_finals_show_nothing() -> None:
    assert shown(Finals(state(search()))) == ""
