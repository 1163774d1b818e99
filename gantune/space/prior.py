"""``start: {from: RUN, top: 3}``: the best settings of an earlier search, as they fit this space.

They are taken by rank alone. Scores of other images or another protocol never enter a study.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantune.errors import Problem
from gantune.io.validation import did_you_mean
from gantune.io.yaml_document import KeyPath
from gantune.space.distributions import as_sampled, is_number, plain
from gantune.space.overrides import Source
from gantune.space.sampling import is_active
from gantune.space.tree import Decision, Leaf, Tree

DEFAULT_TOP = 3
_KEYS = ("from", "top")
_MOST = 1000
_MISSING = object()


@dataclass(frozen=True)
class Prior:
    """An earlier search to start from."""

    run: str
    """A run folder, or a run's name."""
    top: int = DEFAULT_TOP
    """How many of its settings are tried first."""
    place: KeyPath = ()
    """Where the space file says so; empty for ``--prior``."""


def is_prior(entry: Any, trial: Any) -> bool:
    """Whether an entry of ``start`` names an earlier run. An own trainer may have a ``from``."""
    return isinstance(entry, Mapping) and "from" in entry and "from" not in (trial or {})


def read_priors(
    entries: Sequence[Any], trial: Any, source: Source
) -> tuple[tuple[Prior, ...], list[Problem]]:
    """The entries of ``start`` that name earlier runs, and what is wrong with them."""
    found: list[Prior] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        if not is_prior(entry, trial):
            continue
        place, run, top = ("start", number), entry["from"], entry.get("top", DEFAULT_TOP)
        wrong = [
            (
                (*place, key),
                f"unknown key {key!r}{did_you_mean(str(key), _KEYS)}; from and top belong "
                "here, settings into an entry of their own",
            )
            for key in entry
            if key not in _KEYS
        ]
        if not isinstance(run, str) or not run:
            wrong.append(((*place, "from"), f"{plain(run)} is no run; write from: runs/lastweek"))
        if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= _MOST:
            message = f"{plain(top)} is not a number of settings from 1 to {_MOST}"
            wrong.append(((*place, "top"), message))
        problems += [source.problem(at, f"start[{number}]: {text}") for at, text in wrong]
        if not wrong:
            found.append(Prior(run, top, place))
    return tuple(found), problems


@dataclass(frozen=True)
class Fitted:
    """A setting of another space, as parameters of this one."""

    params: Mapping[str, Any]
    used: tuple[str, ...]
    """Names of the parameters that it gives."""
    added: tuple[str, ...]
    """Names of those that it does not give: at their defaults, or drawn where these do not fit."""
    outside: str
    """The first value that this space does not allow; empty where there is none."""


def fit(tree: Tree, params: Mapping[str, Any], config: Mapping[str, Any], seed: int) -> Fitted:
    """Fits a setting by its parameters, and where these have other names by its whole config."""
    draw = random.Random(seed)
    chosen: dict[KeyPath, str] = {}
    values: dict[str, Any] = {}
    used: list[str] = []
    added: list[str] = []
    outside: list[str] = []

    def take(item: Decision | Leaf, given: Any, default: Any) -> Any:
        if given is not _MISSING:
            value = as_sampled(item.distribution, given)
            if item.distribution.contains(value):
                used.append(item.name)
                return value
            outside.append(f"{item.name} {plain(given)} is outside {item.distribution}")
        added.append(item.name)
        if default is not _MISSING:
            default = as_sampled(item.distribution, default)
            if item.distribution.contains(default):
                return default
        return item.distribution.sample(draw)

    for decision in tree.decisions:
        if is_active(decision.when, chosen):
            word = take(decision, params.get(decision.name, _MISSING), decision.alternatives[0])
            values[decision.name] = chosen[decision.path] = word
    for leaf in tree.leaves:
        if leaf.is_open and is_active(leaf.when, chosen):
            given, default = params.get(leaf.name, _MISSING), tree.default_of(leaf.target)
            if given is _MISSING:
                given = _at(config, leaf.target)
                if leaf.times:
                    given = _ratio(given, _at(config, leaf.times))
            if leaf.times:
                default = _ratio(default, tree.default_of(leaf.times))
            values[leaf.name] = take(leaf, given, default)
    return Fitted(values, tuple(used), tuple(added), outside[0] if outside else "")


def _at(config: Mapping[str, Any], target: Sequence[str]) -> Any:
    value: Any = config
    for part in target:
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _ratio(value: Any, other: Any) -> Any:
    return value / other if is_number(value) and is_number(other) and other else _MISSING
