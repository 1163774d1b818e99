"""Errors as text."""

from __future__ import annotations

from gantune.errors import first_line, summarize_error


def test_an_error_is_summarized_by_its_first_line() -> None:
    error = ValueError("no such key\nmore\n")
    assert first_line(error) == "no such key"
    assert summarize_error(error) == "ValueError: no such key"
    assert first_line(ValueError()) == summarize_error(ValueError()) == "ValueError"
