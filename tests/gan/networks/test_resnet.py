"""The layout of the residual networks, compared with the published tables."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantune.gan.networks import build_networks
from tests.gan.networks.builders import LATENT, images_of, make


def sides(network: nn.Module, given: Tensor) -> list[int]:
    """The side of what each residual block gives."""
    found: list[int] = []

    def note(block: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(output.shape[-1])

    for module in network.modules():
        if hasattr(module, "residual"):
            module.register_forward_hook(note)
    network(given)
    return found


@pytest.mark.parametrize(
    ("size", "up", "down"),
    [
        (32, [8, 16, 32], [16, 8, 8, 8]),
        (64, [8, 16, 32, 64], [32, 16, 8, 4, 2]),
        (128, [8, 16, 32, 64, 128], [64, 32, 16, 8, 4, 4]),
        (256, [8, 16, 32, 64, 128, 256], [128, 64, 32, 16, 8, 4, 4]),
    ],
)
def test_the_sides_of_the_blocks(size: int, up: list[int], down: list[int]) -> None:
    config = make("resnet", size)
    with torch.device("meta"):
        generator, discriminator = build_networks(config)
        assert sides(generator, torch.randn(2, LATENT)) == up
        assert sides(discriminator, images_of(config)) == down


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_a_block_is_residual_plus_shortcut(norm: str) -> None:
    """The activation of the first must not reach into the second."""
    torch.manual_seed(0)
    discriminator = build_networks(make("resnet", discriminator={"norm": norm})).discriminator
    block: Any = discriminator.layers[2]  # type: ignore[index]
    features = torch.randn(4, 8, 8, 8)
    expected = block.shortcut(features.clone()) + block.residual(features.clone())
    given = features.clone()
    torch.testing.assert_close(block(given), expected)
    assert torch.equal(given, features)
    assert torch.equal(block.shortcut(features), features)  # as many channels, the same side


def test_the_last_features_are_summed_over_pixels() -> None:
    torch.manual_seed(0)
    config = make("resnet", conditional=True)
    discriminator: Any = build_networks(config).discriminator
    images, labels = images_of(config), torch.tensor([2, 0, 1, 1])
    pooled = discriminator.layers(images).sum((2, 3))
    vectors = discriminator.class_vectors.weight[labels] + discriminator.dense.weight
    expected = (pooled * vectors).sum(1) + discriminator.dense.bias
    torch.testing.assert_close(discriminator(images, labels), expected)


def test_width_64_gives_the_published_channels_at_32_pixels() -> None:
    with torch.device("meta"):
        generator, discriminator = build_networks(make("resnet", 32, width=64))
    for network, channels in ((generator, 256), (discriminator, 128)):
        widths = {m.out_channels for m in network.layers.modules() if isinstance(m, nn.Conv2d)}
        assert widths - {1} == {channels}


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_only_the_blocks_of_the_discriminator_are_normalised(size: int) -> None:
    """And nowhere on less than 4x4 places, which instance norm could not bear."""
    config = make("resnet", size, discriminator={"norm": "instance"})
    with torch.device("meta"):
        discriminator = build_networks(config).discriminator
        layers: Any = discriminator.layers
        assert not any(isinstance(layer, nn.InstanceNorm2d) for layer in layers)
        norms = [m for m in discriminator.modules() if isinstance(m, nn.InstanceNorm2d)]
        assert len(norms) == 2 * (len(layers) - 2)  # all but the first block and the activation
        found: list[int] = []
        for norm in norms:
            norm.register_forward_pre_hook(lambda _, given: found.append(given[0].shape[-1]))
        discriminator(images_of(config))
    assert min(found) >= 4
