"""Remedies that a space declares for a trainer of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.config import make_external_config
from gantune.errors import ConfigError
from gantune.health.remedies import REMEDIES, differences, kind_of
from gantune.io.yaml_document import Document, parse_document
from gantune.space.remedies import declared_remedies, variants

OWN = make_external_config(
    "mine:train", {"kimg": 1, "lr": 0.02, "critic": {"lr": 1e-3, "steps": 3}, "norm": "batch"}
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
        ({"low": 0, "high": 1}, "lr", [0, 0.5, 1]),
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
    assert [remedy.name for remedy in found] == [f"other_{k + 1}" for k in range(len(values))]
    for remedy, expected in zip(found, values, strict=True):
        changed = remedy.applied(OWN)
        assert changed is not None
        after = {change.path: change.after for change in differences(OWN, changed)}
        assert after == {own: pytest.approx(expected), "critic.lr": 5e-4}


def test_a_range_of_one_value_is_one_remedy() -> None:
    (found,) = declared_remedies({"one": {"lr": {"choices": [0.1]}}}, OWN, Document({}))
    assert found.name == "one"


def test_remedies_of_one_kind_are_not_paired() -> None:
    declared: dict[str, dict[str, Any]] = {
        "lower_d_lr": {"critic.lr": {"choices": ["0.5x", "0.25x"]}},
        "lower_g_lr": {"lr": "0.25x"},
        "wider": {"critic.steps": 5},
    }
    found = declared_remedies(declared, OWN, Document({}))
    assert [kind_of(remedy) for remedy in found] == ["rates", "rates", "rates", "wider"]
    assert [name for name in variants(OWN, found) if "+" in name] == [
        "lower_d_lr_1+wider",
        "lower_d_lr_2+wider",
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
  h_1: {lr: 1.0}
  h: {lr: {choices: [1, 2]}}
  i: {lr: {uniform: yes}}
"""
    document = parse_document(text, "space.yaml")
    with pytest.raises(ConfigError) as refused:
        declared_remedies(document.tree["remedies"], OWN, document)
    expected = [
        ("2:7", "remedies.a: the config has no setting 'lrr' (did you mean 'lr'?)"),
        ("3:7", "remedies.b: the config has no setting 'critic'"),
        ("3:19", "remedies.b: kimg makes another run of it"),
        ("4:3", "remedies: 'a+b' cannot name a remedy"),
        ("5:7", "remedies.c: norm is 'batch', which has no multiple 2x"),
        ("6:7", "remedies.d: low (2) lies above high (1)"),
        ("7:7", "remedies.e: a multiple of the config's value is written 0.25x"),
        ("8:30", "remedies.f: a second open value; declare a remedy for each"),
        ("9:7", "remedies.g: a distribution is written {low: 1e-5, high: 1e-3} here"),
        ("11:3", "remedies: two remedies are called h_1; rename one"),
        ("12:7", "remedies.i: a value belongs here, not {uniform: yes}"),
    ]
    lines = str(refused.value).splitlines()
    assert len(lines) == len(expected), lines
    for line, (place, message) in zip(lines, expected, strict=True):
        assert line.startswith(f"space.yaml:{place}: {message}"), line
