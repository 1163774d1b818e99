"""``Recorder``: makes the records of one log from rows of named cells, all in one unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gantune.health.history import Unit
from gantune.health.logs.columns import JUDGED, PLACES, SCORES, Columns, Found, Places
from gantune.health.logs.numbers import number
from gantune.io.formatting import count

SETTINGS = 3
"""Records without a place that may be settings, which a trainer prints before its first record."""

_MOST_NAMES = 1000  # that are remembered for a message


class Record(NamedTuple):
    """The values of one row of a log and their place. Signals not measured are absent."""

    at: float
    unit: Unit
    values: Mapping[str, float]
    group: str = ""
    """The pair of players that it is of, where a log has several."""


class Recorder:
    """Makes the records of one log, and counts the rows that it cannot read.

    The unit of all places is that of the first row with a signal. Where an iteration starts again
    in each epoch, the iterations of the epochs before are added. Where a log has no place at all,
    its records are counted.
    """

    def __init__(self, name: str, columns: Columns) -> None:
        self.name, self.columns = name, columns
        self.unit: Unit | None = None
        self.names: dict[str, None] = {}
        """All names so far."""
        self.found: set[str] = set()
        """The signals among them."""
        self.problem = ""
        """Why the first row that could not be read could not."""
        self.unread = self.unplaced = self.outside = 0
        self._last: tuple[str, ...] = ()
        self._counted = 0
        self._last_at: float | None = None
        self._clock = _EpochClock()

    @property
    def is_counted(self) -> bool:
        """Whether the places are the numbers of the records."""
        return self.unit == "record"

    @property
    def notes(self) -> Iterator[str]:
        """What was left out, one sentence each."""
        if self.unread:
            yield f"{count(self.unread, 'line')} skipped: {self.problem}"
        if self.unplaced:
            yield f"{count(self.unplaced, 'line')} skipped: without {self.unit or 'a place'}"
        if self.outside:
            yield (
                f"{count(self.outside, 'score')} left out: not a number, negative or above 1e6, "
                "which no distance is"
            )
        if self.is_counted:
            yield "the log says no place: its records are counted"
        elif self._clock.has_restarted:
            yield "the iterations start again in each epoch: those of the epochs before are added"

    def signals(self, names: tuple[str, ...]) -> Found:
        """What names mean; they are those of the log from then on."""
        found = self.columns.find(names)
        if names != self._last:
            self._last = names
            self.found |= found.names
            if len(self.names) < _MOST_NAMES:
                self.names |= dict.fromkeys(names)
        return found

    def records(
        self, names: tuple[str, ...], cells: Sequence[object], line: int
    ) -> Iterator[Record]:
        """The records of one row: one, or one for each group. None of a row that cannot be read or
        has no place, which is counted."""
        found = self.signals(names)
        try:
            values = _values(found.signals, names, cells)
            pairs = {name: _values(of, names, cells) for name, of in found.groups.items()}
        except _NoNumberError as error:
            self._skip(f"{self.name}:{line}: {error}")
            return
        kimg, step, epoch = (values.pop(place, None) for place in PLACES)
        if step is not None and kimg is None:
            step = self._clock.at(step, epoch)
        has_signal = any(name in JUDGED for name in values) or any(pairs.values())
        at = self._place(kimg, step, epoch, has_signal=has_signal)
        if at is None and values and values.keys() <= set(SCORES):
            at = self._last_at  # a score that is printed after the losses, at the end of an epoch
        if at is None:
            self.unplaced += 1
            return
        assert self.unit is not None
        if not 0 <= at < math.inf:
            self._skip(f"{self.name}:{line}: {self.unit} {at:g} is no place")
            return
        self._last_at = at
        if self.unit == "kimg" and step is not None:
            values["step"] = step
        self._leave_out(values)
        if not pairs:
            yield Record(at, self.unit, values)
        for name, pair in pairs.items():
            yield Record(at, self.unit, {**values, **pair}, name)

    def _leave_out(self, values: dict[str, float]) -> None:
        """Leaves out scores that no distance can have: they were not measured."""
        for name in SCORES:
            value = values.get(name)
            is_own = name == "score" and bool(self.columns.named.get(name))  # of any scale
            if value is not None and not is_own and not 0 <= value <= _HIGHEST:
                del values[name]
                self.outside += 1

    def _skip(self, problem: str) -> None:
        self.unread += 1
        self.problem = self.problem or problem

    def _place(
        self, kimg: float | None, step: float | None, epoch: float | None, *, has_signal: bool
    ) -> float | None:
        """The place in the log's unit; ``None`` where this row has none."""
        places: dict[Unit, float | None] = {"kimg": kimg, "step": step, "epoch": epoch}
        if self.unit is None or (self.unit == "record" and self._counted < SETTINGS):
            there = (unit for unit, at in places.items() if at is not None)
            can_count = has_signal and not self.found & set(PLACES)
            self.unit = next(there, "record" if can_count else None)
        if self.unit is None:
            return None
        if self.unit == "record":
            self._counted += has_signal
            return float(self._counted) if has_signal else None
        return places[self.unit]


_HIGHEST = 1e6  # of a score


class _EpochClock:
    """Turns iterations that start again in each epoch into those of the whole run."""

    def __init__(self) -> None:
        self.has_restarted = False
        self._epoch = self._step = self._offset = self._stride = 0.0
        self._offsets: dict[float, float] = {}
        """Iterations before each epoch."""

    def at(self, step: float, epoch: float | None) -> float:
        """The iterations of the run so far."""
        if epoch is None:
            return step + self._offset if self.has_restarted else step
        if epoch > self._epoch and self._offsets and step <= self._step:
            # Where an epoch begins at 0, its last iteration was one distance before the end.
            # Where each epoch has one record, at iteration 0, epochs are all that is known.
            self._offset += self._step + (self._stride if step == 0 else 0.0) or 1.0
            self.has_restarted = True
        elif epoch < self._epoch:  # the training was resumed
            self._offset = self._offsets.get(epoch, self._offset)
        elif epoch == self._epoch:
            self._stride = max(step - self._step, 0.0)
        self._offsets.setdefault(epoch, self._offset)
        self._epoch, self._step = epoch, step
        return step + self._offset


class _NoNumberError(ValueError):
    """A cell that holds text where a number belongs."""


def _values(places: Places, names: Sequence[str], cells: Sequence[object]) -> dict[str, float]:
    """The numbers of the signals; those of several columns are added up."""
    values = {}
    for signal, indices in places.items():
        parts = []
        for index in indices:
            try:
                parts.append(number(cells[index], is_place=signal in PLACES))
            except ValueError:
                cell = repr(cells[index])
                text = cell if len(cell) <= 60 else cell[:57] + "..."
                of = names[index] if names[index] == signal else f"{names[index]} ({signal})"
                raise _NoNumberError(f"{of}: {text} stands where a number belongs") from None
        known = [part for part in parts if part is not None]
        if known and len(known) == len(parts):
            values[signal] = sum(known)
    return values
