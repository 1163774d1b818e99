"""What a measurement of a GPU trains before it tells its memory."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.gan.trainer import Trainer
from gantune.tuner.engines.probe import warm_steps
from tests.gan.builders import config_of, images_for
from tests.gan.tape import Tapes


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 6),
        ({"penalties": {"r1": {"interval": 8}}}, 20),
        (
            {
                "penalties": {"r1": {"interval": 6}},
                "augment": {"cutout": True, "probability": "adaptive"},
            },
            28,
        ),
        ({"penalties": {"r1": {"interval": 97}, "lecam": {}}}, 132),
    ],
)
def test_all_kinds_of_steps_are_recorded_when_the_memory_is_told(
    settings: dict[str, Any], steps: int
) -> None:
    assert warm_steps(config_of(**settings)) == steps
    if steps > 100:
        return  # a penalty that comes so rarely is not waited for
    config = config_of(kimg=1.0, tick_kimg=1.0, **settings)
    config = config.model_copy(update={"tick_kimg": steps * config.batch_size / 1000})
    trainer = Trainer(config, images_for(config), "cpu", recorder=Tapes())
    ticks = iter(trainer)
    next(ticks)
    recorded = trainer.recorded_phases
    next(ticks)
    # The first steps of ticks are of a kind of their own, as they measure how far the weights move.
    assert recorded > 0 and trainer.recorded_phases <= recorded + 1
