"""Whole real training runs: healthy ones are not stopped, broken ones are stopped early."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantune.config import make_config
from gantune.data import load_images
from gantune.gan.trainer import Trainer
from gantune.health import HealthMonitor, Verdict

pytestmark = pytest.mark.integration

HEALTHY: dict[str, dict[str, Any]] = {
    "vanilla": {"loss": "vanilla"},
    "batch norm": {"loss": "vanilla", "discriminator": {"norm": "batch"}},
    "hinge": {"loss": "hinge", "discriminator": {"norm": "spectral"}},
    "lsgan": {"loss": "lsgan"},
    "gradient penalty": {"loss": "wgan", "penalties": {"gradient_penalty": {}}},
    "weight clipping": {"loss": "wgan", "penalties": {"weight_clip": {"limit": 0.05}}},
}
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "critic without a bound": (
        "exploding",
        {"loss": "wgan", "seed": 1, "discriminator": {"lr": 1e-2}, "generator": {"lr": 1e-2}},
    ),
    "generator too slow": (
        "generator_idle",
        {"loss": "vanilla", "discriminator": {"lr": 1e-2}, "generator": {"lr": 1e-5}},
    ),
    "saturating": ("discriminator_won", {"loss": "minimax", "discriminator": {"lr": 2e-3}}),
}


def verdict_on(settings: dict[str, Any], kimg: float, resolution: int) -> Verdict | None:
    """Trains on the digits until a verdict or to the end."""
    torch.set_num_threads(1)
    tree = {"kimg": kimg, "network": {"width": 16}, "precision": "fp32"} | settings
    config = make_config(tree | {"data": {"resolution": resolution, "colour": "gray"}})
    monitor = HealthMonitor(config.loss, budget_kimg=config.kimg)
    for tick in Trainer(config, load_images(config.data), "cpu"):
        if monitor.observe(**tick.signals()):
            break
    return monitor.verdict


@pytest.mark.parametrize("settings", HEALTHY.values(), ids=HEALTHY)
def test_healthy_run_is_not_stopped(settings: dict[str, Any]) -> None:
    assert verdict_on(settings, 20.0, resolution=16) is None


@pytest.mark.parametrize(("rule", "settings"), BROKEN.values(), ids=BROKEN)
def test_broken_run_is_stopped_early(rule: str, settings: dict[str, Any]) -> None:
    verdict = verdict_on(settings, 40.0, resolution=32)
    assert verdict is not None
    assert verdict.rule == rule
    assert verdict.at <= 16.1
