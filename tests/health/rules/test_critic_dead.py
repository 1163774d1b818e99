from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from tests.health.runs import BUDGET, calm, changed, judged

ALIVE = [-0.4 if k % 2 else -0.6 for k in range(40)]


def critic(values: list[float]) -> list[dict[str, float | None]]:
    ticks = calm("wgan", len(values))
    for tick, value in zip(ticks, values, strict=True):
        tick["d_loss"] = value
    return ticks


def test_critic_with_constant_output_is_dead() -> None:
    verdict = judged("wgan", critic([*ALIVE[:15], *[1e-9] * 25]))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("collapsed", "critic_dead")
    assert 20 <= verdict.at <= 15 + 0.25 * BUDGET
    assert verdict.sentence == "critic loss at most 1e-09 for 8 kimg, 0.6 before"


@pytest.mark.parametrize(
    "values",
    [
        ALIVE,
        [1e-5] * 40,  # weights of a clipped critic begin so
        [*[1e-5] * 10, *ALIVE[:30]],
        [0.0] * 40,
        [*ALIVE[:10], *[0.003] * 30],  # converged: a two-hundredth is no nothing
        [*ALIVE[:5], 1e6, *ALIVE[:34]],  # one leap is no measure of the rest
        [*ALIVE[:10], *[1e-9, 0.4, 1e-9, 1e-9] * 7],
    ],
)
def test_critic_near_zero_is_normal(values: list[float]) -> None:
    assert judged("wgan", critic(values)) is None


@pytest.mark.parametrize("loss", [n for n, facts in LOSSES.items() if facts.family != "critic"])
def test_other_families_are_not_judged(loss: str) -> None:
    verdict = judged(loss, changed(calm(loss), 15, d_loss=1e-12, spread=0.5))
    assert verdict is None or verdict.rule != "critic_dead"
