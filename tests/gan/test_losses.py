"""The losses against their closed forms in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.gan.losses import LOSSES

Logits = NDArray[np.float64]
lists = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


def _p(logits: Logits) -> Logits:
    return 1 / (1 + np.exp(-logits))


def _entropy(r: Logits, f: Logits) -> float:
    return float(-np.log(_p(r)).mean() - np.log(_p(-f)).mean())


DISCRIMINATOR: dict[str, Callable[[Logits, Logits], float]] = {
    "minimax": _entropy,
    "vanilla": _entropy,
    "wgan": lambda r, f: float(f.mean() - r.mean()),
    "hinge": lambda r, f: float(np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()),
    "lsgan": lambda r, f: float(((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2),
}
GENERATOR: dict[str, Callable[[Logits], float]] = {
    "minimax": lambda f: float(np.log(_p(-f)).mean()),
    "vanilla": lambda f: float(-np.log(_p(f)).mean()),
    "wgan": lambda f: float(-f.mean()),
    "hinge": lambda f: float(-f.mean()),
    "lsgan": lambda f: float(((f - 1) ** 2).mean() / 2),
}


@pytest.mark.parametrize("name", LOSSES)
@given(real=lists, fake=lists)
def test_closed_forms(name: str, real: list[float], fake: list[float]) -> None:
    r, f = np.array(real), np.array(fake)
    loss, tr, tf = LOSSES[name], torch.from_numpy(r), torch.from_numpy(f)
    assert loss.discriminator(tr, tf).item() == pytest.approx(DISCRIMINATOR[name](r, f), abs=1e-8)
    assert loss.generator(tf, tr).item() == pytest.approx(GENERATOR[name](f), abs=1e-8)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_stay_finite(name: str, size: float) -> None:
    real = torch.full((4,), size, requires_grad=True)
    fake = torch.full((4,), -size, requires_grad=True)
    total = LOSSES[name].discriminator(real, fake) + LOSSES[name].generator(fake, real)
    total.backward()
    assert total.isfinite() and real.grad is not None and fake.grad is not None
    assert real.grad.isfinite().all() and fake.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_each_player_pulls_its_own_way(name: str) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    LOSSES[name].discriminator(real, fake + 0.1).backward()
    assert real.grad is not None and (real.grad < 0).all()
    assert fake.grad is not None and (fake.grad > 0).all()
    mine = torch.zeros(4, requires_grad=True)
    LOSSES[name].generator(mine, real.detach()).backward()
    assert mine.grad is not None and (mine.grad < 0).all()
