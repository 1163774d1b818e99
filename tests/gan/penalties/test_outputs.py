"""Consistency: what is compared, and by what the image is changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantune.config.sections import ConsistencyConfig, LecamConfig
from gantune.gan.penalties.outputs import consistency, lecam, update_anchors
from tests.gan.penalties.steps import Bowl, Plane, random_images, step_of


def changed(images: Tensor, shift: float) -> Tensor:
    """The changed ones of the images that D is asked about."""
    seen: list[Tensor] = []

    def discriminate(asked: Tensor) -> Tensor:
        seen.append(asked)
        return asked.flatten(1).sum(1)

    consistency(
        replace(step_of(Bowl(), images), discriminate=discriminate), ConsistencyConfig(shift=shift)
    )
    original, new = seen[0].chunk(2)
    assert torch.equal(original, images)
    return new


def test_the_mean_squared_difference() -> None:
    network = Plane([1.0, -2.0, 0.5, 3.0])
    step = step_of(network, random_images(2, (64, 1, 2, 2)))
    new = changed(step.real, 0.0)
    expected = (network(step.real) - network(new)).square().mean().item()
    assert consistency(step, ConsistencyConfig(shift=0.0)).item() == pytest.approx(expected)
    assert expected > 0


def test_an_invariant_discriminator_has_no_penalty() -> None:
    step = step_of(Bowl(), random_images(2, (64, 1, 4, 4)))
    assert consistency(step, ConsistencyConfig(shift=0.0)).item() == pytest.approx(0, abs=1e-12)


def test_half_of_the_images_are_mirrored() -> None:
    images = random_images(5, (400, 1, 4, 4))
    new = changed(images, 0.0)
    mirrored = (new == images.flip(3)).flatten(1).all(1)
    kept = (new == images).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert mirrored.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 20)


def test_shifts_reach_their_share_of_the_side_and_no_further() -> None:
    # A column number in each pixel, alike under mirroring, tells how far an image was moved.
    columns = (torch.arange(16, dtype=torch.float64) - 7.5).abs()
    images = columns.expand(600, 1, 16, 16).clone()
    rows = (images + 100 * images.transpose(2, 3)).clone()
    new = changed(rows, 0.125)
    # At the middle neither edge plays a part: a shift by s changes the value from 0.5 by about |s|.
    across = new[:, 0, 8, 4] % 100 - rows[0, 0, 8, 4] % 100
    down = (new[:, 0, 4, 8] - rows[0, 0, 4, 8]) // 100
    assert set(across.tolist()) == set(down.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_both_outputs_carry_their_gradient() -> None:
    network = Plane([1.0, -2.0, 0.5, 3.0])
    step = step_of(network, random_images(2, (64, 1, 2, 2)))
    difference = network(step.real) - network(changed(step.real, 0.0))
    expected = torch.autograd.grad(difference.square().mean(), network.slope)
    found = torch.autograd.grad(consistency(step, ConsistencyConfig(shift=0.0)), network.slope)
    torch.testing.assert_close(found, expected)


def test_precision_of_the_step_does_not_matter() -> None:
    """The outputs of the step may be rounded; those that are compared are not."""
    step = step_of(Bowl(), random_images(2, (64, 1, 4, 4)))
    rounded = replace(step, logits=step.logits.bfloat16().double())
    penalty = consistency(rounded, ConsistencyConfig(shift=0.0)).item()
    assert penalty == pytest.approx(0, abs=1e-12)


# ---- LeCam against its equation, and the running means that it needs ----------


three = st.lists(st.floats(-20, 20), min_size=3, max_size=3)
number = st.floats(-20, 20)


def tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(real=three, fake=three, on_real=number, on_fake=number)
def test_equation_four(
    real: list[float], fake: list[float], on_real: float, on_fake: float
) -> None:
    logits = torch.stack([tensor(real), tensor(fake)])
    step = replace(step_of(Plane([1.0] * 4)), logits=logits, anchors=tensor([on_real, on_fake]))
    expected = ((np.array(real) - on_fake) ** 2).mean() + ((np.array(fake) - on_real) ** 2).mean()
    assert lecam(step, LecamConfig()).item() == pytest.approx(expected, abs=1e-9)


def test_nothing_before_its_start() -> None:
    config = LecamConfig(start=2.0)
    assert lecam(step_of(Plane([1.0] * 4), kimg=1.999), config).item() == 0
    assert lecam(step_of(Plane([1.0] * 4), kimg=2.0), config).item() > 0


def test_anchors_take_the_first_means_and_move_from_there() -> None:
    anchors = torch.full((2,), torch.nan, dtype=torch.float64)
    update_anchors(anchors, torch.stack([tensor([1, 3]), tensor([-4, -6])]), 0.9)
    torch.testing.assert_close(anchors, tensor([2, -5]))
    update_anchors(anchors, torch.stack([tensor([12, 12]), tensor([5, 5])]), 0.9)
    torch.testing.assert_close(anchors, tensor([0.9 * 2 + 0.1 * 12, -0.9 * 5 + 0.1 * 5]))


def test_anchors_carry_no_graph() -> None:
    anchors = torch.full((2,), torch.nan)
    update_anchors(anchors, torch.ones(2, 4, requires_grad=True) * 2, 0.9)
    assert not anchors.requires_grad


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
def test_anchors_recover_from_a_broken_step(broken: float) -> None:
    anchors = tensor([1.0, -1.0])
    update_anchors(anchors, torch.stack([tensor([broken, 0]), tensor([-2, -2])]), 0.5)
    assert anchors[1] == -1.5
    update_anchors(anchors, torch.stack([tensor([4, 4]), tensor([-2, -2])]), 0.5)
    torch.testing.assert_close(anchors, tensor([4.0, -1.75]))
