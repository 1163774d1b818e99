"""From a config to its networks."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from gantune.config import make_config
from gantune.config.sections import GENERATOR_NORMS
from gantune.errors import ConfigError
from gantune.gan.networks import Shape, build_networks, image_shape
from tests.gan.builders import RING
from tests.gan.networks.builders import SMALLEST, make

DIGITS = {"resolution": 32, "colour": "gray"}


@pytest.mark.parametrize("data", [{"colour": "gray"}, {"resolution": 32}])
def test_unresolved_data_is_refused_with_a_remedy(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="resolve_data"):
        build_networks(make_config({"data": data}))


@pytest.mark.parametrize(
    ("conditional", "classes"), [("auto", 10), ("auto", 0), (True, "auto"), ("auto", "auto")]
)
@pytest.mark.parametrize("points", [False, True])
def test_unresolved_classes_are_refused_with_a_remedy(
    conditional: Any, classes: Any, points: bool
) -> None:
    data = {**({"source": RING} if points else DIGITS), "classes": classes}
    network = {"name": "mlp" if points else "dcgan", "conditional": conditional}
    with pytest.raises(ConfigError, match=r"network\.conditional .* data\.classes .*resolve_data"):
        build_networks(make_config({"data": data, "network": network}))


@pytest.mark.parametrize(("conditional", "classes"), [(False, 0), (True, 10)])
def test_a_shape_has_classes_only_if_conditional(conditional: bool, classes: int) -> None:
    network = {"conditional": conditional}
    config = make_config({"data": {**DIGITS, "classes": 10}, "network": network})
    assert image_shape(config) == Shape(1, 32, classes)
    points = {"source": RING, "classes": 10}
    config = make_config({"data": points, "network": {"name": "mlp", **network}})
    assert image_shape(config) == Shape(2, 0, classes)


def test_an_unconditional_network_needs_no_resolved_classes() -> None:
    assert image_shape(make_config({"data": {**DIGITS, "classes": "auto"}})).classes == 0


@pytest.mark.parametrize(
    ("name", "norm"), [(n, g) for n in SMALLEST for g in ("auto", *GENERATOR_NORMS[n])]
)
def test_auto_is_the_networks_default_norm(name: str, norm: str) -> None:
    generator = build_networks(make(name, generator={"norm": norm})).generator
    kinds = {type(module).__name__ for module in generator.modules()}
    natural = name not in ("mlp", "r3gan")
    batch = norm == "batch" or (norm in ("auto", "spectral") and natural)
    assert bool({"BatchNorm1d", "BatchNorm2d"} & kinds) == batch
    assert ("SpectralNorm" in kinds) == (norm == "spectral")


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "instance", "spectral"])
@pytest.mark.parametrize("name", ["dcgan", "dcgan28", "resnet"])
def test_the_discriminator_has_the_norm_of_the_config(name: str, norm: str) -> None:
    kinds = {
        "batch": "BatchNorm2d",
        "layer": "GroupNorm",
        "instance": "InstanceNorm2d",
        "spectral": "SpectralNorm",
    }
    discriminator = build_networks(make(name, discriminator={"norm": norm})).discriminator
    found = {type(module).__name__ for module in discriminator.modules()} & set(kinds.values())
    assert found == ({kinds[norm]} if norm in kinds else set())


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "spectral"])
def test_the_discriminator_of_points_has_the_norm_of_the_config(norm: str) -> None:
    kinds = {"batch": "BatchNorm1d", "layer": "LayerNorm", "spectral": "SpectralNorm"}
    discriminator = build_networks(make("mlp", discriminator={"norm": norm})).discriminator
    found = {type(module).__name__ for module in discriminator.modules()} & set(kinds.values())
    assert found == ({kinds[norm]} if norm in kinds else set())


@pytest.mark.parametrize("name", SMALLEST)
def test_spectral_norm_covers_every_layer(name: str) -> None:
    spectral = {"norm": "spectral"}
    config = make(name, generator=spectral, discriminator=spectral, conditional=True)
    weights = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    for network in build_networks(config):
        layers = [module for module in network.modules() if isinstance(module, weights)]
        assert layers
        assert all(hasattr(layer, "parametrizations") for layer in layers)
