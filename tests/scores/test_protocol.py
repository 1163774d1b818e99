"""Scores of two protocols never stand in one ranking."""

from __future__ import annotations

import re

import pytest

from gantune.errors import ScoreError
from gantune.scores import check_comparable, differing_fields
from gantune.scores.protocol import differing_text
from tests.canned import PROTOCOL, make_score


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
