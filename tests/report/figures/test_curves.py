"""The curves of all trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gantune.report.analysis.outcomes import MARKS
from gantune.report.figures import style
from gantune.report.figures.curves import learning_curves, loss_curves
from gantune.report.run_data import RunData
from tests.report.factory import finals, search
from tests.report.pages import canned_run, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return canned_run(tmp_path_factory.mktemp("run"))


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("draw", [learning_curves, lambda run: loss_curves(run, "d_loss")])
def test_the_winner_has_a_colour_of_its_own_and_lies_on_top(run: RunData, draw: Any) -> None:
    figure = draw(run)
    last = figure.data[-1]
    assert last.name == "trial 3, the winner" and set(last.customdata) == {"trials/0003", None}
    colours = {trace.line.color for trace in figure.data[:-1] if trace.mode != "markers"}
    assert last.line.color not in colours | {mark.colour for mark in MARKS.values()}
    assert last.line.width > max(t.line.width for t in figure.data[:-1] if t.line.width)


def test_every_line_has_its_name_on_hover(run: RunData) -> None:
    for figure in (learning_curves(run), loss_curves(run, "g_loss")):
        for trace in figure.data:
            if "lines" in trace.mode:
                told = dict(zip(trace.customdata, trace.text, strict=True))
                for name in filter(None, told):
                    number = int(name[-4:])
                    assert told[name].startswith(f"<b>trial {number}</b>"), told[name]
    assert "(start), vanilla: " in str(learning_curves(run).data[0].text)


def test_before_the_finals_the_best_is_no_winner(tmp_path: Path) -> None:
    figure = learning_curves(make_run(tmp_path, search()))
    assert figure.data[-1].name == "trial 3, the best"


def test_without_a_score_no_line_stands_out(tmp_path: Path) -> None:
    trials = [record for record in search() if record.value is None]
    trials = [replace(record, number=k) for k, record in enumerate(trials)]
    run = make_run(tmp_path, trials)
    for figure in (learning_curves(run), loss_curves(run, "d_loss")):
        assert all(trace.line.color != style.WINNER for trace in figure.data)


def test_no_figure_uses_the_colour_of_an_outcome_for_something_else(run: RunData) -> None:
    assert finals()
    assert {style.ACCENT, style.WINNER} & {mark.colour for mark in MARKS.values()} == set()
