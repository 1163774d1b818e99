"""Where runs come apart: what is planted is found, what is not there is not said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gantune.report.analysis.stability import RATIO, find_regions
from gantune.report.findings import about_regions, region_sentence
from gantune.tuner.records import TrialRecord
from tests.report.factory import outcome, trial


def _trials(dead: Sequence[bool], params: Sequence[dict[str, Any]]) -> list[TrialRecord]:
    return [
        trial(k, outcome("diverged", 9.0) if is_dead else outcome("completed", value=9.0), params=p)
        for k, (is_dead, p) in enumerate(zip(dead, params, strict=True))
    ]


def _random(count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "loss": ["vanilla", "wgan", "hinge"][k % 3],
            "generator.lr": float(10 ** rng.uniform(-5, -2)),
            "discriminator.lr": float(10 ** rng.uniform(-5, -2)),
            "batch_size": int(rng.choice([16, 32, 64])),
        }
        for k in range(count)
    ]


def _found(trials: Sequence[TrialRecord]) -> list[str]:
    stability = find_regions(trials, {record.number: record.params for record in trials})
    return list(about_regions(stability))


def test_a_rate_that_kills_is_found_with_its_counts() -> None:
    params = _random(40, seed=0)
    dead = [p["discriminator.lr"] > 2e-3 for p in params]
    trials = _trials(dead, params)
    stability = find_regions(trials, {record.number: record.params for record in trials})
    region = stability.regions[0]
    assert region.name == "discriminator.lr" and region.loss is None and region.is_danger
    assert (region.apart, region.runs) == (sum(dead), sum(dead))
    assert (region.others_apart, region.others) == (0, 40 - sum(dead))
    assert region.low is not None and region.low > 2e-3 and region.p <= 0.01
    assert region_sentence(region).startswith("D lr at ")
    assert f"{sum(dead)} of {sum(dead)} came apart; elsewhere 0 of {40 - sum(dead)}" in (
        region_sentence(region)
    )


def test_a_region_of_one_loss_alone_is_named_with_it() -> None:
    params = _random(90, seed=1)
    dead = [p["loss"] == "wgan" and p["generator.lr"] > 3e-4 for p in params]
    (sentence, *_) = _found(_trials(dead, params))
    assert sentence.startswith("G lr at ") and ", with wgan: " in sentence


def test_a_choice_and_a_ratio_are_regions_too() -> None:
    params = _random(60, seed=2)
    dead = [p["loss"] == "hinge" for p in params]
    assert _found(_trials(dead, params))[0].startswith("loss hinge: 20 of 20 came apart")
    dead = [p["discriminator.lr"] > 20 * p["generator.lr"] for p in params]
    trials = _trials(dead, params)
    stability = find_regions(trials, {record.number: record.params for record in trials})
    assert stability.regions[0].name == RATIO


def test_chance_alone_gives_a_sentence_in_one_search_of_twenty() -> None:
    false = 0
    for seed in range(30):
        dead = np.random.default_rng(100 + seed).random(30) < 0.3
        found = _found(_trials(dead.tolist(), _random(30, seed)))
        false += "no region differs" not in found[0]
    assert false <= 5  # 1.5 are expected; 6 or more come in one of 300 such tests


@pytest.mark.parametrize(
    ("dead", "said"),
    [
        ([False] * 8, "the whole map is alive"),
        ([True] * 8, "nothing on the map lives"),
        ([True, False] * 3, "no region differs from the rest"),
        ([], "No trial has ended"),
    ],
)
def test_where_nothing_can_be_said_that_is_said(dead: list[bool], said: str) -> None:
    (sentence,) = _found(_trials(dead, _random(len(dead), seed=3)))
    assert said in sentence


def test_crashes_and_full_memory_say_nothing_of_where_runs_live() -> None:
    trials = [
        trial(0, outcome("crashed", 1.0)),
        trial(1, outcome("out_of_memory", 0.0)),
        trial(2, None),
        trial(3, outcome("pruned", 10.0)),
    ]
    stability = find_regions(trials, {record.number: record.params for record in trials})
    assert (stability.runs, stability.apart) == (1, 0)
