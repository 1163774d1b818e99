"""Distributions of open values, and how they are read from a space file."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gantune.io.validation import (
    comma_list,
    did_you_mean,
    explain_wrong_number,
    explain_wrong_truth,
    find_field,
)

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


Number = int | float

KEYWORDS = ("choices", "low", "high", "log", "step", "times", "same")
"""The keys of a distribution or reference; no field of a ``TrialConfig`` has such a name."""

# What other tools call the parts of a distribution.
_LOWS, _HIGHS = ("low", "min", "lower", "from"), ("high", "max", "upper", "to")
_SWEEP = ("distribution", "type", "q", "values")
_STEPS, _LISTS = ("step", "q"), ("values", "choice", "choices", "options", "grid", "grid_search")
_KINDS = ("distribution", "type", "dist", "scale", "value", "mu", "sigma", "probabilities")
_RANGE = re.compile(r"uniform|range|randint|interval|suggest_(int|float)")
_CALL = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,2})?(?![\w.])")
_BOUNDS = ("low", "high", "step")
_MOST_STEPS = 1_000_000
_ROUNDING = 1e-9  # relative error of the ratio of two decimal numbers


@dataclass(frozen=True)
class Choices:
    """One of several plain values."""

    values: tuple[Any, ...]
    times: str | None = None
    """Path of the value that the sampled number multiplies."""

    def __str__(self) -> str:
        return comma_list(plain(value) for value in self.values) + _relation(self.times)

    def ends(self) -> tuple[Any, ...]:
        """All values: each of them must be valid."""
        return self.values

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of the choices; 1 is not ``true``."""
        return any(value == item and type(value) is type(item) for item in self.values)

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Samples from an Optuna trial."""
        return trial.suggest_categorical(name, self.values)

    def sample(self, rng: random.Random) -> Any:
        """Samples at random, without a study."""
        return rng.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, both inclusive; an integer where both ends are."""

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None
    times: str | None = None
    """Path of the value that the sampled number multiplies."""

    def __str__(self) -> str:
        step = f" in steps of {plain(self.step)}" if self.step is not None else ""
        log = " (log)" if self.log else ""
        return f"{plain(self.low)} … {plain(self.high)}{step}{log}{_relation(self.times)}"

    @property
    def is_whole(self) -> bool:
        """Whether only integers are sampled."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def ends(self) -> tuple[Number, ...]:
        """Both ends: where they are valid, so is every value between them."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Whether ``value`` can be sampled."""
        if not is_number(value) or (self.is_whole and not isinstance(value, int)):
            return False
        if self.step is None or not self.low <= value <= self.high:
            return bool(self.low <= value <= self.high)
        steps = (value - self.low) / self.step
        return bool(abs(steps - round(steps)) < _ROUNDING * max(1, steps))

    def suggest(self, trial: BaseTrial, name: str) -> Number:
        """Samples from an Optuna trial."""
        if self.is_whole:
            step = 1 if self.step is None else int(self.step)
            low, high = int(self.low), int(self.last)
            return trial.suggest_int(name, low, high, step=step, log=self.log)
        return trial.suggest_float(name, self.low, self.last, step=self.step, log=self.log)

    def sample(self, rng: random.Random) -> Number:
        """Samples at random, without a study."""
        if self.step is not None:
            count = int((_exact(self.last) - _exact(self.low)) / _exact(self.step))
            value = _exact(self.low) + rng.randint(0, count) * _exact(self.step)
            return int(value) if self.is_whole else float(value)
        if self.log:
            drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = rng.uniform(self.low, self.high)
        inside = min(max(drawn, self.low), self.high)
        return round(inside) if self.is_whole else inside

    @property
    def last(self) -> Number:
        """The largest value that whole steps from ``low`` reach."""
        if self.step is None:
            return self.high
        rest = (_exact(self.high) - _exact(self.low)) % _exact(self.step)
        last = _exact(self.high) - rest
        return int(last) if self.is_whole else float(last)


Distribution = Choices | Range


@dataclass(frozen=True)
class Same:
    """The value of another setting, which is not sampled a second time."""

    path: str
    """Path of that setting, such as ``generator.lr``."""

    def __str__(self) -> str:
        return f"the same as {self.path}"


def as_sampled(distribution: Distribution, value: Any) -> Any:
    """Converts ``value`` to the form that the distribution samples: float, exact ends."""
    if is_number(value) and any(isinstance(end, float) for end in distribution.ends()):
        value = float(value)
    if isinstance(distribution, Range) and isinstance(value, float):
        near = (end for end in distribution.ends() if math.isclose(value, end, rel_tol=_ROUNDING))
        return next(near, value)
    return value


def is_number(value: Any) -> bool:
    """Whether a value is a number; ``true`` is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> str:
    """A value as short text: ``1e-4``, not ``0.0001``; ``true``, ``null`` as in YAML."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        whole, _, exponent = repr(value).partition("e")
        usual = whole.removesuffix(".0") + (f"e{int(exponent)}" if exponent else "")
        return min(usual, f"{_exact(value).normalize():e}", key=len) if abs(value) < 1 else usual
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(plain, value)) + "]"
    return str(value)


def _exact(number: Number) -> Decimal:
    return Decimal(str(number))


def _relation(times: str | None) -> str:
    return f" times {times}" if times else ""


def is_distribution(value: Any) -> bool:
    """Whether a mapping is a distribution or a reference: it has one of the keywords."""
    return isinstance(value, Mapping) and any(word in value for word in KEYWORDS)


def explain_foreign(value: Mapping[str, Any], *, is_own: bool = False) -> str:
    """How a distribution in the words of another tool (W&B sweeps, Optuna, Ray Tune, Hydra) is
    written here; empty for any other mapping.

    ``is_own``: a setting of a user's trainer, which may be a mapping with some of these words.
    """
    if is_own and not set(value) <= {*_SWEEP, *_LOWS[1:], *_HIGHS[1:]}:
        return ""
    words = {str(key).rpartition(".")[2].lower(): item for key, item in value.items()}
    calls = {word: item for word, item in words.items() if _RANGE.search(word)}
    if not words or not set(words) <= {*_KINDS, *_LOWS, *_HIGHS, *_STEPS, *_LISTS, *calls, "log"}:
        return ""
    kind = " ".join([*calls, *(str(words[word]).lower() for word in _KINDS if word in words)])
    options = next((words[word] for word in _LISTS if word in words), None)
    if isinstance(options, list) and options:
        return f"a distribution is written {{choices: {plain(options)}}} here"
    pair = next((item for item in calls.values() if isinstance(item, list)), [])
    low = next((words[word] for word in _LOWS if word in words), pair[0] if len(pair) > 1 else None)
    high = next((words[word] for word in _HIGHS if word in words), pair[1] if pair[1:] else None)
    if low is None or high is None or not (is_number(low) and is_number(high)):
        return "" if "distribution" not in words else _unknown_distribution(words)
    is_log = "log" in kind or words.get("log") is True
    if "distribution" in words and "log_uniform" in kind and "values" not in kind:
        low, high = (float(f"{math.exp(max(-300, min(300, end))):.3g}") for end in (low, high))
    step = next((words[word] for word in _STEPS if is_number(words.get(word))), None)
    shown = f", step: {plain(step)}" if step is not None and not is_log else ""
    log = ", log: true" if is_log else ""
    return f"a distribution is written {{low: {plain(low)}, high: {plain(high)}{shown}{log}}} here"


def explain_call(text: str) -> str:
    """As ``explain_foreign``, for a call such as ``tune.loguniform(1e-5, 1e-2)`` as text."""
    call = _CALL.fullmatch(text.strip()[:200])
    if call is None:
        return ""
    numbers = [
        float(item) if set(item) & set(".eE") else int(item) for item in _NUMBER.findall(call[2])
    ]
    is_log = "log" if re.search(r"log\s*=\s*True", call[2]) else ""
    word = call[1].rpartition(".")[2].lower()
    if _RANGE.search(word):
        return explain_foreign({is_log + word: numbers})
    return explain_foreign({"choices": numbers}) if "choice" in word or "grid" in word else ""


def _unknown_distribution(words: Mapping[str, Any]) -> str:
    if "value" in words:
        return f"a fixed value is written {plain(words['value'])} here, without a distribution"
    return (
        f"the distribution {plain(words['distribution'])} is not known; write "
        "{low: ..., high: ...}, with log: true for a logarithmic one, or {choices: [...]}"
    )


def read_distribution(
    tree: Mapping[str, Any], kind: type
) -> Distribution | Same | list[tuple[str, str]]:
    """Reads a distribution of values of type ``kind``, or a reference to another setting.

    Returns errors as pairs of key and message.

    Integers become floats where ``kind`` is ``float``. The key of an error is empty where it
    concerns the whole distribution.
    """
    wrong = _wrong_words(tree)
    if not wrong and "same" in tree:
        return Same(tree["same"])
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
    if "distribution" in unknown:
        return [("distribution", "the keys tell the distribution; leave this one out")]
    if unknown and (foreign := explain_foreign(tree)):
        return [(unknown[0], foreign)]
    if unknown:
        near = did_you_mean(unknown[0], [word for word in KEYWORDS if word != "same"])
        return [(unknown[0], f"a distribution has no {unknown[0]!r}{near}")]
    for word in [word for word in ("times", "same") if word in tree]:
        if not (isinstance(tree[word], str) and tree[word]):
            given = plain(tree[word])
            return [(word, f"the path of one other setting belongs here, not {given}")]
    if "same" in tree and len(tree) > 1:
        multiple = f"a multiple is written {{low: 0.5, high: 2, times: {tree['same']}}}"
        return [("same", f"{{same: {tree['same']}}} stands alone; {multiple}")]
    if set(tree) == {"times"}:
        way = f"for the same value write {{same: {tree['times']}}}"
        return [("times", f"times needs the multiples: choices, or low and high; {way}")]
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
    words = [word for word in _BOUNDS if word in tree]
    wrong = [(word, message) for word in words if (message := _wrong_number(tree[word]))]
    if not isinstance(tree.get("log", False), bool):
        wrong.append(("log", explain_wrong_truth(tree["log"])))
    if wrong:
        return wrong
    if kind not in (int, float):
        return [("", "a range needs a number; this value is none (use choices)")]

    low, high, step, log = tree["low"], tree["high"], tree.get("step"), tree.get("log")
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


def _wrong_number(value: Any) -> str:
    if isinstance(value, str):
        return explain_wrong_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"a number belongs here, not {plain(value)}"
    if abs(value) > 1e300 or math.isnan(value):
        return "a finite number belongs here"
    return ""


def known_kind(model: type[BaseModel], target: Iterable[str]) -> type:
    """The type of the value at ``target`` in a model: ``int``, ``float``, ``bool`` or ``str``.

    ``float`` for an unknown name, which is reported as such.
    """
    found = find_field(model, target)
    if found is None:
        return float
    members = _members(found.annotation)
    return next((kind for kind in (int, float, bool) if kind in members), str)


def is_list(model: type[BaseModel], target: Iterable[str]) -> bool:
    """Whether the value at ``target`` in a model is a list, such as the names of classes."""
    found = find_field(model, target)
    return found is not None and any(get_origin(m) is tuple for m in _members(found.annotation))


def apparent_kind(value: Any) -> type:
    """The type of a value that no model knows, from the way it is written.

    ``int`` where all written numbers are integers; a multiple of another value is ``float``.
    """
    if not isinstance(value, Mapping):
        return type(value)
    choices = value.get("choices")
    written = choices if isinstance(choices, list) else [value.get(key) for key in _BOUNDS]
    numbers = [item for item in written if isinstance(item, int | float)]
    if not numbers:
        return str
    is_whole = all(isinstance(item, int) for item in numbers)
    return int if is_whole and not value.get("times") else float


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows, without unions and constraints."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) for kind in _members(member)]
    return [annotation]
