"""What to search next, after searches with canned curves."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import SpaceError
from gantune.io.files import write_text
from gantune.io.yaml_document import format_document
from gantune.report.next_search import next_space, suggestions
from gantune.run_folder.run import RunFolder
from gantune.space import load_space
from gantune.trial.records import Outcome, TrialRecord
from gantune.tuner.finalists import PlannedFinal, plan_finalists
from gantune.tuner.state import RunState, Timing, make_state
from tests.tuner.factory import score, toy_space

Curve = Callable[[Mapping[str, Any]], float]
"""The score that a trial reaches with its parameters."""


def searched(
    path: Path,
    curve: Curve,
    *overrides: str,
    trials: int = 20,
    finals: Callable[[PlannedFinal], float] | None = None,
) -> RunState:
    """A search whose random trials have all come to their ends, 5 above their scores in the middle.
    ``finals``: the scores of both finalists on all their seeds."""
    space = toy_space(path, *overrides)
    folder = RunFolder(path / "run")
    folder.path.mkdir()
    write_text(folder.space, format_document(space.resolved_tree()))
    rng = random.Random(0)
    drawn = [{n: d.sample(rng) for n, d in space.parameters().items()} for _ in range(trials)]

    def record(name: str, number: int, value: float, origin: int | None, seed: int) -> TrialRecord:
        params = drawn[number if origin is None else origin]
        rungs = {50: value + 5, 100: value}
        outcome = Outcome("completed", 10, score=score(value))
        return TrialRecord(name, number, params, 10, rungs, {}, outcome, origin=origin, seed=seed)

    found = [record(f"trials/{n:04d}", n, curve(one), None, 0) for n, one in enumerate(drawn)]
    plan = plan_finalists(space, found)
    finalists = [
        record(f"finalists/{k:04d}", k, finals(run), run.origin, run.seed)
        for k, run in enumerate(plan)
        if finals is not None
    ]
    return make_state(space, folder, found, finalists, Timing(), True)


def by_lr(params: Mapping[str, Any]) -> float:
    """The best score is at 1e-3."""
    return 5 + abs(math.log10(params["generator.lr"]) + 3)


def flat(params: Mapping[str, Any]) -> float:
    """As ``by_lr``, with scores that hardly fall at the end."""
    return 200 + 10 * by_lr(params)


def test_a_range_whose_end_is_best_is_widened(tmp_path: Path) -> None:
    state = searched(tmp_path, flat, "generator.lr={low: 1e-6, high: 1e-3, log: true}")
    (one,) = suggestions(state)
    assert one.what == "widen generator.lr to 0.032"
    assert one.override == "generator.lr={low: 1e-6, high: 0.032, log: true}"
    assert "at the upper end of 1e-6 … 1e-3 (log)" in one.why


def test_a_range_with_the_best_inside_stays(tmp_path: Path) -> None:
    assert suggestions(searched(tmp_path, flat)) == []


def test_a_range_is_not_widened_beyond_what_a_config_may_have(tmp_path: Path) -> None:
    wide = "generator.beta2={low: 0.5, high: 0.999}"
    state = searched(tmp_path, lambda p: 300 - 100 * p["generator.beta2"], wide)
    assert suggestions(state) == []


def test_a_choice_that_the_best_share_is_fixed(tmp_path: Path) -> None:
    state = searched(tmp_path, lambda p: flat(p) + 500 * (p["batch_size"] == 16), trials=40)
    (one,) = suggestions(state)
    assert (one.what, one.override) == ("fix batch_size at 32", "batch_size=32")
    assert one.why.startswith("all of the best 10 trials have it, of all trials ")


def test_a_choice_that_all_trials_have_says_nothing(tmp_path: Path) -> None:
    assert suggestions(searched(tmp_path, flat, "batch_size={choices: [16]}")) == []


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (25, ["train twice as long, 20 kimg"]),  # from 35 to 30 between half and the end
        (195, []),
    ],
)
def test_scores_that_still_fall_ask_for_a_longer_training(
    tmp_path: Path, more: float, what: list[str]
) -> None:
    state = searched(tmp_path, lambda p: more + by_lr(p))
    assert [one.what for one in suggestions(state)] == what


def test_nothing_learned_asks_for_a_longer_training_too(tmp_path: Path) -> None:
    state = searched(tmp_path, flat)
    trials = []
    for record in state.trials:
        assert record.outcome is not None and record.outcome.score is not None
        unlearned = replace(record.outcome.score, recall=0.0)
        trials.append(replace(record, outcome=replace(record.outcome, score=unlearned)))
    (one,) = suggestions(replace(state, trials=tuple(trials)))
    assert one.what == "train four times as long, 40 kimg"
    assert one.why == "recall is 0.00 everywhere, so nothing was learned yet"


@pytest.mark.parametrize(
    ("gap", "override", "what"),
    [
        (6, "finalists.seeds=", "train trials "),
        (0.1, "", "take either of trials "),
        (100, None, ""),
    ],
)
def test_finalists_that_tie_are_named_with_the_seeds_that_tell_them_apart(
    tmp_path: Path, gap: float, override: str | None, what: str
) -> None:
    first: list[int] = []

    def finals(run: PlannedFinal) -> float:
        first.append(run.origin)
        return float(200 + 4 * (run.seed % 3) + gap * (run.origin != first[0]))

    state = searched(
        tmp_path,
        flat,
        "finalists.top=2",
        "finalists.seeds=3",
        "finalists.start=false",
        finals=finals,
    )
    ties = [one for one in suggestions(state) if "tie after 3 seeds" in one.why]
    assert [one.what.startswith(what) for one in ties] == ([] if override is None else [True])
    assert all(one.override.startswith(override or "") for one in ties)


def test_too_few_trials_say_nothing(tmp_path: Path) -> None:
    assert suggestions(searched(tmp_path, by_lr, trials=4)) == []


def test_a_setting_that_makes_no_difference_is_fixed(tmp_path: Path) -> None:
    state = searched(tmp_path, flat, trials=120)
    (one,) = suggestions(state)
    assert state.best is not None
    assert one.override == f"batch_size={state.best.params['batch_size']}"
    assert one.why.endswith("of the differences between 120 trials")


def test_the_next_space_has_each_change_under_its_reason_and_the_search_as_its_prior(
    tmp_path: Path,
) -> None:
    state = searched(tmp_path, lambda p: by_lr(p) + 5 * (p["batch_size"] == 16), trials=40)
    text = next_space(state, top=4)
    lines = text.splitlines()
    assert lines[0] == "# toy, searched again after 40 trials"
    at = next(k for k, line in enumerate(lines) if line.strip() == "batch_size: 32")
    assert lines[at - 1].strip().startswith("# fix batch_size at 32: all of the best 10")
    (tmp_path / "better.yaml").write_text(text)
    space = load_space(tmp_path / "better.yaml")
    assert space.study == "better" and space.values_at("batch_size") == [32]
    assert [(prior.run, prior.top) for prior in space.priors] == [(str(state.folder.path), 4)]
    assert space.parameters().keys() == {"generator.lr"}


def test_a_space_that_cannot_be_read_is_an_error_and_no_suggestion(tmp_path: Path) -> None:
    state = searched(tmp_path, by_lr)
    state.folder.space.write_text("trial: [")
    assert suggestions(state) == []
    with pytest.raises(SpaceError, match=r"space\.yaml"):
        next_space(state)
