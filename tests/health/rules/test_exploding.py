from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
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
    assert verdict.at == 5


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
