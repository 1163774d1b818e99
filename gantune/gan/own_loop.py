"""Parts of the trainer for a training loop of one's own: losses, penalties, trained networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gantune.config import TrialConfig
from gantune.errors import CheckpointError, ConfigError
from gantune.gan.checkpoint import load_weights, make_generator
from gantune.gan.losses import LOSSES, Loss
from gantune.gan.networks import build_networks
from gantune.gan.penalties import PenaltyInputs
from gantune.gan.penalties.regularizer import Regularizer
from gantune.gan.penalties.weights import weight_clip
from gantune.gan.rng import BatchDraws

losses: Mapping[str, Loss] = MappingProxyType(LOSSES)
"""All losses by the names that a config has: ``losses["hinge"].discriminator(real, fake)`` and
``.generator(fake, real)`` of logits [N]."""


class TrainedNetworks(NamedTuple):
    """What ``load_networks`` gives. The players are in training mode, the average in eval mode."""

    generator: nn.Module
    """Latents [N, latent] to images [N, C, H, W], as in ``build_networks``."""
    discriminator: nn.Module
    """Images to logits [N]."""
    generator_ema: nn.Module
    """The moving average of the generator's weights, without gradients."""
    config: TrialConfig
    """The config that they were trained with."""
    kimg: float
    """Thousands of real images that they were trained on."""


def load_networks(path: Path | str, device: torch.device | str = "cpu") -> TrainedNetworks:
    """Both players of a checkpoint, ``best.pt`` or ``last.pt``, and the generator's average.

    Raises ``CheckpointError``.
    """
    weights = load_weights(path, device)
    networks = build_networks(weights.config)
    try:
        networks.generator.load_state_dict(weights.generator)
        networks.discriminator.load_state_dict(weights.discriminator)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: its weights do not fit its own config") from error
    generator, discriminator = (network.to(device) for network in networks)
    average = make_generator(weights, path, device)
    return TrainedNetworks(generator, discriminator, average, weights.config, weights.kimg)


def penalties(config: TrialConfig, device: torch.device | str = "cpu") -> Penalties:
    """The penalties of a config: ``due = penalties(config)``; then at each of D's steps ``d_loss +
    due(discriminator, real, fake)``, and after the optimizer's step ``due.clip(discriminator)``.

    ``config``: one with ``data.resolution``, as ``best.yaml`` has it; else a weight of ``auto``
    raises ``ConfigError``. ``device``: that of the networks.
    """
    if config.data.resolution == "auto":
        named = [name for name, one in config.penalties if getattr(one, "weight", None) == "auto"]
        if named:
            raise ConfigError(f"penalties.{named[0]}.weight: auto needs data.resolution, a number")
    return Penalties(config, device)


class Penalties:
    """The penalties of a config, for a loop that computes its losses itself."""

    def __init__(self, config: TrialConfig, device: torch.device | str = "cpu") -> None:
        self._config, self._device = config, torch.device(device)
        self._regularizer = Regularizer(config, self._device)
        self._random = BatchDraws(torch.Generator(self._device).manual_seed(config.seed))
        self._step = 0

    def __call__(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None = None,
    ) -> Tensor:
        """The sum of the penalties that are due at this step of D, with their weights.

        ``real``, ``fake``: images [N, C, H, W] as D sees them. ``labels``: int64 [N] of a
        conditional D. Not multiplied by a schedule. 0 where none is due.
        """
        step, self._step = self._step, self._step + 1
        real, fake = real.detach(), fake.detach()

        def discriminate(images: Tensor) -> Tensor:
            if labels is None:
                logits: Tensor = discriminator(images)
                return logits
            logits = discriminator(images, labels.repeat(len(images) // len(labels)))
            return logits

        logits = torch.stack([discriminate(real), discriminate(fake)])
        inputs = PenaltyInputs(
            discriminate=discriminate,
            network=discriminator,
            real=real,
            fake=fake,
            logits=logits,
            anchors=self._regularizer.anchors,
            kimg=step * len(real) / 1000,
            random=self._random,
        )
        due = self._regularizer.penalties(inputs, step, 1.0)
        self._regularizer.observe(logits.detach())
        return torch.stack([*due.values(), torch.zeros((), device=self._device)]).sum()

    def clip(self, discriminator: nn.Module) -> None:
        """Clips D's weights after its step, where the config says so."""
        if self._config.penalties.weight_clip is not None:
            weight_clip(list(discriminator.parameters()), self._config.penalties.weight_clip)
