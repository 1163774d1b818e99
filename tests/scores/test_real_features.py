"""Features of the real images are computed once, cached, and recomputed when damaged."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantune.data import ImageSet
from gantune.data.image_set import random_subset
from gantune.errors import ScoreError
from gantune.scores import (
    Evaluator,
    Extractor,
    Protocols,
    RealImages,
    make_protocols,
    resolve_extractor,
)
from gantune.scores.real_features import features_folder, real_features
from gantune.scores.score import MOST_REAL
from tests.examples import examples
from tests.scores.conftest import made_up, shown

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GANTUNE_CACHE", str(folder))
    return folder


@pytest.fixture
def images() -> ImageSet:
    return made_up(70)


@pytest.fixture
def study(images: ImageSet, tmp_path: Path) -> tuple[Extractor, Protocols]:
    extractor = resolve_extractor("random", images, tmp_path / "run")
    return extractor, make_protocols(extractor, RealImages(images), rung_samples=20, samples=40)


Study = tuple[Extractor, Protocols]


def counted(extractor: Extractor) -> Callable[[], int]:
    """How many images the extractor has seen since."""
    seen = []
    extractor.module.register_forward_hook(lambda module, args, out: seen.append(len(out)))
    return lambda: sum(seen)


def test_a_cache_hit_gives_the_identical_value_without_the_images(
    cache: Path, images: ImageSet, study: Study
) -> None:
    extractor, protocols = study
    seen = counted(extractor)
    sample = torch.tensor(made_up(40, seed=1).array)
    first = Evaluator(extractor, RealImages(images), protocols).score(shown(sample))
    assert seen() == 70 + 20
    assert [file.parent.parent.name for file in cache.rglob("*.np?")] == ["statistics"] * 2
    second = Evaluator(extractor, RealImages(images), protocols).score(shown(sample))
    assert seen() == 70 + 20 + 20
    assert second == first


def test_all_real_images_enter(cache: Path, images: ImageSet, study: Study) -> None:
    extractor, protocols = study
    found = real_features(extractor, images, protocols.full, CPU)
    with torch.inference_mode():
        features = extractor.module(torch.tensor(images.array)).double()
    assert torch.equal(found.rows.double(), features)
    torch.testing.assert_close(found.gaussian.mean, features.mean(0))
    factor = found.gaussian.factor
    assert torch.equal(factor, factor.triu())
    torch.testing.assert_close(factor.T @ factor, features.T.cov())
    assert found.gaussian.variance == pytest.approx(float(features.var(0).sum()), rel=1e-6)
    assert len(found.rows) == 70


def test_of_very_many_images_a_random_subset_is_taken(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.scores.evaluator.MOST_REAL", 10)
    assert MOST_REAL == 50_000
    images = made_up(100, classes=5)
    assert images.labels is not None
    order = np.argsort(images.labels, kind="stable")  # a folder of classes comes sorted
    sorted_ = ImageSet(images.array[order], "sorted", "s", images.labels[order], images.classes)
    extractor = resolve_extractor("random", sorted_, tmp_path)
    protocols = make_protocols(extractor, RealImages(sorted_), rung_samples=10, samples=10)
    assert protocols.full.real == 10
    found = real_features(extractor, sorted_, protocols.full, CPU)
    with torch.inference_mode():
        features = extractor.module(torch.tensor(sorted_.array[random_subset(100, 10)]))
    torch.testing.assert_close(found.gaussian.mean, features.double().mean(0))


@examples(40)
@given(
    name=st.sampled_from(["features.npy", "moments.npz"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(max_size=40),
    cut=st.booleans(),
)
def test_a_damaged_entry_is_computed_again(
    name: str, place: float, junk: bytes, cut: bool, cache: Path, images: ImageSet, study: Study
) -> None:
    extractor, protocols = study
    folder = features_folder(protocols.full, CPU)
    shutil.rmtree(folder, ignore_errors=True)
    right = real_features(extractor, images, protocols.full, CPU)
    right = replace(right, rows=right.rows.clone())  # a mapped file may not be cut
    path = folder / name
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + junk + (b"" if cut else whole[at + len(junk) :]))
    found = real_features(extractor, images, protocols.full, CPU)
    assert torch.equal(found.rows, right.rows)
    assert torch.equal(found.gaussian.factor, right.gaussian.factor)
    assert found.classes == right.classes


def test_an_entry_of_another_protocol_under_this_name_is_not_used(
    cache: Path, images: ImageSet, study: Study, tmp_path: Path
) -> None:
    extractor, protocols = study
    other = made_up(70, seed=5)
    foreign = make_protocols(extractor, RealImages(other), rung_samples=20, samples=40)
    right = real_features(extractor, images, protocols.full, CPU)
    real_features(extractor, other, foreign.full, CPU)
    shutil.rmtree(features_folder(protocols.full, CPU))
    shutil.copytree(features_folder(foreign.full, CPU), features_folder(protocols.full, CPU))
    again = real_features(extractor, images, protocols.full, CPU)
    assert torch.equal(again.rows, right.rows)


def test_a_cache_that_cannot_be_written_costs_only_time(
    cache: Path,
    images: ImageSet,
    study: Study,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = cache / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("GANTUNE_CACHE", str(blocked))
    extractor, protocols = study
    with caplog.at_level(logging.WARNING):
        found = real_features(extractor, images, protocols.full, CPU)
    assert len(found.rows) == 70
    assert {record.name for record in caplog.records} == {"gantune.scores"}
    assert "cannot be written" in caplog.text


def test_a_single_real_image_is_refused(cache: Path, tmp_path: Path) -> None:
    images = made_up(1)
    extractor = resolve_extractor("auto", images, tmp_path)
    protocols = make_protocols(extractor, RealImages(images), rung_samples=2, samples=2)
    with pytest.raises(ScoreError, match="made-up: 1 images; a distance needs at least 2"):
        Evaluator(extractor, RealImages(images), protocols)
