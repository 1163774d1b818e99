from __future__ import annotations

import numpy as np
import pytest

from gantune.data.sources.builtin import STD, gaussian_modes
from gantune.errors import DataError
from tests.data.making import load


@pytest.mark.parametrize(("source", "count"), [("gaussians:grid", 25), ("gaussians:ring", 8)])
def test_points_lie_around_their_modes(source: str, count: int) -> None:
    images, modes = load(source), gaussian_modes(source)
    assert modes.shape == (count, 2)
    assert np.abs(modes).max() <= 1
    assert images.array.dtype == np.float32
    assert images.labels is not None
    assert (np.bincount(images.labels) == 10_000 // count).all()
    offsets = images.array - modes[images.labels]
    assert np.allclose(offsets.std(axis=0), STD, rtol=0.05)
    nearest = np.linalg.norm(images.array[:, None] - modes, axis=2).argmin(axis=1)
    assert (nearest == images.labels).all()
    assert (images.is_points, images.resolution, images.colour) == (True, 0, "points")


def test_they_are_always_the_same_and_grid_is_the_default() -> None:
    assert np.array_equal(load("gaussians").array, load("gaussians:grid").array)
    assert load("gaussians").content_hash == load("gaussians:grid").content_hash
    assert load("gaussians:ring").content_hash != load("gaussians:grid").content_hash


def test_an_unknown_layout() -> None:
    with pytest.raises(DataError, match=r"no layout 'rign' \(did you mean 'ring'\?\)"):
        load("gaussians:rign")
    with pytest.raises(DataError, match="known: grid, ring"):
        load("gaussians:moons")
