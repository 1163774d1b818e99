"""Every remedy keeps one contract: it makes a config that can be trained, and says what changes."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.config import make_config
from gantune.health.remedies import (
    REMEDIES,
    Change,
    Record,
    differences,
    kind_of,
    proposals,
    record,
    remedies_for,
    with_values,
)
from gantune.health.remedies.record import promise
from gantune.health.rules import RULES

CONFIGS = [
    make_config(tree)
    for tree in (
        {},
        {"loss": "minimax", "generator": {"lr": 5e-3}, "discriminator": {"lr": 5e-3}},
        {"generator": {"lr": 0.1, "beta1": 0.9}, "discriminator": {"lr": 0.1, "beta1": 0.99}},
        {"generator": {"lr": 10.0}, "discriminator": {"lr": 1e-9}},
        {"generator": {"lr": 1e-5, "beta1": 0.9}, "discriminator": {"lr": 1e-5, "clip_norm": 1.0}},
        {"batch_size": 65_536, "generator": {"optimizer": "sgd", "beta1": 0.9}},
        {"batch_size": 64, "accumulation": 32, "discriminator": {"optimizer": "rmsprop"}},
        {"loss": "wgan", "penalties": {"weight_clip": {}, "gradient_penalty": {"weight": 9_999.0}}},
        {"loss": "wgan", "penalties": {"weight_clip": {}}, "discriminator": {"steps": 100}},
        {"data": {"source": "gaussians:ring"}, "network": {"name": "mlp"}},
        {"loss": "lsgan", "label_smoothing": 0.2, "discriminator": {"norm": "batch", "steps": 5}},
        {"loss": "relativistic", "network": {"name": "r3gan"}, "penalties": {"r1_r2": {}}},
        {"loss": "hinge", "network": {"name": "resnet"}, "discriminator": {"norm": "spectral"}},
        {"network": {"name": "dcgan28"}, "ema": {"half_life": 0.0}, "instance_noise": {"std": 0.2}},
        {"augment": {"colour": True, "probability": "adaptive"}, "schedule": {"name": "cosine"}},
    )
]


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_makes_another_config_by_one_to_three_changes(name: str) -> None:
    remedy, applied = REMEDIES[name], 0
    for config in CONFIGS:
        changed = remedy.applied(config)
        if changed is None:
            continue
        applied += 1
        found = differences(config, changed)
        assert 1 <= len(found) <= 3, found
        assert make_config(changed.model_dump(mode="json")) == changed
    assert applied, "no config shows what it does"


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_says_what_it_does_why_and_who_proposed_it(name: str) -> None:
    remedy = REMEDIES[name]
    assert remedy.name == name
    assert remedy.advice[0].islower() and not remedy.advice.endswith(".")
    assert remedy.why[0].isupper() and remedy.why.endswith(".")
    assert any(letter.isdigit() for letter in remedy.source), "a source has a year"
    assert remedy.answers and remedy.answers <= RULES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_each_verdict_has_several_remedies(rule: str) -> None:
    found = remedies_for(rule)
    assert len(found) >= 5
    assert all(rule in remedy.answers for remedy in found)
    expected = [promise(remedy, rule) for remedy in found]
    assert expected == sorted(expected, reverse=True)


@pytest.mark.parametrize("rule", ["generator_idle", "stillborn"])
def test_larger_steps_come_first_where_a_run_was_too_slow(rule: str) -> None:
    names = [remedy.name for remedy in remedies_for(rule)]
    assert names.index("fast_rates") < min(map(names.index, ("usual_rates", "lower_g_lr", "r1")))


@pytest.mark.parametrize("rule", RULES)
def test_proposals_are_of_different_kinds(rule: str) -> None:
    kinds = [kind_of(one.remedy) for one in proposals(rule)]
    assert len(kinds) == len(set(kinds)) == 3


def test_what_made_none_of_many_runs_train_well_is_not_proposed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = {"usual_rates": Record(10, 9, 0), "hinge": Record(9, 9, 0), "r1": Record(30, 1, 1)}
    monkeypatch.setattr(record, "_records", lambda: {"exploding": entries})
    names = [one.remedy.name for one in proposals("exploding")]
    assert names[0] == "hinge" and "usual_rates" not in names
    assert "usual_rates" in [remedy.name for remedy in remedies_for("exploding")]


@pytest.mark.parametrize("rule", ["exploding", "collapsed_spread", "critic_dead"])
def test_a_critic_that_nothing_bounds_is_bounded_first(rule: str) -> None:
    config = make_config({"loss": "wgan"})
    assert config.has_unbounded_critic
    first = proposals(rule, config)[0]
    assert first.remedy.name in ("r1", "gradient_penalty", "spectral_norm", "hinge")
    bounded = make_config({"loss": "wgan", "penalties": {"weight_clip": {}}})
    assert not bounded.has_unbounded_critic
    usual = [remedy.name for remedy in remedies_for(rule)]
    assert [remedy.name for remedy in remedies_for(rule, bounded)] == usual


def test_advice_for_any_trainer_begins_with_what_saved_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = {"hinge": Record(4, 4, 4), "r1": Record(4, 0, 0), "more_d_steps": Record(4, 1, 0)}
    monkeypatch.setattr(record, "_records", lambda: {"exploding": entries})
    first = [one.remedy.name for one in proposals("exploding")]
    assert first[:2] == ["hinge", "more_d_steps"] and "r1" not in first
    known = [one.remedy.name for one in proposals("exploding", make_config({}))]
    assert known[0] == "hinge" and "r1" not in known


def test_a_record_in_words() -> None:
    text = str(Record(22, 21, 12))
    assert text == "of 22 runs that failed so 21 survived, 12 trained well"


CASES: list[tuple[str, dict[str, Any], list[Change]]] = [
    ("lower_d_lr", {}, [Change("discriminator.lr", 2e-4, 5e-5)]),
    (
        "usual_rates",
        {"generator": {"lr": 5e-3}},
        [Change("generator.lr", 5e-3, 2e-4)],
    ),
    ("non_saturating", {"loss": "minimax"}, [Change("loss", "minimax", "vanilla")]),
    ("non_saturating", {"loss": "hinge"}, []),
    (
        "hinge",
        {"label_smoothing": 0.1},
        [Change("loss", "vanilla", "hinge"), Change("label_smoothing", 0.1, 0.0)],
    ),
    ("r1", {}, [Change("penalties.r1", None, {"weight": "auto", "interval": 16})]),
    ("r1", {"penalties": {"gradient_penalty": {}}}, []),
    (
        "stronger_penalty",
        {"penalties": {"r1": {"weight": 2.0}}},
        [Change("penalties.r1.weight", 2.0, 20.0)],
    ),
    ("stronger_penalty", {}, []),
    (
        "spectral_norm",
        {"loss": "wgan", "penalties": {"weight_clip": {"limit": 0.1}}},
        [
            Change("penalties.weight_clip", {"limit": 0.1}, None),
            Change("discriminator.norm", "none", "spectral"),
        ],
    ),
    (
        "lower_beta1",
        {"generator": {"beta1": 0.9}, "discriminator": {"beta1": 0.0}},
        [Change("generator.beta1", 0.9, 0.5)],
    ),
    ("lower_beta1", {"generator": {"optimizer": "sgd"}, "discriminator": {"optimizer": "sgd"}}, []),
    ("larger_batch", {"batch_size": 256}, []),
    ("warm_up", {"kimg": 20}, [Change("schedule.warmup", 0.0, 2.0)]),
    ("one_d_step", {}, []),
    (
        "fast_rates",
        {"generator": {"lr": 1e-5}},
        [Change("generator.lr", 1e-5, 1e-3), Change("discriminator.lr", 2e-4, 1e-3)],
    ),
    ("fast_rates", {"generator": {"lr": 5e-3}}, [Change("discriminator.lr", 2e-4, 1e-3)]),
    ("fast_rates", {"generator": {"lr": 1e-3}, "discriminator": {"lr": 2e-3}}, []),
    (
        "fastest_rates",
        {"discriminator": {"lr": 2.5e-3}},
        [Change("generator.lr", 2e-4, 2.5e-3)],
    ),
    ("capped_rates", {"generator": {"lr": 1e-3}}, []),
    ("capped_rates", {"discriminator": {"lr": 0.5}}, [Change("discriminator.lr", 0.5, 1e-3)]),
    (
        "capped_adam",
        {"generator": {"lr": 5e-3, "beta1": 0.9}, "discriminator": {"beta1": 0.6}},
        [
            Change("generator.lr", 5e-3, 1e-3),
            Change("generator.beta1", 0.9, 0.5),
            Change("discriminator.beta1", 0.6, 0.5),
        ],
    ),
    (  # where all four are high, the higher beta1
        "capped_adam",
        {"generator": {"lr": 1.0, "beta1": 0.6}, "discriminator": {"lr": 0.1, "beta1": 0.9}},
        [
            Change("generator.lr", 1.0, 1e-3),
            Change("discriminator.lr", 0.1, 1e-3),
            Change("discriminator.beta1", 0.9, 0.5),
        ],
    ),
    ("capped_adam", {"generator": {"lr": 5e-3}, "discriminator": {"beta1": 0.5}}, []),
    ("capped_adam", {"generator": {"beta1": 0.9}}, []),
    (
        "capped_adam",
        {"generator": {"optimizer": "rmsprop", "lr": 0.1}, "discriminator": {"beta1": 0.9}},
        [Change("generator.lr", 0.1, 1e-3), Change("discriminator.beta1", 0.9, 0.5)],
    ),
    ("fast_g_lr", {}, [Change("generator.lr", 2e-4, 1e-3)]),
    ("fast_g_lr", {"generator": {"lr": 2e-3}}, []),
    *(
        (name, {"generator": {"optimizer": "sgd", "lr": 1e-5}, "discriminator": {"lr": 2e-4}}, [])
        for name in ("usual_rates", "fast_g_lr")
    ),
    (
        "fast_rates",
        {"generator": {"optimizer": "sgd", "lr": 1e-5}},
        [Change("discriminator.lr", 2e-4, 1e-3)],
    ),
]


@pytest.mark.parametrize(("name", "given", "expected"), CASES)
def test_what_a_remedy_changes(name: str, given: dict[str, Any], expected: list[Change]) -> None:
    config = make_config(given)
    changed = REMEDIES[name].applied(config)
    assert (differences(config, changed) if changed else []) == expected


def test_values_are_set_in_a_copy() -> None:
    tree = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_values(tree, {"a.b": 5, "d": None}) == {"a": {"b": 5, "c": 2}, "d": None}
    assert tree == {"a": {"b": 1, "c": 2}, "d": 3}


def test_little_evidence_is_drawn_towards_what_all_remedies_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = {
        "lower_d_lr": Record(30, 30, 28),
        "hinge": Record(3, 3, 3),
        "r1": Record(30, 20, 0),  # what it saves trains badly
        "augment": Record(30, 1, 0),
    }
    monkeypatch.setattr(record, "_records", lambda: {"exploding": entries})
    order = sorted(entries, key=lambda name: -promise(REMEDIES[name], "exploding"))
    assert order == ["lower_d_lr", "hinge", "r1", "augment"]
    tried = sum(one.tried for one in entries.values())
    unknown = promise(REMEDIES["spectral_norm"], "exploding")
    assert unknown == pytest.approx((31 + 54) / 2 / tried)
    assert promise(REMEDIES["hinge"], "cycling") == 0
