from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gantune.report.leaderboard import Finals, Leaderboard, score_name
from gantune.search.records import TrialRecord
from tests.report.factory import (
    NAME,
    PROTOCOL,
    finalist,
    finals,
    outcome,
    score,
    search,
    shown,
    state,
    trial,
)

WIDTHS = (60, 80, 100, 140)


def row(text: str, start: str) -> str:
    """The one line that starts so, its blanks made single."""
    (line,) = [" ".join(line.split()) for line in text.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_console_or_cut(width: int) -> None:
    text = shown(Leaderboard(state(search())), width) + shown(
        Finals(state(search(), finals())), width
    )
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
    assert row(text, "1 ").startswith("1 3 8.10 14.0 11.0 9.01 40")
    assert row(text, "2 ").startswith("2 4 * 10.5 13.0 11.0 - 24")
    assert row(text, "3 ").startswith("3 0 start 12.1 20.0 15.5 13.0 40")


def test_pruned_trials_follow_by_their_last_rung() -> None:
    text = shown(Leaderboard(state(search())), 100)
    lines = [line for line in text.splitlines() if line.startswith("-  ")]
    assert [line.split()[1:5] for line in lines] == [
        ["2", "-", "33.0", "31.2"],
        ["5", "-", "41.0", "-"],
    ]
    assert text.index("12.1") < text.index("31.2")


def test_the_score_is_called_by_its_name_and_protocol() -> None:
    text = shown(Leaderboard(state(search())))
    assert NAME in text and PROTOCOL in text and "2,000 samples" in text
    assert score_name(state([trial(0)])) == "score"


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


def test_finals_show_mean_spread_and_every_seed() -> None:
    text = shown(Finals(state(search(), finals())))
    assert f"{NAME}, mean over 3 fresh seeds" in text
    assert row(text, "1 ") == "1 3 8.50 ± 0.50 8.00 8.50 9.00"
    assert row(text, "2 ") == "2 0, start recipe 12.5 ± 0.50 12.0 12.5 13.0"
    assert row(text, "3 ") == "3 4 7.25 ± 0.35 7.00 diverged 7.50"
    assert "! trial 4, seed 2 diverged" in text


def test_a_finalist_without_a_score_stands_last_with_its_endings() -> None:
    runs = [run for run in finals() if run.origin != 0]
    runs += [finalist(20 + seed, 0, seed, outcome("stalled", 20.0)) for seed in (1, 2, 3)]
    lines = shown(Finals(state(search(), runs))).splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("-"))
    assert lines[place].split() == ["-", "0,", "start", "recipe", "-", *3 * ["stalled"]]
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
    assert "over 11 fresh seeds" in text


def test_no_finals_show_nothing() -> None:
    assert shown(Finals(state(search()))) == ""
