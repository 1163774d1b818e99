"""Labels by the names of classes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gantune.data.image_set import encode_labels, encode_names


@pytest.mark.parametrize(
    ("names", "labels", "classes"),
    [
        (["10", "2", "10"], [1, 0, 1], ("2", "10")),
        (["b", "A", "a"], [2, 0, 1], ("A", "a", "b")),
        (["x\n", "x"], [1, 0], ("x", "x\\n")),
        ([], [], ()),
    ],
)
def test_names_are_classes_in_natural_order(
    names: list[str], labels: list[int], classes: tuple[str, ...]
) -> None:
    for found in (encode_names(names), encode_labels(np.array(names, dtype="U"))):
        assert (found[0].tolist(), found[1]) == (labels, classes)


def test_one_long_name_takes_its_room_once() -> None:
    names = ["a" * 2000, *["b"] * 10_000]  # 80 MB in an array of text
    tracemalloc.start()
    try:
        encode_names(names)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
