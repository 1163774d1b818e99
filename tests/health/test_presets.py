from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import ConfigError
from gantune.health import PRESETS, RULES, Rule, read_stability
from gantune.io.yaml_document import parse_document


def by_name(rules: tuple[Rule, ...]) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_by_name(preset: str) -> None:
    assert read_stability(preset) == PRESETS[preset]
    assert read_stability({"preset": preset}) == PRESETS[preset]


def test_empty_mapping_is_the_default() -> None:
    assert read_stability({}) == PRESETS["default"]


def test_threshold_changes_one_rule_of_the_base() -> None:
    read = by_name(read_stability({"preset": "strict", "discriminator_won": {"loss": 0.001}}))
    strict = by_name(PRESETS["strict"])
    assert read["discriminator_won"].model_dump() == (
        strict["discriminator_won"].model_dump() | {"loss": 0.001}
    )
    assert {**read, "discriminator_won": None} == {**strict, "discriminator_won": None}


def test_rule_can_have_a_separate_preset() -> None:
    read = read_stability({"stillborn": "off", "exploding": "lenient"})
    assert [rule.name for rule in read] == [name for name in RULES if name != "stillborn"]
    assert by_name(read)["exploding"] == by_name(PRESETS["lenient"])["exploding"]


def test_single_rules_on_top_of_off() -> None:
    read = read_stability({"preset": "off", "stillborn": {"goal": 1}, "non_finite": "default"})
    assert [rule.name for rule in read] == ["non_finite", "stillborn"]
    assert by_name(read)["stillborn"].model_dump() == {
        "goal": 1.0,
        "after": 0.25,
        "shortest": 10.0,
        "spread": 0.2,
        "rise": 0.05,
        "patience": 0.2,
        "fid": 150.0,
    }


def test_every_problem_is_reported_with_its_place() -> None:
    text = """\
study: x
stability:
  preset: strickt
  discriminator_wun: off
  exploding: {los: 3, patience: 2}
  stillborn: maybe
  non_finite: {skipped: "1"}
"""
    document = parse_document(text, "space.yaml")
    with pytest.raises(ConfigError) as caught:
        read_stability(document.tree["stability"], document)
    assert str(caught.value).splitlines() == [
        "space.yaml:3:3: stability.preset: no preset 'strickt' (did you mean 'strict'?)",
        "space.yaml:4:3: stability.discriminator_wun: unknown rule "
        "(did you mean 'discriminator_won'?)",
        "space.yaml:5:15: stability.exploding.los: unknown threshold (did you mean 'loss'?)",
        "space.yaml:5:23: stability.exploding.patience: "
        "input should be less than or equal to 1, not 2",
        "space.yaml:6:3: stability.stillborn: no preset 'maybe'; "
        "known: default, strict, lenient, off",
        "space.yaml:7:16: stability.non_finite.skipped: input should be a valid number, not '1'",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            None,
            "a preset .default, strict, lenient, off. or a mapping of rules belongs here, not None",
        ),
        (False, "not False"),
        (["strict"], "or a mapping of rules"),
        ({"preset": None}, "no preset None"),
        ({"stillborn": None}, "no preset None"),
        ({"stillborn": False}, "no preset False"),
        ({"stillborn": {"goal": True}}, "should be a valid number, not True"),
        ({"stillborn": {"goal": 0}}, "greater than 0, not 0"),
        ({"stillborn": {"goal": float("nan")}}, "finite"),
        ({"stillborn": {1: 2}}, r"stability.stillborn.1: unknown threshold; known: goal, after"),
        ({3: "off"}, "stability.3: unknown rule"),
    ],
)
def test_wrong_value_is_a_config_error(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_stability(value)


NAMES = st.sampled_from(["preset", *RULES, "loss", "patience", "x"])
LEAVES = st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=4), st.just("off"))
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)


@given(TREES)
def test_any_tree_is_read_or_refused(tree: Any) -> None:
    try:
        rules = read_stability(tree)
    except ConfigError as error:
        assert error.problems
    else:
        assert [rule.name for rule in rules] == [n for n in RULES if n in by_name(rules)]
