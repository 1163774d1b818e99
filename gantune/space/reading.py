"""Reads a distribution from its mapping, or says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gantune.io.validation import nearest, wrong_number
from gantune.space.distributions import Choices, Distribution, Range, plain

__all__ = ["KEYWORDS", "is_distribution", "read_distribution"]

KEYWORDS = ("choices", "low", "high", "log", "step", "times")
"""The words that tell a distribution; no field of a ``TrialConfig`` has such a name."""

_MOST_STEPS = 1_000_000


def is_distribution(value: Any) -> bool:
    """Whether a mapping is meant as a distribution: it has one of its words."""
    return isinstance(value, Mapping) and any(word in value for word in KEYWORDS)


def read_distribution(tree: Mapping[str, Any], kind: type) -> Distribution | list[tuple[str, str]]:
    """A distribution of values of a ``kind``, or what is wrong: pairs of key and message.

    Whole numbers become fractional ones where the kind is ``float``. The key is empty where the
    distribution as a whole is wrong.
    """
    wrong = _wrong_words(tree)
    if not wrong:
        wrong = _wrong_choices(tree) if "choices" in tree else _wrong_range(tree, kind)
    times = tree.get("times")
    if times is not None and not wrong and kind is not float:
        wrong = [("times", "only a fractional number can be relative to another value")]
    if times is not None and not wrong:
        factors = tree.get("choices", [])
        wrong = [("choices", message) for item in factors if (message := _wrong_number(item))]
    if wrong:
        return wrong
    if "choices" in tree:
        return Choices(tuple(_as(kind, value) for value in tree["choices"]), times)
    low, high, step = (_as(kind, tree.get(word)) for word in ("low", "high", "step"))
    return Range(low, high, bool(tree.get("log", False)), step, times)


def _as(kind: type, value: Any) -> Any:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_int and kind is float else value


def _wrong_words(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    unknown = [word for word in tree if word not in KEYWORDS]
    if unknown:
        return [(w, f"a distribution has no {w!r}{nearest(w, KEYWORDS)}") for w in unknown]
    times = tree.get("times")
    if "times" in tree and not (isinstance(times, str) and times):
        return [("times", f"the path of another value belongs here, not {plain(times)}")]
    extra = [word for word in ("low", "high", "log", "step") if word in tree]
    if "choices" in tree and extra:
        return [(extra[0], f"a distribution has either choices or a range, not {extra[0]} too")]
    return []


def _wrong_choices(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    values = tree["choices"]
    if not isinstance(values, list):
        return [("choices", f"a list belongs here, not {plain(values)}")]
    if not values:
        return [("choices", "no choices; name at least one value")]
    if any(isinstance(value, dict | list) for value in values):
        return [("choices", "a choice is a single value; settings that go together need 'choose'")]
    seen: set[tuple[type, Any]] = set()
    for value in values:
        if (type(value), value) in seen:
            return [("choices", f"{plain(value)} stands here twice")]
        seen.add((type(value), value))
    return []


def _wrong_range(tree: Mapping[str, Any], kind: type) -> list[tuple[str, str]]:
    missing = [word for word in ("low", "high") if word not in tree]
    if missing:
        return [("", f"a range needs low and high; {' and '.join(missing)} is missing")]
    words = [word for word in ("low", "high", "step") if tree.get(word) is not None or word in tree]
    wrong = [(word, message) for word in words if (message := _wrong_number(tree[word]))]
    if not isinstance(tree.get("log", False), bool):
        wrong.append(("log", f"true or false belongs here, not {plain(tree['log'])}"))
    if not wrong and kind not in (int, float):
        return [("", "a range needs a number; this value is none (use choices)")]
    return wrong or _wrong_order(tree, kind)


def _wrong_number(value: Any) -> str:
    if isinstance(value, str):
        return wrong_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"a number belongs here, not {plain(value)}"
    if abs(value) > 1e300 or math.isnan(value):
        return "a finite number belongs here"
    return ""


def _wrong_order(tree: Mapping[str, Any], kind: type) -> list[tuple[str, str]]:
    low, high, step, log = (tree.get(word) for word in ("low", "high", "step", "log"))
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low > high:
        return [("low", f"low ({plain(low)}) lies above high ({plain(high)})")]
    if log and low <= 0:
        return [("low", f"a log range cannot reach {plain(low)}; let low be above 0")]
    if step is None:
        return []
    if log:
        return [("step", "a log range has no step")]
    if step <= 0:
        return [("step", f"the step must be above 0, not {plain(step)}")]
    if (high - low) / step > _MOST_STEPS:
        return [("step", f"{plain(step)} makes more than {_MOST_STEPS} values of this range")]
    if kind is int and not isinstance(step, int):
        return [("step", f"the step of whole numbers must be whole, not {plain(step)}")]
    return []
