"""Shapes, sizes and beginnings of the networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantune.config import RESOLUTIONS, TrialConfig, make_config
from gantune.errors import ConfigError
from gantune.gan.networks import build_networks
from gantune.gan.networks.layers import ToImage
from gantune.gan.networks.spectral import add_spectral_norm
from tests.gan.builders import RING

SIZES = [(n, s) for n, ss in RESOLUTIONS.items() if n not in ("resnet", "r3gan") for s in ss or ()]
NORMS = ("none", "batch", "spectral")


def make(name: str, size: int = 0, colour: str = "gray", **settings: Any) -> TrialConfig:
    data = {"source": RING} if name == "mlp" else {"resolution": size, "colour": colour}
    return make_config({"data": data, "network": {"name": name, "width": 4}, **settings})


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "size"), [*SIZES, ("mlp", 0)])
@pytest.mark.parametrize("colour", ["gray", "rgb"])
@pytest.mark.parametrize("norm", NORMS)
def test_shapes(name: str, size: int, colour: str, norm: str) -> None:
    config = make(name, size, colour, discriminator={"norm": norm})
    generator, discriminator = build_networks(config)
    images = generator(torch.randn(3, config.network.latent))
    channels = 1 if colour == "gray" else 3
    assert images.shape == ((3, 2) if name == "mlp" else (3, channels, size, size))
    assert generator.latent == 100
    assert discriminator(images).shape == (3,)
    if name != "mlp":
        assert images.abs().max() <= 1


def test_dcgan28_has_the_published_sizes() -> None:
    config = make_config(
        {"data": {"resolution": 28, "colour": "gray"}, "network": {"name": "dcgan28"}}
    )
    generator, discriminator = build_networks(config)
    # https://www.tensorflow.org/tutorials/generative/dcgan: generator.summary()
    assert count(generator) == 2_305_472
    assert count(discriminator) == 212_865
    generator.eval()
    places = generator.project(torch.randn(2, 100))  # type: ignore[operator]
    assert places.shape == (2, 7 * 7 * 256)


def test_dcgan_has_the_sizes_of_the_tutorial() -> None:
    data = {"resolution": 64, "colour": "rgb"}
    config = make_config({"data": data, "discriminator": {"norm": "batch"}})
    generator, discriminator = build_networks(config)
    # PyTorch's DCGAN tutorial, and the biases where no batch norm follows, which it leaves out.
    assert count(generator) == 3_576_704 + 3
    assert count(discriminator) == 2_765_568 + 64 + 1


def test_channels_double_inward_up_to_eight_times() -> None:
    discriminator = build_networks(make("dcgan", 128)).discriminator
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [4, 8, 16, 32, 32, 1]


@pytest.mark.parametrize("norm", NORMS)
def test_dcgan_starts_small(norm: str) -> None:
    torch.manual_seed(0)
    config = make_config(
        {"data": {"resolution": 32, "colour": "gray"}, "discriminator": {"norm": norm}}
    )
    generator, discriminator = build_networks(config)
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                assert weight.std().item() == pytest.approx(0.02, rel=0.1), name


@pytest.mark.parametrize(("name", "size"), [("dcgan", 16), ("dcgan28", 28), ("mlp", 0)])
def test_spectral_norm_bounds_every_layer(name: str, size: int) -> None:
    torch.manual_seed(0)
    networks = build_networks(make(name, size, discriminator={"norm": "spectral"}))
    layers = [m for m in networks.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    networks.discriminator.eval()
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=0.15)


def test_the_same_seed_builds_the_same_weights() -> None:
    def weights() -> list[Tensor]:
        torch.manual_seed(3)
        return list(build_networks(make("dcgan", 16)).generator.parameters())

    assert all(torch.equal(a, b) for a, b in zip(weights(), weights(), strict=True))


@pytest.mark.parametrize("data", [{"colour": "gray"}, {"resolution": 32}])
def test_unresolved_data_is_refused_with_the_way_out(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="resolve_data"):
        build_networks(make_config({"data": data}))


@pytest.mark.parametrize(
    "settings",
    [{"kernel_size": 4, "padding": 1}, {"kernel_size": 5, "padding": 2, "output_padding": 1}],
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_to_image_is_a_transposed_convolution(
    settings: dict[str, int], bias: bool, channels: int
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


def test_spectral_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Conv2d(3, 5, 4), nn.Conv2d(3, 5, 4)
    theirs.load_state_dict(ours.state_dict())
    add_spectral_norm(ours)
    spectral_norm(theirs)
    norm, reference = ours.parametrizations.weight[0], theirs.parametrizations.weight[0]
    reference._u.copy_(norm.u)
    reference._v.copy_(norm.v)
    images, gradients = torch.randn(2, 3, 8, 8), []
    for layer in (ours.eval(), theirs.eval()):  # torch iterates in the other order
        (layer(images).square().sum() + layer(-images).sum()).backward()
        gradients.append(layer.parametrizations.weight.original.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    weight = ours.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours.weight, weight)


def test_spectral_norm_follows_the_weight_in_training_alone() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 7)
    add_spectral_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(7, 5))
    stale = layer.eval().weight
    assert torch.equal(layer.weight, stale)
    layer.train()
    for _ in range(50):
        weight = layer.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)
