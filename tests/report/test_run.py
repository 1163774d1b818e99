"""``load_run`` and ``Run``: tables, samples and figures for Python users."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest

import gantune
from gantune.errors import RunError
from gantune.report.run import Run
from tests.report.factory import state, trial
from tests.report.pages import canned_run

FIGURES = (
    *("leaderboard", "stability_map", "learning_curves", "loss_curves"),
    *("importance", "parallel_coordinates", "budget", "timeline"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The canned run, which no test changes."""
    return canned_run(tmp_path_factory.mktemp("run"))


def test_the_table_of_trials_has_a_row_per_trial_and_a_column_per_parameter(run: Run) -> None:
    table = run.trials
    assert list(table.index) == list(range(12)) and table.index.name == "number"
    assert table.loc[3, "score"] == 8.1 and table.loc[3, "recall"] == 0.6
    assert table.loc[3, "generator.lr"] == pytest.approx(2.1234e-4 * 4)
    assert table.loc[8, "rule"] == "discriminator_won" and table.loc[8, "verdict"] == "it collapsed"
    assert table.loc[10, "ending"] == "running" and table.loc[10, "rung_25"] == 19.0
    assert table.dropna(subset="score").sort_values("score").index[0] == 3


def test_finals_name_their_trial_and_seed(run: Run) -> None:
    finals = run.finals
    assert list(finals.groupby("trial")["score"].mean()[[3, 0]]) == [8.5, 12.5]
    assert set(finals["seed"]) == {1, 2, 3}


def test_ticks_and_scores_of_one_run(run: Run) -> None:
    ticks = run.ticks(7)
    assert ticks["kimg"].iloc[-1] == 22.0 and ticks["d_loss"].iloc[0] == pytest.approx(1.27)
    scores = run.scores(3)
    assert list(scores["value"]) == [14.0, 11.0, 9.01, 8.1]
    assert scores["rung"].isna().tolist() == [False, False, False, True]
    assert run.ticks("finalists/0000")["kimg"].iloc[-1] == 40.0


def test_samples_are_pictures_by_kimg(run: Run) -> None:
    samples = run.samples(3)
    assert list(samples) == [10, 20, 30, 40]
    assert samples[40].size == (530, 530)
    assert samples._repr_html_().count("<img") == 4
    assert len(run.samples(9)) == 0 and "no sample grids" in run.samples(9)._repr_html_()


def test_a_missing_trial_raises(run: Run) -> None:
    for name in (99, "trials/0099", "nonsense"):
        with pytest.raises(RunError, match="has no trial"):
            run.ticks(name)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_plotly_figures(run: Run, name: str) -> None:
    figure = getattr(run, name)()
    assert isinstance(figure, go.Figure) and len(figure.data) > 0
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_a_search_that_has_just_started_are_drawn(tmp_path: Path, name: str) -> None:
    bare = Run(state([trial(0, None)], folder=tmp_path))
    assert isinstance(getattr(bare, name)(), go.Figure)


def test_the_map_shows_every_trial_in_the_panel_of_its_loss(run: Run) -> None:
    shown = [name for trace in run.stability_map().data for name in trace.customdata]
    assert sorted(shown) == [f"trials/{number:04d}" for number in range(12)]
    hinge = run.stability_map("hinge").data
    assert sum(len(trace.x) for trace in hinge) == 4
    (collapsed,) = [trace for trace in hinge if trace.name == "collapsed"]
    assert collapsed.y[0] == pytest.approx(1e-3 / 5)  # D's rate is vertical


def test_another_trainers_rates_are_the_maps_axes_too(tmp_path: Path) -> None:
    trials = [
        trial(k, params={"width": 64 + k, "lr": 1e-3 * (k + 1), "critic.lr": 2e-3 * (k + 1)})
        for k in range(3)
    ]
    (trace,) = Run(state(trials, folder=tmp_path)).stability_map().data
    assert list(trace.x) == [1e-3, 2e-3, 3e-3] and list(trace.y) == [2e-3, 4e-3, 6e-3]


def test_every_stop_shows_its_verdict(run: Run) -> None:
    texts = [
        text
        for trace in run.loss_curves("d_loss").data
        if trace.mode == "markers"
        for text in trace.text
    ]
    assert len(texts) == 8  # all that ended but the completed
    assert sum("it collapsed" in text for text in texts) == 2
    assert any("worse than most" in text for text in texts)


def test_a_loss_that_explodes_leaves_the_others_visible(tmp_path: Path) -> None:
    run = canned_run(tmp_path)
    home = run.folder.trial("trials/0001")
    lines = home.ticks()
    for line in lines:
        line["d_loss"] = 3e6
    home.truncate_after(-1.0)
    for line in lines:
        home.add_tick(line)
    figure = Run(run.state).loss_curves("d_loss")
    heights = [y for trace in figure.data for y in trace.y if y is not None]
    assert 2 < max(heights) < 5  # 3e6 transformed, beside losses around 1.2
    assert max(map(float, figure.layout.yaxis.tickvals)) > max(heights) - 1


def test_it_has_a_text_and_a_notebook_form(run: Run) -> None:
    assert "trials=12, finals=9" in repr(run)
    assert "best so far: trial 3" in run._repr_html_()


def test_loading_a_missing_run_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="no such run"):
        gantune.load_run("nothing")


def test_signals_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    run = canned_run(tmp_path)
    run.folder.trial("trials/0001").add_tick({"kimg": 9.0, "d_loss": float("nan"), "g_loss": 1.0})
    curves = Run(run.state).curves["trials/0001"]
    assert curves.kimg[-1] == 9.0 and curves.signals["d_loss"][-1] is None
