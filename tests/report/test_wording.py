from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.io.formatting import approximate_duration, count, duration, format_value, number, share
from gantune.report.wording import short_names, title
from tests.report.factory import finalist, trial


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
def test_number_is_true_to_three_digits_and_short(value: float) -> None:
    text = number(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.01e-3)
    assert len(text) <= 8


def test_fixed_keeps_zeros_so_that_columns_compare() -> None:
    assert [format_value(value) for value in (8.1, 12.06, 105.0, 9.999)] == [
        "8.10",
        "12.1",
        "105",
        "10.0",
    ]
    assert format_value(0.5, digits=2) == "0.50"
    assert format_value(None) == "-"
    assert format_value(float("inf")) == "inf"


def test_times() -> None:
    seconds = (0.2, 59.4, 130, 3900, 2 * 86400 + 3 * 3600)
    assert [duration(s) for s in seconds] == ["0s", "59s", "2m 10s", "1h 05m", "2d 03h"]
    assert [approximate_duration(s) for s in (3, 170, 9000)] == [
        "under a minute",
        "about 3 min",
        "about 2.5 h",
    ]


def test_a_share_of_something_is_never_nothing() -> None:
    assert [share(value) for value in (0.0, 0.001, 0.25, 1.0)] == ["0%", "under 1%", "25%", "100%"]


def test_counts_are_grammatical() -> None:
    assert [count(n, "trial") for n in (0, 1, 2000)] == ["0 trials", "1 trial", "2,000 trials"]


def test_names_of_parameters_are_short() -> None:
    short = short_names(
        [
            "generator.lr",
            "discriminator.lr/generator.lr",
            "batch_size",
            "penalties.r1.weight",
            "penalties.weight_clip.limit",
            "network.width",
            "loss",
        ]
    )
    assert list(short.values()) == [
        "G lr",
        "D lr/G lr",
        "batch",
        "r1 weight",
        "clip limit",
        "width",
        "loss",
    ]


_PLACES = ["generator", "discriminator", "penalties", "network", "r1", "batch_size", "batch", "lr"]


@given(st.sets(st.lists(st.sampled_from(_PLACES), min_size=1, max_size=3).map(".".join)))
def test_no_two_parameters_get_one_name(names: set[str]) -> None:
    assert len(set(short_names(names).values())) == len(names)


def test_runs_are_called_by_trial_and_seed() -> None:
    assert title(trial(7)) == "trial 7"
    assert title(finalist(2, origin=7, seed=3, ended=None)) == "trial 7, seed 3"
