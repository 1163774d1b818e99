"""The order of the real images."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from gantune.gan.rng import InfiniteSampler
from tests.examples import examples

CPU = torch.device("cpu")


@examples(50)
@given(count=st.integers(1, 40), batch=st.integers(1, 40), seed=st.integers(0, 2**31 - 1))
def test_each_epoch_shows_each_image_once(count: int, batch: int, seed: int) -> None:
    order = InfiniteSampler(count, seed, CPU)
    shown: list[int] = []
    while len(shown) < 3 * count:
        shown += order.take(len(shown), batch).tolist()
    for epoch in range(3):
        assert sorted(shown[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_a_pure_function_of_seed_and_position() -> None:
    whole = InfiniteSampler(100, 5, CPU).take(0, 300)
    assert torch.equal(InfiniteSampler(100, 5, CPU).take(150, 30), whole[150:180])
    assert not torch.equal(whole[:100], whole[100:200])
    assert not torch.equal(InfiniteSampler(100, 6, CPU).take(0, 300), whole)
