"""The content of every table. Renderers are tested for what they add."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gantune.errors import ScoreError
from gantune.report import tables
from gantune.report.tables import Cell, Column, Note, Row, Table
from gantune.trial.records import Outcome, Standing, TrialRecord
from gantune.tuner.descriptions import score_name
from tests.canned import make_score
from tests.report.factory import NAME, finalist, finals, outcome, score, search, state, trial

BASICS = ("rank", "trial", "score", "recall", "coverage")
RUNGS = ("rung 25", "rung 50", "rung 75")
MEANS = ("rank", "trial", "mean", "error", "recall", "coverage")


def texts(table: Table, *keys: str) -> list[list[str]]:
    """Each row's texts in these columns, or in all."""
    chosen = table.select(*keys) if keys else table
    return [[cell.label for cell in row.cells] for row in chosen.rows]


def headings(table: Table, start: str = "") -> list[str]:
    """Headings of the columns whose keys start so."""
    return [column.heading for column in table.columns if column.key.startswith(start)]


def test_a_selection_keeps_rows_and_the_order_of_its_keys() -> None:
    table = Table("t", (Column("a", "A"), Column("b", "B")), (Row((Cell("1", 1), Cell("2", 2))),))
    assert headings(table.select("b", "a")) == ["B", "A"]
    assert texts(table, "b", "a") == [["2", "1"]]
    assert table.column("b") == [Cell("2", 2)]


def test_survivors_are_ranked_by_score_and_pruned_trials_follow_by_their_last_rung() -> None:
    table = tables.leaderboard(state(search()))
    assert table.title == f"Leaderboard: {NAME}, lower is better"
    assert texts(table, *BASICS, *RUNGS) == [
        ["1", "3", "8.10", "0.60", "0.70", "14.0", "11.0", "9.01"],
        ["2", "4 *", "10.5", "0.60", "0.70", "13.0", "11.0", "-"],
        ["3", "0 start", "12.1", "0.60", "0.70", "20.0", "15.5", "13.0"],
        ["-", "2", "-", "-", "-", "33.0", "31.2", "-"],
        ["-", "5", "-", "-", "-", "41.0", "-", "-"],
    ]
    assert [row.kind for row in table.rows] == ["best", "", "", "minor", "minor"]
    assert [row.starts_group for row in table.rows] == [False, False, False, True, False]
    assert [row.run for row in table.rows][:2] == ["trials/0003", "trials/0004"]
    assert table.column("score")[0].value == 8.1


def test_effort_and_error_of_a_survivor() -> None:
    keys = ("kimg", "scored_at", "error", "steps", "time")
    assert texts(tables.leaderboard(state(search())), *keys)[1] == [
        "24",
        "20.0",
        "0.10",
        "750",
        "12s",
    ]


def test_steps_have_no_column_where_no_trainer_reports_them() -> None:
    unknown = replace(outcome("completed", value=1.0), step=0)
    assert "steps" not in headings(tables.leaderboard(state([trial(0, unknown)])))


def test_low_recall_shows_a_collapse_that_the_score_hides() -> None:
    hidden = outcome("completed", value=1.0)
    hidden = replace(hidden, score=make_score(1.0, recall=0.034, coverage=0.125))
    table = tables.leaderboard(state([trial(0, hidden), trial(3, outcome("pruned"))]))
    assert texts(table, *BASICS) == [["1", "0 start", "1.00", "0.03", "0.12"]]


def test_a_collapsed_survivor_is_marked_with_its_checkpoint() -> None:
    assert tables.leaderboard(state(search())).notes == (
        Note("* trial 4 collapsed at 24 kimg, scored at 20 kimg", is_warning=True),
        Note("- stopped by rank at its last rung"),
    )


def test_without_scores_the_score_has_no_name() -> None:
    assert score_name(state([trial(0)])) == "score"


def test_a_parameter_that_never_differs_has_no_column() -> None:
    same = [
        trial(n, outcome("completed", value=n + 1.0), params={"loss": "hinge", "batch_size": size})
        for n, size in enumerate((16, 32))
    ]
    assert headings(tables.leaderboard(state(same)), "param") == ["batch"]
    assert headings(tables.trials(state(same)), "param") == ["batch"]
    alone = state(same[:1])
    assert headings(tables.leaderboard(alone), "param") == ["loss", "batch"]
    assert headings(tables.trials(alone), "param") == ["loss", "batch"]


def test_choices_come_first_then_learning_rates_then_the_batch() -> None:
    drawn = [{"a": n, "batch_size": n, "generator.lr": n, "loss": f"x{n}"} for n in range(2)]
    odd = [
        trial(n, outcome("completed", value=1.0), params=params) for n, params in enumerate(drawn)
    ]
    assert headings(tables.leaderboard(state(odd)), "param") == ["loss", "G lr", "batch", "a"]


def test_conditional_parameters_share_a_column() -> None:
    cells = tables.leaderboard(state(search())).column("others")
    assert [cell.text for cell in cells] == ["", "", "", *2 * ["lipschitz gp, gp weight 12.3"]]


@pytest.mark.parametrize("trials", [[], [trial(0)], [trial(0, outcome("diverged", 3.0))]])
def test_without_a_score_there_is_no_leaderboard(trials: list[TrialRecord]) -> None:
    assert tables.leaderboard(state(trials)).rows == ()


def test_scores_of_two_protocols_are_in_no_leaderboard() -> None:
    other = replace(outcome("completed", value=2.0), score=make_score(2.0, generated=1000))
    trials = [trial(0, outcome("completed", value=1.0)), trial(1, other)]
    with pytest.raises(ScoreError, match=r"generated: 2000 against 1000"):
        tables.leaderboard(state(trials))


def test_every_trial_has_a_row_with_its_outcome_and_the_reason() -> None:
    table = tables.trials(state(search()))
    assert texts(table, "trial", "outcome", "score", "kimg", "reason", "rung 50", "time") == [
        ["0 start", "completed", "12.1", "40", "", "15.5", "20s"],
        ["1", "diverged", "-", "8 (20%)", "exploding: it diverged", "-", "4s"],
        ["2", "pruned by rank", "-", "20 (50%)", "by rank at its 50% rung", "31.2", "10s"],
        ["3", "completed", "8.10", "40", "", "11.0", "20s"],
        ["4", "collapsed", "10.5", "24 (60%)", "discriminator_won: it collapsed", "11.0", "12s"],
        ["5", "pruned by rank", "-", "10 (25%)", "by rank at its 25% rung", "-", "5s"],
        ["6", "out of memory", "-", "0 (0%)", "", "-", "0s"],
        ["7", "stalled", "-", "22 (55%)", "stillborn: it stalled", "239", "11s"],
        ["8", "collapsed", "-", "6 (15%)", "discriminator_won: it collapsed", "-", "3s"],
        ["9", "crashed", "-", "3 (8%)", "", "-", "2s"],
        ["10", "running", "-", "-", "", "-", "-"],
        ["11", "running", "-", "-", "", "-", "-"],
    ]
    assert [row.ending for row in table.rows][:3] == ["completed", "diverged", "pruned"]
    assert [cell.value for cell in table.column("outcome")][:3] == [0, 3, 1]  # sorts as in legends


def test_the_table_of_trials_shows_parameters_that_only_some_have() -> None:
    table = tables.trials(state(search()))
    assert headings(table, "param") == ["loss", "G lr", "D lr", "batch", "lipschitz", "gp weight"]
    assert texts(table, "param lipschitz")[:3] == [["-"], ["-"], ["gp"]]
    aligned = {column.heading: column.align for column in table.columns}
    assert aligned["loss"] == "left" and aligned["G lr"] == "right"


def test_the_reason_is_the_last_line_of_an_error() -> None:
    crashed = Outcome("crashed", 3.0, error="Traceback\n  File\nValueError: " + 400 * "x" + "\n")
    (cell,) = tables.trials(state([trial(0, crashed)])).column("reason")
    assert cell.text.startswith("ValueError: x") and len(cell.text) == 300


def test_finals_show_mean_spread_and_every_seed() -> None:
    table = tables.finals(state(search(), finals()))
    assert table.title == f"Finals: {NAME}, mean ± standard deviation over 3 seeds"
    assert headings(table) == [
        *("#", "trial", "mean", "error", "recall", "coverage", "seed 1", "seed 2", "seed 3")
    ]
    assert texts(table) == [
        ["1", "3", "8.50 ± 0.50", "0.10", "0.60", "0.70", "8.00", "8.50", "9.00"],
        ["2", "0 start", "12.5 ± 0.50", "0.10", "0.60", "0.70", "12.0", "12.5", "13.0"],
        ["3", "4", "7.25 ± 0.35", "0.10", "0.60", "0.70", "7.00", "diverged", "7.50"],
    ]
    assert [row.kind for row in table.rows] == ["best", "", "warning"]
    assert [row.run for row in table.rows] == ["trials/0003", "trials/0000", "trials/0004"]
    assert table.notes == (Note("! trial 4, seed 2 diverged", is_warning=True),)


def test_a_finalist_without_a_score_comes_last_with_its_outcomes() -> None:
    runs = [run for run in finals() if run.origin != 0]
    runs += [finalist(20 + seed, 0, seed, outcome("stalled", 20.0)) for seed in (1, 2, 3)]
    table = tables.finals(state(search(), runs))
    assert texts(table)[-1] == ["-", "0 start", *4 * ["-"], *3 * ["stalled"]]
    assert texts(table)[-2][:2] == ["2", "4"] and table.rows[-1].kind == "minor"


def test_many_warnings_are_one_note() -> None:
    lost = replace(outcome("completed", value=5.0), score=score(5.0, spread=0.1))
    runs = [*finals(), *(finalist(20 + seed, 1, seed, lost) for seed in (1, 2, 3))]
    notes = [note.text for note in tables.finals(state(search(), runs)).notes]
    (line,) = [text for text in notes if text.startswith("! trial 1")]
    assert "lost spread" in line and "2 more warnings" in line


def test_the_error_is_of_one_seed_and_recall_a_mean() -> None:
    scores = [make_score(8.0, error=e, recall=r) for e, r in ((0.3, 0.2), (0.4, 0.6))]
    runs = [
        finalist(n, 3, n, replace(outcome("completed"), score=score))
        for n, score in enumerate(scores)
    ]
    (row,) = texts(tables.finals(state(search(), runs)))
    assert row == ["1", "3", "8.00 ± 0", "0.35", "0.40", "0.70", "8.00", "8.00"]


def test_without_finals_the_table_is_empty() -> None:
    assert tables.finals(state(search())).rows == ()


def test_stopped_trials_are_counted_by_rule_with_their_mean_share() -> None:
    assert texts(tables.spending(state(search()))) == [
        ["pruned by rank", "", "2", "38%"],
        ["discriminator_won", "collapsed", "2 (1 scored)", "38%"],
        ["exploding", "diverged", "1", "20%"],
        ["out of memory", "", "1", "0%"],
        ["stillborn", "stalled", "1", "55%"],
        ["crashed", "", "1", "8%"],
    ]


def test_a_column_in_which_no_trial_has_anything_is_left_out() -> None:
    done = [trial(n, outcome("completed", value=9.0 + n)) for n in range(3)]
    keys = [column.key for column in tables.trials(state(done)).columns]
    assert "reason" not in keys and "recall" in keys
    failed = [trial(n, outcome("collapsed", 6.0)) for n in range(3)]
    keys = [column.key for column in tables.trials(state(failed)).columns]
    assert keys[-1] == "reason" and "recall" not in keys and "score" in keys


@pytest.mark.parametrize(("recall", "kind"), [(0.6, "best"), (0.004, ""), (None, "best")])
def test_the_first_is_the_best_only_if_it_has_learned(recall: float | None, kind: str) -> None:
    made = make_score(9.0, recall=recall)
    of = state(
        [trial(0, replace(outcome("completed"), score=made))],
        [finalist(0, 0, 1, replace(outcome("completed"), score=made))],
    )
    assert [tables.leaderboard(of).rows[0].kind, tables.finals(of).rows[0].kind] == [kind, kind]


def test_a_pruned_trial_says_by_how_much() -> None:
    first, second = (
        replace(outcome("pruned", 10.0), standing=Standing(25, value, bound))
        for value, bound in ((256.0, 116.0), (300.0, 120.0))
    )
    of = state([trial(0, first, rungs={25: 256.0}), trial(1, second, rungs={25: 300.0})])
    reasons = [cell.text for cell in tables.trials(of).column("reason")]
    assert reasons == [
        "256 against 116, the bound at 25%",
        "300 against 120, the bound at 25%",
    ]
    (note,) = tables.leaderboard(of).notes
    assert note.text == "- stopped by rank at its last rung; the bound at 25% was 116 to 120"
