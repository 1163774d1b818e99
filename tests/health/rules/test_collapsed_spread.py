from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor, Verdict
from tests.health.runs import calm, changed, judged


@pytest.mark.parametrize("loss", LOSSES)
def test_spread_that_is_lost_is_a_collapse(loss: str) -> None:
    verdict = judged(loss, changed(calm(loss), 15, spread=0.012))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("collapsed", "collapsed_spread")
    assert 19 <= verdict.at <= 21
    assert verdict.sentence.startswith("spread of generated images at 0.012 of the real images'")


def test_untrained_generator_has_half_the_budget() -> None:
    ticks = changed(calm("wgan"), 0, spread=0.0)
    verdict = judged("wgan", ticks)
    assert verdict is not None
    assert verdict.at == 20
    assert judged("wgan", changed(ticks, 18, spread=0.4)) is None


def test_without_a_budget_only_a_run_that_had_spread_is_judged() -> None:
    never = changed(calm("wgan"), 0, spread=0.0)
    assert judged("wgan", never, budget=None) is None
    lost = changed(calm("wgan"), 15, spread=0.0)
    assert judged("wgan", lost, budget=None) is not None


def test_low_or_passing_is_tolerated() -> None:
    assert judged("hinge", changed(calm("hinge"), 10, spread=0.08)) is None
    dip = calm("hinge")
    for k in (20, 21, 22):
        dip[k]["spread"] = 0.01
    assert judged("hinge", dip) is None


def scored(spreads: list[float]) -> Verdict | None:
    """A run whose images differ in pixels, scored every 5 kimg."""
    monitor = HealthMonitor("hinge", budget_kimg=40.0)
    for place, spread in enumerate(spreads):
        monitor.observe(kimg=5.0 * place, spread=0.9)
        monitor.observe_score(kimg=5.0 * place, score=10.0 / (1 + place), spread=spread)
    return monitor.verdict


def test_spread_that_is_lost_in_features_at_two_scores_is_a_collapse() -> None:
    verdict = scored([0.001, 0.5, 0.6, 0.02, 0.02])
    assert verdict is not None
    assert (verdict.rule, verdict.at, verdict.since) == ("collapsed_spread", 20.0, 15.0)
    assert verdict.sentence == (
        "spread of generated images at 0.02 of the real images' in features at two scores, "
        "at most 0.6 before"
    )


@pytest.mark.parametrize("spreads", [[0.001, 0.02, 0.02, 0.03], [0.001, 0.5, 0.02, 0.5, 0.02, 0.5]])
def test_low_feature_spread_early_or_once_is_tolerated(spreads: list[float]) -> None:
    assert scored(spreads) is None


def test_run_below_ten_kimg_is_not_judged() -> None:
    short = [tick | {"kimg": (tick["kimg"] or 0.0) / 10} for tick in calm("wgan")]
    assert judged("wgan", changed(short, 0, spread=0.0), budget=4.0) is None
