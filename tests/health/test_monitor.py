from __future__ import annotations

import math
import subprocess
import sys
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config.loss_families import LOSSES, loss_by_alias, loss_facts
from gantune.errors import ConfigError
from gantune.health import HealthMonitor
from tests.examples import examples
from tests.health.runs import BUDGET, calm, changed, judged

EVENTS = st.lists(
    st.fixed_dictionaries(
        {"kimg": st.integers(0, 50).map(float)},
        optional={
            "d_loss": st.sampled_from([0.0, 1e-4, 1.4, 1e9, math.nan, None]),
            "g_grad": st.sampled_from([0.0, 1.0, 1e12]),
            "non_finite": st.sampled_from([0.0, 0.2, 1.0]),
            "spread": st.sampled_from([0.0, 0.16, 0.9]),
            "score": st.sampled_from([10.0, 200.0, math.nan]),
        },
    ),
    max_size=40,
).map(lambda events: sorted(events, key=lambda event: event["kimg"] or 0.0))


def feed(monitor: HealthMonitor, event: dict[str, Any]) -> Any:
    score = event.get("score")
    if score is not None:
        monitor.observe_score(kimg=event["kimg"], score=score)
    return monitor.observe(**event)


@pytest.mark.parametrize("loss", LOSSES)
@examples(30)
@given(events=EVENTS, cut=st.integers(0, 40))
def test_replay_rebuilds_the_monitor_and_later_ticks_do_not_matter(
    loss: str, events: list[dict[str, Any]], cut: int
) -> None:
    straight = HealthMonitor(loss, budget_kimg=BUDGET)
    said = [feed(straight, event) for event in events]
    resumed = HealthMonitor(loss, budget_kimg=BUDGET)
    for event in events[:cut]:
        feed(resumed, event)
    assert resumed.verdict == (said[:cut] or [None])[-1]
    assert [feed(resumed, event) for event in events[cut:]] == said[cut:]


@pytest.mark.parametrize("loss", LOSSES)
@examples(30)
@given(seed=st.integers(0, 10**6), step=st.integers(1, 4))
def test_thinned_calm_run_stays_healthy(loss: str, seed: int, step: int) -> None:
    assert judged(loss, calm(loss, 60, seed)[::step]) is None


def test_verdict_is_final() -> None:
    monitor = HealthMonitor("vanilla", budget_kimg=BUDGET)
    verdict = monitor.observe(kimg=1.0, d_loss=math.nan)
    assert verdict is not None
    assert monitor.observe(kimg=2.0, d_loss=1.4) == verdict
    assert monitor.observe_score(kimg=2.0, score=3.0) == verdict
    assert monitor.observe(kimg=1.0, d_loss=1.4) == verdict
    assert monitor.verdict == verdict


def test_whole_tick_can_be_observed_and_unknown_names_are_ignored() -> None:
    tick = pytest.importorskip("gantune.gan.tick").Tick
    numbers = dict.fromkeys(tick.__dataclass_fields__, 1.0) | {"penalties": {"r1": 2.0}}
    monitor = HealthMonitor("vanilla", budget_kimg=BUDGET)
    signals = tick(**(numbers | {"non_finite": 0.0})).signals()
    assert monitor.observe(**signals, lr=math.nan, note=cast(Any, "text")) is None
    assert monitor.observe(**(signals | {"kimg": 2.0, "d_loss": math.nan})) is not None


def test_off_never_stops() -> None:
    ticks = changed(calm("vanilla"), 3, d_loss=math.nan, spread=0.0, g_grad=0.0)
    assert judged("vanilla", ticks, "off") is None
    assert judged("vanilla", ticks) is not None


def test_rules_can_be_set_by_name() -> None:
    monitor = HealthMonitor("vanilla", preset={"non_finite": "off"}, budget_kimg=BUDGET)
    assert monitor.observe(kimg=1.0, d_loss=math.nan) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "hing"}, r"no loss 'hing' \(did you mean 'hinge'\?\)"),
        ({"loss": "xyzzy"}, "known: minimax, vanilla, wgan, hinge, lsgan"),
        ({"loss": "hinge", "budget_kimg": 0.0}, "budget_kimg must be"),
        ({"loss": "hinge", "budget_kimg": math.nan}, "budget_kimg must be"),
        ({"loss": "hinge", "preset": "strickt"}, r"did you mean 'strict'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HealthMonitor(**arguments)


def test_needs_neither_torch_nor_optuna() -> None:
    code = "import sys, gantune.health; sys.exit(bool({'torch', 'optuna'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_discriminator_that_won_is_found_with_smoothed_labels() -> None:
    """With smoothed labels the lowest loss is 0.33, a quarter of the neutral value."""
    floor = loss_facts("vanilla", 0.1).discriminator_floor
    ticks = changed(calm("vanilla"), 10, d_loss=floor + 1e-4, spread=0.9)
    verdicts = []
    for smoothing in (0.1, 0.0):
        monitor = HealthMonitor("vanilla", budget_kimg=BUDGET, label_smoothing=smoothing)
        verdicts.append([monitor.observe(**tick) for tick in ticks][-1])
    assert verdicts[0] is not None and verdicts[0].rule == "discriminator_won"
    assert verdicts[1] is None


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_known_by_their_names(loss: str) -> None:
    assert loss_by_alias(loss) == loss_by_alias(f" {loss.upper()} ") == loss


@pytest.mark.parametrize(
    ("name", "loss"),
    [("Non-Saturating", "vanilla"), ("wgan-gp", "wgan"), ("least squares", "lsgan")],
)
def test_losses_are_known_by_aliases(name: str, loss: str) -> None:
    assert loss_by_alias(name) == loss


@pytest.mark.parametrize(("name", "message"), [("hing", "did you mean 'hinge'"), ("x", "known: ")])
def test_unknown_losses_raise(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loss_by_alias(name)


def idle(kimg: float) -> dict[str, float]:
    """A tick of a run whose weights hardly move."""
    return {"kimg": kimg, "step": 30 * kimg, "d_loss": 2.0, "g_update": 1e-6}


def test_a_rule_about_pace_may_be_deferred() -> None:
    """It gives no verdict, and waits until the next score once its doubt is rejected."""
    monitor = HealthMonitor("hinge", budget_kimg=BUDGET, defers_pace=True)
    plain = HealthMonitor("hinge", budget_kimg=BUDGET)
    doubts = []
    for place in range(1, 9):
        assert monitor.observe(**idle(float(place))) is None
        doubts.append(monitor.doubt)
        plain.observe(**idle(float(place)))
    assert plain.verdict is not None
    assert [doubt is not None for doubt in doubts] == [False] * 4 + [True] * 4
    assert doubts[4] == plain.verdict
    monitor.spare()
    monitor.observe(**idle(9.0))
    assert monitor.doubt is None
    monitor.observe_score(kimg=9.0, score=5.0)
    assert monitor.doubt is not None and monitor.doubt.rule == "generator_idle"
    monitor.spare()
    verdict = monitor.observe(kimg=10.0, d_loss=math.nan)  # another kind of rule still judges
    assert verdict is not None and verdict.rule == "non_finite"
    assert monitor.doubt is None


def test_a_deferred_rule_hides_no_other_verdict() -> None:
    monitor = HealthMonitor("hinge", budget_kimg=BUDGET, defers_pace=True)
    for place in range(1, 9):
        verdict = monitor.observe(**idle(float(place)) | {"d_loss": 1e6})
    assert verdict is not None and verdict.rule == "exploding"
