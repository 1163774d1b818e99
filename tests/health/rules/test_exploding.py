from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor
from tests.health.runs import calm, changed, judged

BOUNDED = [name for name, facts in LOSSES.items() if facts.family != "critic"]


@pytest.mark.parametrize("loss", BOUNDED)
def test_loss_far_above_its_neutral_value_is_stopped_early(loss: str) -> None:
    neutral = LOSSES[loss].discriminator_neutral
    verdict = judged(loss, changed(calm(loss), 4, d_loss=50 * neutral))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("diverged", "exploding")
    assert verdict.at <= 8
    assert verdict.sentence == "D loss at 50 times its neutral value for 5 kimg"


@pytest.mark.parametrize("loss", BOUNDED)
def test_loss_that_explodes_from_the_first_tick_on_is_stopped(loss: str) -> None:
    verdict = judged(loss, changed(calm(loss), 0, d_loss=1e6))
    assert verdict is not None
    assert verdict.at == 4  # a tenth of the budget
    assert judged(loss, changed(calm(loss, 6), 0, d_loss=1e6), budget=6.0).at == 2


@pytest.mark.parametrize("loss", BOUNDED)
def test_passing_spike_is_tolerated(loss: str) -> None:
    ticks = calm(loss)
    for k in (3, 4, 20, 21):
        ticks[k]["d_loss"] = 1e9
    assert judged(loss, ticks) is None


@pytest.mark.parametrize("loss", BOUNDED)
def test_loss_some_times_its_neutral_value_is_tolerated(loss: str) -> None:
    neutral = LOSSES[loss].discriminator_neutral
    assert judged(loss, changed(calm(loss), 0, d_loss=5 * neutral)) is None


def test_critic_that_grows_without_bound_is_stopped() -> None:
    """Without a Lipschitz bound Adam moves each of four layers in proportion to time."""
    ticks = [t | {"d_loss": -0.5 * (t["kimg"] or 0.0) ** 4} for t in calm("wgan")]
    verdict = judged("wgan", ticks)
    assert verdict is not None
    assert verdict.rule == "exploding"
    assert 10 <= verdict.at <= 16
    assert "up from 40.5 in the first ticks" in verdict.sentence


def test_critic_near_zero_or_in_the_thousands_is_normal() -> None:
    assert judged("wgan", changed(calm("wgan"), 0, d_loss=0.0)) is None
    assert judged("wgan", changed(calm("wgan"), 0, d_loss=-5e3)) is None


def test_critic_of_large_scale_that_does_not_grow_is_tolerated() -> None:
    assert judged("wgan", changed(calm("wgan"), 0, d_loss=-1e7)) is None


def test_critic_that_grows_from_a_small_opening_is_tolerated() -> None:
    ticks = changed(changed(calm("wgan"), 0, d_loss=-0.001), 6, d_loss=-60.0)
    assert judged("wgan", ticks) is None


def test_an_unknown_loss_is_stopped_above_the_bound_of_a_critic() -> None:
    grown = changed(calm("hinge"), 6, d_loss=15_000.0)
    verdict = judged(None, grown)
    assert verdict is not None and verdict.rule == "exploding"
    assert judged(None, changed(calm("hinge"), 6, d_loss=5_000.0)) is None
    assert judged(None, changed(calm("hinge"), 0, d_loss=15_000.0)) is None
    scaled = HealthMonitor(None, budget_kimg=40.0, auxiliary=True)
    assert not any(scaled.observe(**tick) for tick in grown), "its factor may be large"


def test_mean_of_a_critic_drifts_freely() -> None:
    ticks = [t | {"g_loss": -1e5 * (t["kimg"] or 0.0)} for t in calm("wgan")]
    assert judged("wgan", ticks) is None


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("signal", ["d_grad", "g_grad"])
def test_gradient_is_stopped_where_large_and_grown(loss: str, signal: str) -> None:
    verdict = judged(loss, changed(calm(loss), 10, **{signal: 1e8}))
    assert verdict is not None
    assert verdict.at <= 14
    assert f"the gradient norm of {signal[0].upper()} at 1e+08" in verdict.sentence
    assert judged(loss, changed(calm(loss), 10, **{signal: 1e3})) is None
    assert judged(loss, changed(calm(loss), 0, **{signal: 1e8})) is None


# What was seen of a WGAN in 6 kimg: its loss was never within the bounds of a critic.
SEEN = [12_214.0, 15_000.0, 21_000.0, 28_000.0, 33_000.0, 37_309.0]


@pytest.mark.parametrize(
    ("losses", "budget", "at"),
    [
        (SEEN, 6.0, 4.0),
        ([-loss for loss in SEEN], 6.0, 4.0),
        (SEEN, 40.0, 4.0),
        (SEEN, None, 5.0),
        ([11_627.0, 21_012.0, 2_787.0, 15_553.0, 59_205.0, 1e6], 6.0, 5.0),  # one calm tick
        ([12_214.0, 9_000.0, 9_000.0, 21_000.0, 30_000.0, 37_309.0], 6.0, None),  # two of five
        ([12_214.0] * 6, 6.0, None),  # weights that are clipped at a large value
        ([9_000.0, 5_000.0, 800.0, 90.0, 60.0, 50.0], 6.0, None),
        ([50.0, 90.0, 100.0, 120.0, 150.0, 200.0], 6.0, None),
        ([37_309.0, 33_000.0, 28_000.0, 21_000.0, 15_000.0, 12_214.0], 6.0, None),
    ],
)
def test_critic_that_is_out_of_bounds_from_the_first_tick_on(
    losses: list[float], budget: float | None, at: float | None
) -> None:
    monitor = HealthMonitor("wgan", budget_kimg=budget)
    for place, loss in enumerate(losses, start=1):
        monitor.observe(kimg=float(place), d_loss=loss)
    verdict = monitor.verdict
    assert (verdict and verdict.at) == at
    if verdict is not None:
        assert (verdict.kind, verdict.rule, verdict.since) == ("diverged", "exploding", 0.0)
        assert "above 10,000 from the first tick on" in verdict.sentence


def test_a_loss_whose_scale_is_unknown_is_compared_with_its_opening_alone() -> None:
    for options in ({"loss": None}, {"loss": "wgan", "auxiliary": True}):
        monitor = HealthMonitor(budget_kimg=6.0, **options)
        for place, loss in enumerate(SEEN, start=1):
            assert monitor.observe(kimg=float(place), d_loss=loss) is None
