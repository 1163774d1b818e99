"""The packaged classifier recognises digits at every size, and its script reproduces it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gantune.config import DataConfig
from gantune.data import load_images
from gantune.errors import ScoreError
from gantune.scores.extractors import digits as module
from gantune.scores.extractors.classifier import Classifier, accuracy

SHIPPED = Path(module.__file__).with_name("digits.npz")


def test_held_out_accuracy_is_stated_and_true() -> None:
    extractor = module.load_digits_classifier("")
    assert extractor.accuracy is not None and extractor.accuracy >= 0.97
    order = np.random.default_rng(0).permutation(1797)[: 1797 // 5]
    classifier = extractor.module
    assert isinstance(classifier, Classifier)
    for side in (16, 28, 32, 64):
        images = load_images(DataConfig(source="digits", resolution=side))
        assert images.labels is not None
        held_out, labels = torch.tensor(images.array[order]), torch.tensor(images.labels[order])
        assert accuracy(classifier, held_out, labels) >= extractor.accuracy


def test_it_is_small() -> None:
    assert SHIPPED.stat().st_size < 600_000


def test_a_damaged_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "digits.npz"
    damaged.write_bytes(SHIPPED.read_bytes()[:1000])
    monkeypatch.setattr(module, "_FILE", damaged)
    with pytest.raises(ScoreError, match=r"digits.npz: damaged .*install gantune again"):
        module.load_digits_classifier("")


@pytest.mark.integration
def test_the_script_makes_a_classifier_as_good() -> None:
    _, facts = module.train()
    assert (facts["trained_on"], facts["held_out"]) == (1438, 359)
    assert facts["accuracy"] >= 0.97


@pytest.mark.integration
def test_the_script_makes_the_same_classifier_again() -> None:
    short = replace(module._SCHEDULE, epochs=2)
    (first, _), (second, _) = module.train(short), module.train(short)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
