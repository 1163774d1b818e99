"""Each ranking compares scores of one protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gantune.errors import ScoreError
from gantune.scores.score import FurtherScore
from gantune.space import load_space
from gantune.space.settings import Finalists
from gantune.trial.records import Assignment, Outcome, TrialRecord
from gantune.tuner.descriptions import further_lines
from gantune.tuner.finals.finalists import FinalistResult, rank_finalists, survivors
from tests.canned import make_score
from tests.tuner.factory import make_driver


def record(number: int, value: float, origin: int | None = None, **fields: object) -> TrialRecord:
    return TrialRecord(
        name=f"trials/{number:04d}",
        number=number,
        params={},
        budget_kimg=1.0,
        outcome=Outcome("completed", 1.0, score=make_score(value, **fields)),
        origin=origin,
        seed=None if origin is None else number + 1,
    )


def ranks_trials(one: TrialRecord, other: TrialRecord) -> None:
    survivors([one, other])


def ranks_finalists(one: TrialRecord, other: TrialRecord) -> None:
    trials = [record(0, 1.0), record(1, 2.0)]
    runs = [TrialRecord(**(vars(run) | {"origin": run.number})) for run in (one, other)]
    rank_finalists(runs, trials, Finalists())


def ranks_finalists_beside_trials(one: TrialRecord, other: TrialRecord) -> None:
    rank_finalists([TrialRecord(**(vars(other) | {"origin": 0}))], [one], Finalists())


@pytest.mark.parametrize("rank", [ranks_trials, ranks_finalists, ranks_finalists_beside_trials])
def test_scores_of_two_protocols_are_never_ranked_together(
    rank: Callable[[TrialRecord, TrialRecord], None],
) -> None:
    rank(record(0, 1.0), record(1, 2.0))
    with pytest.raises(ScoreError) as caught:
        rank(record(0, 1.0), record(1, 2.0, generated=100, extractor="random"))
    text = str(caught.value)
    assert "generated: 2000 against 100" in text
    assert "extractor: classifier-digits against random" in text


def test_trials_without_a_score_have_no_protocol() -> None:
    pruned = TrialRecord("trials/0001", 1, {}, 1.0, outcome=Outcome("pruned", 0.5))
    running = TrialRecord("trials/0002", 2, {}, 1.0)
    assert survivors([pruned, running, record(0, 1.0)]) == [record(0, 1.0)]


@pytest.mark.parametrize("saves", [False, True])
def test_a_winner_that_saved_nothing_is_told_once_before_the_finals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, saves: bool
) -> None:
    (tmp_path / "toy.yaml").write_text(
        "trainer: mine.py:train\ntrial: {kimg: 10, lr: {low: 0.1, high: 1.0}}\n"
        "budget: {trials: 2}\nfinalists: {top: 1, seeds: 2}\n"
    )
    driver = make_driver(tmp_path, load_space(tmp_path / "toy.yaml"))
    if saves:
        for number in range(2):
            best = driver.folder.trial(f"trials/{number:04d}").external_best
            best.mkdir(parents=True)
            (best / ".gantune.json").write_text("{}")
            (best / "net.pt").touch()
    while isinstance(work := driver.next_assignment(), Assignment):
        driver.finish(work.name, Outcome("completed", 10.0, score=make_score(1.0)))
    told = [record.getMessage() for record in caplog.records if "saved nothing" in record.message]
    assert len(told) == (0 if saves else 1)
    assert saves or told[0].startswith("trials/000")


def finalist(origin: int, first: Sequence[float], other: Sequence[float]) -> FinalistResult:
    protocol = make_score(1.0, extractor="random").protocol
    scores = [
        make_score(value, also=(FurtherScore("fid[random]", beside, 0.1, protocol),))
        for value, beside in zip(first, other, strict=True)
    ]
    return FinalistResult(origin, False, (1, 2, 3), tuple(scores), ())


@pytest.mark.parametrize(
    ("by_winner", "by_other", "said"),
    [
        ((5.0, 5.1, 5.2), (9.0, 9.1, 9.2), "it agrees, trial 7 is first by it too (5.10 ± 0.10)"),
        (
            (9.0, 9.1, 9.2),
            (5.0, 5.1, 5.2),
            "it disagrees, by it trial 3 is ahead of trial 7 (5.10 ± 0.10 against 9.10 ± 0.10); "
            "compare their samples",
        ),
        (
            (5.0, 5.3, 5.6),
            (4.9, 5.2, 5.5),
            "by it trial 3 is ahead of trial 7, but not significantly (5.20 ± 0.30 against "
            "5.30 ± 0.30)",
        ),
    ],
)
def test_whether_another_score_names_the_same_winner(
    by_winner: Sequence[float], by_other: Sequence[float], said: str
) -> None:
    ranking = [finalist(7, (1, 1, 1), by_winner), finalist(3, (2, 2, 2), by_other)]
    assert further_lines(ranking) == [f"fid[random]: {said}"]


def test_a_finalist_without_the_other_score() -> None:
    winner = finalist(7, (1, 1, 1), (5.0, 5.1, 5.2))
    lacking = FinalistResult(3, False, (1,), (make_score(2.0),), ())
    assert further_lines([winner, lacking]) == ["fid[random]: 5.10 ± 0.10"]
    assert further_lines([lacking, winner]) == [
        "fid[random]: trial 3 does not have it on every seed"
    ]
    assert further_lines([lacking]) == []
