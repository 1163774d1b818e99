"""The first sentence of every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gantune.trial.records import Ending, TrialRecord
from gantune.tuner.answer import answer
from gantune.tuner.state import RunState
from tests.canned import make_score
from tests.report.factory import finalist, outcome, state, trial

Seeds = dict[int, Sequence[float]]
"""Scores of a finalist's seeds by its trial."""


def ended(values: Sequence[float | None], has_start: bool = True) -> list[TrialRecord]:
    """A trial for each score; those without one are pruned."""
    return [
        trial(
            number,
            outcome("pruned", 10.0) if value is None else outcome("completed", value=value),
            is_start=has_start and number == 0,
        )
        for number, value in enumerate(values)
    ]


def finals(of: Seeds, recall: float = 0.6, **changes: Any) -> list[TrialRecord]:
    runs = [(origin, seed, value) for origin, all_ in of.items() for seed, value in enumerate(all_)]
    scored = [
        replace(outcome("completed", value=v), score=make_score(v, recall=recall, **changes))
        for _, _, v in runs
    ]
    return [finalist(k, o, seed, scored[k]) for k, (o, seed, _) in enumerate(runs)]


def after(of: Seeds, has_start: bool = True, **changes: Any) -> RunState:
    trials = ended([20.0 + n for n in range(1 + max(of))], has_start)
    return state(trials, finals(of, **changes))


START = (77.0, 77.3, 77.6)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (
            {2: (20.0, 20.5, 21.0), 0: START},
            "Trial 2 is 3.8 times better than the start recipe (20.5 against 77.3) and ties with "
            "none.",
        ),
        (
            {2: (20.0, 20.5, 21.0), 1: (20.5, 21.0, 21.5), 0: START},
            "Trial 2 is 3.8 times better than the start recipe (20.5 against 77.3) and ties with "
            "trial 1.",
        ),
        (
            {2: (70.0, 76.0, 82.0), 1: (70.0, 77.0, 83.0), 0: START},
            "Trial 2 ties with the start recipe (76.0 against 77.3) and with trial 1; more seeds "
            "may tell.",
        ),
        (
            {0: (20.0, 20.5, 21.0), 1: (41.0, 42.0, 43.0)},
            "No trial is better than the start recipe, trial 0 (20.5), which ties with none.",
        ),
        # One seed each tells nothing of chance.
        (
            {2: (20.5,), 0: (77.3,)},
            "Trial 2 is 3.8 times better than the start recipe (20.5 against 77.3), on one seed "
            "each; more seeds may tell.",
        ),
        # Scores that may be 0 or below have no factor.
        (
            {2: (-3.2, -3.1, -3.0), 0: (2.0, 2.1, 1.9)},
            "Trial 2 is better than the start recipe (-3.10 against 2.00) and ties with none.",
        ),
    ],
)
def test_the_winner_against_the_start_recipe(of: Seeds, said: str) -> None:
    found = answer(after(of))
    assert str(found) == said and found.is_success


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({2: (20.0, 20.5, 21.0)}, "Trial 2 is the best of 3 trials (20.5)."),
        (
            {2: (20.0, 20.5, 21.0), 1: (40.0, 41.0, 42.0)},
            "Trial 2 is the best of 3 trials (20.5) and ties with none.",
        ),
    ],
)
def test_a_space_without_a_start_recipe(of: Seeds, said: str) -> None:
    assert str(answer(after(of, has_start=False))) == said


def test_a_start_recipe_without_a_score_is_named() -> None:
    runs = [*finals({2: (20.0, 21.0)}), finalist(9, 0, 0, outcome("stalled", 20.0))]
    found = answer(state(ended([30.0, 40.0, 20.0]), runs))
    assert str(found) == (
        "Trial 2 is the best of 3 trials (20.5); the start recipe has no score on any seed."
    )


@pytest.mark.parametrize(
    ("ending", "said"), [("stalled", "stalled"), ("out_of_memory", "ran out of memory")]
)
def test_a_start_recipe_that_failed_as_a_trial_is_told_with_its_ending(
    ending: Ending, said: str
) -> None:
    trials = [trial(0, outcome(ending, 5.0), is_start=True), *ended([30.0, 40.0, 20.0])[1:]]
    found = answer(state(trials, finals({2: (20.0, 21.0), 1: (41.0, 42.0)})))
    assert str(found).startswith("Trial 2 is the best of 3 trials (20.5)")
    assert str(found).endswith(f"; the start recipe {said}.")
    before = str(answer(state(trials, winner=None, ranking=())))
    assert before.endswith(f", on one seed; the start recipe {said}.")


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        ([77.3, 20.5], {}, "of 2 trials: 20.5, 3.8 times better than the start recipe (77.3), on"),
        ([77.3, 20.5], {"is_over": False}, "so far: 20.5, 3.8 times better than the start recipe"),
        ([None, 20.5], {}, "of 2 trials: 20.5, on one seed."),
        ([20.5, 77.3], {}, "of 2 trials: 20.5, the start recipe itself, on one seed."),
    ],
)
def test_before_the_finals_one_seed_is_said(
    values: Sequence[float | None], changes: dict[str, Any], said: str
) -> None:
    found = answer(state(ended(values), **changes))
    assert f"is the best {said}" in str(found) and found.is_success
    assert changes.get("is_over", True) != ("the finals decide" in str(found))


def test_where_recall_is_nothing_everywhere_nothing_is_learned() -> None:
    trials = [
        replace(r, outcome=replace(r.outcome, score=make_score(r.value, recall=0.004)))
        for r in ended([77.0, 20.0])
        if r.outcome is not None and r.value is not None
    ]
    said = "Nothing learned yet: recall is 0.00 everywhere; train longer."
    runs = finals({1: (20.0, 21.0), 0: (77.0, 78.0)}, recall=0.001)
    for of in (state(trials), state(trials, runs)):
        assert str(answer(of)) == said and not answer(of).is_success
    found = answer(state([*trials, *ended([None, None, 90.0])[2:]]))  # another trial has learned
    assert "its recall is 0.00: look at its samples" in str(found) and not found.is_success


def test_a_start_recipe_may_lose_by_its_warning() -> None:
    lost = finals({0: (10.0, 10.1)}, spread=0.1)
    runs = [*finals({2: (20.0, 20.1)}), *(replace(run, number=9 + run.number) for run in lost)]
    found = answer(state(ended([9.0, 30.0, 20.0]), runs))
    assert str(found) == (
        "Trial 2 is the best (20.1 against 10.1) and ties with none: the start recipe has a "
        "warning."
    )


def test_a_winner_with_a_warning_is_no_success() -> None:
    found = answer(after({2: (20.0, 21.0), 0: START}, spread=0.1))
    assert "But every finalist has a warning" in str(found) and not found.is_success


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([], "No trial has started yet."),
        ([trial(0)], "No trial has ended yet."),
        ([trial(0, outcome("collapsed", 6.0))], "No trial has survived: there is no score to"),
        (
            [trial(0, outcome("paused", 4.0), rungs={10: 5.0})],
            "No trial has come to its end yet: 1 trial paused at a rung",
        ),
    ],
)
def test_without_a_score(trials: Sequence[TrialRecord], said: str) -> None:
    found = answer(state(trials))
    assert str(found).startswith(said) and not found.is_success


def test_only_the_first_start_entry_is_the_start_recipe() -> None:
    trials = [replace(record, is_start=True) for record in ended([77.3, 20.5])]
    text = str(answer(state(trials)))
    assert "Trial 1 is" in text and "3.8 times better than the start recipe (77.3)" in text
