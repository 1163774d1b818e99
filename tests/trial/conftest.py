"""The digits, and an evaluator of them by random convolutions, for all runs of these tests."""

from __future__ import annotations

import pytest

from gantune.data import ImageSet
from gantune.scores import Evaluator
from tests.trial.runs import digits, make_evaluator


@pytest.fixture(scope="session")
def images() -> ImageSet:
    return digits()


@pytest.fixture(scope="session")
def evaluator(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    return make_evaluator(images, tmp_path_factory.mktemp("scores") / "extractor", "random")
