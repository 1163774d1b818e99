"""``diagnose``: the verdict on a whole log, and where its best checkpoint lies."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from gantune.config.loss_families import LOSSES
from gantune.health.history import FEWEST_TICKS, FEWEST_WITHOUT_BUDGET
from gantune.health.logs import Columns, Log, Record, open_log, open_records
from gantune.health.logs.columns import SCORES
from gantune.health.loss_aliases import known_loss
from gantune.health.monitor import HealthMonitor
from gantune.health.rules import RULES
from gantune.health.verdict import Unit, Verdict
from gantune.io.validation import comma_list

Preset = str | Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """How a log is judged, as by ``HealthMonitor``."""

    loss: str | None = None
    auxiliary: bool = False
    preset: Preset = "default"


@dataclass(frozen=True)
class ScorePoint:
    """A finite score at its place, in the log's unit. ``name``: ``fid`` or ``score``."""

    at: float
    value: float
    name: str


@dataclass(frozen=True)
class Diagnosis:
    """What health says of a log. All places are in ``unit``."""

    verdict: Verdict | None
    """``None``: healthy."""
    unit: Unit
    """``step`` or ``kimg``, as the log has it."""
    best: float | None
    """Where to take a checkpoint from; ``None`` where nothing came before the evidence."""
    best_score: ScorePoint | None
    """The lowest finite score, at ``best``; ``None`` where none was logged."""
    last: float
    """Where the log ends, or where it was read to."""
    records: int
    """How many were read."""
    loss: str | None
    """The loss it was judged by, if any was known."""
    measured: tuple[str, ...]
    """The signals and scores that were there."""
    notes: tuple[str, ...]
    """What could not be judged, and how the log was read, a sentence each."""

    @property
    def kind(self) -> str:
        """``healthy``, ``diverged``, ``collapsed`` or ``stalled``."""
        return self.verdict.kind if self.verdict else "healthy"

    @property
    def wasted_share(self) -> float:
        """Share of the run, from 0 to its last record, that came after ``best``."""
        if self.best is None:
            return 1.0
        return max(0.0, 1 - self.best / self.last) if self.last > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, all of them in JSON."""
        verdict = self.verdict
        return {
            "verdict": self.kind,
            "rule": verdict.rule if verdict else None,
            "step": self._place(verdict.at) if verdict else None,
            "best_step": self._place(self.best),
            "evidence": verdict.sentence if verdict else None,
            "wasted_share": round(self.wasted_share, 6),
            "unit": self.unit,
            "last_step": self._place(self.last),
            "records": self.records,
            "notes": list(self.notes),
        }

    def _place(self, at: float | None) -> float | int | None:
        is_whole = at is not None and self.unit == "step" and at.is_integer()
        return int(at) if at is not None and is_whole else at


def diagnose(
    log: Path | str | Iterable[Mapping[str, Any]],
    loss: str | None = None,
    *,
    auxiliary: bool = False,
    preset: Preset = "default",
    columns: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Judges the log of any trainer.

    ``log``: a file of CSV or JSON lines, or mappings such as ``{"step": 100, "d_loss": 1.3}``.
    ``loss``, ``auxiliary``, ``preset``: as of ``HealthMonitor``. ``columns``: the log's own names
    of signals, such as ``{"d_loss": "Loss/D"}``. Raises ``LogError`` for a log that cannot be read
    and ``ConfigError`` for an unknown loss or preset.
    """
    terms, named = Terms(loss, auxiliary, preset), Columns(columns)
    with ExitStack() as stack:
        if isinstance(log, Path | str):
            return diagnose_log(stack.enter_context(open_log(log, named)), terms)
        return diagnose_log(open_records(log, named), terms)


def diagnose_log(
    records: Log | Iterable[Record],
    terms: Terms,
    *,
    stops: bool = False,
    sees: Callable[[Record], None] | None = None,
) -> Diagnosis:
    """Judges records as they come. ``stops``: reads no further than to a verdict. ``sees``: is
    shown each record. Raises ``LogError`` and ``ConfigError``."""
    own = records if isinstance(records, Log) else None
    known = terms.loss and known_loss(terms.loss)
    watch = None
    _monitor(known, terms)  # a wrong preset is an error before the first record
    for record in records:
        if watch is None:  # what the log tells of itself is known now
            known = known or (own.loss if own else None)
            watch = Watch(_monitor(known, terms, own))
        if sees:
            sees(record)
        if watch.take(record) and stops:
            break
    assert watch is not None  # a log without records is an error
    has_budget = own is not None and own.budget is not None
    return _sum_up(watch, known, own.notes if own else [], has_budget)


def _monitor(loss: str | None, terms: Terms, own: Log | None = None) -> HealthMonitor:
    smoothing = own.label_smoothing if own and loss == own.loss else 0.0
    return HealthMonitor(
        loss,
        preset=terms.preset,
        budget_kimg=own.budget if own else None,
        label_smoothing=smoothing,
        auxiliary=terms.auxiliary,
    )


def _sum_up(watch: Watch, loss: str | None, notes: list[str], has_budget: bool) -> Diagnosis:
    verdict, best_score = watch.verdict, watch.best_score()
    if best_score is not None:
        best: float | None = best_score.at
    elif verdict is not None:
        best = watch.last_sound(before=verdict.since)
    else:
        best = watch.last
    return Diagnosis(
        verdict=verdict,
        unit=watch.unit,
        best=best,
        best_score=best_score,
        last=watch.last,
        records=watch.count,
        loss=loss,
        measured=tuple(sorted(watch.measured)),
        notes=(*notes, *_notes(watch, loss, has_budget)),
    )


def _notes(watch: Watch, loss: str | None, has_budget: bool) -> list[str]:
    notes = []
    places = watch.count - watch.merged
    fewest = FEWEST_TICKS if has_budget else FEWEST_WITHOUT_BUDGET
    if places < fewest:
        notes.append(
            f"only {places:,} place{'s' * (places != 1)} in the log, too few to judge it by: most "
            f"rules look at {fewest} or more"
        )
    if watch.merged > watch.count // 2:
        notes.append(
            f"{watch.merged:,} of {watch.count:,} records stand at the place of the one before, "
            "and each such place was judged as one; name a column that counts on, with --columns "
            f"{watch.unit}=NAME"
        )
    if watch.returns:
        times = "once" if watch.returns == 1 else f"{watch.returns:,} times"
        notes.append(
            f"the log goes back {times}, as after a resume: what it had past that is forgotten"
        )
    if watch.resumed_at is not None:
        notes.append(
            f"after the stop it goes on from {watch.unit} {watch.resumed_at:,.10g}: not judged"
        )
    if "d_loss" not in watch.measured:
        notes.append("D's loss was nowhere measured: the rules that read it had nothing to judge")
    elif loss is None:
        blind = [name for name, rule in RULES.items() if "unknown" not in rule.families]
        notes.append(
            f"the loss was not named, so {' and '.join(blind)} were not judged, and exploding by "
            f"growth alone; name it with --loss ({comma_list(LOSSES)})"
        )
    return notes


# ``Watch``: a log's records brought to a monitor, and what a diagnosis needs of them kept.


_WHOLE = 20_000  # records that are all handed on: later one in so many of them, to spare memory


class Watch:
    """Takes one record after the other; what it says at one depends on nothing after it.

    A place before the last one means that training went on again from there: what was seen from
    there on is forgotten. Lines of one place are one record, the later ones adding to it.
    """

    def __init__(self, monitor: HealthMonitor) -> None:
        self._monitor = monitor
        self.verdict: Verdict | None = None
        self.unit: Unit = "step"
        self.last = 0.0
        self.count = 0
        self.returns = 0
        self.merged = 0
        """Records that stood at the place of the one before, and became one with it."""
        self.resumed_at: float | None = None
        """Where the log goes back to after the verdict, if it does."""
        self.measured: set[str] = set()
        self._values: dict[str, float] = {}
        self._sound = array("d")  # places of records whose numbers are all finite
        self._scores: list[ScorePoint] = []

    def take(self, record: Record) -> Verdict | None:
        """The verdict, once it is there."""
        at, values = record.at, record.values
        is_back = self.count > 0 and at < self.last
        is_same = self.count > 0 and at == self.last
        self.count += 1
        self.returns += is_back
        self.merged += is_same
        self.last, self.unit = at, record.unit
        if self.verdict is not None:
            if is_back and self.resumed_at is None:
                self.resumed_at = at
            return self.verdict
        if is_back or is_same:
            self._forget(at, keeps_scores=is_same)
        self._values = {**self._values, **values} if is_same else dict(values)
        if self._values:
            self.measured |= values.keys()
            self._keep(at)
            if is_back or self._is_due():
                self.verdict = self._observe(record)
        return self.verdict

    def best_score(self) -> ScorePoint | None:
        """The lowest finite score up to the verdict, the first of equals."""
        return min(self._scores, key=attrgetter("value"), default=None)

    def last_sound(self, before: float) -> float | None:
        """The last place before ``before`` whose numbers were all finite."""
        index = bisect_left(self._sound, before)
        return self._sound[index - 1] if index else None

    def _forget(self, at: float, *, keeps_scores: bool) -> None:
        del self._sound[bisect_left(self._sound, at) :]
        if not keeps_scores:
            del self._scores[bisect_left(self._scores, at, key=attrgetter("at")) :]

    def _keep(self, at: float) -> None:
        if all(map(math.isfinite, self._values.values())):
            self._sound.append(at)
        for name in SCORES:
            value = self._values.get(name, math.nan)
            if math.isfinite(value):
                if self._scores and self._scores[-1].at == at:
                    self._scores.pop()
                self._scores.append(ScorePoint(at, value, name))
                break

    def _is_due(self) -> bool:
        """Whether the monitor sees this record; of a very long log it sees enough with fewer."""
        stride = self.count // _WHOLE
        return stride < 2 or self.count % stride == 0 or self._is_telling(self._values)

    @staticmethod
    def _is_telling(values: Mapping[str, float]) -> bool:
        """Whether a single record may say something by itself."""
        is_scored = any(name in values for name in SCORES)
        return is_scored or values.get("non_finite", 0.0) > 0 or not _are_finite(values)

    def _observe(self, record: Record) -> Verdict | None:
        """A tick and then its score, as a search takes them; a FID stands in its own row."""
        place = {record.unit: record.at}
        signals = dict(self._values)
        score, spread = signals.pop("score", None), signals.pop("feature_spread", None)
        verdict = self._monitor.observe(**place, **signals) if signals else None
        if score is not None:
            verdict = self._monitor.observe_score(score=score, spread=spread, **place)
        return verdict


def _are_finite(values: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, values.values()))
