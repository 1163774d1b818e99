from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from gantune.errors import ScoreError
from gantune.report.terminal.leaderboard import Leaderboard
from gantune.tuner.descriptions import score_name
from gantune.tuner.records import TrialRecord
from tests.canned import make_score
from tests.report.factory import NAME, PROTOCOL, begun, outcome, row, search, shown, state, trial

WIDTHS = (60, 80, 100, 140)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_console_or_cut(width: int) -> None:
    text = shown(Leaderboard(state(search())), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text or width == 100  # there the gathered column is cut, by intent


def test_a_column_is_shown_whole_or_not_at_all() -> None:
    records = [
        replace(
            record, params={k: v for k, v in record.params.items() if "." not in k or "lr" in k}
        )
        for record in search()
        if record.params["loss"] != "wgan"
    ]
    for width in range(60, 130):
        text = shown(Leaderboard(state(records)), width)
        assert "…" not in text
        assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_survivors_stand_by_score_whatever_the_width(width: int) -> None:
    text = shown(Leaderboard(state(search())), width)
    assert row(text, "1 ").startswith("1 3 8.10 0.60 0.70 14.0 11.0 9.01")
    assert row(text, "2 ").startswith("2 4 * 10.5 0.60 0.70 13.0 11.0 -")
    assert row(text, "3 ").startswith("3 0 start 12.1 0.60 0.70 20.0 15.5 13.0")


def test_what_the_score_hides_stands_beside_it_before_anything_else() -> None:
    for width in (40, *WIDTHS):
        heading = shown(Leaderboard(state(search())), width).splitlines()[2 if width == 40 else 1]
        assert heading.split()[:5] == ["#", "trial", "score", "recall", "coverage"]
        assert ("kimg" in heading) == (width >= 80)
        assert ("loss" in heading) == (width >= 80)


def test_collapse_that_the_score_hides_is_seen() -> None:
    hidden = outcome("completed", value=1.0)
    hidden = replace(hidden, score=make_score(1.0, recall=0.034, coverage=0.125))
    line = row(shown(Leaderboard(state([trial(0, hidden), trial(3, outcome("pruned"))]))), "1 ")
    assert line.startswith("1 0 start 1.00 0.03 0.12 ")


def test_pruned_trials_follow_by_their_last_rung() -> None:
    text = shown(Leaderboard(state(search())), 100)
    lines = [line for line in text.splitlines() if line.startswith("-  ")]
    assert [line.split()[1:7] for line in lines] == [
        ["2", "-", "-", "-", "33.0", "31.2"],
        ["5", "-", "-", "-", "41.0", "-"],
    ]
    assert text.index("12.1") < text.index("31.2")


def test_the_score_is_called_by_its_name_and_protocol() -> None:
    text = shown(Leaderboard(state(search())))
    assert NAME in text and PROTOCOL in text and "2,000 samples" in text
    assert score_name(state([trial(0)])) == "score"


def test_rungs_stand_under_their_own_protocol(tmp_path: Path) -> None:
    rungs = begun(tmp_path)
    text = " ".join(shown(Leaderboard(state(search(), folder=tmp_path))).split())
    assert f"protocol {PROTOCOL}, 2,000 samples; rungs: protocol {rungs.hash}, 500 sam" in text
    pruned = [trial(1, outcome("pruned", 10.0), rungs={25: 41.0})]
    text = shown(Leaderboard(state(pruned, folder=tmp_path)))
    assert f"Leaderboard: {NAME}, lower" in text
    assert f"rungs: protocol {rungs.hash}, 500 samples; everything" in text and PROTOCOL not in text


def test_a_collapsed_survivor_is_marked_with_its_checkpoint() -> None:
    text = shown(Leaderboard(state(search())))
    assert "* trial 4 collapsed at 24 kimg, scored at 20 kimg" in text


def test_a_parameter_that_never_differs_is_left_out() -> None:
    same = [
        trial(n, outcome("completed", value=n + 1.0), params={"loss": "hinge", "batch_size": size})
        for n, size in enumerate((16, 32))
    ]
    text = shown(Leaderboard(state(same)))
    assert "batch" in text and "hinge" not in text


def test_words_come_first_then_rates_then_the_batch() -> None:
    drawn = [{"a": n, "batch_size": n, "generator.lr": n, "loss": f"x{n}"} for n in range(2)]
    odd = [
        trial(n, outcome("completed", value=1.0), params=params) for n, params in enumerate(drawn)
    ]
    heading = shown(Leaderboard(state(odd)), 140).splitlines()[1]
    assert heading.split()[-5:] == ["loss", "G", "lr", "batch", "a"]


def test_parameters_of_some_alternatives_share_a_column() -> None:
    text = shown(Leaderboard(state(search())), 140)
    assert "lipschitz gp, gp weight 12.3" in row(text, "-  2")
    assert "gp" not in row(text, "1 ")


def test_effort_is_shown_where_there_is_room() -> None:
    assert "steps" in shown(Leaderboard(state(search())), 140)
    assert "steps" not in shown(Leaderboard(state(search())), 80)
    untold = replace(outcome("completed", value=1.0), step=0)  # by a trainer that counts none
    assert "steps" not in shown(Leaderboard(state([trial(0, untold)])), 140)


def test_what_is_not_shown_is_counted() -> None:
    many = [trial(n, outcome("completed", value=n + 1.0)) for n in range(14)]
    many += [trial(n, outcome("pruned", 10.0), rungs={25: float(n)}) for n in range(14, 21)]
    text = shown(Leaderboard(state(many)), 140)
    assert "4 more survivors; 2 more pruned; everything: trials.csv" in text


def test_words_in_brackets_are_no_markup() -> None:
    odd = [
        trial(n, outcome("completed", value=1.0), params={"loss": f"[bold]{n}[/nonsense]"})
        for n in range(2)
    ]
    assert "[bold]1[/nonsense]" in shown(Leaderboard(state(odd)))


@pytest.mark.parametrize("trials", [[], [trial(0)], [trial(0, outcome("diverged", 3.0))]])
def test_without_a_score_it_says_so(trials: list[TrialRecord]) -> None:
    assert "No trial has a score yet" in shown(Leaderboard(state(trials)))


def many(*scores: tuple[float, float]) -> str:
    """The leaderboard of trials with these best rung scores and full scores."""
    trials = [
        trial(n, outcome("completed", value=value), rungs={25: 99.0, 100: rung})
        for n, (rung, value) in enumerate(scores)
    ]
    return " ".join(shown(Leaderboard(state(trials))).split())


def test_how_well_the_rungs_ordered_the_trials_stands_below() -> None:
    text = many((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7.5))
    assert "Rung scores ranked 6 finished trials like full scores: rank correlation 1.00." in text
    text = many((1, 6), (2, 5), (3, 4), (4, 3), (5, 2))
    assert "! Rung scores ranked 5 finished trials differently from full scores" in text
    assert "correlation -1.00, below 0.7;" in text and "more objective.rung_samples" in text
    assert "correlation" not in many((1, 2), (2, 3), (3, 4), (4, 5))


def test_scores_of_two_protocols_are_in_no_leaderboard() -> None:
    other = replace(outcome("completed", value=2.0), score=make_score(2.0, generated=1000))
    trials = [trial(0, outcome("completed", value=1.0)), trial(1, other)]
    with pytest.raises(ScoreError, match=r"generated: 2000 against 1000"):
        shown(Leaderboard(state(trials)))
