"""What holds for every rule, under every preset and with every loss."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gantune.config.loss_families import LOSSES
from gantune.health import PRESETS, RULES, History, Rule
from gantune.health.history import SIGNALS
from gantune.health.rules.rule import Kind
from tests.examples import examples
from tests.health.runs import BUDGET, calm, history_of


def rules_for(loss: str) -> list[tuple[str, Rule]]:
    """All rules that judge a loss, each as every preset has it."""
    family = LOSSES[loss].family
    found = [(preset, rule) for preset, rules in PRESETS.items() for rule in rules]
    return [(preset, rule) for preset, rule in found if family in rule.families]


NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.floats(-3, 3),
    st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, 1e-12, 1e12, 10**400, -(10**400)]),
)
TICKS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(SIGNALS, NUMBERS)), max_size=40)
HUGE = [{"step": 1.0, "g_update": 1e308}] * 2 + [{"step": 1.0, "g_update": 0.0}] * 6
"""Their sum is larger than any float."""
SCORES = st.lists(st.tuples(st.integers(0, 60), st.floats()), max_size=6)


def _checked(rule: Rule, history: History) -> None:
    verdict = rule.check(history)
    assert verdict == rule.check(history)
    if verdict is not None:
        assert verdict.rule == rule.name
        assert verdict.kind in get_args(Kind)
        assert verdict.at == history.now
        assert 0 <= verdict.since <= verdict.at
        assert verdict.unit == "kimg"
        assert not re.search(r"\b(nan|inf)\b", verdict.sentence)


@pytest.mark.parametrize("budget", [None, BUDGET])
@pytest.mark.parametrize("loss", LOSSES)
def test_empty_history_gives_none(loss: str, budget: float | None) -> None:
    history = History(LOSSES[loss], budget)
    for preset, rule in rules_for(loss):
        assert rule.check(history) is None, preset


@pytest.mark.parametrize("budget", [None, BUDGET, 1e4])
@pytest.mark.parametrize("loss", LOSSES)
def test_calm_run_gives_none_at_any_point(loss: str, budget: float | None) -> None:
    history = History(LOSSES[loss], budget)
    history.add_score(0.0, 200.0)
    for tick in calm(loss, 60):
        kimg = tick["kimg"] or 0.0
        history.add_tick(kimg, tick)
        if kimg % 10 == 0:
            history.add_score(kimg, 100.0 - kimg)
        for preset, rule in rules_for(loss):
            assert rule.check(history) is None, preset


@pytest.mark.parametrize("loss", LOSSES)
def test_run_without_any_signal_gives_none(loss: str) -> None:
    history = history_of(loss, [{"kimg": float(k)} for k in range(1, 60)])
    for preset, rule in rules_for(loss):
        assert rule.check(history) is None, preset


@pytest.mark.parametrize("loss", LOSSES)
@examples(50)
@example(ticks=HUGE, scores=[], budget=BUDGET)
@given(ticks=TICKS, scores=SCORES, budget=st.sampled_from([None, 0.5, 20.0, BUDGET, 1e5]))
def test_any_numbers_give_a_whole_verdict_or_none(
    loss: str, ticks: list[dict[str, Any]], scores: list[tuple[int, float]], budget: float | None
) -> None:
    history, later = History(LOSSES[loss], budget), dict(scores)
    rules = rules_for(loss)
    for kimg, tick in enumerate(ticks):
        history.add_tick(kimg, tick)
        if kimg in later:
            history.add_score(kimg, later[kimg])
        for _, rule in rules:
            _checked(rule, history)


def test_every_preset_has_every_rule_and_every_threshold_has_a_description() -> None:
    for preset, rules in PRESETS.items():
        assert [rule.name for rule in rules] == ([] if preset == "off" else list(RULES))
    for rule in RULES.values():
        assert rule.__doc__
        assert all(field.description for field in rule.model_fields.values()), rule.name


# A larger value of these thresholds stops more runs; of all others a smaller value does.
STRICTER_ABOVE = {
    ("collapsed_spread", "spread"),
    *(("discriminator_won", name) for name in ("loss", "movement", "rise")),
    ("critic_dead", "loss"),
    ("generator_vanished", "gradient"),
    ("generator_vanished", "step"),
    ("generator_idle", "distance"),
    ("generator_idle", "rise"),
    ("stillborn", "spread"),
    ("stillborn", "rise"),
}
STRICTER_BELOW = {
    ("non_finite", "skipped"),
    *(("exploding", name) for name in ("loss", "critic_loss", "gradient", "growth", "patience")),
    *(("collapsed_spread", name) for name in ("warm_up", "shortest", "patience")),
    ("discriminator_won", "progress"),
    ("discriminator_won", "patience"),
    ("critic_dead", "patience"),
    ("generator_vanished", "patience"),
    ("generator_vanished", "step_patience"),
    *(("generator_idle", name) for name in ("after", "shortest", "patience")),
    *(("cycling", name) for name in ("growth", "width", "turns", "patience")),
    *(("worsened", name) for name in ("lasting", "highest", "scores", "patience")),
    *(("stillborn", name) for name in ("goal", "after", "shortest", "patience", "fid")),
}


def test_every_threshold_has_a_direction() -> None:
    thresholds = {(rule.name, name) for rule in RULES.values() for name in rule.model_fields}
    assert thresholds == STRICTER_ABOVE | STRICTER_BELOW
    assert not STRICTER_ABOVE & STRICTER_BELOW


@pytest.mark.parametrize(("rule", "threshold"), sorted(STRICTER_ABOVE | STRICTER_BELOW))
def test_strict_stops_more_runs_than_default_and_lenient_fewer(rule: str, threshold: str) -> None:
    strict, default, lenient = (
        {found.name: found.model_dump() for found in PRESETS[preset]}[rule][threshold]
        for preset in ("strict", "default", "lenient")
    )
    if (rule, threshold) in STRICTER_ABOVE:
        assert strict >= default >= lenient
    else:
        assert strict <= default <= lenient
    assert strict != lenient
