"""What acts on the weights themselves: orthogonal filters, and clipping."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantune.config import OrthogonalConfig, WeightClipConfig
from gantune.gan.penalties.base import PenaltyInputs

_Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def orthogonal(step: PenaltyInputs, config: OrthogonalConfig) -> Tensor:
    """``orthogonality`` of the discriminator."""
    return orthogonality(step.network)


def orthogonality(network: nn.Module) -> Tensor:
    """Sum over layers of |W W^T * (1 - I)|^2, whose rows are filters (Brock et al. 2019, eq. 3).

    Layers are convolutions and linear ones; embeddings, biases and the gains of norms have no
    filters. A filter is what makes one output channel, and those of one group are compared. Where a
    layer is normalised spectrally these are its raw weights, as in the authors' code.
    """
    layers = [module for module in network.modules() if isinstance(module, _Layer)]
    parts = [_overlap(_filters(layer)) for layer in layers]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def weight_clip(parameters: list[Tensor], config: WeightClipConfig) -> None:
    """Clips every parameter in place to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    with torch.no_grad():
        torch._foreach_clamp_min_(parameters, -config.limit)
        torch._foreach_clamp_max_(parameters, config.limit)


def _filters(layer: _Layer) -> Tensor:
    """A layer's filters, [groups, filters of a group, weights of a filter]."""
    # The one parameter that is no vector: raw, where layer.weight would be normalised, and reading
    # it would move spectral norm's power iteration on.
    weight = next(parameter for parameter in layer.parameters() if parameter.ndim > 1)
    if isinstance(layer, nn.Linear):
        return weight.unsqueeze(0)
    groups = weight.reshape(layer.groups, -1, *weight.shape[1:])
    if isinstance(layer, nn.ConvTranspose2d):
        groups = groups.transpose(1, 2)  # from [groups, in / groups, out / groups, ...]
    return groups.flatten(2)


def _overlap(filters: Tensor) -> Tensor:
    """The sum of squared products of different filters of a group."""
    products = filters @ filters.transpose(1, 2)
    same = torch.eye(products.shape[-1], dtype=torch.bool, device=products.device)
    return products.masked_fill(same, 0).square().sum()
