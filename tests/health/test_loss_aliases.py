from __future__ import annotations

import pytest

from gantune.config.loss_families import LOSSES
from gantune.errors import ConfigError
from gantune.health.loss_aliases import known_loss


@pytest.mark.parametrize("loss", LOSSES)
def test_own_names(loss: str) -> None:
    assert known_loss(loss) == known_loss(f" {loss.upper()} ") == loss


@pytest.mark.parametrize(
    ("name", "loss"),
    [("Non-Saturating", "vanilla"), ("wgan-gp", "wgan"), ("least squares", "lsgan")],
)
def test_other_names(name: str, loss: str) -> None:
    assert known_loss(name) == loss


@pytest.mark.parametrize(("name", "message"), [("hing", "did you mean 'hinge'"), ("x", "known: ")])
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        known_loss(name)
