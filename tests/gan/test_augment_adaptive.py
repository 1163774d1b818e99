"""ADA's rule: where the probability moves, how fast, and what it makes of broken outputs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantune.config import AugmentConfig
from gantune.config.loss_families import LOSSES
from gantune.gan.augment import AdaptiveProbability


def adaptive(
    threshold: float | None = 0.0, target: float = 0.6, speed: float = 1.0
) -> AdaptiveProbability:
    config = AugmentConfig(cutout=True, probability="adaptive", target=target, speed=speed)
    return AdaptiveProbability(config, threshold, "cpu")


def logits(real: float, fake: float = 0.0, number: int = 10) -> Tensor:
    return torch.tensor([[real], [fake]], dtype=torch.float32).repeat(1, number)


def after(steps: int, of: Tensor, probability: AdaptiveProbability | None = None) -> float:
    probability = probability or adaptive()
    for _ in range(steps):
        probability.update(of)
    return probability.value.item()


def test_starts_at_zero_as_a_scalar() -> None:
    value = adaptive().value
    assert value.shape == () and value.item() == 0


def test_from_zero_to_one_in_the_kimg_of_its_speed_and_back() -> None:
    probability = adaptive(speed=2.0)
    # 2 kimg are 200 steps of 10 images.
    assert after(196, logits(1), probability) == pytest.approx(0.98)
    assert after(4, logits(1), probability) == pytest.approx(1.0)
    assert after(40, logits(1), probability) == 1.0
    assert after(100, logits(-1), probability) == pytest.approx(0.5)
    assert after(200, logits(-1), probability) == 0.0


def test_moves_at_every_fourth_step() -> None:
    probability = adaptive()
    values = [after(1, logits(1), probability) for _ in range(9)]
    assert values == pytest.approx([0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08, 0.08])


@pytest.mark.parametrize(("positive", "rises"), [(17, True), (15, False)])
def test_the_mean_sign_is_held_against_the_target(positive: int, rises: bool) -> None:
    # Of 20 real images 16 positive and 4 negative have the mean sign 0.6.
    real = torch.tensor([1.0] * positive + [-5.0] * (20 - positive))
    probability = adaptive()
    after(8, logits(1, number=20), probability)
    before = probability.value.item()
    now = after(4, torch.stack([real, -torch.ones(20)]), probability)
    assert now == pytest.approx(before + (0.08 if rises else -0.08))


def test_at_the_target_nothing_moves() -> None:
    real = torch.tensor([1.0, 1.0, 1.0, -1.0])  # mean sign 0.5
    assert after(8, torch.stack([real, -real]), adaptive(target=0.5)) == 0


def test_the_mean_is_of_all_four_steps() -> None:
    probability = adaptive()
    for real in (1, 1, 1, -1):  # mean 0.5, below 0.6; the last alone or the first alone would lie
        probability.update(logits(real))
    assert probability.value == 0
    for real in (-1, 1, 1, 1):
        probability.update(logits(real))
    assert probability.value == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_sure_of_real_images_is_told_by_the_loss_own_threshold(loss: str) -> None:
    threshold = LOSSES[loss].threshold
    middle = 3.0 if threshold is None else threshold
    assert after(4, logits(middle + 0.1, middle), adaptive(threshold)) > 0
    assert after(4, logits(middle - 0.1, middle), adaptive(threshold)) == 0


def test_only_real_images_count_where_there_is_a_threshold() -> None:
    assert after(4, logits(1, fake=5), adaptive(0.0)) > 0
    assert after(4, logits(1, fake=5), adaptive(None)) == 0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=40))
def test_stays_in_its_range_whatever_comes(reals: list[float]) -> None:
    probability = adaptive(speed=0.05)
    for real in reals:
        probability.update(logits(real, number=3))
        assert 0 <= probability.value.item() <= 1


def test_goes_on_from_its_state() -> None:
    one, other = adaptive(), adaptive()
    after(6, logits(1), one)
    state = one.state_dict()
    assert after(2, logits(1), one) == pytest.approx(0.08)
    other.load_state_dict(state)
    assert other.value.item() == pytest.approx(0.04)
    assert after(1, logits(1), other) == pytest.approx(0.04)
    assert after(1, logits(1), other) == one.value.item()


def test_a_broken_step_counts_as_undecided() -> None:
    probability = adaptive(target=0.4)
    broken = logits(torch.nan)
    for outputs in (logits(1), broken, logits(1), broken):  # mean sign 0.5
        probability.update(outputs)
    assert probability.value.item() == pytest.approx(0.04)
    assert after(4, logits(1, fake=torch.nan), adaptive(None)) == 0


def test_carries_no_graph() -> None:
    probability = adaptive()
    after(4, logits(1).requires_grad_(), probability)
    assert not probability.value.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device() -> None:
    config = AugmentConfig(cutout=True, probability="adaptive")
    probability, given = AdaptiveProbability(config, 0.0, "cuda"), logits(1).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        after_four = [probability.update(given) for _ in range(4)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(after_four) == 4 and probability.value > 0
