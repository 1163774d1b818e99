"""Numbers, shares, durations and errors as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.io.formatting import (
    approximate_duration,
    count,
    duration,
    figure,
    format_ratio,
    format_value,
    gib,
    last_line,
    number,
    number_ranges,
    setting_duration,
    share,
    spoken_duration,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.1234e-4, "2.12e-4"),
        (2e-4, "2e-4"),
        (1e-10, "1e-10"),
        (0.5, "0.5"),
        (0.0123, "0.0123"),
        (12.0, "12"),
        (40.0, "40"),
        (1240.4, "1,240"),
        (999.9, "1,000"),
        (2e6, "2e6"),
        (0.0, "0"),
        (-0.25, "-0.25"),
        (64, "64"),
        (True, "true"),
        ("hinge", "hinge"),
        (None, "-"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


@given(st.floats(1e-12, 1e12))
def test_number_has_three_digits_and_is_short(value: float) -> None:
    text = number(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.01e-3)
    assert len(text) <= 8


def test_a_value_keeps_zeros_so_that_columns_compare() -> None:
    assert [format_value(value) for value in (8.1, 12.06, 105.0, 9.999)] == [
        "8.10",
        "12.1",
        "105",
        "10.0",
    ]
    assert format_value(0.5, digits=2) == "0.50"
    assert format_value(None) == "-"
    assert format_value(float("inf")) == "inf"


def test_durations() -> None:
    seconds = (0.2, 59.4, 130, 3900, 2 * 86400 + 3 * 3600)
    assert [duration(s) for s in seconds] == ["0s", "59s", "2m 10s", "1h 05m", "2d 03h"]
    assert [approximate_duration(s) for s in (3, 170, 9000)] == [
        "under a minute",
        "about 3 min",
        "about 2.5 h",
    ]
    assert [spoken_duration(s) for s in (12.4, 119, 300)] == ["12 s", "119 s", "5 minutes"]
    assert [setting_duration(seconds) for seconds in (8, 90, 600)] == ["8s", "90s", "10m"]


def test_a_share_above_zero_is_never_shown_as_zero() -> None:
    assert [share(value) for value in (0.0, 0.001, 0.25, 1.0)] == ["0%", "under 1%", "25%", "100%"]


def test_counts_are_grammatical() -> None:
    assert [count(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (12.0, "12"),
        (14_600.4, "14,600"),
        (2e7, "2e+07"),
        (math.inf, "1.8e+308"),
        (-math.inf, "-1.8e+308"),
    ],
)
def test_a_figure_is_finite_and_short(value: float, text: str) -> None:
    assert figure(value) == text


def test_ratios_and_sizes() -> None:
    assert [format_ratio(value) for value in (0.614, 1.0, None)] == ["0.61", "1.00", "-"]
    assert gib(1.5 * 2**30) == "1.5 GiB"


def test_a_traceback_is_summarised_by_its_last_line() -> None:
    assert last_line("Traceback\n  File\nKeyError: 'lr'\n\n") == "KeyError: 'lr'"
    assert last_line("") == ""


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([4], "4"),
        ([0, 1], "0 to 1"),
        ([9, 0, 1, 2, 5, 7, 8], "0 to 2, 5, 7 to 9"),
        (range(0, 30, 2), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, ..."),
    ],
)
def test_numbers_in_a_sentence(numbers: Sequence[int], text: str) -> None:
    assert number_ranges(numbers) == text
