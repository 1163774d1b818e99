"""What a measurement of a GPU trains before it tells its memory."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.gan.trainer import Trainer
from gantune.tuner.engines.probe import warm_steps
from tests.gan.builders import config_of, images_for
from tests.gan.tape import Tapes

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "r1": {"penalties": {"r1": {"interval": 8}}},
    "adaptive": {
        "penalties": {"r1": {"interval": 6}},
        "augment": {"cutout": True, "probability": "adaptive"},
    },
    "rare": {"penalties": {"r1": {"interval": 97}, "lecam": {}}},
}


@pytest.mark.parametrize(
    ("name", "steps"), [("plain", 6), ("r1", 20), ("adaptive", 28), ("rare", 132)]
)
def test_a_warm_up_has_twice_the_steps_of_a_cycle_and_four(name: str, steps: int) -> None:
    assert warm_steps(config_of(**SETTINGS[name])) == steps


@pytest.mark.parametrize(("name", "recorded"), [("plain", 1), ("r1", 2), ("adaptive", 6)])
def test_all_kinds_of_steps_are_recorded_when_the_memory_is_told(name: str, recorded: int) -> None:
    config = config_of(kimg=1.0, **SETTINGS[name])
    tick = warm_steps(config) * config.batch_size / 1000
    config = config.model_copy(update={"tick_kimg": tick})
    trainer = Trainer(config, images_for(config), "cpu", recorder=Tapes())
    ticks = iter(trainer)
    next(ticks)
    assert trainer.recorded_phases == recorded
    for _ in range(2):  # further ones begin ticks, as these also measure how far the weights move
        next(ticks)
        assert trainer.recorded_phases <= recorded + 1
