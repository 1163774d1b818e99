"""The contract of the rules that pause or stop trials at rungs, on canned curves."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gantune.config import TrialConfig
from gantune.space import load_space
from gantune.space.settings import Pruning
from gantune.trial.records import Assignment, Done, Outcome, RungReport, Standing, TrialRecord
from gantune.tuner.driver import Driver
from gantune.tuner.pruning import Halving, MedianRule, NoPruning, make_rule
from gantune.tuner.storage import open_storage
from gantune.tuner.study import Study
from tests.examples import in_integration
from tests.tuner.factory import by_lr, make_driver, play, score, toy_space

RUNGS = ("pruning.rungs=[5%, 15%, 45%]", "pruning.factor=4")
HALVING = ("pruning.rule=halving", *RUNGS, "budget.trials=20")
OTHERS = {
    "hyperband": (*HALVING, "pruning.rule=hyperband"),
    "median": ("pruning={rule: median, startup: 3}", "budget.trials=20"),
    "none": ("pruning.rule=none", "budget.trials=20"),
}


def noisy(config: TrialConfig) -> float | str:
    """Another order at each setting than by learning rate; some settings diverge."""
    source = random.Random(round(1e9 * config.generator.lr))
    return "diverged" if source.random() < 0.1 else 5 + source.random()


def rungs_reached(driver: Driver) -> Counter[int]:
    return Counter(percent for record in driver.state().trials for percent in record.rungs)


def outcomes(driver: Driver) -> dict[int, tuple[str, int]]:
    """Each trial's outcome and last rung."""
    return {
        record.number: (record.outcome.ending, max(record.rungs, default=0))
        for record in driver.state().trials
        if record.outcome is not None
    }


@pytest.mark.integration
def test_a_quarter_goes_on_from_each_rung(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.trials=64"))
    play(driver, lambda config: 2 ** (10 * by_lr(config)))  # so that few tie
    assert rungs_reached(driver)[5] == 64
    assert 16 <= rungs_reached(driver)[15] < 30  # more where a later trial was better
    assert rungs_reached(driver)[100] >= 2
    endings = driver.state().outcome_counts
    assert endings == {"pruned": 64 - endings["completed"], "completed": endings["completed"]}


def test_the_best_of_a_rung_are_promoted_first_from_the_highest_rung(tmp_path: Path) -> None:
    """Every promotion is checked against a plain account of the rule."""
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING))
    before: dict[int, TrialRecord] = {}
    is_last, tied = False, 0
    while isinstance(work := driver.next_assignment(), Assignment):
        if work.kind == "trial" and work.number in before:
            is_last = is_last or len(before) == 20
            at = max(before[work.number].rungs)
            for percent in (45, 15, 5):
                there = [r for r in before.values() if percent in r.rungs]
                there.sort(key=lambda record: record.rungs[percent])
                best = there[: len(there) // 4]
                most = 1.15 * best[-1].rungs[percent] if best else 0.0
                ahead = [r for r in there[: len(there) // 2] if r.rungs[percent] <= most]
                due = [r.number for r in ahead if max(r.rungs) == percent]
                tied += percent == at and bool(due) and work.number not in {b.number for b in best}
                if percent > at:
                    assert not due or is_last
                elif percent == at and not is_last:
                    assert work.number == due[0]
        train_on(driver, work)
        before = {record.number: record for record in driver.trials()}
    assert isinstance(work, Done) and tied


def train_on(driver: Driver, work: Assignment, curve: object = by_lr) -> None:
    assert isinstance(work.config, TrialConfig)
    value, budget = by_lr(work.config), work.config.kimg
    for rung in work.rungs:
        if not driver.report(work.name, RungReport(rung, rung * budget, score(value))):
            driver.finish(work.name, Outcome("pruned", rung * budget))
            return
    driver.finish(work.name, Outcome("completed", budget, score=score(value)))


@pytest.mark.parametrize("slots", [1, 5])
@pytest.mark.parametrize("rule", [HALVING, *in_integration(*OTHERS.values())])
def test_a_budget_is_kept_and_nothing_starves(
    tmp_path: Path, rule: tuple[str, ...], slots: int
) -> None:
    driver = HeldOnce(make_driver(tmp_path, toy_space(tmp_path, *rule)))
    play(cast(Driver, driver), noisy, slots)
    state = driver.state()
    assert len(state.trials) == 20
    assert state.is_over
    assert not state.running
    assert not state.paused
    assert state.outcome_counts["completed"] >= 2
    finalists = {record.origin for record in state.finalists}
    complete = {record.number for record in state.survivors} | {0}  # the start recipe
    assert finalists <= complete


class HeldOnce:
    """A driver; no run may be with two workers at a time, and none is handed out without need."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._held = driver, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def next_assignment(self) -> object:
        work = self._driver.next_assignment()
        if isinstance(work, Assignment):
            assert work.name not in self._held
            self._held.add(work.name)
            records = self.trials() if work.kind == "trial" else self.finalists()
            assert max(records[work.number].rungs, default=0) < 100
        return work

    def finish(self, name: str, outcome: Outcome) -> Outcome:
        self._held.remove(name)
        return self._driver.finish(name, outcome)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[int, tuple[str, int]]]:
    """The runs in order of their end, and the outcomes, of a search that nothing interrupts."""
    path = tmp_path_factory.mktemp("whole")
    driver = make_driver(path, toy_space(path, *HALVING))
    return play(driver, noisy), outcomes(driver)


@pytest.mark.parametrize(
    "after",
    [3, 22, *in_integration(1, 7, 15, 26, 30)],
)
def test_a_killed_search_decides_as_if_it_had_not_been(
    tmp_path: Path, whole: tuple[list[str], dict[int, tuple[str, int]]], after: int
) -> None:
    space = toy_space(tmp_path, *HALVING)
    begun = play(make_driver(tmp_path, space), noisy, stop_after=after)
    second = make_driver(tmp_path, space)
    assert ([*begun, *play(second, noisy)], outcomes(second)) == whole


@pytest.mark.integration
@pytest.mark.parametrize("rule", OTHERS)
def test_other_rules_decide_alike_after_a_kill_too(tmp_path: Path, rule: str) -> None:
    found = []
    for name, stop in (("whole", None), ("killed", 11)):
        (path := tmp_path / name).mkdir()
        space = toy_space(path, *OTHERS[rule])
        begun = [] if stop is None else play(make_driver(path, space), noisy, stop_after=stop)
        driver = make_driver(path, space)
        found.append(([*begun, *play(driver, noisy)], outcomes(driver)))
    assert found[0] == found[1]


def test_a_paused_trial_is_shown_as_paused_and_keeps_its_checkpoint(tmp_path: Path) -> None:
    space = toy_space(tmp_path, *HALVING)
    play(make_driver(tmp_path, space), by_lr, stop_after=3)
    driver = make_driver(tmp_path, space)
    state = driver.state()
    assert [record.number for record in state.paused] == [0, 1, 2]
    assert [record.number for record in state.running] == [3]  # the kill left it
    assert not state.is_over
    assert state.outcome_counts == {"paused": 3}
    folder = driver.folder.trial(state.paused[0].name)
    assert not folder.verdict.exists()
    folder.last.touch()
    driver.write()
    assert folder.last.exists()
    table = driver.folder.table.read_text(encoding="utf-8")
    assert table.count(",paused,") + table.count(",paused\n") == 3
    play(driver, by_lr)
    assert not folder.last.exists()


@pytest.mark.integration
def test_more_trials_begin_new_ones(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path, *HALVING)), by_lr)
    earlier = make_driver(tmp_path, toy_space(tmp_path, *HALVING))
    before = outcomes(earlier)
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.trials=40"))
    ended = play(driver, by_lr)
    assert ended[0] == "trials/0020"
    after = outcomes(driver)
    assert len(after) == 40
    assert {number: after[number] for number in before} == before


def test_a_trainer_without_checkpoints_goes_on_at_once_or_never(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING))
    names = []
    while isinstance(work := driver.next_assignment(), Assignment):
        assert isinstance(work.config, TrialConfig)
        names.append(work.name)
        value = by_lr(work.config)
        for rung in work.rungs:
            report = RungReport(rung, 10 * rung, score(value), can_pause=False)
            if not driver.report(work.name, report):
                driver.finish(work.name, Outcome("pruned", 10 * rung))
                break
        else:
            driver.finish(work.name, Outcome("completed", 10, score=score(value)))
    assert len(names) == len(set(names))
    counts = driver.state().outcome_counts
    assert counts["paused"] == 0
    assert counts["completed"] >= 1
    told = [line for line in caplog.messages if "cannot be paused" in line]
    assert len(told) == 1


def test_a_trainer_that_cannot_go_on_is_trained_again_from_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "study: own\nbudget: {trials: 20}\nobjective: {score: loss}\n"
        f"trainer: {tmp_path / 'mine.py'}:train\n"
        "trial: {kimg: 10, lr: {low: 1e-5, high: 1e-2, log: true}}\n"
        "pruning: {factor: 4}\nfinalists: {top: 1, seeds: 1}\nsampler: {name: random}\n"
    )
    driver = make_driver(tmp_path, load_space(file))
    crashes = 0
    while isinstance(work := driver.next_assignment(), Assignment):
        folder, value = driver.folder.trial(work.name), float(work.config.mapping()["lr"])
        folder.external_last.mkdir(parents=True, exist_ok=True)
        known = [line["kimg"] for line in folder.scores()]
        if known and (folder.external_last / "weights").exists():  # it ignores what it saved
            crashes += 1
            crash = Outcome("crashed", known[-1], error="kimg went back")
            stored = driver.finish(work.name, crash)
            assert (stored.ending, stored.error) == ("paused", "")  # it is trained again
            continue
        for rung in work.rungs:
            (folder.external_last / "weights").touch()
            folder.add_score({"kimg": 10 * rung, "rung": rung})
            if not driver.report(work.name, RungReport(rung, 10 * rung, score(value))):
                driver.finish(work.name, Outcome("pruned", 10 * rung))
                break
        else:
            driver.finish(work.name, Outcome("completed", 10, score=score(value)))
    assert crashes == 1
    assert driver.state().outcome_counts["crashed"] == 0
    assert driver.state().winner is not None
    told = [line for line in caplog.messages if "could not go on" in line]
    assert len(told) == 1
    assert "session.checkpoint_dir" in told[0]


def at_a_rung(number: int, rung: int, value: float, error: float) -> TrialRecord:
    """A trial that is paused there."""
    return TrialRecord(
        f"trials/{number:04}",
        number,
        {},
        10.0,
        rungs={rung: value},
        rung_errors={rung: error},
        outcome=Outcome("paused", 2.5),
    )


@pytest.mark.parametrize(
    ("scores", "error", "due"),
    [
        ([1.0, 1.2, 2.0, 2.0, 2.0, 2.0], 0.0, [0]),
        ([1.0, 1.1, 2.0, 2.0, 2.0, 2.0], 0.0, [0, 1]),  # two seeds may differ by 15%
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 0.0, [0, 1, 2]),  # at most half of all
        ([1.0, 1.2, 2.0, 2.0, 2.0, 2.0], 0.1, [0]),  # 0.2 is more than 0.1 * sqrt(2)
        ([1.0, 1.2, 2.0, 2.0, 2.0, 2.0], 0.15, [0, 1]),
        ([1.2, 2.0, 2.0, 1.0, 2.0, 1.1], 0.0, [3, 5]),
        ([1.0, 1.4, 1.6, 1.7, 2.1, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0], 0.0, [0, 1, 2]),
        ([-2.0, -1.9, 1.0, 1.0, 1.0, 1.0], 0.0, [0, 1]),
        ([-2.0, -1.6, 1.0, 1.0, 1.0, 1.0], 0.0, [0]),
        ([0.0, 0.01, 1.0, 1.0, 1.0, 1.0], 0.0, [0]),
        ([1.0, 1.1], 1.0, []),  # none of two by its rank, so nothing ties with it
    ],
)
@pytest.mark.parametrize("rung", [5, 25])
def test_scores_that_tie_with_the_last_promoted_go_on_too(
    scores: list[float], error: float, due: list[int], rung: int
) -> None:
    records = [at_a_rung(number, rung, value, error) for number, value in enumerate(scores)]
    assert [record.number for record in Halving([5, 25], 6, noise=0.15).due(records)] == due


def test_what_ties_takes_all_that_are_better_with_it() -> None:
    errors = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    records = [
        at_a_rung(number, 25, value, error)
        for number, (value, error) in enumerate(
            zip([1.0, 1.3, 1.4, 9.0, 9.0, 9.0], errors, strict=True)
        )
    ]
    rule = Halving([5, 25], 6, noise=0.15)
    assert [record.number for record in rule.due(records)] == [0, 1, 2]
    assert rule.standing(records, 3, 25) == Standing(25, 9.0, 1.4)


def test_without_noise_the_rank_alone_decides() -> None:
    records = [at_a_rung(number, 25, 1.0, 1.0) for number in range(12)]
    assert [record.number for record in Halving([5, 25], 6).due(records)] == [0, 1]


def test_ties_are_promoted_in_a_whole_search(tmp_path: Path) -> None:
    reached = {}
    for noise in (0, 0.15):
        (tmp_path / str(noise)).mkdir()
        space = toy_space(tmp_path / str(noise), *HALVING, f"pruning.noise={noise}")
        driver = make_driver(tmp_path / str(noise), space)
        play(driver, lambda config: 100 + by_lr(config))
        reached[noise] = rungs_reached(driver)
        assert driver.state().is_over
    assert reached[0.15][15] >= 10 > reached[0][15]
    assert reached[0.15][100] > reached[0][100]


@pytest.mark.parametrize("rule", ["halving", "hyperband"])
def test_exempt_trials_go_to_their_ends_and_the_others_are_ranked_beside_them(
    tmp_path: Path, rule: str
) -> None:
    changes = (f"pruning.rule={rule}", "pruning.noise=0", "pruning.exempt=[0, 1, 2, 3]")
    space = toy_space(tmp_path, *HALVING, *changes)
    driver = make_driver(tmp_path, space)

    def worst_first(config: TrialConfig) -> float:
        return 100.0 if len(driver.state().trials) <= 4 else by_lr(config)

    ended = play(driver, worst_first)
    assert ended[:4] == [f"trials/{number:04}" for number in range(4)]
    first = driver.state().trials[:4]
    assert [record.outcome and record.outcome.ending for record in first] == ["completed"] * 4
    assert all({5, 15, 45, 100} <= record.rungs.keys() for record in first)
    counts = driver.state().outcome_counts
    assert counts["pruned"] > 4 and counts["completed"] > 4
    finals = {record.origin for record in driver.state().finalists}
    assert finals - {0} and not finals & {1, 2, 3}


def test_exempt_trials_are_counted_whole() -> None:
    def share(*exempt: int, least: int) -> float | None:
        return Halving([5, 25], 6, exempt=exempt).expected_share(12, least)

    assert share(least=2) == pytest.approx(12 * 0.05 + 2 * 0.2 + 2 * 0.75)
    assert share(0, 5, 6, least=1) == pytest.approx(3 + 9 * 0.05 + 0.2)
    assert share(5, 99, least=2) == pytest.approx(1 + 11 * 0.05 + 0.2 + 0.75)
    assert share(*range(20), least=2) == 12
    rule = Halving([5, 25], 6, exempt=[2])
    assert [rule.next_percent(number, 0) for number in (1, 2, 3)] == [5, 100, 5]


def test_an_exempt_trial_that_had_no_room_goes_on_first() -> None:
    records = [at_a_rung(number, 5, 1.0 + number, 0.0) for number in range(6)]
    records.append(at_a_rung(6, 25, 99.0, 0.0))
    rule = Halving([5, 25], 6, exempt=[4, 6])
    assert [record.number for record in rule.due(records)] == [6, 4, 0]
    assert next(iter(rule.leftover(records))).number == 6
    assert rule.standing(records, 5, 5) == Standing(5, 6.0, 1.0)


def test_what_went_on_by_exemption_is_no_bound() -> None:
    first, *others = (at_a_rung(number, 5, 9.0 - number, 0.0) for number in range(3))
    records = [first, *(replace(record, promoted=5) for record in others)]
    assert Halving([5, 25], 6, exempt=[1, 2]).standing(records, 0, 5) is None


@pytest.mark.integration
def test_hyperband_begins_at_several_rungs(tmp_path: Path) -> None:
    space = toy_space(tmp_path, *HALVING, "pruning.rule=hyperband", "budget.trials=39")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    lasts = Counter(max(record.rungs) for record in driver.state().trials)
    # Of 13 trials 9 begin at 5%, 3 at 15% and 1 at 45%; there is no paused one below its first.
    assert lasts[5] < 27
    assert lasts[15] > 0
    assert lasts[45] > 0
    assert driver.state().is_over


@pytest.mark.parametrize(
    ("rule", "kind", "shares", "factor"),
    [
        ("halving", Halving, (0.05, 0.25), 6),
        ("hyperband", Halving, (0.05, 0.15, 0.45), 3),
        ("median", MedianRule, (0.25, 0.5, 0.75), 1),
        ("none", NoPruning, (0.25, 0.5, 0.75), 1),
    ],
)
def test_each_rule_has_its_rungs_and_its_factor(
    rule: str, kind: type, shares: tuple[float, ...], factor: float
) -> None:
    pruning = Pruning.model_validate({"rule": rule})
    assert pruning.shares == shares
    assert pruning.reduction_factor == factor
    assert Pruning.model_validate({"rule": rule, "factor": 4}).reduction_factor == 4
    assert isinstance(make_rule(pruning), kind)
    assert Pruning.model_validate({"rule": rule, "rungs": [0.5, 0.7]}).shares == (0.5, 0.7)


def test_a_kill_within_a_pause_leaves_no_pause_without_an_end(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    study = Study.read(open_storage(driver.folder, None), "toy", "trial")
    assert study is not None
    study.trial(0).set_user_attr("pauses", [[1.0, 2.0], [3.0, None]])  # then the kill came
    study.pause(0, Outcome("paused", 0.5))
    (record,) = study.records()
    assert len(record.pauses) == 2
    assert record.pauses[0] == (1.0, 2.0)
    assert record.is_paused


def test_the_note_of_a_promoted_trial_says_that_it_goes_on(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING))
    begun: set[str] = set()
    while isinstance(work := driver.next_assignment(), Assignment) and work.name not in begun:
        begun.add(work.name)
        train_on(driver, work)
    storage = open_storage(driver.folder, None)
    study = next(s for s in storage.get_all_studies() if s.study_name == "toy")
    notes = [str(text) for key, text in study.system_attrs.items() if "note_str" in key]
    assert any("goes on from its 5% rung" in note for note in notes)
    assert any("goes on if it is among the best at its rung" in note for note in notes)
