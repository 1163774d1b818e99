"""Remedies that a space declares for a trainer of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import make_external_config
from gantune.errors import ConfigError
from gantune.health.remedies import REMEDIES, differences, kind_of
from gantune.io.yaml_document import Document, parse_document
from gantune.space.remedies import declared_remedies, variants

OWN = make_external_config(
    "mine:train",
    {"kimg": 1, "lr": 0.02, "critic": {"lr": 1e-3, "steps": 3}, "norm": "batch", "clip": None},
)


def test_a_user_declares_remedies_as_values_and_multiples() -> None:
    declared: dict[str, dict[str, Any]] = {
        "slower": {"lr": "0.25x", "critic.steps": "0.1x"},
        "lower_d_lr": {"critic.lr": 5e-4},
    }
    slower, lower = declared_remedies(declared, OWN, Document({}))
    changed = slower.applied(OWN)
    assert changed is not None
    assert changed.mapping()["lr"] == 0.005 and changed.mapping()["critic"]["steps"] == 1
    changes = [str(change) for change in differences(OWN, changed)]
    assert changes == ["lr 0.02 → 5e-3", "critic.steps 3 → 1"]
    assert (slower.name, lower.advice) == ("slower", REMEDIES["lower_d_lr"].advice)


@pytest.mark.parametrize(
    ("value", "own", "values"),
    [
        ({"low": 1e-5, "high": 1e-3, "log": True}, "lr", [1e-5, 1e-4, 1e-3]),
        ({"low": 0, "high": 1}, "lr", [0.0, 0.5, 1.0]),
        ({"low": 0.99991, "high": 0.99995}, "lr", [0.99991, 0.99993, 0.99995]),
        ({"low": 1, "high": 10}, "clip", [1, 6, 10]),
        ({"low": 0.5, "high": 1.5}, "clip", [0.5, 1.0, 1.5]),
        ({"low": 0.1, "high": 0.95, "step": 0.2}, "lr", [0.1, 0.5, 0.9]),
        ({"low": 1, "high": 6}, "critic.steps", [1, 4, 6]),
        ({"low": 1, "high": 2}, "critic.steps", [1, 2]),
        ({"choices": ["0.5x", "2x", 7]}, "critic.steps", [2, 6, 7]),
        ({"choices": ["layer", "none"]}, "norm", ["layer", "none"]),
    ],
)
def test_an_open_value_stands_for_a_remedy_for_each_of_a_few(
    value: dict[str, Any], own: str, values: list[Any]
) -> None:
    found = declared_remedies({"other": {own: value, "critic.lr": 5e-4}}, OWN, Document({}))
    assert [remedy.name for remedy in found] == [f"other:{k + 1}" for k in range(len(values))]
    for remedy, expected in zip(found, values, strict=True):
        changed = remedy.applied(OWN)
        assert changed is not None
        after = {change.path: change.after for change in differences(OWN, changed)}
        assert after == {own: pytest.approx(expected), "critic.lr": 5e-4}
        assert type(after[own]) is type(expected)


@pytest.mark.parametrize("value", [{"choices": [0.1]}, {"low": 0.1, "high": 0.1}])
def test_an_open_value_of_one_value_is_one_remedy(value: dict[str, Any]) -> None:
    (found,) = declared_remedies({"one": {"lr": value}}, OWN, Document({}))
    assert found.name == "one"


@given(
    low=st.floats(1e-300, 1e300), high=st.floats(1e-300, 1e300), log=st.booleans(), data=st.data()
)
def test_the_middle_of_a_range_lies_in_it(low: float, high: float, log: bool, data: Any) -> None:
    low, high = sorted((low, high))
    step = data.draw(st.none() | st.floats((high - low) / 1000, high - low)) if not log else None
    tree = {"low": low, "high": high, "log": log, **({"step": step} if step else {})}
    found = declared_remedies({"a": {"lr": tree}}, OWN, Document({}))
    for remedy in found:
        value = remedy.changes(OWN)["lr"]
        assert low <= value <= high
    assert 1 <= len(found) <= 3


def test_remedies_of_one_kind_are_not_paired() -> None:
    declared: dict[str, dict[str, Any]] = {
        "lower_d_lr": {"critic.lr": {"choices": ["0.5x", "0.25x"]}},
        "lower_g_lr": {"lr": "0.25x"},
        "wider": {"critic.steps": 5},
    }
    found = declared_remedies(declared, OWN, Document({}))
    assert [kind_of(remedy) for remedy in found] == ["rates", "rates", "rates", "declared wider"]
    assert [name for name in variants(OWN, found) if "+" in name] == [
        "lower_d_lr:1+wider",
        "lower_d_lr:2+wider",
        "lower_g_lr+wider",
    ]


def test_declared_remedies_that_do_not_fit_are_all_told_with_their_places() -> None:
    text = """remedies:
  a: {lrr: 0.5x}
  b: {critic: 2x, kimg: 0.1x}
  a+b: {lr: 2x}
  c: {norm: 2x}
  d: {lr: {low: 2, high: 1}}
  e: {lr: {low: 0.5, high: 2, times: lr}}
  f: {lr: {low: 1, high: 2}, critic.lr: {low: 1, high: 2}}
  g: {lr: {min: 1e-5, max: 1e-3}}
  as_it_is: {lr: 1.0}
  h: {lr: {choices: [[1, 2], 3]}}
  i: {lr: {uniform: yes}}
  j: {norm: {low: 0.1, high: 0.5}}
  k: {lr: .5x}
  l: {lr: {choices: [.5x, 1]}}
  m: {lr: {low: 0.5x, high: 2x}}
"""
    document = parse_document(text, "space.yaml")
    with pytest.raises(ConfigError) as refused:
        declared_remedies(document.tree["remedies"], OWN, document)
    expected = [
        ("2:7", "remedies.a: the config has no setting 'lrr' (did you mean 'lr'?)"),
        ("3:7", "remedies.b: the config has no setting 'critic'"),
        ("3:19", "remedies.b: kimg makes another run of it"),
        ("4:3", "remedies: 'a+b' cannot name a remedy; letters"),
        ("5:7", "remedies.c: norm is batch, which has no multiple 2x"),
        ("6:12", "remedies.d: low (2) lies above high (1)"),
        ("7:7", "remedies.e: multiples of the config's value are written {choices: [0.5x, 0.25x]}"),
        ("8:30", "remedies.f: a second open value; declare a remedy for each"),
        ("9:7", "remedies.g: a distribution is written {low: 1e-5, high: 1e-3} here"),
        ("10:3", "remedies: 'as_it_is' cannot name a remedy; it is what the config itself is"),
        ("11:12", "remedies.h: a choice is a single value; declare a remedy for each"),
        ("12:7", "remedies.i: a value belongs here, not {uniform: yes}"),
        ("13:7", "remedies.j: norm is batch; a range needs a number, so use choices"),
        ("14:7", "remedies.k: lr is 0.02; '.5x' is no number and no multiple such as 0.25x"),
        ("15:7", "remedies.l: lr is 0.02; '.5x' is no number and no multiple such as 0.25x"),
        ("16:7", "remedies.m: multiples of the config's value are written"),
    ]
    lines = str(refused.value).splitlines()
    assert len(lines) == len(expected), lines
    for line, (place, message) in zip(lines, expected, strict=True):
        assert line.startswith(f"space.yaml:{place}: {message}"), line


def test_remedies_have_a_largest_number() -> None:
    declared = {"many": {"lr": {"choices": [k / 1000 for k in range(201)]}}}
    with pytest.raises(ConfigError, match="remedies: 201 changes"):
        declared_remedies(declared, OWN, Document({}))
