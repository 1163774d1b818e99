"""Scores in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gantune.config.extractor import ScoreDtype
from gantune.scores import HeldOut, Score
from gantune.scores.text import (
    extra_metrics,
    few_samples_text,
    few_to_extrapolate_text,
    held_out_text,
    protocol_line,
    protocol_text,
)
from gantune.tuner.descriptions import mean_text, ranked_text
from gantune.tuner.finals.finalists import FinalistResult
from tests.canned import PROTOCOL, make_score

HELD_OUT = HeldOut(
    count=360, value=12.34, training=11.9, between=3.1, nearer_training=0.514, copying=0.4
)


def ranked(*scores: Score, seeds: int = 0) -> FinalistResult:
    return FinalistResult(3, False, tuple(range(1, 1 + (seeds or len(scores)))), scores, ())


@pytest.mark.parametrize(
    ("scores", "seeds", "text"),
    [
        (
            [(25.3, 0.3), (27.2, 0.4), (29.1, 0.5)],
            3,
            "27.2 ± 1.9 over 3 seeds (sampling error 0.41)",
        ),
        ([(25.3, 0.4), (29.1, 0.4)], 3, "27.2 ± 2.7 over 2 of 3 seeds (sampling error 0.40)"),
        ([(27.25, 0.4)], 3, "27.2 over 1 of 3 seeds (sampling error 0.40)"),
        ([(27.25, 12.0)], 1, "27.2 over 1 seed (sampling error 12)"),
    ],
)
def test_a_finalist_has_mean_deviation_and_sampling_error(
    scores: list[tuple[float, float]], seeds: int, text: str
) -> None:
    found = ranked(*(make_score(value, error=error) for value, error in scores), seeds=seeds)
    assert ranked_text(found) == text
    assert text.startswith(mean_text(found))


def test_a_finalist_s_companions_are_means_over_its_seeds() -> None:
    further = replace(HELD_OUT, value=13.34, training=10.9, nearer_training=0.614)
    found = ranked(
        make_score(1.0, recall=0.2, coverage=0.3, held_out=HELD_OUT),
        make_score(2.0, recall=0.4, coverage=0.5, held_out=further),
    )
    assert (found.recall, found.coverage) == (pytest.approx(0.3), pytest.approx(0.4))
    held_out = found.held_out
    assert held_out is not None and held_out.count == 360 and held_out.between == 3.1
    assert held_out.value == pytest.approx(12.84) and held_out.training == pytest.approx(11.4)
    assert held_out.nearer_training == pytest.approx(0.564)
    assert ranked(make_score(1.0)).held_out is None


def test_held_out_images_in_words() -> None:
    assert held_out_text("fid", HELD_OUT) == (
        "held-out images: no sign of copying; samples lie nearer to training images than held-out "
        "ones do in 51% of pairs (copies: 100%); fid of 360 images each: samples to held-out 12.3, "
        "samples to training 11.9, held-out to training 3.10"
    )


def test_copies_are_called_so() -> None:
    assert "no sign" not in held_out_text("fid", replace(HELD_OUT, copying=3.1))
    assert "the samples copy; " in held_out_text("fid", replace(HELD_OUT, copying=3.1))


@pytest.mark.parametrize(
    ("dtype", "end"), [("float32", "samples"), ("bfloat16", "samples in bfloat16")]
)
def test_a_protocol_in_short_has_a_number_format_that_is_not_the_usual_one(
    dtype: ScoreDtype, end: str
) -> None:
    protocol = replace(PROTOCOL, dtype=dtype)
    assert protocol_line(protocol) == f"protocol {protocol.hash}, {PROTOCOL.generated:,} {end}"


def test_a_protocol_is_listed_whole_without_what_says_nothing() -> None:
    lines = protocol_text(PROTOCOL).splitlines()
    assert lines[0] == f"protocol {PROTOCOL.hash}:"
    assert "  extractor: classifier-digits" in lines and "  accuracy: 0.98" in lines
    assert f"  data: {'d' * 64}" in lines and "  generated: 2000" in lines
    assert not any("held_out_data" in line for line in lines)
    bare = protocol_text(replace(PROTOCOL, accuracy=None, held_out_data="b" * 64, resolution=0))
    assert "accuracy" not in bare and f"held_out_data: {'b' * 64}" in bare
    assert "resolution: 0" in bare


def test_every_further_metric_has_one_name() -> None:
    found = extra_metrics(make_score(1.0, held_out=HELD_OUT))
    assert found["sampling_error"] == 0.1 and found["recall"] == 0.6
    assert found["balance"] is None and found["nearer_training"] == 0.514
    assert extra_metrics(None).keys() == extra_metrics(make_score(1.0)).keys() == found.keys()
    assert set(extra_metrics(None).values()) == {None}


@pytest.mark.parametrize(
    ("samples", "told"), [(2048, ""), (2047, "2,047 samples, fewer than the 2,048 features")]
)
def test_fewer_samples_than_features_are_told(samples: int, told: str) -> None:
    text = few_samples_text(samples, 2048)
    assert told in text and bool(text) == bool(told)


@pytest.mark.parametrize("samples", [100, 4095])
def test_an_extrapolation_from_few_samples_is_warned_of(samples: int) -> None:
    text = few_to_extrapolate_text(samples, 2048)
    assert text.startswith(f"half of {samples:,} samples") and "take 4,096 samples" in text
    assert few_to_extrapolate_text(4096, 2048) == ""
