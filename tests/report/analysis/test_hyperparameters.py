"""Which settings matter, and when the data cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

from gantune.report.analysis.hyperparameters import hyperparameter_importance
from gantune.report.findings import about_importance
from gantune.trial.records import TrialRecord
from tests.report.factory import outcome, trial


def _trials(count: int, seed: int, weight: float) -> list[TrialRecord]:
    """Scores depend on one of three settings, by ``weight``, and on noise."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        lr = float(10 ** rng.uniform(-5, -2))
        params = {
            "generator.lr": lr,
            "batch_size": int(rng.choice([16, 32, 64])),
            "loss": str(rng.choice(["hinge", "wgan"])),
        }
        value = 100 + weight * abs(np.log10(lr) + 3) + float(rng.standard_normal())
        made.append(trial(number, outcome("completed", value=value), params=params))
    return made


def test_the_decisive_setting_comes_first_with_its_interval() -> None:
    found = hyperparameter_importance(_trials(60, seed=0, weight=8.0))
    first, *others = found
    assert first.name == "generator.lr" and first.is_supported and first.share > 0.5
    assert first.low < first.share < first.high and first.low > first.chance
    assert not any(one.is_supported for one in others)
    finding = about_importance(found)
    assert finding.text.startswith("What matters: G lr. The effect of 2 other settings may be")
    assert finding.details.startswith(f"G lr {first.share:.0%} ({first.low:.0%} to ")
    assert finding.details.endswith("p ≤ 0.001.")


def test_settings_without_effect_are_not_ranked() -> None:
    false = 0
    for seed in range(20):
        found = hyperparameter_importance(_trials(24, seed=seed, weight=0.0))
        false += any(one.is_supported for one in found)
    assert false <= 4  # 1 is expected
    found = hyperparameter_importance(_trials(24, seed=3, weight=0.0))
    assert "do not support a ranking" in about_importance(found).text


def test_few_trials_give_no_importance() -> None:
    assert hyperparameter_importance(_trials(9, seed=0, weight=8.0)) == []
    assert "too few" in about_importance([]).text


@pytest.mark.parametrize("shared", [0, 1])
def test_a_setting_with_nearly_as_many_values_as_trials_tells_nothing(shared: int) -> None:
    trials = _trials(14, seed=2, weight=0.0)
    for record in trials:
        record.params["remedy"] = str(max(record.number, shared))  # type: ignore[index]
    found = {one.name: one for one in hyperparameter_importance(trials)}
    assert "batch_size" in found and ("remedy" in found) == bool(shared)
    if shared:
        assert not found["remedy"].is_supported


def test_a_setting_that_only_some_trials_have_is_judged_among_them() -> None:
    trials = _trials(40, seed=1, weight=8.0)
    for record in trials[:15]:
        record.params["penalties.r1.weight"] = float(record.number)  # type: ignore[index]
    (some,) = [one for one in hyperparameter_importance(trials) if one.name.startswith("penalties")]
    assert some.trials == 15


def test_unstable_trials_count_as_the_worst() -> None:
    trials = _trials(30, seed=2, weight=0.0)
    dead = [
        trial(30 + k, outcome("diverged", 4.0), params={**trials[k].params, "loss": "minimax"})
        for k in range(10)
    ]
    first = hyperparameter_importance([*trials, *dead])[0]
    assert first.name == "loss" and first.is_supported
