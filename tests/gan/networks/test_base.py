"""The last convolution and the initial weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gantune.config import make_config
from gantune.gan.networks import build_networks
from gantune.gan.networks.base import ToImage


@pytest.mark.parametrize(
    "settings",
    [{"kernel_size": 4, "padding": 1}, {"kernel_size": 5, "padding": 2, "output_padding": 1}],
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_to_image_is_a_transposed_convolution(
    settings: dict[str, Any], bias: bool, channels: int
) -> None:
    ours = ToImage(6, channels, stride=2, bias=bias, **settings).double()
    theirs = nn.ConvTranspose2d(6, channels, stride=2, bias=bias, **settings).double()
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 6, 7, 7, dtype=torch.float64, requires_grad=True)
    gradients = []
    for network in (ours, theirs):
        image = network(features)
        gradients.append(torch.autograd.grad(image.pow(3).sum(), [features, network.weight]))
    torch.testing.assert_close(ours(features), theirs(features))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "instance", "spectral"])
def test_dcgan_starts_small(norm: str) -> None:
    torch.manual_seed(0)
    data = {"resolution": 32, "colour": "gray"}
    networks = build_networks(make_config({"data": data, "discriminator": {"norm": norm}}))
    for network in networks:
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                assert weight.std().item() == pytest.approx(0.02, rel=0.1), name


@pytest.mark.parametrize(("name", "size"), [("dcgan28", 28), ("resnet", 32), ("resnet", 64)])
def test_xavier_initialisation(name: str, size: int) -> None:
    torch.manual_seed(0)
    data = {"resolution": size, "colour": "rgb"}
    networks = build_networks(make_config({"data": data, "network": {"name": name, "width": 16}}))
    for network in networks:
        for path, weight in network.named_parameters():
            if path.endswith("weight") and weight.ndim > 1:
                fans = (weight.shape[0] + weight.shape[1]) * weight[0, 0].numel()
                # Twice the variance on the residual ways: SNGAN's code.
                gain = 2 if ".residual." in path else 1
                assert weight.std().item() == pytest.approx((2 * gain / fans) ** 0.5, rel=0.2), path
            elif path.endswith("bias"):
                assert weight.abs().max() == 0, path
