"""R3GAN: resampling, groups and initial weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from gantune.gan.networks import build_networks
from gantune.gan.networks.r3gan import _Downsample, _Upsample
from tests.examples import examples
from tests.gan.networks.builders import CLASSES, images_of, make

FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def blocks_of(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if hasattr(module, "grouped")]


@pytest.mark.parametrize("side", [4, 7, 16])
def test_resampling_is_the_filter_of_the_paper(side: int) -> None:
    """[1, 2, 1] with the box of the resampling itself, [1, 1], and zeros beyond the edge."""
    features = torch.randn(2, 3, side, side, dtype=torch.float64)
    flat = features.flatten(0, 1)[:, None]
    kernel = FILTER.double()[None, None]
    up = conv_transpose2d(flat, 4 * kernel, stride=2, padding=1).view(2, 3, 2 * side, 2 * side)
    torch.testing.assert_close(_Upsample()(features), up)
    down = conv2d(up.flatten(0, 1)[:, None], kernel, stride=2, padding=1).view_as(features)
    torch.testing.assert_close(_Downsample()(up), down)


def test_groups_are_those_of_the_paper() -> None:
    # train.py, FFHQ-256: cardinality 96 where there are 768 channels, to 12 where there are 96.
    with torch.device("meta"):
        networks = build_networks(make("r3gan", 256, width=96))
    expected = [96] * 8 + [48] * 2 + [24] * 2 + [12] * 2
    assert [block.grouped.groups for block in blocks_of(networks.generator)] == expected
    assert [block.grouped.groups for block in blocks_of(networks.discriminator)] == expected[::-1]


@examples(15)
@given(width=st.integers(4, 1024), size=st.sampled_from([32, 64]))
def test_every_width_has_whole_groups(width: int, size: int) -> None:
    with torch.device("meta"):
        generator = build_networks(make("r3gan", size, width=width)).generator
    for block in blocks_of(generator):
        assert block.grouped.in_channels % block.grouped.groups == 0
        assert block.grouped.in_channels // block.grouped.groups <= 16


@pytest.mark.parametrize("size", [32, 64])
def test_a_network_starts_as_if_it_had_no_blocks(size: int) -> None:
    torch.manual_seed(0)
    networks = build_networks(make("r3gan", size, width=32))
    for network in networks:
        blocks = blocks_of(network)
        assert len(blocks) == 2 * (size.bit_length() - 2)
        for block in blocks:
            channels = block.first.in_channels
            features = torch.randn(2, channels, 4, 4)
            assert torch.equal(block(features), features)
            # He et al. 2015, and Fixup's L^(-1 / (2m - 2)) with m = 3.
            gain = (2 / 1.04) ** 0.5 * len(blocks) ** -0.25
            assert block.first.weight.std().item() == pytest.approx(gain / channels**0.5, rel=0.1)
            assert block.grouped.weight.std().item() == pytest.approx(gain / 12, rel=0.1)


def test_the_variance_of_the_latents_is_preserved() -> None:
    torch.manual_seed(0)
    generator, discriminator = build_networks(make("r3gan", width=64, latent=64))
    seen: list[Tensor] = []
    blocks_of(generator)[0].register_forward_hook(lambda block, inputs, output: seen.append(output))
    generator(torch.randn(64, 64))
    assert seen[0].std().item() == pytest.approx(1, rel=0.1)
    weights: Any = discriminator
    features = weights.basis(torch.randn(64, 64, 4, 4))
    assert features.std().item() == pytest.approx(1, rel=0.1)
    assert weights.dense(features.flatten(1)).std().item() == pytest.approx(1, rel=0.3)


def test_the_logit_of_a_conditional_discriminator_is_only_the_projection() -> None:
    torch.manual_seed(0)
    config = make("r3gan", conditional=True)
    discriminator: Any = build_networks(config).discriminator
    images, labels = images_of(config, 3), torch.tensor([2, 0, 1])
    features = discriminator.dense(discriminator.basis(discriminator.layers(images)).flatten(1))
    expected = (features * discriminator.class_vectors.weight[labels]).sum(1)
    torch.testing.assert_close(discriminator(images, labels), expected)
    assert features.shape == (3, 4)


def test_class_vectors_start_as_the_weights_of_a_dense_layer_on_one_hot_labels() -> None:
    torch.manual_seed(0)
    generator, discriminator = build_networks(
        make("r3gan", width=256, latent=512, conditional=True)
    )
    for network, features in ((generator, 1), (discriminator, 256)):
        deviation = (CLASSES * features) ** -0.5
        assert network.class_vectors.weight.std().item() == pytest.approx(deviation, rel=0.1)


def test_spectral_norm_finds_a_direction_in_every_weight() -> None:
    spectral = {"norm": "spectral"}
    networks = build_networks(make("r3gan", generator=spectral, discriminator=spectral))
    for block in (*blocks_of(networks.generator), *blocks_of(networks.discriminator)):
        assert block.last.weight.abs().max() > 0
        assert block.last.weight.isfinite().all()
