"""Arrays whose last axis counts the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gantune.data import load_samples
from tests.data.making import load, noise


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((1, 2, 3, 0), "8 x 8 x 3 x 36 is read as H x W x C x N"),
        ((3, 1, 2, 0), "3 x 8 x 8 x 36 is read as C x H x W x N"),
        (
            (1, 2, 0),
            "warning: 8 x 8 x 36 is read as H x W x N; for N x H x W save array[..., None]",
        ),
        ((0, 1, 2, 3), ""),
        ((0, 3, 1, 2), ""),
        ((0, 1, 2), ""),
    ],
)
@pytest.mark.parametrize("form", ["npy", "npz", "memory"])
@pytest.mark.parametrize("is_float", [False, True])
def test_any_order_of_axes(
    tmp_path: Path, order: tuple[int, ...], said: str, form: str, is_float: bool
) -> None:
    images = noise(36, 8, 8, 3)[..., : None if len(order) == 4 else 1]
    expected = images.transpose(0, 3, 1, 2)
    array: NDArray[Any] = (images if len(order) == 4 else images[..., 0]).transpose(order)
    array = array / np.float32(255) if is_float else array
    if form == "memory":
        assert np.array_equal(load_samples(array).array, expected)
        return
    labels = np.arange(36) % 3
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array, y=labels)
    found = load(tmp_path / f"a.{form}")
    assert np.array_equal(found.array, expected)
    assert said in found.found and ("is read as" in found.found) == bool(said)
    assert len(found.classes) == (3 if form == "npz" else 0)


def test_the_number_of_labels_tells_the_order(tmp_path: Path) -> None:
    images = noise(8, 8, 36)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(8))
    found = load(tmp_path / "a.npz")
    assert np.array_equal(found.array, images[:, None, :, 14:22])
