"""From where on rules can act: told before a run, and true of every run."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config.loss_families import LOSSES
from gantune.health import PRESETS, HealthMonitor, History
from gantune.health.course import Course
from gantune.health.reach import Reach, reach_sentences, reaches
from tests.examples import examples
from tests.health.rules.test_contract import SCORES, TICKS
from tests.health.runs import calm, changed


def found(
    kimg: float, tick: float, scores: tuple[float, ...], loss: str = "hinge"
) -> dict[str, Any]:
    course = Course.planned(kimg, tick, scores, [LOSSES[loss].family])
    return {reach.rule: reach for reach in reaches(PRESETS["default"], course)}


def quarters(kimg: float) -> tuple[float, ...]:
    return (0.0, kimg / 4, kimg / 2, 3 * kimg / 4, kimg)


@pytest.mark.parametrize(
    ("kimg", "tick", "rule", "at", "needs"),
    [
        (40, 1, "exploding", 4, "4 kimg"),
        (40, 1, "discriminator_won", 8, "20% of the run"),
        (40, 1, "generator_idle", 5, "5 ticks"),
        (40, 1, "cycling", None, "24 ticks in 40% of the run"),
        (40, 0.5, "cycling", 16, "24 ticks in 40% of the run"),
        (40, 1, "worsened", 20, "3 scores"),
        (40, 1, "stillborn", 10, "a score from 10 kimg on"),
        (6, 1, "exploding", 2, "2 ticks with d_loss"),
        (6, 1, "discriminator_won", 5, "5 ticks"),
        (6, 1, "generator_idle", None, "a run of 10 kimg"),
        (6, 1, "stillborn", None, "a score from 10 kimg on"),
        (6, 1, "non_finite", 0, "1 score"),
        (3, 1, "discriminator_won", None, "5 ticks"),
        (10_000, 4, "worsened", 5000, "3 scores"),
    ],
)
def test_each_rule_says_from_where_on_it_can_act(
    kimg: float, tick: float, rule: str, at: float | None, needs: str
) -> None:
    assert found(kimg, tick, quarters(kimg))[rule] == Reach(rule, at, needs)


def test_rules_of_other_losses_are_not_told() -> None:
    assert "critic_dead" not in found(40, 1, quarters(40))
    assert "discriminator_won" not in found(40, 1, quarters(40), "wgan")
    assert found(40, 1, quarters(40), "wgan")["critic_dead"].at == 13


def test_worsened_is_told_at_the_last_score_too() -> None:
    assert found(40, 1, (0.0, 20.0, 40.0))["worsened"].at == 40
    assert found(40, 1, (20.0, 40.0))["worsened"] == Reach("worsened", None, "3 scores")


def test_a_short_run_is_told_once_with_the_rules_that_cannot_act() -> None:
    sentences = reach_sentences(
        PRESETS["default"], kimg=6, tick_kimg=1, scores=quarters(6), families=["critic"]
    )
    assert sentences == [
        "health: in a run of 6 kimg in ticks of 1 kimg these rules cannot act: critic_dead "
        "(needs 10 ticks before the end of the run), generator_idle (needs a run of 10 kimg), "
        "cycling (needs 24 ticks in 40% of the run), stillborn (needs a score from 10 kimg on)",
        "health: in a run of 6 kimg in ticks of 1 kimg these rules act late: collapsed_spread from "
        "4.5 kimg, generator_vanished from 5 kimg",
    ]
    external = reach_sentences(
        PRESETS["default"], kimg=200, tick_kimg=None, scores=(50, 200), families=["unknown"]
    )
    assert external == [
        "health: in a run of 200 kimg these rules cannot act: worsened (needs 3 scores), stillborn "
        "(needs a score of the untrained generator)"
    ]
    assert reach_sentences((), kimg=6, tick_kimg=1, scores=(), families=["critic"]) == []


@examples(100)
@given(
    loss=st.sampled_from(list(LOSSES)),
    ticks=TICKS,
    scores=SCORES,
    budget=st.sampled_from([None, 0.5, 6.0, 20.0, 40.0]),
    step=st.sampled_from([0.25, 1.0, 3.0]),
)
def test_no_rule_acts_before_the_place_that_it_says(
    loss: str,
    ticks: list[dict[str, Any]],
    scores: list[tuple[int, float]],
    budget: float | None,
    step: float,
) -> None:
    history, later = History(LOSSES[loss], budget), dict(scores)
    rules = [rule for rule in PRESETS["strict"] if LOSSES[loss].family in rule.families]
    spoke: dict[str, float] = {}
    for place, tick in enumerate(ticks):
        history.add_tick(step * place, tick)
        if place in later:
            history.add_score(step * place, later[place], feature_spread=0.01)
        for rule in rules:
            if rule.check(history) is not None:
                spoke.setdefault(rule.name, history.now)
    for rule in rules:
        assert rule.need(Course.of(history)).at <= spoke.get(rule.name, math.inf), rule.name


@pytest.mark.parametrize(
    ("signals", "loss"),
    [
        ({"d_loss": 1e6}, "hinge"),
        ({"d_loss": 1e-6}, "hinge"),
        ({"g_update": 2e-4}, "hinge"),
    ],
)
@pytest.mark.parametrize("budget", [12.0, 40.0])
def test_a_run_that_fails_at_once_is_stopped_where_its_rule_says(
    signals: dict[str, float], loss: str, budget: float
) -> None:
    monitor = HealthMonitor(loss, budget_kimg=budget)
    for tick in changed(calm(loss, int(budget)), 0, **signals):
        if verdict := monitor.observe(**tick):
            break
    assert verdict is not None
    assert verdict.at == found(budget, 1, (), loss)[verdict.rule].at


def test_a_log_is_told_what_it_lacks() -> None:
    monitor = HealthMonitor("hinge")
    for step in range(1, 31):
        monitor.observe(step=100 * step, d_loss=2.0, g_loss=0.0)
    lacking = {reach.rule: reach.needs for reach in monitor.reach if reach.at is None}
    assert lacking == {
        "collapsed_spread": "spread",
        "generator_vanished": "g_grad",
        "generator_idle": "the length of the run",
        "cycling": "24 ticks in 40% of the run",
        "worsened": "3 scores",
        "stillborn": "a FID of the Inception network",
    }
