from __future__ import annotations

import pytest

from gantune.families import LOSSES
from tests.health.runs import calm, changed, judged


@pytest.mark.parametrize("gradient", [0.0, 1e-12])
@pytest.mark.parametrize("loss", LOSSES)
def test_generator_without_a_gradient_stalls(loss: str, gradient: float) -> None:
    verdict = judged(loss, changed(calm(loss), 5, g_grad=gradient))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("stalled", "generator_vanished")
    assert verdict.kimg <= 15
    assert verdict.sentence == f"the gradient norm of G at {gradient:g} for 10 kimg"


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_that_adam_makes_up_for_is_borne(loss: str) -> None:
    assert judged(loss, changed(calm(loss), 0, g_grad=1e-6)) is None


def test_gradient_that_comes_back_is_borne() -> None:
    assert judged("wgan", changed(changed(calm("wgan"), 5, g_grad=0.0), 12, g_grad=1e-3)) is None
