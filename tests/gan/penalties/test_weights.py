"""Orthogonal filters, of each kind of layer, and clipping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gantune.config.sections import WeightClipConfig
from gantune.gan.networks.norms import add_spectral_norm
from gantune.gan.penalties.weights import orthogonality, weight_clip

Array = NDArray[np.float64]


def overlap(filters: Array) -> float:
    """|W W^T * (1 - I)|^2, as the paper has it."""
    products = filters @ filters.T
    return float(((products * (1 - np.eye(len(filters)))) ** 2).sum())


def array(weight: Tensor) -> Array:
    return weight.detach().numpy()


def test_linear() -> None:
    layer = nn.Linear(5, 3).double()
    assert orthogonality(layer).item() == pytest.approx(overlap(array(layer.weight)))


def test_a_network_without_filters_has_no_overlap_on_its_own_device() -> None:
    found = orthogonality(nn.BatchNorm2d(3, device="meta"))
    assert found.device.type == "meta" and orthogonality(nn.BatchNorm2d(3)).item() == 0


def test_convolution() -> None:
    layer = nn.Conv2d(3, 4, 2).double()
    assert orthogonality(layer).item() == pytest.approx(overlap(array(layer.weight).reshape(4, 12)))


def test_transposed_convolution_has_a_filter_for_each_output_channel() -> None:
    layer = nn.ConvTranspose2d(3, 4, 2).double()
    filters = array(layer.weight).transpose(1, 0, 2, 3).reshape(4, 12)
    assert orthogonality(layer).item() == pytest.approx(overlap(filters))


def test_groups_are_compared_each_for_itself() -> None:
    layer = nn.Conv2d(4, 6, 3, groups=2).double()
    filters = array(layer.weight).reshape(6, 18)
    expected = overlap(filters[:3]) + overlap(filters[3:])
    assert orthogonality(layer).item() == pytest.approx(expected)
    layer_back = nn.ConvTranspose2d(4, 6, 3, groups=2).double()
    weight = array(layer_back.weight)  # [4, 3, 3, 3]: two inputs for each group
    groups = [weight[i : i + 2].transpose(1, 0, 2, 3).reshape(3, 18) for i in (0, 2)]
    assert orthogonality(layer_back).item() == pytest.approx(sum(map(overlap, groups)))


def test_layers_add_up_and_vectors_are_ignored() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Embedding(9, 4), nn.Linear(4, 3)
    ).double()
    convolution, linear = (network.get_parameter(f"{place}.weight") for place in (0, 3))
    parts = [overlap(array(convolution).reshape(4, 9)), overlap(array(linear))]
    assert orthogonality(network).item() == pytest.approx(sum(parts))
    assert orthogonality(nn.BatchNorm2d(4)).item() == 0


def test_norms_are_left_free() -> None:
    layer = nn.Linear(4, 4, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([1.0, 20.0, 0.1, 3.0])))
    assert orthogonality(layer).item() == 0


def test_spectrally_normalised_weights_are_used_raw() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(4, 3))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    raw = orthogonality(network).item()
    add_spectral_norm(network)
    before = [buffer.clone() for buffer in network.buffers()]
    penalty = orthogonality(network)
    assert penalty.item() == pytest.approx(raw)
    assert all(map(torch.equal, network.buffers(), before))
    penalty.backward()
    weights = [p for p in network.parameters() if p.ndim > 1]
    assert len(weights) == 2
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)


def test_descent_makes_filters_orthogonal() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        orthogonality(layer).backward()
        optimizer.step()
    assert orthogonality(layer).item() < 1e-6 and layer.weight.norm() > 0.5


def test_weight_clip() -> None:
    parameters: list[Tensor] = [nn.Parameter(torch.tensor([-2.0, 0.01, 2.0])), torch.ones(2, 2)]
    weight_clip(parameters, WeightClipConfig(limit=0.1))
    torch.testing.assert_close(parameters[0].detach(), torch.tensor([-0.1, 0.01, 0.1]))
    torch.testing.assert_close(parameters[1], torch.full((2, 2), 0.1))
