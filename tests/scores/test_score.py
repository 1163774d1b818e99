"""Scores contain their protocol and return from JSON unchanged; two protocols are never ranked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from gantune.data import ImageSet
from gantune.data.image_set import SUBSET_SEED
from gantune.errors import ScoreError
from gantune.scores import (
    HeldOut,
    Protocol,
    RealImages,
    Score,
    check_comparable,
    differing_fields,
    make_protocols,
    missing_classes,
    resolve_extractor,
    warnings,
)
from gantune.scores.real_features import features_folder
from gantune.scores.score import FurtherScore, differing_text, extrapolated_name
from tests.canned import PROTOCOL, make_score
from tests.canned import PROTOCOL as BASE
from tests.scores.conftest import part_of


def test_comes_back_from_json_as_it_went() -> None:
    held_out = HeldOut(
        count=9, value=1.0, training=2.0, between=0.5, nearer_training=0.5, copying=0.4
    )
    other = make_score(1.0, extractor="random").protocol
    further = FurtherScore("fid[random]", 2.0, 0.5, other)
    for score in (
        make_score(3.0),
        make_score(3.0, classes={"a": 0.5, "b": 0.5}, real_classes={"a": 0.1, "b": 0.9}),
        make_score(3.0, held_out=held_out),
        make_score(3.0, also=(further,)),
    ):
        tree = json.loads(json.dumps(score.to_dict()))
        assert Score.from_dict(tree) == score
        assert (tree["name"], tree["protocol"]["hash"]) == (score.name, PROTOCOL.hash)


def test_balance_is_what_the_shares_have_in_common() -> None:
    def balance(**shares: float) -> float | None:
        return make_score(1.0, classes=shares, real_classes={"a": 0.5, "b": 0.5}).balance

    assert balance(a=0.5, b=0.5) == 1
    assert balance(a=1.0, b=0.0) == 0.5
    assert balance(a=0.7, b=0.3) == pytest.approx(0.8)
    assert make_score(1.0).balance is None


def score(classes: dict[str, float] | None, spread: float = 1.0, generated: int = 1000) -> Score:
    real = {name: 1 / len(classes) for name in classes} if classes else None
    return make_score(1.0, generated=generated, spread=spread, classes=classes, real_classes=real)


def test_a_class_below_a_tenth_of_its_share_is_missing() -> None:
    assert missing_classes(score({"a": 0.04, "b": 0.96})) == ["a"]
    assert missing_classes(score({"a": 0.06, "b": 0.94})) == []


def test_a_class_that_chance_could_hide_is_not_missing() -> None:
    assert missing_classes(score({"a": 0.0, "b": 1.0}, generated=39)) == []
    assert missing_classes(score({"a": 0.0, "b": 1.0}, generated=40)) == ["a"]


def test_without_classes_none_is_missing() -> None:
    assert missing_classes(score(None)) == []
    assert warnings(score(None)) == []


def test_warnings_say_what_is_lost() -> None:
    (lost,) = warnings(score({"cat": 0.0, "dog": 1.0}))
    assert lost == "lost 1 of 2 classes: cat"
    (narrow,) = warnings(score({"cat": 0.5, "dog": 0.5}, spread=0.1))
    assert "0.10 times" in narrow
    assert len(warnings(score({"cat": 0.0, "dog": 1.0}, spread=0.1))) == 2


def test_many_lost_classes_are_cut_short() -> None:
    (lost,) = warnings(score({str(i): float(i == 0) for i in range(20)}))
    assert lost == "lost 19 of 20 classes: 1, 2, 3, 4, 5, 6, 7, 8, ..."


def test_records_and_flags_need_no_torch() -> None:
    code = (
        "import sys; from gantune.scores import Score, Protocol, warnings; "
        "import gantune.scores.score; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    import gantune.scores

    for name in gantune.scores.__all__:
        assert getattr(gantune.scores, name).__name__ == name


def test_one_protocol_may_be_ranked() -> None:
    check_comparable([])
    check_comparable([make_score(1.0), make_score(2.0)])


def test_two_protocols_are_refused_with_the_fields_that_differ() -> None:
    other = make_score(2.0, generated=500, resize="64 rgb")
    with pytest.raises(ScoreError) as caught:
        check_comparable([make_score(1.0), other])
    text = str(caught.value)
    assert PROTOCOL.hash in text and other.protocol.hash in text
    assert re.findall(r"\n  (\w+): ", text) == ["resize", "generated"]
    assert "generated: 2000 against 500" in text


def test_equal_protocols_do_not_differ() -> None:
    assert differing_fields(PROTOCOL, make_score(1.0).protocol) == []


def test_what_differs_as_the_lines_of_an_error() -> None:
    other = make_score(2.0, generated=500, resize="64 rgb").protocol
    first, second = differing_fields(PROTOCOL, other)
    assert differing_text(PROTOCOL, other) == f"  {first}\n  {second}"


CPU = torch.device("cpu")
_OF_THE_SAMPLES = {
    "generated",
    "latent_seed",
    "kept",
    "recall_neighbours",
    "coverage_neighbours",
    "held_out_data",
}


def changed_in(field: str) -> Protocol:
    value = getattr(BASE, field)
    return replace(BASE, **{field: f"{value}x" if isinstance(value, str) else value + 1})


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_every_field_changes_the_hash(field: str) -> None:
    value = getattr(BASE, field)
    changed = changed_in(field)
    assert changed.hash != BASE.hash
    assert replace(changed, **{field: value}).hash == BASE.hash


def test_only_the_real_side_names_the_cache_entry() -> None:
    for field in (field.name for field in fields(Protocol)):
        is_same = features_folder(changed_in(field), CPU) == features_folder(BASE, CPU)
        assert is_same == (field in _OF_THE_SAMPLES)


def test_only_inception_is_called_plain_fid() -> None:
    assert replace(BASE, extractor="inception").score_name == "fid"
    assert BASE.score_name == "fid[classifier-digits]"


def test_names_of_distances() -> None:
    def name(extractor: str) -> str:
        return make_score(1.0, extractor=extractor).name

    assert name("dinov2-b14") == "fd[dinov2-b14]"
    assert extrapolated_name(name("inception")) == "fid_inf"
    assert extrapolated_name(name("dinov2-b14")) == "fd_inf[dinov2-b14]"


def test_protocols_state_data_extractor_and_counts(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("auto", learned, tmp_path)
    protocols = make_protocols(extractor, RealImages(learned), rung_samples=10, samples=20)
    assert protocols.rung == Protocol(
        data=learned.content_hash,
        resolution=32,
        colour="gray",
        split="train",
        extractor="classifier-digits",
        weights=extractor.weights_hash,
        accuracy=extractor.accuracy,
        resize="32 gray, bilinear, antialiased",
        dtype="float32",
        real=900,
        generated=10,
        latent_seed=protocols.rung.latent_seed,
        kept=10,
        recall_neighbours=3,
        coverage_neighbours=5,
        held_out_data="",
        subset_seed=SUBSET_SEED,
    )
    assert protocols.full.generated == 20
    assert protocols.full.latent_seed != protocols.rung.latent_seed


def test_one_sample_is_refused(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("random", learned, tmp_path)
    with pytest.raises(ScoreError, match=r"samples: 1; .* 2 images"):
        make_protocols(extractor, RealImages(learned), rung_samples=10, samples=1)
    with pytest.raises(ScoreError, match=r"rung samples: 0; .* 2 images"):
        make_protocols(extractor, RealImages(learned), rung_samples=0, samples=10)


def test_few_images_have_fewer_neighbours(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("random", learned, tmp_path)
    made = make_protocols(extractor, RealImages(learned), rung_samples=2, samples=5)
    neighbours = [(p.kept, p.recall_neighbours, p.coverage_neighbours) for p in vars(made).values()]
    assert neighbours == [(2, 1, 1), (5, 3, 4)]


def test_held_out_images_are_part_of_it(
    learned: ImageSet, others: ImageSet, tmp_path: Path
) -> None:
    extractor = resolve_extractor("random", learned, tmp_path)
    real = RealImages(learned, part_of(others, slice(0, 100)))
    assert real.held_out is not None
    made = make_protocols(extractor, real, rung_samples=10, samples=10)
    assert made.full.held_out_data == real.held_out.content_hash
