"""An extractor is tried before it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores import Extractor, ExtractorChoice, resolve_extractor
from gantune.scores.extractors import selection
from gantune.scores.extractors.random_features import RandomFeatures
from gantune.scores.extractors.selection import LEAST_IMAGES, sanity_fault
from gantune.scores.features import FeatureNetwork
from tests.scores.conftest import part_of

CPU = torch.device("cpu")


class Blind(FeatureNetwork):
    """Sees nothing: all images have the same features."""

    kind = "blind"

    def __init__(self) -> None:
        super().__init__({}, 4, "none")

    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 4)


class Broken(Blind):
    """Gives what is not a number."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) / 0


def of(module: FeatureNetwork) -> Extractor:
    return Extractor(module.kind, module.eval(), "")


def unlabelled(digits: ImageSet) -> ImageSet:
    return replace(digits, labels=None, classes=())


@pytest.mark.parametrize("name", ["auto", "random"])
@pytest.mark.parametrize("count", [LEAST_IMAGES, 1797])
def test_both_of_gantune_s_own_pass(
    name: str, count: int, digits: ImageSet, tmp_path: Path
) -> None:
    extractor = resolve_extractor(name, digits, tmp_path)
    assert sanity_fault(extractor, part_of(digits, slice(0, count)), CPU) == ""
    assert "beware" not in extractor.reason


def test_one_that_sees_nothing_does_not(digits: ImageSet) -> None:
    fault = sanity_fault(of(Blind()), digits, CPU)
    assert fault == "the same images blurred and the same images under noise and white noise"


def test_few_images_are_not_checked(digits: ImageSet) -> None:
    assert sanity_fault(of(Blind()), part_of(digits, slice(0, LEAST_IMAGES - 1)), CPU) == ""


def test_features_that_are_not_finite(digits: ImageSet) -> None:
    with pytest.raises(ScoreError, match="not finite"):
        sanity_fault(of(Broken()), digits, CPU)


def test_auto_passes_over_a_classifier_that_fails(
    digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "load_digits_classifier", lambda reason: of(Blind()))
    extractor = selection.select(ExtractorChoice(), digits, CPU)
    assert extractor.name == "random"
    assert "classifier: it rates the same images blurred" in extractor.reason
    assert "beware" not in extractor.reason


def test_one_that_is_named_or_the_last_is_taken_with_a_warning(
    digits: ImageSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forward(self: RandomFeatures, images: Tensor) -> Tensor:
        return torch.zeros(len(images), self.num_features)

    monkeypatch.setattr(RandomFeatures, "forward", forward)
    for name in ("random", "auto"):
        extractor = resolve_extractor(name, unlabelled(digits), tmp_path / name)
        assert extractor.name == "random"
        assert "warning: it rates the same images blurred" in extractor.reason
        assert "random: it rates" not in extractor.reason
