"""What a run asks where a rule about pace speaks; the driver of a search knows the other runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gantune.config import make_config, make_external_config
from gantune.errors import TrialStopped
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Protocol
from gantune.trial import external
from gantune.trial.judge import Judge
from gantune.trial.records import Assignment, Outcome, PaceReport, Report, RungReport
from gantune.trial.run import run_trial
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session
from tests.canned import make_score
from tests.trial.runs import CPU

IDLE = {"preset": "off", "generator_idle": {}}
WORSENED = {"preset": "off", "worsened": {}}
PROTOCOL = Protocol.external("mmd", "mine.py:train")


def run(
    path: Path,
    trainer: Callable[[dict[str, Any], Session], object],
    answer: Callable[[Report], bool] = lambda report: True,
    *,
    stability: Any = IDLE,
    has_peers: bool = True,
) -> tuple[Outcome, list[Report]]:
    """Runs a user's trainer; its outcome, and what it asked."""
    path.mkdir()
    asked: list[Report] = []

    def noted(report: Report) -> bool:
        asked.append(report)
        return answer(report)

    config = make_external_config("mine.py:train", {"kimg": 40.0, "loss": "hinge"})
    work = Assignment("trials/0000", config, (0.25, 0.5, 1.0), stability, has_peers)
    session = Session(work, TrialFolder(path), CPU, ScorePolicy(PROTOCOL), noted)
    return run_trial(partial(external.train, trainer=trainer), session), asked


def idle(config: dict[str, Any], session: Session) -> None:
    """Its weights never move."""
    for kimg in range(1, 41):
        session.report(kimg=kimg, step=30 * kimg, d_loss=2.0, g_update=1e-6)
        if session.should_score:
            session.score(50.0)
        if session.should_stop:
            with pytest.raises(TrialStopped):
                session.report(kimg=kimg + 1, d_loss=2.0)
            return


def test_without_peers_the_rule_stops_the_run(tmp_path: Path) -> None:
    outcome, asked = run(tmp_path / "t", idle, has_peers=False)
    assert (outcome.ending, outcome.kimg, asked) == ("stalled", 5.0, [])


def test_a_run_asks_once_between_two_scores(tmp_path: Path) -> None:
    outcome, asked = run(tmp_path / "t", idle)
    assert (outcome.ending, outcome.verdict) == ("completed", None)
    places = [(type(report), report.kimg, report.doubt is not None) for report in asked]
    assert places == [
        (PaceReport, 5.0, True),
        (RungReport, 10.0, True),
        (RungReport, 20.0, True),
        (RungReport, 40.0, False),
    ]


@pytest.mark.parametrize("at", [5.0, 10.0, 20.0])
def test_a_no_ends_the_run_and_the_driver_adds_the_verdict(tmp_path: Path, at: float) -> None:
    outcome, asked = run(tmp_path / "t", idle, lambda report: report.kimg < at)
    assert (outcome.ending, outcome.kimg, outcome.score) == ("pruned", at, None)
    assert asked[-1].doubt is not None and asked[-1].doubt.rule == "generator_idle"
    assert asked[-1].pruned().ending == "pruned"


def test_a_run_whose_pace_is_right_asks_only_at_rungs(tmp_path: Path) -> None:
    def quick(config: dict[str, Any], session: Session) -> None:
        for kimg in range(1, 41):
            session.report(kimg=kimg, step=30 * kimg, d_loss=2.0, g_update=0.01)
            if session.should_score:
                session.score(50.0)

    _, asked = run(tmp_path / "t", quick)
    assert [(type(report), report.doubt) for report in asked] == [(RungReport, None)] * 3


@pytest.mark.parametrize(
    ("scores", "ending", "remark"),
    [
        ([116, 124, 207, 413], "collapsed", ""),
        ([116, 124, 130, 413], "completed", "the best score, 116, is of 10 kimg; the last is 413"),
        ([413, 207, 124, 116], "completed", ""),
    ],
)
def test_the_end_of_a_budget_says_where_the_best_lies(
    tmp_path: Path, scores: list[float], ending: str, remark: str
) -> None:
    def train(config: dict[str, Any], session: Session) -> None:
        for number, value in enumerate(scores, start=1):
            session.report(kimg=10.0 * number, d_loss=2.0)
            session.score(value)

    outcome, asked = run(tmp_path / "t", train, stability=WORSENED)
    assert outcome.ending == ending
    assert outcome.remark.startswith(remark) and bool(outcome.remark) == bool(remark)
    assert outcome.score is not None and outcome.score.value == 116
    assert asked[-1].kimg == 40.0  # the last rung is in the study too


@pytest.mark.parametrize(
    ("values", "is_left_to_the_driver"),
    [
        ([70.0, 69.9], False),  # within the standard error, 0.14, of the untrained generator
        ([70.0, 75.0], False),
        ([70.0, 75.0, 60.0], True),
        ([70.0], True),  # no score to compare: the driver says no
    ],
)
def test_a_run_that_is_no_better_than_untrained_is_idle_whatever_others_are(
    tmp_path: Path, values: list[float], is_left_to_the_driver: bool
) -> None:
    config = make_config({"kimg": 40.0, "loss": "hinge"})
    work = Assignment("trials/0000", config, (0.25, 0.5, 1.0), IDLE, has_peers=True)
    judge = Judge(work, TrialFolder(tmp_path))
    for number, value in enumerate(values):
        judge.see_score(0.05 * number, 2.0 * number, make_score(value, error=0.1))
    for kimg in range(5, 10):
        judge.see_tick({"kimg": float(kimg), "step": 30 * kimg, "d_loss": 2.0, "g_update": 1e-6})
    assert (judge.verdict is None) is is_left_to_the_driver
    assert (judge.doubt is not None) is is_left_to_the_driver
