"""The losses against their closed forms in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.config import make_config
from gantune.gan.losses import LOSSES, make_loss

Logits = NDArray[np.float64]
lists = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


def _p(logits: Logits) -> Logits:
    return 1 / (1 + np.exp(-logits))


def _entropy(r: Logits, f: Logits) -> float:
    return float(-np.log(_p(r)).mean() - np.log(_p(-f)).mean())


def _smooth_entropy(r: Logits, f: Logits, target: float) -> float:
    on_real = target * np.log(_p(r)) + (1 - target) * np.log(_p(-r))
    return float(-on_real.mean() - np.log(_p(-f)).mean())


DISCRIMINATOR: dict[str, Callable[[Logits, Logits], float]] = {
    "minimax": _entropy,
    "vanilla": _entropy,
    "wgan": lambda r, f: float(f.mean() - r.mean()),
    "hinge": lambda r, f: float(np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()),
    "lsgan": lambda r, f: float(((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2),
    "relativistic": lambda r, f: float(-np.log(_p(r - f)).mean()),
}
GENERATOR: dict[str, Callable[[Logits, Logits], float]] = {
    "minimax": lambda f, r: float(np.log(_p(-f)).mean()),
    "vanilla": lambda f, r: float(-np.log(_p(f)).mean()),
    "wgan": lambda f, r: float(-f.mean()),
    "hinge": lambda f, r: float(-f.mean()),
    "lsgan": lambda f, r: float(((f - 1) ** 2).mean() / 2),
    "relativistic": lambda f, r: float(-np.log(_p(f - r)).mean()),
}
SMOOTHED: dict[str, Callable[[Logits, Logits, float], float]] = {
    "minimax": lambda r, f, t: _smooth_entropy(r, f, t),
    "vanilla": lambda r, f, t: _smooth_entropy(r, f, t),
    "lsgan": lambda r, f, t: float(((r - t) ** 2).mean() / 2 + (f**2).mean() / 2),
}


@pytest.mark.parametrize("name", LOSSES)
@given(real=lists, fake=lists)
def test_closed_forms(name: str, real: list[float], fake: list[float]) -> None:
    r, f = np.array(real), np.array(fake)
    loss, tr, tf = LOSSES[name], torch.from_numpy(r), torch.from_numpy(f)
    assert loss.discriminator(tr, tf).item() == pytest.approx(DISCRIMINATOR[name](r, f), abs=1e-8)
    assert loss.generator(tf, tr).item() == pytest.approx(GENERATOR[name](f, r), abs=1e-8)


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
def test_the_players_have_opposite_gradients(name: str) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    LOSSES[name].discriminator(real, fake + 0.1).backward()
    assert real.grad is not None and (real.grad < 0).all()
    assert fake.grad is not None and (fake.grad > 0).all()
    mine = torch.zeros(4, requires_grad=True)
    LOSSES[name].generator(mine, real.detach()).backward()
    assert mine.grad is not None and (mine.grad < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_generator_needs_real_outputs_where_it_says_so(name: str) -> None:
    fake, real = torch.zeros(4), torch.zeros(4)
    loss = LOSSES[name]
    differs = loss.generator(fake, real) != loss.generator(fake, real + 1)
    assert bool(differs) == loss.needs_real


@pytest.mark.parametrize("name", SMOOTHED)
@given(real=lists, fake=lists, smoothing=st.floats(0, 0.5))
def test_one_sided_label_smoothing(
    name: str, real: list[float], fake: list[float], smoothing: float
) -> None:
    r, f = np.array(real), np.array(fake)
    loss = make_loss(make_config({"loss": name, "label_smoothing": smoothing}))
    tr, tf = torch.from_numpy(r), torch.from_numpy(f)
    expected = SMOOTHED[name](r, f, 1 - smoothing)
    assert loss.discriminator(tr, tf).item() == pytest.approx(expected, abs=1e-8)
    assert loss.generator(tf, tr).item() == pytest.approx(GENERATOR[name](f, r), abs=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_without_smoothing_the_loss_is_the_plain_one(name: str) -> None:
    assert make_loss(make_config({"loss": name})) is LOSSES[name]
