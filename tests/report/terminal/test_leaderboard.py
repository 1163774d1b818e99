"""What the terminal adds to the leaderboard and the finals: widths, protocols, rungs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from gantune.report.terminal.tables import finals_view, leaderboard_view
from tests.report.factory import PROTOCOL, begun, finals, outcome, row, search, shown, state, trial

WIDTHS = (60, 80, 100, 140)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_console_or_cut(width: int) -> None:
    text = shown(leaderboard_view(state(search())), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text or width == 100  # there the shared column is cut, as intended


def test_a_column_is_shown_whole_or_not_at_all() -> None:
    records = [
        replace(
            record, params={k: v for k, v in record.params.items() if "." not in k or "lr" in k}
        )
        for record in search()
        if record.params["loss"] != "wgan"
    ]
    for width in range(60, 130):
        text = shown(leaderboard_view(state(records)), width)
        assert "…" not in text
        assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_survivors_are_ranked_at_every_width(width: int) -> None:
    text = shown(leaderboard_view(state(search())), width)
    assert row(text, "1 ").startswith("1 3 8.10 0.60 0.70 14.0 11.0 9.01")
    assert row(text, "2 ").startswith("2 4 * 10.5 0.60 0.70 13.0 11.0 -")
    assert row(text, "3 ").startswith("3 0 start 12.1 0.60 0.70 20.0 15.5 13.0")


def test_recall_and_coverage_come_before_other_columns() -> None:
    for width in (40, *WIDTHS):
        heading = shown(leaderboard_view(state(search())), width).splitlines()[
            2 if width == 40 else 1
        ]
        assert heading.split()[:5] == ["#", "trial", "score", "recall", "coverage"]
        assert ("kimg" in heading) == (width >= 80)
        assert ("loss" in heading) == (width >= 80)
        assert ("steps" in heading) == (width >= 140)


def test_conditional_parameters_share_a_column() -> None:
    text = shown(leaderboard_view(state(search())), 140)
    assert "lipschitz gp, gp weight 12.3" in row(text, "-  2")
    assert "gp" not in row(text, "1 ")


def test_rungs_have_their_own_protocol(tmp_path: Path) -> None:
    rungs = begun(tmp_path)
    text = " ".join(shown(leaderboard_view(state(search(), folder=tmp_path))).split())
    assert f"protocol {PROTOCOL}, 2,000 samples; rungs: protocol {rungs.hash}, 500 sam" in text
    pruned = [trial(1, outcome("pruned", 10.0), rungs={25: 41.0})]
    text = shown(leaderboard_view(state(pruned, folder=tmp_path)))
    assert "Leaderboard: fid[classifier-digits], lower" in text
    assert f"rungs: protocol {rungs.hash}, 500 samples; everything" in text and PROTOCOL not in text


def test_trials_without_a_row_are_counted() -> None:
    many = [trial(n, outcome("completed", value=n + 1.0)) for n in range(14)]
    many += [trial(n, outcome("pruned", 10.0), rungs={25: float(n)}) for n in range(14, 21)]
    text = shown(leaderboard_view(state(many)), 140)
    assert "4 more survivors; 2 more pruned; everything: trials.csv" in text


def test_words_in_brackets_are_no_markup() -> None:
    odd = [
        trial(n, outcome("completed", value=1.0), params={"loss": f"[bold]{n}[/nonsense]"})
        for n in range(2)
    ]
    assert "[bold]1[/nonsense]" in shown(leaderboard_view(state(odd)))


def test_a_search_without_scores_says_so() -> None:
    assert "No trial has a score yet" in shown(leaderboard_view(state([trial(0)])))


def many(*scores: tuple[float, float]) -> str:
    """The leaderboard of trials with these best rung scores and full scores."""
    trials = [
        trial(n, outcome("completed", value=value), rungs={25: 99.0, 100: rung})
        for n, (rung, value) in enumerate(scores)
    ]
    return " ".join(shown(leaderboard_view(state(trials))).split())


def test_the_rung_agreement_is_shown_below() -> None:
    text = many((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7.5))
    assert "Rung scores ranked 6 finished trials like full scores. Spearman's rank" in text
    text = many((1, 6), (2, 5), (3, 4), (4, 3), (5, 2))
    assert "! Rung scores ranked 5 finished trials differently from full scores" in text
    assert "correlation -1.00, below 0.7." in text and "more objective.rung_samples" in text
    assert "correlation" not in many((1, 2), (2, 3), (3, 4), (4, 5))


def test_finals_are_followed_by_warnings_and_protocol() -> None:
    text = shown(finals_view(state(search(), finals())))
    assert row(text, "3 ") == "3 4 7.25 ± 0.35 0.10 0.60 0.70 7.00 diverged 7.50"
    assert "! trial 4, seed 2 diverged\n" in text
    protocol = f"protocol {PROTOCOL}, 2,000 samples; error: the sampling error of one seed's score"
    assert protocol in text


def test_finals_of_many_seeds_fit() -> None:
    runs = [replace(run, seed=seed) for seed in range(1, 12) for run in finals()[:3]]
    text = shown(finals_view(state(search(), runs)), 80)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "over 11 seeds" in text and "coverage" in text
    assert "seed 1" not in text and "seed 11" in shown(finals_view(state(search(), runs)), 160)


@pytest.mark.parametrize("width", WIDTHS)
def test_finals_fit_whole(width: int) -> None:
    text = shown(finals_view(state(search(), finals())), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text and ("seed 3" in text) == (width >= 80)


def test_no_finals_show_nothing() -> None:
    assert shown(finals_view(state(search()))) == ""
