from __future__ import annotations

import pytest

from gantune.families import LOSSES
from tests.health.runs import calm, changed, judged


@pytest.mark.parametrize("loss", LOSSES)
def test_spread_that_is_lost_is_a_collapse(loss: str) -> None:
    verdict = judged(loss, changed(calm(loss), 15, spread=0.012))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("collapsed", "collapsed_spread")
    assert 19 <= verdict.kimg <= 21
    assert verdict.sentence.startswith("generated images differ by 0.012 of what real ones do")


def test_untrained_generator_has_half_the_budget() -> None:
    ticks = changed(calm("wgan"), 0, spread=0.0)
    verdict = judged("wgan", ticks)
    assert verdict is not None
    assert verdict.kimg == 20
    assert judged("wgan", changed(ticks, 18, spread=0.4)) is None


def test_without_a_budget_only_spread_that_was_there_can_be_lost() -> None:
    never = changed(calm("wgan"), 0, spread=0.0)
    assert judged("wgan", never, budget=None) is None
    lost = changed(calm("wgan"), 15, spread=0.0)
    assert judged("wgan", lost, budget=None) is not None


def test_low_or_passing_is_borne() -> None:
    assert judged("hinge", changed(calm("hinge"), 10, spread=0.08)) is None
    dip = calm("hinge")
    for k in (20, 21, 22):
        dip[k]["spread"] = 0.01
    assert judged("hinge", dip) is None
