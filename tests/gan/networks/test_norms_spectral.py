"""Spectral norm, against torch's own and against the largest singular value."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantune.gan.networks import build_networks
from gantune.gan.networks.norms import add_spectral_norm
from tests.gan.networks.builders import SMALLEST, make

WEIGHTS = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding


def largest(layer: Any) -> float:
    """The largest singular value of the weight, as a matrix with a row for each output."""
    weight: Tensor = layer.weight
    matrix = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
    return torch.linalg.matrix_norm(matrix.flatten(1), 2).item()


@pytest.mark.parametrize("name", SMALLEST)
def test_it_bounds_every_layer(name: str) -> None:
    torch.manual_seed(0)
    spectral = {"norm": "spectral"}
    config = make(name, generator=spectral, discriminator=spectral, conditional=True)
    for network in build_networks(config):
        layers = [module for module in network.eval().modules() if isinstance(module, WEIGHTS)]
        normed = [layer for layer in layers if hasattr(layer, "parametrizations")]
        assert normed
        for layer in normed:
            assert largest(layer) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_it_is_torchs(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    ours, theirs = kind(3, 5, 4), kind(3, 5, 4)
    theirs.load_state_dict(ours.state_dict())
    add_spectral_norm(ours)
    spectral_norm(theirs)
    norm: Any = ours.parametrizations.weight[0]  # type: ignore[index]
    reference: Any = theirs.parametrizations.weight[0]  # type: ignore[index]
    reference._u.copy_(norm.u)
    reference._v.copy_(norm.v)
    images, gradients = torch.randn(2, 3, 8, 8), []
    for layer in (ours.eval(), theirs.eval()):  # torch iterates in the other order
        (layer(images).square().sum() + layer(-images).sum()).backward()
        gradients.append(layer.parametrizations.weight.original.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_it_stays_in_fp32() -> None:
    layer = nn.Conv2d(3, 5, 4)
    add_spectral_norm(layer.eval())
    weight = layer.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.weight, weight)


def test_it_follows_the_weight_in_training_alone() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(5, 7)
    add_spectral_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(7, 5))
    stale = layer.eval().weight
    assert torch.equal(layer.weight, stale)
    layer.train()
    for _ in range(50):
        weight = layer.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_whoever_holds_its_vectors_sees_them_move() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(5, 7)
    add_spectral_norm(layer)
    held = dict(layer.named_buffers())
    before = {name: buffer.clone() for name, buffer in held.items()}
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(7, 5))
    layer(torch.randn(2, 5))
    for name, buffer in layer.named_buffers():
        assert buffer is held[name]
        assert not torch.equal(buffer, before[name])


def test_earlier_passes_can_still_be_differentiated() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(5, 7)
    add_spectral_norm(layer)
    original = layer.parametrizations.weight.original
    weights, vectors = [], []
    for mode in (True, True, False, True):
        weights.append(layer.train(mode).weight)
        norm = layer.parametrizations.weight[0]
        vectors.append((norm.u.clone(), norm.v.clone()))
    for weight, (u, v) in zip(weights, vectors, strict=True):
        (found,) = torch.autograd.grad(weight.square().sum(), original)
        (expected,) = torch.autograd.grad((original / (u @ original @ v)).square().sum(), original)
        torch.testing.assert_close(found, expected)


def test_an_average_of_its_vectors_serves_in_evaluation() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(5, 7)
    add_spectral_norm(layer)
    weight = layer.eval().weight
    for buffer in layer.buffers():
        buffer.mul_(0.3)
    torch.testing.assert_close(layer.weight, weight)
