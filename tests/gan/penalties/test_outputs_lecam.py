"""LeCam against its equation, and the running means that it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantune.config import LecamConfig
from gantune.gan.penalties import outputs as lecam
from gantune.gan.penalties import update_anchors
from tests.gan.penalties.steps import Plane, step_of

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
