"""Names of parameters and of runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gantune.report.wording import short_names, title
from tests.report.factory import finalist, trial


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
def test_short_names_are_unique(names: set[str]) -> None:
    assert len(set(short_names(names).values())) == len(names)


def test_runs_are_named_by_trial_and_seed() -> None:
    assert title(trial(7)) == "trial 7"
    assert title(finalist(2, origin=7, seed=3, ended=None)) == "trial 7, seed 3"
