from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor, Verdict
from tests.health.runs import BUDGET, calm, changed, judged

JUDGED = [name for name, facts in LOSSES.items() if facts.family != "critic"]


def lost(loss: str, after: float, share: float) -> list[dict[str, float | None]]:
    d_loss = share * LOSSES[loss].discriminator_neutral
    return changed(calm(loss), after, d_loss=d_loss, spread=0.16)


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.004])
@pytest.mark.parametrize("loss", JUDGED)
def test_discriminator_that_won_from_the_start_is_stopped_within_a_quarter(
    loss: str, share: float
) -> None:
    verdict = judged(loss, lost(loss, 0, share))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("collapsed", "discriminator_won")
    assert 0.15 * BUDGET <= verdict.at <= 0.25 * BUDGET


def test_sentence_has_the_evidence() -> None:
    verdict = judged("hinge", lost("hinge", 0, 0.004))
    assert verdict is not None
    assert verdict.sentence == (
        "D loss at 0.004 of its neutral value for 8 kimg, spread of generated images 0.16"
    )


@pytest.mark.parametrize("loss", JUDGED)
def test_discriminator_that_won_late_is_stopped(loss: str) -> None:
    verdict = judged(loss, lost(loss, 20, 0.001))
    assert verdict is not None
    assert 26 <= verdict.at <= 30


@pytest.mark.parametrize("loss", JUDGED)
def test_low_loss_is_normal(loss: str) -> None:
    """A tenth of the neutral value is common in healthy training with batch norm."""
    assert judged(loss, lost(loss, 0, 0.1)) is None


@pytest.mark.parametrize("loss", JUDGED)
def test_loss_that_jumps_now_and_then_is_tolerated(loss: str) -> None:
    ticks = lost(loss, 0, 0.001)
    for k in range(1, 40, 3):
        ticks[k]["d_loss"] = 0.05 * LOSSES[loss].discriminator_neutral
    assert judged(loss, ticks) is None


@pytest.mark.parametrize("loss", JUDGED)
def test_generator_whose_images_move_is_learning(loss: str) -> None:
    ticks = lost(loss, 0, 0.001)
    for k, tick in enumerate(ticks):
        tick["spread"] = min(0.15 * 1.06**k, 1.0)
    assert judged(loss, ticks[:30]) is None


@pytest.mark.parametrize("loss", JUDGED)
def test_spread_is_not_needed(loss: str) -> None:
    assert judged(loss, changed(lost(loss, 0, 0.001), 0, spread=None)) is not None


@pytest.mark.parametrize("loss", JUDGED)
def test_without_a_budget_the_opening_is_not_stopped(loss: str) -> None:
    ticks = lost(loss, 0, 0.001)
    assert judged(loss, ticks[:19], budget=None) is None
    assert judged(loss, ticks, budget=None) is not None


def test_critic_at_zero_is_not_judged() -> None:
    assert judged("wgan", lost("wgan", 0, 0.0)) is None


# Spread and D loss over its neutral value, tick by tick, of DCGAN's own recipe on digits (vanilla,
# batch norm, lr 2e-4, width 16, 40 kimg, seed 2): it recovers, and its
# final score is no worse than that of other seeds.
SLOW_START = [
    *((0.162, 0.59), (0.156, 0.26), (0.152, 0.14), (0.154, 0.064), (0.154, 0.034), (0.158, 0.021)),
    *((0.160, 0.019), (0.172, 0.014), (0.186, 0.013), (0.202, 0.010), (0.218, 0.008)),
    *((0.225, 0.009), (0.221, 0.011), (0.217, 0.009), (0.235, 0.011), (0.253, 0.62)),
]


def test_a_recipe_that_starts_slowly_is_not_stopped() -> None:
    ticks = calm("vanilla")[: len(SLOW_START)]
    for tick, (spread, share) in zip(ticks, SLOW_START, strict=True):
        tick["spread"], tick["d_loss"] = spread, share * LOSSES["vanilla"].discriminator_neutral
    assert judged("vanilla", ticks) is None


@pytest.mark.parametrize("loss", JUDGED)
def test_shrinking_spread_is_not_learning(loss: str) -> None:
    ticks = lost(loss, 0, 0.001)
    for k, tick in enumerate(ticks):
        tick["spread"] = 0.16 * 0.99**k
    assert judged(loss, ticks) is not None


def scored(scores: list[float], budget: float | None = None) -> Verdict | None:
    """D has won from the start. The spread is not measured; every fifth tick has a score."""
    monitor = HealthMonitor("hinge", budget_kimg=budget)
    for k, tick in enumerate(changed(lost("hinge", 0, 0.001), 0, spread=None)):
        score = scores[k // 5] if k % 5 == 4 and k // 5 < len(scores) else None
        monitor.observe(**tick, score=score)
    return monitor.verdict


def test_scores_that_get_better_are_learning() -> None:
    assert scored([100 * 0.8**k for k in range(8)]) is None
    assert scored([100 * 0.8**k for k in range(8)], budget=BUDGET) is None


def test_constant_scores_give_a_verdict_after_a_wait() -> None:
    """A run of unknown length needs eight scores: fewer may be from its very start."""
    assert scored([100.0] * 7) is None
    verdict = scored([100.0] * 8)
    assert verdict is not None
    assert (verdict.rule, verdict.at) == ("discriminator_won", 40.0)
    early = scored([100.0] * 8, budget=BUDGET)
    assert early is not None and early.at == 25.0
