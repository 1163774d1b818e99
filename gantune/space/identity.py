"""A space's hash, and the keys in which two spaces differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gantune.space.distributions import Choices, Range, plain
from gantune.space.parts import SpaceFile
from gantune.space.tree import Tree

__all__ = ["content_differences", "content_hash", "space_content"]

_SCORED = ("objective", "stability", "pruning", "sampler")


def space_content(parts: SpaceFile, tree: Tree) -> dict[str, Any]:
    """All that a score depends on, as plain values by dotted place, whatever the file's order."""
    content: dict[str, Any] = {}
    for decision in tree.decisions:
        content[".".join(map(str, decision.path))] = list(decision.distribution.values)
    for leaf in tree.leaves:
        content[".".join(map(str, leaf.path))] = _plain_value(leaf.value)
    if parts.trainer is not None:
        content["trainer"] = parts.trainer
    for name in _SCORED:
        part = getattr(parts, name)
        _flatten(part if isinstance(part, str | dict) else part.model_dump(), name, content)
    return content


def content_hash(content: Mapping[str, Any]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a content."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def content_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """One line for each place that differs: ``trial.generator.lr: 1e-4 → 2e-4``."""
    lines = {key: json.dumps(value, sort_keys=True) for key, value in first.items()}
    others = {key: json.dumps(value, sort_keys=True) for key, value in second.items()}
    return [
        f"{key}: {_shown(first, key)} → {_shown(second, key)}"
        for key in sorted({*lines, *others})
        if lines.get(key) != others.get(key)
    ]


def _shown(content: Mapping[str, Any], key: str) -> str:
    return plain(content[key]) if key in content else "nothing"


def _plain_value(value: Any) -> Any:
    if isinstance(value, Choices):
        return {"choices": list(value.values)} | ({"times": value.times} if value.times else {})
    if isinstance(value, Range):
        said = asdict(value).items()
        return {key: item for key, item in said if item is not None and item is not False}
    return value


def _flatten(value: Any, place: str, content: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{place}.{key}", content)
    else:
        content[place] = list(value) if isinstance(value, tuple) else value
