"""A classifier of the data at hand, and when it is good enough to measure with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores import resolve_extractor
from gantune.scores.extractors.classifier import LEAST_SKILL, skill_bound, train_own_classifier
from tests.scores.conftest import made_up, part_of


def unnamed(digits: ImageSet) -> ImageSet:
    """The digits under another name, so that the packaged classifier does not serve."""
    return replace(digits, source="other digits")


@pytest.fixture(scope="module")
def small(digits: ImageSet) -> ImageSet:
    return part_of(unnamed(digits), slice(0, 400))


@pytest.mark.integration
def test_accuracy_is_that_of_images_it_was_not_trained_on(small: ImageSet) -> None:
    extractor = train_own_classifier(small)
    assert extractor.name == "classifier"
    assert extractor.accuracy is not None and 0.85 < extractor.accuracy < 1
    assert extractor.reason == (
        f"trained on 320 of the labelled images, {extractor.accuracy:.1%} right on 80 others"
    )


@pytest.mark.parametrize("name", ["auto", "classifier"])
def test_few_images_prove_nothing(name: str, digits: ImageSet, tmp_path: Path) -> None:
    assert digits.labels is not None
    two = np.flatnonzero(digits.labels < 2)[:44]
    few = replace(
        unnamed(digits), array=digits.array[two], labels=digits.labels[two], classes=("0", "1")
    )
    if name == "auto":
        extractor = resolve_extractor("auto", few, tmp_path)
        assert extractor.name == "random"
        assert "rejected: " in extractor.reason
        assert "classifier: a small classifier got" in extractor.reason
        assert "of 8 held-out images right" in extractor.reason
    else:
        with pytest.raises(ScoreError, match=r"'other digits': .*of 8 held-out .*; take 'random'"):
            resolve_extractor("classifier", few, tmp_path)


@pytest.mark.integration
def test_classes_that_cannot_be_distinguished(digits: ImageSet) -> None:
    part = part_of(unnamed(digits), slice(0, 500))
    assert part.labels is not None
    shuffled = replace(part, labels=np.random.default_rng(0).permutation(part.labels))
    with pytest.raises(
        ScoreError, match=r"of 100 held-out images right, .* with 95% confidence, and 5\d"
    ):
        train_own_classifier(shuffled)


@pytest.mark.parametrize(
    ("images", "lack"),
    [
        (made_up(60), "no labels"),
        (made_up(60, classes=1), "one label"),
        (made_up(60, classes=20), "fewer than 20 per class"),
    ],
)
def test_no_classes_to_learn(images: ImageSet, lack: str) -> None:
    with pytest.raises(ScoreError, match=lack):
        train_own_classifier(images)


def test_skill_of_known_cases() -> None:
    # Wilson 1927 at 95%: 15 of 20 right have the lower end 0.5313.
    assert skill_bound(0.75, 20, 0.0) == pytest.approx(0.5313, abs=1e-4)
    assert skill_bound(0.75, 20, 0.5) == pytest.approx(2 * 0.0313, abs=2e-4)
    assert skill_bound(1.0, 6, 0.5) < LEAST_SKILL < skill_bound(1.0, 40, 0.5)


@given(
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.01, 0.99),
)
def test_certain_skill_is_less_than_was_seen_and_grows_with_the_count(
    seen: tuple[int, int], commonest: float
) -> None:
    right, count = seen
    bound = skill_bound(right / count, count, commonest)
    assert bound <= (right / count - commonest) / (1 - commonest) + 1e-9
    assert bound <= skill_bound(right / count, 10 * count, commonest) + 1e-9
