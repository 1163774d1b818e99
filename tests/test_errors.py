"""Errors as text."""

from __future__ import annotations

import pickle

import pytest

from gantune.errors import (
    ConfigError,
    DataError,
    GantuneError,
    Problem,
    bounded,
    first_line,
    summarize_error,
)


def test_an_error_is_summarized_by_its_first_line() -> None:
    error = ValueError("no such key\nmore\n")
    assert first_line(error) == "no such key"
    assert summarize_error(error) == "ValueError: no such key"
    assert first_line(ValueError()) == summarize_error(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    "text",
    ["", "a\nb", "x" * 5_000_000, "line\n" * 1_000_000, ("x" * 5_000 + "\n") * 100, "é" * 1_001],
)
def test_a_message_is_bounded_whatever_it_repeats(text: str) -> None:
    shown = bounded(text)
    assert len(shown) < 20_100 and bounded(shown) == shown
    assert shown[:300] == text[:300] and shown[-5:] == text[-5:]
    assert (shown == text) == (len(text) < 1_000)
    for error in (GantuneError(text), DataError(text), ConfigError([Problem(text)] * 100)):
        assert len(str(error)) < 20_100
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_shortened_list_says_how_many_lines_are_missing() -> None:
    error = ConfigError([Problem("wrong", "f.yaml", line) for line in range(1, 100_001)])
    lines = str(error).splitlines()
    assert lines[0] == "f.yaml:1:1: wrong" and lines[-1] == "f.yaml:100000:1: wrong"
    (left_out,) = [line for line in lines if "more lines" in line]
    assert left_out == f"... ({100_000 - len(lines) + 1:,} more lines)"
    assert len(error.problems) == 100_000
