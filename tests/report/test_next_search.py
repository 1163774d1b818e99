"""What to search next, after searches with canned curves."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gantune.errors import SpaceError
from gantune.health import Verdict
from gantune.io.files import write_text
from gantune.io.yaml_document import format_document
from gantune.report.next_search import next_space, suggestions
from gantune.report.page.sections import next_search as page_section
from gantune.report.run_data import RunData
from gantune.report.terminal.summary import print_everything, print_summary
from gantune.run_folder.run import RunFolder
from gantune.space import load_space
from gantune.trial.records import Outcome, TrialRecord
from gantune.tuner.budget import check_budget
from gantune.tuner.finals.finalists import PlannedFinal, plan_finalists
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
    space = toy_space(path, *overrides, *([] if finals else ["finalists.top=0"]))
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
    assert one.override == "trial.generator.lr={low: 1e-06, high: 0.032, log: true}"
    assert "at the upper end of 1e-6 … 1e-3 (log)" in one.why


def test_a_range_with_the_best_inside_stays(tmp_path: Path) -> None:
    assert suggestions(searched(tmp_path, flat)) == []


@pytest.mark.parametrize(
    ("setting", "is_high", "expected"),
    [
        ("generator.beta2={low: 0.5, high: 0.999}", True, None),  # a beta is below 1
        ("generator.beta2={low: 0.9, high: 0.999}", False, "{low: 0.85, high: 0.999}"),
        ("network.width={low: 16, high: 64, step: 16}", True, "{low: 16, high: 96, step: 16}"),
        ("network.width={low: 32, high: 64, step: 8}", False, "{low: 16, high: 64, step: 8}"),
        ("discriminator.steps={low: 1, high: 2}", True, "{low: 1, high: 3}"),
        ("discriminator.steps={low: 1, high: 2}", False, None),  # below 1 step
        (
            "generator.lr={low: 2.0, high: 4.0, times: discriminator.lr}",
            True,
            "{low: 2.0, high: 5.0, times: discriminator.lr}",
        ),
        (
            "label_smoothing={low: 0.1, high: 0.3, step: 0.1}",
            True,
            "{low: 0.1, high: 0.4, step: 0.1}",
        ),
    ],
)
def test_a_wider_range_is_one_that_a_config_may_have(
    tmp_path: Path, setting: str, is_high: bool, expected: str | None
) -> None:
    name = setting.partition("=")[0]
    sign = -1 if is_high else 1

    def curve(params: Mapping[str, Any]) -> float:
        (value,) = (value for key, value in params.items() if key.startswith(name))
        return float(300 + sign * value)

    fixed = [] if name == "generator.lr" else ["generator.lr=2e-4"]
    state = searched(tmp_path, curve, setting, *fixed)
    found = [one.override for one in suggestions(state) if name in one.override]
    assert found == ([] if expected is None else [f"trial.{name}={expected}"])


def test_a_choice_that_the_best_share_is_fixed(tmp_path: Path) -> None:
    state = searched(tmp_path, lambda p: flat(p) + 500 * (p["batch_size"] == 16), trials=40)
    (one,) = suggestions(state)
    assert (one.what, one.override) == ("fix batch_size at 32", "trial.batch_size=32")
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


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"kimg": 50}, ["budget.kimg=100"]),
        ({"time": "90s"}, ["budget.time=3m"]),
        ({"kimg": 70.5, "time": "10m"}, ["budget.kimg=141", "budget.time=20m"]),
        ({"trials": 20}, []),
    ],
)
def test_a_longer_training_has_the_budget_for_as_many_trials(
    tmp_path: Path, limits: dict[str, Any], expected: list[str]
) -> None:
    budget = f"budget={{{', '.join(f'{name}: {value}' for name, value in limits.items())}}}"
    state = searched(tmp_path, lambda params: 5.0 + params["batch_size"] / 64, budget)
    found = suggestions(state)
    assert found[0].what.startswith("train twice as long")
    raised = [one for one in found if one.override.startswith("budget.")]
    assert [one.override for one in raised] == expected
    assert all(one.what.startswith("raise budget.") for one in raised)
    check_budget(load_space(write_next(tmp_path, state)))


def test_finals_on_more_seeds_have_the_budget_for_them(tmp_path: Path) -> None:
    first: list[int] = []

    def finals(run: PlannedFinal) -> float:
        first.append(run.origin)
        return float(200 + 4 * (run.seed % 3) + 6 * (run.origin != first[0]))

    over = ("budget={trials: 20, kimg: 80}", "finalists={top: 2, seeds: 3, start: false}")
    state = searched(tmp_path, flat, *over, finals=finals)
    found = {one.place: one for one in suggestions(state)}
    assert ("finalists", "seeds") in found
    assert float(found["budget", "kimg"].override.partition("=")[2]) > 80
    check_budget(load_space(write_next(tmp_path, state)))


def write_next(path: Path, state: RunState) -> Path:
    file = path / "next.yaml"
    file.write_text(next_space(state, suggestions(state)))
    return file


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
    ("gap", "seeds", "expected"),
    [
        (6, 3, "finalists.seeds=7"),
        (0.1, 3, ""),  # hundreds of seeds
        (100, 3, None),  # no tie
        (6, 1, "finalists.seeds=3"),
    ],
)
def test_finalists_that_tie_are_named_with_the_seeds_that_tell_them_apart(
    tmp_path: Path, gap: float, seeds: int, expected: str | None
) -> None:
    first: list[int] = []

    def finals(run: PlannedFinal) -> float:
        first.append(run.origin)
        return float(200 + 4 * (run.seed % 3) + gap * (run.origin != first[0]))

    settings = ("finalists.top=2", f"finalists.seeds={seeds}", "finalists.start=false")
    state = searched(tmp_path, flat, *settings, finals=finals)
    ties = [one for one in suggestions(state) if " tie after " in one.why]
    assert [one.override for one in ties] == ([] if expected is None else [expected])
    pair = f"trials {state.ranking[0].origin} and {state.ranking[1].origin} tie after {seeds} seed"
    assert all(one.why.startswith(pair) for one in ties)


def test_too_few_trials_say_nothing(tmp_path: Path) -> None:
    assert suggestions(searched(tmp_path, by_lr, trials=4)) == []


def test_a_setting_that_makes_no_difference_is_fixed(tmp_path: Path) -> None:
    state = searched(tmp_path, flat, trials=120)
    (one,) = suggestions(state)
    assert state.best is not None
    assert one.override == f"trial.batch_size={state.best.params['batch_size']}"
    assert one.why.endswith("of the differences in rank between 120 trials")


def test_the_last_open_setting_and_the_seed_stay_open(tmp_path: Path) -> None:
    overrides = ("generator.lr=2e-4", "seed={choices: [1, 2]}", "batch_size={choices: [16, 32]}")
    state = searched(tmp_path, lambda p: 200.0 + hash(str(p)) % 7, *overrides, trials=120)
    assert suggestions(state) == []


def test_a_multiple_of_another_setting_is_not_fixed_at_a_plain_value(tmp_path: Path) -> None:
    relative = "discriminator.lr={choices: [0.5, 2, 4], times: generator.lr}"
    name = "discriminator.lr/generator.lr"
    state = searched(tmp_path, lambda p: flat(p) + 500 * (p[name] != 2), relative, trials=60)
    assert not [one for one in suggestions(state) if "discriminator" in one.override]


def test_what_only_a_worse_alternative_has_is_left_alone(tmp_path: Path) -> None:
    choose = (
        "choose={loss: {hinge: {loss: hinge}, wgan: {loss: wgan, "
        "penalties: {weight_clip: {limit: {choices: [0.01, 0.02]}}}}}}"
    )

    def curve(params: Mapping[str, Any]) -> float:
        return flat(params) + 500 * (params["loss"] == "wgan")

    state = searched(tmp_path, curve, choose, trials=80)
    found = suggestions(state)
    assert [one.override for one in found if "batch" not in one.override] == ["loss=hinge"]
    (tmp_path / "next.yaml").write_text(next_space(state, suggestions(state)))
    assert load_space(tmp_path / "next.yaml").parameters()["loss"].ends() == ("hinge",)
    assert "    # fix loss at hinge: all of the best 10" in (tmp_path / "next.yaml").read_text()


def test_failed_trials_are_not_among_the_best(tmp_path: Path) -> None:
    state = searched(tmp_path, lambda p: flat(p) + 500 * (p["batch_size"] == 16), trials=40)
    failed = Outcome("diverged", 1.0, verdict=Verdict("diverged", "exploding", 1.0, "it broke"))
    trials = tuple(replace(record, outcome=failed, rungs={}) for record in state.trials)
    assert suggestions(replace(state, trials=trials)) == []


def test_rungs_that_mislead_get_more_samples_or_promote_more(tmp_path: Path) -> None:
    def mislead(state: RunState) -> RunState:
        trials = [replace(r, rungs={50: 500 - (r.value or 0)}) for r in state.trials]
        return replace(state, trials=tuple(trials))

    for name, settings, override in (
        ("few", ("objective.rung_samples=100",), "objective.rung_samples=400"),
        ("all", ("objective.rung_samples=2000", "pruning.rule=halving"), "pruning.factor=3"),
        ("none", ("objective.rung_samples=2000", "pruning.rule=none"), None),
    ):
        (tmp_path / name).mkdir()
        state = mislead(searched(tmp_path / name, flat, *settings))
        found = [one.override for one in suggestions(state) if "differently" in one.why]
        assert found == ([] if override is None else [override])


def test_a_search_that_has_not_ended_changes_nothing(tmp_path: Path) -> None:
    state = replace(
        searched(tmp_path, lambda p: flat(p) + 500 * (p["batch_size"] == 16), trials=40),
        is_over=False,
    )
    assert suggestions(state) == []
    assert "It has not ended, so nothing is changed." in next_space(state, suggestions(state))


def test_the_next_space_has_each_change_under_its_reason_and_the_search_as_its_prior(
    tmp_path: Path,
) -> None:
    state = searched(tmp_path, lambda p: by_lr(p) + 5 * (p["batch_size"] == 16), trials=40)
    text = next_space(state, suggestions(state), top=4)
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
        next_space(state, suggestions(state))


def test_page_and_terminal_show_what_to_try_with_the_command(tmp_path: Path) -> None:
    state = searched(tmp_path, lambda p: flat(p) + 500 * (p["batch_size"] == 16), trials=40)
    section = page_section(RunData(state))
    assert section is not None
    assert "Fix batch_size at 32</b>: all of the best 10 trials have it" in section.body
    assert f"gantune next {state.folder.path} -o next.yaml" in section.body
    console = Console(width=200, record=True, file=io.StringIO())
    print_summary(console, state)
    print_everything(console, state)
    text = console.export_text()
    assert (
        f"next       gantune next {state.folder.path} -o next.yaml  # fix batch_size at 32" in text
    )
    assert "Try next" in text and "- fix batch_size at 32: all of the best 10 trials have" in text
