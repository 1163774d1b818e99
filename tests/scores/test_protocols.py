"""A score's hash stands for everything that it depends on."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores import Protocol, make_protocols, resolve_extractor
from gantune.scores.statistics import statistics_file

BASE = Protocol("d", 32, "gray", "train", "random", "w", "32 gray", "float32", 100, 50, 1)


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_every_field_changes_the_hash(field: str) -> None:
    value = getattr(BASE, field)
    changed = replace(BASE, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
    assert changed.hash != BASE.hash
    assert replace(changed, **{field: value}).hash == BASE.hash


def test_only_the_real_side_names_the_cache_entry() -> None:
    assert statistics_file(replace(BASE, generated=9, latent_seed=9)) == statistics_file(BASE)
    for field in {field.name for field in fields(Protocol)} - {"generated", "latent_seed"}:
        value = getattr(BASE, field)
        changed = replace(BASE, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
        assert statistics_file(changed) != statistics_file(BASE)


def test_plain_fid_is_inceptions_alone() -> None:
    assert replace(BASE, extractor="inception").score_name == "fid"
    assert BASE.score_name == "fid[random]"


def test_protocols_state_data_extractor_and_counts(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("auto", learned, tmp_path)
    protocols = make_protocols(extractor, learned, rung_samples=10, samples=20)
    assert protocols.rung == Protocol(
        data=learned.content_hash,
        resolution=32,
        colour="gray",
        split="train",
        extractor="classifier-digits",
        weights=extractor.weights_hash,
        resize="32 gray, bilinear, antialiased",
        dtype="float32",
        real=900,
        generated=10,
        latent_seed=protocols.rung.latent_seed,
    )
    assert protocols.full.generated == 20
    assert protocols.full.latent_seed != protocols.rung.latent_seed


def test_one_sample_is_refused(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("random", learned, tmp_path)
    with pytest.raises(ScoreError, match=r"samples: 1: .* 2 images"):
        make_protocols(extractor, learned, rung_samples=10, samples=1)
    with pytest.raises(ScoreError, match=r"rung samples: 0: .* 2 images"):
        make_protocols(extractor, learned, rung_samples=0, samples=10)
