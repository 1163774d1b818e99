"""The built-in sources: ``gaussians`` and ``digits``.

``gaussians`` are points in the plane from a mixture of known modes, so that lost modes show. The
ring is Metz et al. 2017 (section 3.1), the grid Srivastava et al. 2017 (section 4.1), both scaled
into [-1, 1]. ``digits`` are 1,797 real handwritten digits of 8x8 pixels, which come with
scikit-learn (Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI: the test
part).
"""

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantune.data.cache import content_hash
from gantune.data.image_set import ImageSet, RawImages, from_arrays
from gantune.errors import DataError
from gantune.io.validation import did_you_mean

POINTS = 10_000
"""Number of points, the same for every mode."""
STD = 0.02
"""Standard deviation of each mode, along both axes."""
RADIUS = 0.8
"""The ring's radius, and half the side of the grid."""
RING_MODES = 8
GRID_SIDE = 5

_SEED = 0
_LEVELS = 16  # a pixel of digits counts the set bits of a 4x4 block, 0 to 16


def gaussian_modes(source: str) -> NDArray[np.float64]:
    """The modes' centres, [K, 2]: K = 25 for ``gaussians:grid`` (or ``gaussians``), 8 for the ring.

    Raises ``DataError`` for a layout that does not exist.
    """
    layout = source.partition(":")[2] or "grid"
    if layout == "grid":
        axis = np.linspace(-RADIUS, RADIUS, GRID_SIDE)
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    if layout == "ring":
        angles = np.arange(RING_MODES) * (2 * math.pi / RING_MODES)
        return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    guess = did_you_mean(layout, ("grid", "ring")) or "; known: grid, ring"
    raise DataError(f"{source}: no layout {layout!r}{guess}")


def load_gaussians(source: str) -> ImageSet:
    """Points float32 [10000, 2], always the same ones, labelled by mode. Raises ``DataError``."""
    modes = gaussian_modes(source)
    labels = np.arange(POINTS, dtype=np.int64) % len(modes)
    noise = np.random.default_rng(_SEED).normal(scale=STD, size=(POINTS, 2))
    array = (modes[labels] + noise).astype(np.float32)
    classes = tuple(str(mode) for mode in range(len(modes)))
    return ImageSet(array, source, content_hash(array, labels), labels, classes)


def open_digits() -> RawImages:
    """The digits as uint8 [8, 8], white on black, classes 0 to 9."""
    package = find_spec("sklearn")  # its file: ``import sklearn.datasets`` takes two seconds
    assert package is not None and package.submodule_search_locations
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / _LEVELS)).astype(np.uint8)
    return from_arrays(len(images), images.__getitem__, table[:, -1], tuple("0123456789"))
