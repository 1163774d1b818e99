"""Normalisations, against their formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrizations import spectral_norm

from gantune.gan.networks import build_networks
from gantune.gan.networks.norms import (
    Chain,
    ConditionalBatchNorm,
    Labelled,
    add_spectral_norm,
    discriminator_norms,
)
from tests.gan.networks.builders import SMALLEST, make


def normal(features: Tensor, *dims: int) -> Tensor:
    variance, mean = torch.var_mean(features, dims, correction=0, keepdim=True)
    return (features - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("name", "dims"), [("batch", (0, 2, 3)), ("layer", (1, 2, 3)), ("instance", (2, 3))]
)
def test_a_norm_of_images_is_over_its_own_dimensions(name: str, dims: tuple[int, ...]) -> None:
    features = 3 * torch.randn(4, 6, 5, 5) + 2
    (norm,) = discriminator_norms(name, 6)  # type: ignore[arg-type]
    torch.testing.assert_close(norm(features), normal(features, *dims))
    assert {tuple(weight.shape) for weight in norm.parameters()} == {(6,)}
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
        norm.bias.fill_(7)
    expected = normal(features, *dims) * torch.arange(6.0).view(6, 1, 1) + 7
    torch.testing.assert_close(norm(features), expected)


@pytest.mark.parametrize(("name", "dim"), [("batch", 0), ("layer", 1)])
def test_a_norm_of_points_is_over_its_own_dimension(name: str, dim: int) -> None:
    features = 3 * torch.randn(8, 6) + 2
    (norm,) = discriminator_norms(name, 6, points=True)  # type: ignore[arg-type]
    torch.testing.assert_close(norm(features), normal(features, dim))


@pytest.mark.parametrize("name", ["none", "batch", "layer", "instance", "spectral"])
def test_a_norm_between_layers_has_a_bias(name: str) -> None:
    norms = discriminator_norms(name, 6)  # type: ignore[arg-type]
    assert bool(norms) == (name in ("batch", "layer", "instance"))
    assert all("bias" in dict(norm.named_parameters()) for norm in norms)


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4, 4)])
def test_conditional_batch_norm_has_a_gain_and_a_bias_for_each_class(
    shape: tuple[int, ...],
) -> None:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    plain, norm = kind(3), ConditionalBatchNorm(kind(3, affine=False), 4)
    features, labels = torch.randn(shape), torch.tensor([0, 1, 3, 0, 1, 3])
    expected = plain(features)
    torch.testing.assert_close(norm(features, labels), expected)
    with torch.no_grad():
        norm.gain[1], norm.bias[1] = torch.tensor([2.0, 3, 4]), 5
    scaled = norm(features, labels)
    gain = torch.tensor([2.0, 3, 4]).view(-1, *[1] * (len(shape) - 2))
    for i, label in enumerate(labels):
        torch.testing.assert_close(scaled[i], expected[i] * gain + 5 if label == 1 else expected[i])
    scaled.square().sum().backward()
    assert norm.gain.grad is not None
    assert (norm.gain.grad.abs().sum(1) > 0).tolist() == [True, True, False, True]


def test_conditional_batch_norm_keeps_running_statistics() -> None:
    plain, norm = nn.BatchNorm1d(3), ConditionalBatchNorm(nn.BatchNorm1d(3, affine=False), 2)
    labels = torch.tensor([0, 1, 1, 0])
    for _ in range(3):
        features = 2 * torch.randn(4, 3) + 1
        plain(features), norm(features, labels)
    torch.testing.assert_close(norm.eval()(features, labels), plain.eval()(features))


def test_conditional_batch_norm_keeps_the_features_format() -> None:
    norm = ConditionalBatchNorm(nn.BatchNorm2d(3, affine=False), 2)
    features = torch.randn(2, 3, 4, 4).to(torch.bfloat16, memory_format=torch.channels_last)
    scaled = norm(features, torch.tensor([0, 1]))
    assert scaled.dtype == torch.bfloat16
    assert scaled.is_contiguous(memory_format=torch.channels_last)


def test_a_chain_passes_labels_to_labelled_layers() -> None:
    class Add(Labelled):
        def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
            return features if labels is None else features + labels

    chain = Chain(Add(), nn.ReLU(), Add())
    assert chain(torch.tensor([-3.0, 2]), torch.tensor([1, 1])).tolist() == [1, 4]
    assert chain(torch.tensor([-3.0, 2])).tolist() == [0, 2]


# ---- Spectral norm, against torch's own and against the largest singular value ----------


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
def test_it_equals_torchs_spectral_norm(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    ours, theirs = kind(3, 5, 4), kind(3, 5, 4)
    theirs.load_state_dict(ours.state_dict())
    add_spectral_norm(ours)
    spectral_norm(theirs)
    ours.double(), theirs.double()
    norm: Any = ours.parametrizations.weight[0]  # type: ignore[index]
    reference: Any = theirs.parametrizations.weight[0]  # type: ignore[index]
    reference._u.copy_(normalize(norm.u, dim=0))  # to the last digit of double precision too
    reference._v.copy_(normalize(norm.v, dim=0))
    images, gradients = torch.randn(2, 3, 8, 8).double(), []
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


def test_it_is_updated_in_training_mode_only() -> None:
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


def test_its_vectors_are_updated_in_place() -> None:
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


def test_an_average_of_its_vectors_works_in_evaluation() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(5, 7)
    add_spectral_norm(layer)
    weight = layer.eval().weight
    for buffer in layer.buffers():
        buffer.mul_(0.3)
    torch.testing.assert_close(layer.weight, weight)
