"""``digits``: 1,797 real handwritten digits of 8x8 pixels, which scikit-learn carries along.

Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI): the test part.
"""

from __future__ import annotations

import numpy as np

from gantune.data.raw import RawImages, from_arrays

__all__ = ["open_digits"]

_LEVELS = 16  # a pixel counts the set bits of a 4x4 block, 0 to 16


def open_digits() -> RawImages:
    """The digits as uint8 [8, 8], white on black, classes 0 to 9."""
    from sklearn.datasets import load_digits  # imports scipy: over a second

    digits = load_digits()
    images = np.rint(digits.images * (255 / _LEVELS)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    return from_arrays(len(images), images.__getitem__, labels, tuple("0123456789"))
