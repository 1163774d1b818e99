"""Shifts against an image that is moved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.gan.augment import shift

SIDE = 5
steps = st.integers(-(SIDE - 1), SIDE - 1)


def moved(image: NDArray[np.float64], down: int, right: int, mode: str) -> NDArray[np.float64]:
    """Cut out of the image with a wide edge around it."""
    edge = SIDE - 1
    wide = np.pad(image, [(0, 0), (edge, edge), (edge, edge)], mode=mode)  # type: ignore[call-overload]
    top, left = edge - down, edge - right
    cut: NDArray[np.float64] = wide[:, top : top + SIDE, left : left + SIDE]
    return cut


@given(down=steps, right=steps, other=steps)
def test_each_image_by_its_own_number(down: int, right: int, other: int) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE))
    for edge, mode in (("zero", "constant"), ("mirror", "reflect")):
        result = shift(
            torch.from_numpy(images),
            torch.tensor([down, other]),
            torch.tensor([right, 0]),
            edge,  # type: ignore[arg-type]
        )
        expected = [moved(images[0], down, right, mode), moved(images[1], other, 0, mode)]
        np.testing.assert_array_equal(result.numpy(), np.stack(expected))


@pytest.mark.parametrize("edge", ["zero", "mirror"])
def test_differentiable_twice(edge: str) -> None:
    images = torch.rand(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    by = torch.tensor([1, -2])

    def curved(given: torch.Tensor) -> torch.Tensor:
        return shift(given, by, -by, edge).pow(3)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(curved, (images,))
    assert torch.autograd.gradgradcheck(curved, (images,))
