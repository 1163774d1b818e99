"""What every architecture keeps, with every normalisation, conditional or not."""

from __future__ import annotations

import copy
from itertools import cycle, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantune.config import TrialConfig
from gantune.config.sections import DISCRIMINATOR_NORMS, GENERATOR_NORMS
from gantune.gan.networks import build_networks
from tests.examples import in_integration
from tests.gan.networks.builders import (
    CLASSES,
    LATENT,
    SIZES,
    SMALLEST,
    images_of,
    labels_of,
    make,
)

NAMES = list(SMALLEST)
PLAYERS = [  # every norm of both, those of G again and again beside D's
    (name, *norms)
    for name in NAMES
    for norms in zip(cycle(GENERATOR_NORMS[name]), DISCRIMINATOR_NORMS[name], strict=False)
]
every_player = pytest.mark.parametrize(("name", "g_norm", "d_norm"), PLAYERS)
every_name = pytest.mark.parametrize("name", NAMES)
both = pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
mostly = pytest.mark.parametrize(
    "conditional",
    [*in_integration(False), True],
    ids=["plain", "conditional"],
)
"""Conditional networks, which hold the plain ones; these too in the integration tier."""


def players(name: str, g_norm: str, d_norm: str, **settings: Any) -> TrialConfig:
    norms = {"generator": {"norm": g_norm}, "discriminator": {"norm": d_norm}}
    return make(name, **norms, **settings)


@pytest.mark.parametrize(("name", "size"), SIZES)
@pytest.mark.parametrize(
    ("colour", "conditional"),
    [pytest.param("gray", False, marks=pytest.mark.integration), ("rgb", True)],
)
def test_shapes_at_every_resolution(name: str, size: int, colour: str, conditional: bool) -> None:
    config = make(name, size, colour, conditional=conditional)
    # The meta device holds no numbers, so that a pass that waited for one would fail here.
    with torch.device("meta"):
        generator, discriminator = build_networks(config)
        labels = labels_of(config)
        images = generator(torch.randn(4, LATENT), labels)
        logits = discriminator(images, labels)
        assert images.shape == images_of(config).shape
    assert logits.shape == (4,)
    logits.sum().backward()


@every_player
@both
def test_gradients_are_finite_and_reach_every_weight(
    name: str, g_norm: str, d_norm: str, conditional: bool
) -> None:
    torch.manual_seed(0)
    config = players(name, g_norm, d_norm, conditional=conditional)
    generator, discriminator = build_networks(config)
    labels = labels_of(config)
    images = generator(torch.randn(4, LATENT), labels)
    discriminator(images, labels).square().sum().backward()
    gradients = {
        weight: parameter.grad
        for network in (generator, discriminator)
        for weight, parameter in network.named_parameters()
    }
    for weight, gradient in gradients.items():
        assert gradient is not None, weight
        assert gradient.isfinite().all(), weight
        # R3GAN's blocks begin as if they were not there: their last weights have to move first.
        if name != "r3gan":
            assert gradient.abs().sum() > 0, weight


@pytest.mark.parametrize(("name", "norm"), [(n, d) for n in NAMES for d in DISCRIMINATOR_NORMS[n]])
@mostly
def test_the_gradients_gradient_is_that_of_finite_differences(
    name: str, norm: str, conditional: bool
) -> None:
    torch.manual_seed(0)
    config = players(name, "none", norm, conditional=conditional)
    discriminator = _smoothed(build_networks(config).discriminator.double().eval())
    images, labels = images_of(config, 3).double().requires_grad_(), labels_of(config, 3)
    weights = [weight for weight in discriminator.parameters() if weight.ndim > 1]
    for weight in weights:  # at 0, where R3GAN's begin, there is nothing to be seen
        weight.data += 0.1 * torch.randn_like(weight)

    def penalty() -> Tensor:
        logits = discriminator(images, labels)
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return slope.square().sum()

    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    directions = [torch.randn_like(weight) for weight in weights]
    expected, step = [], 1e-5
    for sign in (step, -2 * step, step):
        torch._foreach_add_([weight.data for weight in weights], directions, alpha=sign)
        expected.append(penalty().item())
    found = sum(
        (gradient * direction).sum().item()
        for gradient, direction in zip(gradients, directions, strict=True)
        if gradient is not None
    )
    assert found == pytest.approx((expected[0] - expected[1]) / (2 * step), rel=1e-5)


@every_player
@mostly
def test_bf16_stays_close(name: str, g_norm: str, d_norm: str, conditional: bool) -> None:
    torch.manual_seed(0)
    config = players(name, g_norm, d_norm, conditional=conditional)
    networks = [network.eval() for network in build_networks(config)]
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    z, real, labels = torch.randn(4, LATENT), images_of(config), labels_of(config)
    exact = networks[0](z, labels), networks[1](real, labels)
    with torch.autocast("cpu", torch.bfloat16):
        rough = networks[0](z, labels), networks[1](real, labels)
    for one, other in zip(exact, rough, strict=True):
        assert (one - other.float()).abs().max() < 0.05 * one.abs().max().clamp(min=0.1)


@every_player
def test_images_lie_in_the_range_of_real_ones(name: str, g_norm: str, d_norm: str) -> None:
    torch.manual_seed(0)
    generator = build_networks(players(name, g_norm, d_norm)).generator
    images = generator(100 * torch.randn(4, LATENT))
    bounded = name not in ("mlp", "r3gan")
    assert not bounded or images.abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "norm"),
    [(n, d) for n in NAMES for d in DISCRIMINATOR_NORMS[n] if d != "batch"],
)
@both
def test_an_image_is_judged_by_itself(name: str, norm: str, conditional: bool) -> None:
    torch.manual_seed(0)
    config = players(name, "auto", norm, conditional=conditional)
    discriminator = build_networks(config).discriminator.eval()
    images, labels = images_of(config), labels_of(config)
    together = discriminator(images, labels)
    apart = [
        discriminator(images[i : i + 1], None if labels is None else labels[i : i + 1])
        for i in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(apart))


@every_player
def test_labels_change_images_and_logits(name: str, g_norm: str, d_norm: str) -> None:
    torch.manual_seed(0)
    config = players(name, g_norm, d_norm, conditional=True, width=16)
    generator, discriminator = build_networks(config)
    for weight in generator.parameters():  # conditional batch norm begins alike for all classes
        weight.data += 0.1 * torch.randn_like(weight)
    z, images = (one.expand(4, *one.shape[1:]) for one in (torch.randn(1, 8), images_of(config, 1)))
    labels = torch.tensor([0, 1, 2, 0])
    for network, given in ((generator.eval(), z), (discriminator.eval(), images)):
        first, second, third, fourth = network(given, labels)
        torch.testing.assert_close(first, fourth)
        assert (first - second).abs().max() > 1e-6
        assert (second - third).abs().max() > 1e-6


@pytest.mark.parametrize("name", ["dcgan", "dcgan28", "mlp"])
def test_a_discriminator_projects_on_the_features_of_its_last_layer(name: str) -> None:
    torch.manual_seed(0)
    config = make(name, conditional=True)
    discriminator: Any = build_networks(config).discriminator.eval()
    images, labels = images_of(config), torch.tensor([2, 0, 1, 1])
    features = discriminator.layers(images)
    pooled = features.flatten(2).sum(2) if features.ndim == 4 else features
    vectors = discriminator.class_vectors.weight[labels]
    expected = discriminator.last(features) + (pooled * vectors).sum(1)
    torch.testing.assert_close(discriminator(images, labels), expected)


@every_player
def test_without_classes_labels_are_ignored(name: str, g_norm: str, d_norm: str) -> None:
    config = players(name, g_norm, d_norm)
    generator, discriminator = (network.eval() for network in build_networks(config))
    z, images, labels = torch.randn(4, LATENT), images_of(config), torch.arange(4)
    assert torch.equal(generator(z, labels), generator(z))
    assert torch.equal(discriminator(images, labels), discriminator(images))
    assert generator.classes == 0
    assert "label_shares" not in generator.state_dict()


@every_name
@pytest.mark.parametrize("labels", [None, torch.tensor([1]), torch.zeros(4, 1, dtype=torch.int64)])
def test_missing_labels_are_refused(name: str, labels: Tensor | None) -> None:
    config = make(name, conditional=True)
    generator, discriminator = build_networks(config)
    with pytest.raises(ValueError, match=r"generator is conditional \(3 classes\)"):
        generator(torch.randn(4, LATENT), labels)
    with pytest.raises(ValueError, match=r"discriminator is conditional .*network.conditional"):
        discriminator(images_of(config), labels)


@every_name
def test_a_conditional_generator_has_latent_and_classes(name: str) -> None:
    generator = build_networks(make(name, conditional=True)).generator
    assert (generator.latent, generator.classes) == (LATENT, CLASSES)
    torch.testing.assert_close(generator.state_dict()["label_shares"], torch.full((3,), 1 / 3))


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_images_of_another_size_are_refused(name: str, size: int) -> None:
    discriminator = build_networks(make(name, size)).discriminator
    wrong = [(1, 2 * size, 2 * size), (1, size // 2, size // 2), (3, size, size), (1, size, 48)]
    for shape in wrong if size else [(1,), (3,), (2, 1), (1, 28, 28)]:
        with pytest.raises(ValueError, match=r"was built for images .*data\.resolution"):
            discriminator(torch.randn(2, *shape))


@every_player
@mostly
def test_a_copy_and_a_saved_state_are_the_same_network(
    name: str, g_norm: str, d_norm: str, conditional: bool
) -> None:
    config = players(name, g_norm, d_norm, conditional=conditional)
    z, images, labels = torch.randn(4, LATENT), images_of(config), labels_of(config)
    networks, others = build_networks(config), build_networks(config)
    for network, other, given in zip(networks, others, (z, images), strict=True):
        network(given, labels)  # so that running statistics have moved
        other.load_state_dict(network.state_dict())
        expected = network.eval()(given, labels)
        assert torch.equal(expected, other.eval()(given, labels))
        assert torch.equal(expected, copy.deepcopy(network)(given, labels))


@every_name
def test_the_same_seed_builds_the_same_weights(name: str) -> None:
    def weights(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        networks = build_networks(make(name, conditional=True))
        return [weight for network in networks for weight in network.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(3), weights(3), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(3), weights(4), strict=True))


@every_player
def test_a_layer_has_a_bias_unless_its_norm_does(name: str, g_norm: str, d_norm: str) -> None:
    weights = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    activations = nn.ReLU | nn.LeakyReLU
    for network in build_networks(players(name, g_norm, d_norm)):
        chains = [module for module in network.modules() if isinstance(module, nn.Sequential)]
        pairs = [pair for chain in chains for pair in pairwise(chain)]
        for layer, after in (pair for pair in pairs if isinstance(pair[0], weights)):
            if isinstance(after, activations):
                assert layer.bias is not None
            elif "Norm" in type(after).__name__:
                assert layer.bias is None


def _smoothed(network: nn.Module) -> nn.Module:
    """With activations that have no kink, over which a difference would step."""
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                setattr(parent, name, nn.Softplus())
    return network
