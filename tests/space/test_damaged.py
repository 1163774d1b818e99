"""Damaged files of every kind give a space or its problems, never another exception."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import SpaceError
from gantune.io.yaml_document import format_document, parse_document
from gantune.space import load_space, shipped_spaces, shipped_text
from tests.examples import examples

TEXTS = [shipped_text(name) for name in shipped_spaces()]
SMALL = """\
trial:
  generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
  choose: {loss: {hinge: {loss: hinge}, wgan: {loss: wgan}}}
start: [{loss: hinge}]
"""
QUICK = examples(50)
HUNDREDS = examples(200)

ODD: list[Any] = [
    None, True, 0, -1, 3, 1e-5, 1e300, 10**300, float("inf"), float("nan"), "", "x", "1e-4", "gp",
    [], [1], [[1]], [None, {}], {}, {"a": 1}, {"choose": {}}, {"choose": {"a": {"b": {}}}},
    {"choices": []}, {"choices": [1, "a", None]}, {"choices": [{}]}, {"low": 1, "high": 2},
    {"low": 0, "high": 1, "log": True}, {"low": 2, "high": 1}, {"low": 1, "high": 1e300},
    {"low": 0, "high": 1, "step": 0.3}, {"low": 0.1, "high": 1, "times": "generator.lr"},
    {"low": 1, "high": 2, "times": "discriminator.lr"}, {"low": 1, "high": 2, "times": "a..b"},
    {"low": "a", "high": []}, {"times": "kimg"}, {"loss": "wgan"}, "gaussians:grid", "mlp", "4x",
    "25%", "2h", {1: 2},
]  # fmt: skip


TOKENS = ["%YAML 9.9\n", "\n%YAML 1.1\n", "%TAG ! x\n", "\n---\n", "!!x ", "!!int ", "<<: *a"]


def read(text: str, folder: Path, *overrides: str) -> None:
    path = folder / "s.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        space = load_space(path, overrides)
    except SpaceError as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)
        return
    for params in space.start_points():
        space.configs_of(params)
    space.first_config()
    assert len(space.hash) == 12
    space_text = format_document(space.resolved_tree())
    path.write_text(space_text, encoding="utf-8")
    assert load_space(path).hash == space.hash


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def with_characters_changed(text: str, source: random.Random) -> str:
    for _ in range(source.randint(1, 4)):
        at, kind = source.randrange(len(text)), source.randrange(3)
        new = source.choice([*"{}[]:,#&*!|>'\"%@`-?~ \n\tax01.e\0é\x85\ud800", *TOKENS])
        text = text[:at] + ("", new, new + text[at])[kind] + text[at + 1 :]
    return text


def with_lines_changed(text: str, source: random.Random) -> str:
    lines = text.splitlines()
    for _ in range(source.randint(1, 4)):
        one, other = source.randrange(len(lines)), source.randrange(len(lines))
        if source.random() < 0.5:
            lines[one], lines[other] = lines[other], lines[one]
        elif len(lines) > 5:
            del lines[one]
    return "\n".join(lines)


def with_values_changed(text: str, source: random.Random) -> str:
    tree = copy.deepcopy(parse_document(text).tree)
    for _ in range(source.randint(1, 3)):
        *outer, last = source.choice(list(places(tree)))
        inside = tree
        for key in outer:
            inside = inside[key]
        new = copy.deepcopy(source.choice(ODD))
        if isinstance(inside, dict) and source.random() < 0.3:
            inside[source.choice(["choose", "low", "choices", "times", "loss", "lr", "x.y"])] = new
        else:
            inside[last] = new
    return format_document(tree)


DAMAGES = [with_characters_changed, with_lines_changed, with_values_changed]


@pytest.mark.parametrize("damage", DAMAGES)
@QUICK
@given(seed=st.integers(0, 2**32))
def test_damaged_files(damage: Any, seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    read(damage(source.choice(TEXTS), source), tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize("damage", DAMAGES)
@HUNDREDS
@given(seed=st.integers(0, 2**32))
def test_hundreds_of_damaged_files(damage: Any, seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    read(damage(source.choice(TEXTS), source), tmp_path)


KEYS = st.sampled_from(
    [
        "trial",
        "start",
        "budget",
        "choose",
        "loss",
        "generator",
        "lr",
        "low",
        "high",
        "log",
        "choices",
        "times",
        "study",
        "a",
    ]
)
TREES = st.recursive(
    st.sampled_from(ODD), lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@QUICK
@given(tree=st.fixed_dictionaries({"trial": TREES}, optional={"start": TREES, "budget": TREES}))
def test_random_trees(tree: dict[str, Any], tmp_path: Path) -> None:
    read(format_document(tree), tmp_path)


@QUICK
@given(
    path=st.lists(
        st.sampled_from(["loss", "generator", "lr", "choose", "data", "source", "x", "0"]),
        max_size=4,
    ),
    value=st.sampled_from(ODD),
)
def test_random_overrides(path: list[str], value: Any, tmp_path: Path) -> None:
    text = format_document({"v": value}).removeprefix("v:") if value != "" else ""
    read(SMALL, tmp_path, f"{'.'.join(path)}={text}")


@QUICK
@given(text=st.text())
def test_random_text(text: str, tmp_path: Path) -> None:
    read(text, tmp_path)
    read(SMALL, tmp_path, text)
