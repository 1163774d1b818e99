"""Unstable regions: planted ones are found, and chance alone rarely gives one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gantune.report.analysis.outcomes import SLOW
from gantune.report.analysis.stability import RATIO, find_regions
from gantune.report.findings import about_regions
from gantune.trial.records import TrialRecord
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
    return [found.text for found in about_regions(stability)]


def test_an_unstable_learning_rate_is_found_with_its_counts() -> None:
    params = _random(40, seed=0)
    dead = [p["discriminator.lr"] > 2e-3 for p in params]
    trials = _trials(dead, params)
    stability = find_regions(trials, {record.number: record.params for record in trials})
    region = stability.regions[0]
    assert region.name == "discriminator.lr" and region.loss is None
    assert region.unstable * region.others > region.others_unstable * region.runs
    assert (region.unstable, region.runs) == (sum(dead), sum(dead))
    assert (region.others_unstable, region.others) == (0, 40 - sum(dead))
    assert region.low is not None and region.low > 2e-3 and region.p <= 0.01
    finding = about_regions(stability)[0]
    counts = f"{sum(dead)} of {sum(dead)} trials came apart; elsewhere 0 of {40 - sum(dead)}."
    assert finding.text.startswith("D lr at ") and finding.text.endswith(counts)
    assert re.search(r" and above, came apart: p (≤ )?0\.0\d+\.$", finding.details)


def test_a_region_within_one_loss_names_the_loss() -> None:
    params = _random(90, seed=1)
    dead = [p["loss"] == "wgan" and p["generator.lr"] > 3e-4 for p in params]
    (sentence, *_) = _found(_trials(dead, params))
    assert sentence.startswith("G lr at ") and ", with wgan: " in sentence


def test_a_choice_and_a_ratio_are_regions_too() -> None:
    params = _random(60, seed=2)
    dead = [p["loss"] == "hinge" for p in params]
    assert _found(_trials(dead, params))[0].startswith("loss hinge: 20 of 20 trials came apart")
    dead = [p["discriminator.lr"] > 20 * p["generator.lr"] for p in params]
    trials = _trials(dead, params)
    stability = find_regions(trials, {record.number: record.params for record in trials})
    assert stability.regions[0].name == RATIO


def test_chance_alone_gives_a_region_in_one_search_of_twenty() -> None:
    false = 0
    for seed in range(30):
        dead = np.random.default_rng(100 + seed).random(30) < 0.3
        found = _found(_trials(dead.tolist(), _random(30, seed)))
        false += "No region differs" not in found[0]
    assert false <= 5  # 1.5 are expected; 6 or more come in one of 300 such tests


@pytest.mark.parametrize(
    ("dead", "text"),
    [
        ([False] * 8, "None of 8 trials came apart."),
        ([True] * 8, "All 8 of 8 trials came apart, so no region stands out"),
        ([True, False] * 3, "No region differs from the rest"),
        ([], "No trial has completed or been stopped by a health rule yet"),
    ],
)
def test_without_a_region_the_sentence_says_so(dead: list[bool], text: str) -> None:
    (sentence,) = _found(_trials(dead, _random(len(dead), seed=3)))
    assert text in sentence


def test_crashes_and_full_memory_do_not_count() -> None:
    trials = [
        trial(0, outcome("crashed", 1.0)),
        trial(1, outcome("out_of_memory", 0.0)),
        trial(2, None),
        trial(3, outcome("pruned", 10.0)),
    ]
    stability = find_regions(trials, {record.number: record.params for record in trials})
    assert (stability.runs, stability.unstable) == (1, 0)


def test_what_came_apart_is_told_apart_from_what_was_too_slow() -> None:
    params = _random(60, seed=4)
    trials = [
        trial(k, outcome("stalled" if p["generator.lr"] < 1e-4 else "completed", 9.0), params=p)
        for k, p in enumerate(params)
    ]
    broken = [trial(60 + k, outcome("collapsed", 9.0), params=p) for k, p in enumerate(params[:5])]
    values = {record.number: record.params for record in [*trials, *broken]}
    apart = find_regions([*trials, *broken], values)
    assert (apart.runs, apart.unstable) == (65, 5)
    slow = find_regions([*trials, *broken], values, SLOW, "were too slow")
    count = sum(p["generator.lr"] < 1e-4 for p in params)
    assert (slow.runs, slow.unstable) == (60, count)  # those that came apart tell nothing of pace
    (finding, *_) = about_regions(slow)
    assert finding.text.startswith("G lr at ") and "trials were too slow; elsewhere" in finding.text
