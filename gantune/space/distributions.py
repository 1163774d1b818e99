"""What an open value may be: one of some choices, or a number of a range."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gantune.io.validation import listed

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["Choices", "Distribution", "Range", "fitted", "is_number", "plain"]

Number = int | float
_ROUNDING = 1e-9  # relative; what a ratio of two decimal numbers may miss its end by


@dataclass(frozen=True)
class Choices:
    """One of some plain values."""

    values: tuple[Any, ...]
    times: str | None = None
    """Path of the value that the chosen number multiplies."""

    def __str__(self) -> str:
        return listed(plain(value) for value in self.values) + _relation(self.times)

    def ends(self) -> tuple[Any, ...]:
        """All values: each of them must be legal."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is one of the choices; 1 is not ``true``."""
        return any(value == own and type(value) is type(own) for own in self.values)

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Draws from an Optuna trial."""
        return trial.suggest_categorical(name, self.values)

    def pick(self, source: random.Random) -> Any:
        """Draws without a study."""
        return source.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, both included; whole where both ends are."""

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None
    times: str | None = None
    """Path of the value that the drawn number multiplies."""

    def __str__(self) -> str:
        step = f" in steps of {plain(self.step)}" if self.step is not None else ""
        log = " (log)" if self.log else ""
        return f"{plain(self.low)} … {plain(self.high)}{step}{log}{_relation(self.times)}"

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def ends(self) -> tuple[Number, ...]:
        """The ends: where both are legal, so is all between."""
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        """Whether ``value`` can be drawn."""
        kind = int if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < _ROUNDING * max(1, steps)

    def nudged(self, value: float) -> float:
        """``value``, or the end that it misses by no more than rounding."""
        for end in self.ends():
            if math.isclose(value, end, rel_tol=_ROUNDING):
                return end
        return value

    def suggest(self, trial: BaseTrial, name: str) -> Number:
        """Draws from an Optuna trial."""
        if self.is_whole:
            step = 1 if self.step is None else int(self.step)
            low, high = int(self.low), int(self._last)
            return trial.suggest_int(name, low, high, step=step, log=self.log)
        return trial.suggest_float(name, self.low, self._last, step=self.step, log=self.log)

    def pick(self, source: random.Random) -> Number:
        """Draws without a study."""
        if self.step is not None:
            count = int((_exact(self._last) - _exact(self.low)) / _exact(self.step))
            value = _exact(self.low) + source.randint(0, count) * _exact(self.step)
            return int(value) if self.is_whole else float(value)
        if self.log:
            drawn = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = source.uniform(self.low, self.high)
        inside = min(max(drawn, self.low), self.high)
        return round(inside) if self.is_whole else inside

    @property
    def _last(self) -> Number:
        """The last value that whole steps from ``low`` reach."""
        if self.step is None:
            return self.high
        rest = (_exact(self.high) - _exact(self.low)) % _exact(self.step)
        last = _exact(self.high) - rest
        return int(last) if self.is_whole else float(last)


Distribution = Choices | Range


def fitted(distribution: Distribution, value: Any) -> Any:
    """``value`` as the distribution would draw it, where it only differs in form."""
    if is_number(value) and any(isinstance(end, float) for end in distribution.ends()):
        value = float(value)
    if isinstance(distribution, Range) and isinstance(value, float):
        return distribution.nudged(value)
    return value


def is_number(value: Any) -> bool:
    """Whether a value is a number; ``true`` is none."""
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
