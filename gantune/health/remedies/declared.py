"""Remedies that a user declares for a trainer of their own: ``lower_d_lr: {critic.lr: 0.25x}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gantune.config import ExternalConfig
from gantune.errors import ConfigError
from gantune.health.remedies.catalogue import REMEDIES
from gantune.health.remedies.remedy import Remedy
from gantune.io.validation import dotted_values, path_hint
from gantune.io.yaml_document import Document, KeyPath

_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")  # pairs are joined by a plus
_FIXED = ("kimg", "seed", "data")
_FACTOR = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x")


def declared_remedies(
    declared: Mapping[str, Mapping[str, Any]], config: ExternalConfig, document: Document
) -> list[Remedy]:
    """The remedies of a space's ``remedies``, in their order, for one config.

    A value ``0.25x`` is that multiple of the config's. A remedy that has the name of one of
    gantune's takes its place, so that two of one kind are not paired. Raises ``ConfigError`` with
    every name and setting that cannot be used, at its place in ``document``.
    """
    known = dict(dotted_values(config.mapping()))
    problems, found = [], []
    for name, values in declared.items():
        place: KeyPath = ("remedies", name)
        changes: dict[str, Any] = {}
        if not _NAME.fullmatch(name):
            wrong = f"{name!r} cannot name a remedy; letters, digits, '_' and '-' can"
            problems.append(document.problem(place, f"remedies: {wrong}"))
        for path, value in values.items():
            factor = _FACTOR.fullmatch(value) if isinstance(value, str) else None
            if path not in known:
                wrong = f"the config has no setting {path!r}{path_hint(path, known, known)}"
            elif path.partition(".")[0] in _FIXED:
                wrong = f"{path} makes another run of it, not a remedy"
            elif factor and not _is_number(known[path]):
                wrong = f"{path} is {known[path]!r}, which has no multiple {value}"
            else:
                changes[path] = _multiple(known[path], float(factor[1])) if factor else value
                continue
            problems.append(document.problem((*place, path), f"remedies.{name}: {wrong}"))
        found.append(_remedy(name, changes))
    if problems:
        raise ConfigError(problems)
    return found


def _remedy(name: str, changes: Mapping[str, Any]) -> Remedy:
    own = REMEDIES.get(name)
    return Remedy(
        name=name,
        advice=name.replace("_", " ") if own is None else own.advice,
        why="The space declares it." if own is None else own.why,
        source="remedies of the space" if own is None else own.source,
        answers=frozenset() if own is None else own.answers,
        changes=lambda config: changes,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _multiple(value: float, factor: float) -> float:
    """A whole number stays one, and at least 1 in size."""
    if isinstance(value, int):
        return round(value * factor) or (1 if value > 0 else value)
    return float(f"{value * factor:.4g}")
