"""Regularisers of the weights themselves: orthogonal filters, and clipping."""

import torch
from torch import Tensor, nn

from gantune.config.sections import WeightClipConfig

_Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def orthogonality(network: nn.Module) -> Tensor:
    """Sum over layers of |W W^T * (1 - I)|^2, whose rows are filters (Brock et al. 2019, eq. 3).

    Over convolutions and linear layers; embeddings, biases and the gains of norms have no filters.
    A filter makes one output channel; filters of the same group are compared. Under spectral norm
    these are the raw weights, as in the authors' code.
    """
    overlaps = [next(network.parameters()).new_zeros(())]  # on its device, for one without filters
    for layer in network.modules():
        if isinstance(layer, _Layer):
            filters = _filters(layer)
            products = filters @ filters.transpose(1, 2)
            diagonal = torch.eye(products.shape[-1], dtype=torch.bool, device=products.device)
            overlaps.append(products.masked_fill(diagonal, 0).square().sum())
    return torch.stack(overlaps).sum()


def weight_clip(parameters: list[Tensor], config: WeightClipConfig) -> None:
    """Clips every parameter in place to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    with torch.no_grad():
        torch._foreach_clamp_min_(parameters, -config.limit)
        torch._foreach_clamp_max_(parameters, config.limit)


def _filters(layer: _Layer) -> Tensor:
    """A layer's filters, [groups, filters of a group, weights of a filter]."""
    # The one parameter that is no vector. Under spectral norm layer.weight would be the normalised
    # one, and reading it would advance the power iteration.
    weight = next(parameter for parameter in layer.parameters() if parameter.ndim > 1)
    if isinstance(layer, nn.Linear):
        return weight.unsqueeze(0)
    groups = weight.reshape(layer.groups, -1, *weight.shape[1:])
    if isinstance(layer, nn.ConvTranspose2d):
        groups = groups.transpose(1, 2)  # from [groups, in / groups, out / groups, ...]
    return groups.flatten(2)
