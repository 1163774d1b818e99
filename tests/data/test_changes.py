"""What differs between the images of a run and those of now is said in words."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.data import ImageSet, image_changes
from tests.data.making import noise


def images(classes: dict[str, int], seed: int = 0) -> ImageSet:
    import numpy as np

    count = sum(classes.values()) or 4
    labels = np.repeat(np.arange(len(classes)), list(classes.values())) if classes else None
    array = noise(count, 1, 8, 8, seed=seed)
    names = tuple(classes)
    content = f"{seed} {count} {None if labels is None else labels.tolist()}"
    return ImageSet(array, "set", content, labels=labels, classes=names)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"cat": 2, "dog": 2}, {"cat": 2, "dog": 2}, ""),
        ({}, {}, ""),
        (
            {"cat": 2, "dog": 3},
            {"dog": 3, "kitten": 2},
            "classes then: cat, dog; now: dog, kitten; rename them back if only names differ "
            "(kitten to cat)",
        ),
        (
            {"cat": 2, "dog": 2},
            {"cat": 2, "dog": 3},
            "4 images then, 5 now; class dog: 2 images then, 3 now",
        ),
        (
            {"cat": 2, "dog": 2},
            {"cat": 2},
            "4 images then, 2 now; classes then: cat, dog; now: cat",
        ),
        ({"cat": 2, "dog": 2}, {}, "classes then: cat, dog; now: none"),
    ],
)
def test_what_differs(before: dict[str, int], after: dict[str, int], said: str) -> None:
    assert image_changes(images(before).summary(), images(after)) == said


def test_other_pixels() -> None:
    said = image_changes(images({"cat": 2}).summary(), images({"cat": 2}, seed=1))
    assert said.startswith("as many images of the same classes, but other pixels")


def test_many_classes_are_not_all_listed() -> None:
    before: Any = images({f"c{n}": 2 for n in range(30)}).summary()
    said = image_changes(before, images({f"c{n}": 3 for n in range(30)}))
    assert said.endswith("class c4: 2 images then, 3 now; 25 more classes")
