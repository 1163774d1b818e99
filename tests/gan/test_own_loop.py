"""The trainer's parts in a training loop of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gantune
from gantune.config import TrialConfig, make_config
from gantune.config.loss_families import LOSSES
from gantune.data import load_images
from gantune.data.load import resolved_data
from gantune.errors import CheckpointError, ConfigError
from gantune.gan.checkpoint import save_checkpoint, take_checkpoint
from gantune.gan.trainer import Trainer

CONFIG: dict[str, Any] = {
    "data": {"source": "digits", "resolution": 16, "colour": "gray"},
    "network": {"name": "dcgan", "width": 4, "latent": 8},
    "kimg": 0.3,
    "tick_kimg": 0.1,
    "batch_size": 16,
    "precision": "fp32",
}


def config(**changes: Any) -> TrialConfig:
    return make_config({**CONFIG, **changes})


class Linear(nn.Module):
    """D(x) = w x, whose gradient is w everywhere."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


@pytest.mark.parametrize(
    ("penalties", "expected"),
    [
        ({}, 0.0),
        ({"gradient_penalty": {"weight": 10.0}}, 10 * (5 - 1) ** 2),
        ({"r1": {"weight": 2.0, "interval": 1}}, 2 * 0.5 * 25),
        ({"r1": {"weight": 2.0, "interval": 1}, "dragan": {"weight": 1.0}}, 25 + 16),
        ({"r1_r2": {"weight": 1.0, "interval": 1}}, 25),
    ],
)
def test_penalties_have_the_config_s_weights(penalties: dict[str, Any], expected: float) -> None:
    due, network = gantune.penalties(config(penalties=penalties)), Linear([3.0, 4.0])
    real, fake = torch.randn(16, 1, 1, 2), torch.randn(16, 1, 1, 2)
    assert due(network, real, fake).item() == pytest.approx(expected, rel=1e-5)


def test_an_automatic_weight_needs_the_resolution() -> None:
    given = config(data={"source": "digits"}, penalties={"r1": {"weight": "auto"}})
    with pytest.raises(ConfigError, match=r"penalties\.r1\.weight: auto needs data\.resolution"):
        gantune.penalties(given)


def test_a_penalty_is_due_at_its_interval() -> None:
    due = gantune.penalties(config(penalties={"r1": {"weight": 1.0, "interval": 4}}))
    images = torch.randn(16, 1, 1, 2)
    values = [due(Linear([1.0, 0.0]), images, images).item() for _ in range(8)]
    assert values == [2.0, 0, 0, 0, 2.0, 0, 0, 0]


def test_penalties_reach_the_discriminator_and_not_the_generator() -> None:
    due, network = gantune.penalties(config(penalties={"gradient_penalty": {}})), Linear([3.0, 4.0])
    fake = torch.randn(16, 1, 1, 2, requires_grad=True)
    due(network, torch.randn(16, 1, 1, 2), fake).backward()
    assert network.weight.grad is not None and network.weight.grad.norm() > 0
    assert fake.grad is None


def test_labels_reach_a_conditional_discriminator() -> None:
    conditional = config(
        network={**CONFIG["network"], "conditional": True}, penalties={"gradient_penalty": {}}
    )
    data = resolved_data(conditional.data, load_images(conditional.data))
    conditional = conditional.model_copy(update={"data": data})
    _, discriminator = gantune.build_networks(conditional)
    real = torch.randn(16, 1, 16, 16)
    value = gantune.penalties(conditional)(discriminator, real, -real, torch.arange(16) % 10)
    assert value.isfinite() and value > 0


def test_weights_are_clipped_where_the_config_says_so() -> None:
    network = Linear([3.0, -4.0])
    gantune.penalties(config()).clip(network)
    assert network.weight.tolist() == [3, -4]
    gantune.penalties(config(penalties={"weight_clip": {"limit": 0.5}}, loss="wgan")).clip(network)
    assert network.weight.tolist() == [0.5, -0.5]


def test_the_average_follows_by_the_config() -> None:
    network = Linear([0.0, 0.0])
    ema, settings = gantune.Ema(network), config(ema={"half_life": 1.0, "ramp": 1.0}).ema
    with torch.no_grad():
        network.weight.fill_(1.0)
    ema.follow(settings, seen=2000, shown=1000)  # one half-life
    assert ema.generator.weight.tolist() == [0.5, 0.5]
    ema.follow(settings, seen=500, shown=500)  # not more images than were seen
    assert ema.generator.weight.tolist() == [0.75, 0.75]


def test_losses_are_those_of_all_configs() -> None:
    assert [*gantune.losses] == [*LOSSES]
    hinge = gantune.losses["hinge"]
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert hinge.discriminator(real, fake).item() == 0.5 + 1.0
    assert hinge.generator(fake, real).item() == 1.0
    with pytest.raises(TypeError):
        gantune.losses["mine"] = hinge  # type: ignore[index]


def test_trained_networks_are_those_of_the_trainer(tmp_path: Path) -> None:
    trainer = Trainer(config(), load_images(config().data), torch.device("cpu"))
    for _ in trainer:
        pass
    save_checkpoint(tmp_path / "last.pt", take_checkpoint(trainer))
    found = gantune.load_networks(tmp_path / "last.pt")
    pairs = [
        (found.generator, trainer.generator),
        (found.discriminator, trainer.discriminator),
        (found.generator_ema, trainer.generator_ema),
    ]
    for loaded, trained in pairs:
        expected = trained.state_dict()
        for name, value in loaded.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    assert found.kimg == pytest.approx(trainer.kimg) and found.config == trainer.config
    assert found.generator.training and not found.generator_ema.training
    assert all(parameter.requires_grad for parameter in found.discriminator.parameters())


def test_no_networks_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(CheckpointError):
        gantune.load_networks(tmp_path / "notes.txt")
