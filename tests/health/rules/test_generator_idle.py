from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from tests.health.runs import calm, changed, judged


def moving(step: float, loss: str = "hinge") -> list[dict[str, float | None]]:
    """30 generator steps a kimg, 1,200 in the whole budget, each of this length."""
    return changed(calm(loss), 0, g_update=step)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_that_cannot_move_far_are_stalled_early(loss: str) -> None:
    verdict = judged(loss, moving(2e-4, loss))
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("stalled", "generator_idle", 5.0)
    assert verdict.sentence == (
        "G hardly moves: its weights change by 0.0002 of their norm a step, by at most 0.24 in all "
        "1,200 steps of 40 kimg"
    )


def test_longer_budget_compensates_for_short_steps() -> None:
    assert judged("hinge", moving(2e-4), budget=200.0) is None


@pytest.mark.parametrize("step", [5e-4, 0.01])
def test_weights_that_can_move_far_enough_are_tolerated(step: float) -> None:
    assert judged("hinge", moving(step)) is None


def test_rule_waits_while_the_step_length_rises() -> None:
    ticks = moving(0.0)
    for k, tick in enumerate(ticks):
        tick["g_update"] = 1e-5 * 1.25**k
    assert judged("hinge", ticks) is None


@pytest.mark.parametrize("missing", ["g_update", "step"])
def test_missing_signals_give_no_verdict(missing: str) -> None:
    assert judged("hinge", changed(moving(1e-6), 0, **{missing: None})) is None
    assert judged("hinge", moving(1e-6), budget=None) is None


def test_run_of_a_few_kimg_is_not_judged() -> None:
    short = [tick | {"kimg": (tick["kimg"] or 0.0) / 10} for tick in moving(1e-6)]
    assert judged("hinge", short, budget=4.0) is None
