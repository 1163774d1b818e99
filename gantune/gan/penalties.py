"""The regularisers of the discriminator: penalties, one function each, and weight clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantune.config import GradientPenaltyConfig, R1Config, WeightClipConfig

__all__ = ["PENALTIES", "Penalty", "gradient_penalty", "r1", "weight_clip"]

Penalty = Callable[[nn.Module, Tensor, Tensor, Any, torch.Generator], Tensor]
"""``(discriminator, real, fake, config, generator)`` to the weighted penalty, before its interval
is multiplied in; ``generator`` is where its random numbers come from."""


def gradient_penalty(
    discriminator: nn.Module,
    real: Tensor,
    fake: Tensor,
    config: GradientPenaltyConfig,
    generator: torch.Generator,
) -> Tensor:
    """weight * mean (|grad D| - 1)^2 between real and fake (Gulrajani et al. 2017, eq. 3)."""
    share = torch.rand(
        (len(real), *[1] * (real.ndim - 1)),
        generator=generator,
        device=real.device,
        dtype=real.dtype,
    )
    between = torch.lerp(real, fake.detach(), share)
    # vector_norm has gradient 0 at 0, where the root of a sum of squares has NaN.
    norms = torch.linalg.vector_norm(_input_gradient(discriminator, between), dim=1)
    penalty: Tensor = config.weight * (norms - 1).square().mean()
    return penalty


def r1(
    discriminator: nn.Module,
    real: Tensor,
    fake: Tensor,
    config: R1Config,
    generator: torch.Generator,
) -> Tensor:
    """weight / 2 * mean |grad D|^2 on real images (Mescheder et al. 2018, eq. 9)."""
    gradient = _input_gradient(discriminator, real)
    assert config.weight != "auto"
    return config.weight / 2 * gradient.square().sum(dim=1).mean()


def weight_clip(parameters: list[Tensor], config: WeightClipConfig) -> None:
    """Clips every parameter in place to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    with torch.no_grad():
        torch._foreach_clamp_min_(parameters, -config.limit)
        torch._foreach_clamp_max_(parameters, config.limit)


def _input_gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Gradients of D's outputs by their images, [N, everything], to be differentiated again."""
    images = images.detach().requires_grad_()
    outputs = discriminator(images)
    (gradient,) = torch.autograd.grad(outputs.sum(), images, create_graph=True)
    return gradient.flatten(1)


PENALTIES: dict[str, Penalty] = {"gradient_penalty": gradient_penalty, "r1": r1}
"""The penalties that are added to D's loss, by their name in a config."""
