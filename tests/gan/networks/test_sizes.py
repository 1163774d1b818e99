"""Sizes of the published networks, from their layer tables, against those built and documented."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from gantune.config import make_config
from gantune.gan.networks import build_networks, dcgan, dcgan28, r3gan, resnet
from tests.gan.networks.builders import count


def built(name: str, size: int, width: int, latent: int, norm: str = "none") -> tuple[int, int]:
    """Parameters of both players in colour (``dcgan28``: gray), built without their numbers."""
    data = {"resolution": size, "colour": "gray" if name == "dcgan28" else "rgb"}
    network = {"name": name, "width": width, "latent": latent}
    with torch.device("meta"):
        networks = build_networks(
            make_config({"data": data, "network": network, "discriminator": {"norm": norm}})
        )
    return count(networks.generator), count(networks.discriminator)


def conv(inner: int, outer: int, kernel: int, bias: bool = True) -> int:
    return inner * outer * kernel**2 + bias * outer


def batch_norm(channels: int) -> int:
    return 2 * channels


def assert_documented(module: object, *counts: int) -> None:
    for number in counts:
        assert f"{number:,}" in (module.__doc__ or "")


@pytest.mark.parametrize(("width", "doc"), [(64, 3_576_707), (128, 12_658_435)])
def test_dcgan(width: int, doc: int) -> None:
    # Radford et al. 2015, figure 1: 4x4 of 8 times, then 4, 2, 1 times the width, then colours.
    g = 100 * 16 * 8 * width + batch_norm(8 * width)
    for inner, outer in pairwise((8 * width, 4 * width, 2 * width, width)):
        g += conv(inner, outer, 4, bias=False) + batch_norm(outer)
    g += conv(width, 3, 4)
    d = conv(3, width, 4)
    for outer, inner in pairwise((width, 2 * width, 4 * width, 8 * width)):
        d += conv(outer, inner, 4, bias=False) + batch_norm(inner)
    d += conv(8 * width, 1, 4)
    assert built("dcgan", 64, width, 100, "batch") == (g, d)
    assert g == doc
    assert_documented(dcgan, g, d)


def test_dcgan_has_the_sizes_of_the_tutorial() -> None:
    # PyTorch's DCGAN tutorial, and the biases where no batch norm follows, which it leaves out.
    assert built("dcgan", 64, 64, 100, "batch") == (3_576_704 + 3, 2_765_568 + 64 + 1)


def test_dcgan28_has_the_published_sizes() -> None:
    # https://www.tensorflow.org/tutorials/generative/dcgan: generator.summary()
    assert built("dcgan28", 28, 64, 100) == (2_305_472, 212_865)
    assert_documented(dcgan28, 2_305_472, 212_865)
    data = {"resolution": 28, "colour": "gray"}
    generator = build_networks(make_config({"data": data, "network": {"name": "dcgan28"}}))[0]
    places = generator.eval().project(torch.randn(2, 100))
    assert places.shape == (2, 7 * 7 * 256)


def sngan_generator(channels: list[int]) -> int:
    """Every convolution with its bias, as in SNGAN's code (``gen_models/resblocks.py``)."""
    total = (128 + 1) * 16 * channels[0]
    for inner, outer in pairwise(channels):
        total += batch_norm(inner) + conv(inner, outer, 3)
        total += batch_norm(outer) + conv(outer, outer, 3) + conv(inner, outer, 1)
    return total + batch_norm(channels[-1]) + conv(channels[-1], 3, 3)


def sngan_discriminator(channels: list[int], halvings: int) -> int:
    """``dis_models/resblocks.py``: a shortcut has weights where it halves or widens."""
    total = conv(3, channels[0], 3) + conv(channels[0], channels[0], 3) + conv(3, channels[0], 1)
    for block, (outer, inner) in enumerate(pairwise(channels), start=2):
        total += conv(outer, outer, 3) + conv(outer, inner, 3)
        if block <= halvings or outer != inner:
            total += conv(outer, inner, 1)
    return total + channels[-1] + 1


@pytest.mark.parametrize(
    ("size", "g_channels", "d_channels", "halvings"),
    [
        # Miyato et al. 2018, table 4 (CIFAR-10).
        (32, [256, 256, 256, 256], [128, 128, 128, 128], 2),
        # gen_models/resnet_64.py, dis_models/snresnet_64.py.
        (64, [1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024], 5),
        # Miyato et al. 2018, table 6 (ImageNet, 128 pixels).
        (128, [1024, 1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024, 1024], 5),
        # gen_models/resnet_dog_and_cat_256.py, dis_models/snresnet_256.py.
        (
            256,
            [1024, 1024, 512, 512, 256, 128, 64],
            [64, 128, 256, 512, 512, 1024, 1024],
            6,
        ),
    ],
)
def test_resnet(size: int, g_channels: list[int], d_channels: list[int], halvings: int) -> None:
    g, d = built("resnet", size, 64, 128)
    undone = sum(g_channels[1:])  # biases before batch norm
    assert g == sngan_generator(g_channels) - undone
    assert d == sngan_discriminator(d_channels, halvings)
    assert_documented(resnet, g, d)


def test_sngans_networks_for_cifar10() -> None:
    assert sngan_generator([256] * 4) == 4_276_739
    assert built("resnet", 32, 64, 128) == (4_276_739 - 3 * 256, 1_053_825)
    assert_documented(resnet, 4_276_739)


def r3gan_core(widths: list[int], cardinality: list[int]) -> int:
    """Blocks and transitions of ``R3GAN/Networks.py``, two blocks at each side, expansion 2."""
    total = 0
    for width, groups in zip(widths, cardinality, strict=True):
        inside = 2 * width
        block = 2 * width * inside + 9 * inside * inside // groups + 2 * inside
        total += 2 * block
    return total + sum(a * b for a, b in pairwise(widths) if a != b)


@pytest.mark.parametrize(
    ("size", "width", "widths", "cardinality"),
    [
        # train.py: CIFAR10, FFHQ-64, FFHQ-256.
        (32, 768, [768] * 4, [96] * 4),
        (64, 384, [768] * 4 + [384], [96] * 4 + [48]),
        (256, 96, [768] * 4 + [384, 192, 96], [96] * 4 + [48, 24, 12]),
    ],
)
def test_r3gan(size: int, width: int, widths: list[int], cardinality: list[int]) -> None:
    core, first, image = r3gan_core(widths, cardinality), widths[0], 3 * widths[-1]
    g = core + 64 * first + 16 * first + image
    d = core + 16 * first + first + image
    assert built("r3gan", size, width, 64) == (g, d)
    assert_documented(r3gan, g, d)


def test_r3gan_has_the_sizes_of_the_paper() -> None:
    # Huang et al. 2024, table 2, the last row: 23.058M and 23.010M.
    sizes = built("r3gan", 256, 96, 64)
    assert [round(size / 1e6, 3) for size in sizes] == [23.058, 23.010]


def test_channels_double_inward_up_to_eight_times() -> None:
    data = {"resolution": 256, "colour": "gray"}
    with torch.device("meta"):
        config = make_config({"data": data, "network": {"width": 4}})
        discriminator = build_networks(config).discriminator
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [4, 8, 16, 32, 32, 32, 1]
