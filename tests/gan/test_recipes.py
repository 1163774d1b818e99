"""Every shipped recipe, and what its space may draw, is a GAN that trains."""

from __future__ import annotations

import math
import random

import pytest

from gantune.config import RESOLUTIONS, AnyConfig, TrialConfig
from gantune.data import load_images, resolved
from gantune.gan.trainer import Trainer
from gantune.space import load_space, shipped_spaces

OURS = [name for name in shipped_spaces() if name != "own_trainer"]
LANDSCAPE = ("dragan", "hinge", "lsgan", "minimax", "relativistic", "vanilla", "wgan", "wgan_gp")


@pytest.mark.integration
@pytest.mark.parametrize("name", OURS)
def test_each_start_entry_and_a_draw_train_for_two_steps(name: str) -> None:
    space = load_space(name)
    source = random.Random(0)
    configs = [space.configs_of(point) for point in space.start_points()]
    drawn = {item: dist.sample(source) for item, dist in space.parameters().items()}
    for config in [*configs, space.configs_of(drawn)]:
        _train(config)


@pytest.mark.integration
@pytest.mark.parametrize("loss", LANDSCAPE)
def test_each_loss_of_the_landscape_trains(loss: str) -> None:
    space = load_space("gan_landscape", [f"loss={loss}", "network.width=4"])
    source = random.Random(0)
    _train(space.configs_of({n: d.sample(source) for n, d in space.parameters().items()}))


def test_every_loss_of_the_landscape_is_among_them() -> None:
    assert load_space("gan_landscape").parameters()["loss"].values == LANDSCAPE


def _train(config: AnyConfig) -> None:
    assert isinstance(config, TrialConfig)
    images = load_images(config.data, RESOLUTIONS[config.network.name])
    short = {"kimg": 2 * config.discriminator.steps * config.batch_size / 1000, "tick_kimg": 1000.0}
    (tick,) = Trainer(resolved(config, images).model_copy(update=short), images, "cpu")
    assert tick.step == 2
    assert tick.non_finite == 0
    assert math.isfinite(tick.d_loss)
    assert math.isfinite(tick.g_loss)
    assert tick.d_grad > 0
