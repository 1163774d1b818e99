"""Penalties on the gradient of D's output by its input."""

import torch
from torch import Tensor
from torch.nn.functional import relu

from gantune.config.sections import (
    DraganConfig,
    GradientPenaltyConfig,
    R1Config,
    R1R2Config,
    R2Config,
)
from gantune.gan.penalties import PenaltyInputs


def gradient_penalty(inputs: PenaltyInputs, config: GradientPenaltyConfig) -> Tensor:
    """mean (|grad D| - 1)^2 at a random place between each real and generated image.

    Gulrajani et al. 2017, eq. 3 and algorithm 1. One-sided: only norms above 1 count (section 4).
    """
    between = torch.lerp(inputs.real, inputs.fake, _uniform(inputs))
    excess = _norms(inputs, between) - 1
    return (relu(excess) if config.one_sided else excess).square().mean()


def dragan(inputs: PenaltyInputs, config: DraganConfig) -> Tensor:
    """mean (|grad D| - 1)^2 near real images (Kodali et al. 2017, section 2.3).

    As in the authors' code: at a random place between the image and the image plus noise, uniform
    in [0, 1) times ``noise`` standard deviations of the batch.
    """
    real = inputs.real
    noise = inputs.random.uniform(*real.shape, dtype=real.dtype)
    near = real + _uniform(inputs) * config.noise * inputs.ranks.std(real) * noise
    return (_norms(inputs, near) - 1).square().mean()


def r1(inputs: PenaltyInputs, config: R1Config) -> Tensor:
    """1/2 mean |grad D|^2 on real images (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * _squared_norms(inputs, inputs.real).mean()


def r2(inputs: PenaltyInputs, config: R2Config) -> Tensor:
    """1/2 mean |grad D|^2 on generated images (Mescheder et al. 2018, eq. 10)."""
    return 0.5 * _squared_norms(inputs, inputs.fake).mean()


def r1_r2(inputs: PenaltyInputs, config: R1R2Config) -> Tensor:
    """``r1`` plus ``r2``, computed as one batch (Huang et al. 2024, section 2.2)."""
    # Twice as many images, so their mean is half the sum of the two means.
    return _squared_norms(inputs, torch.cat([inputs.real, inputs.fake])).mean()


def auto_weight(resolution: int, batch_size: int) -> float:
    """The weight of ``r1`` and ``r2`` by StyleGAN2-ADA's rule: 0.0002 * resolution^2 / batch size.

    Karras et al. 2020; ``resolution`` in pixels.
    """
    return 0.0002 * resolution**2 / batch_size


def _uniform(inputs: PenaltyInputs) -> Tensor:
    """A number in [0, 1) for each image, [N, 1, ...]."""
    real = inputs.real
    return inputs.random.uniform(len(real), *[1] * (real.ndim - 1), dtype=real.dtype)


def _norms(inputs: PenaltyInputs, images: Tensor) -> Tensor:
    # vector_norm has gradient 0 at 0, where the root of a sum of squares has NaN.
    norms: Tensor = torch.linalg.vector_norm(_input_gradient(inputs, images), dim=1)
    return norms


def _squared_norms(inputs: PenaltyInputs, images: Tensor) -> Tensor:
    return _input_gradient(inputs, images).square().sum(dim=1)


def _input_gradient(inputs: PenaltyInputs, images: Tensor) -> Tensor:
    """Gradients of D's logits by their images, [M, everything], to be differentiated again."""
    images = images.detach().requires_grad_()
    logits = inputs.discriminate(images)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)
