"""``diagnose``: the verdict on a whole log, and where its best checkpoint lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantune.config.loss_families import LOSSES
from gantune.health.history import FEWEST_TICKS, FEWEST_WITHOUT_BUDGET
from gantune.health.logs import Columns, Log, Record, open_log, open_records
from gantune.health.loss_names import known_loss
from gantune.health.monitor import HealthMonitor
from gantune.health.rules import RULES
from gantune.health.verdict import Unit, Verdict
from gantune.health.watch import ScorePoint, Watch
from gantune.io.validation import listed

__all__ = ["Diagnosis", "Terms", "diagnose", "diagnose_log"]

Preset = str | Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """How a log is judged, as by ``HealthMonitor``."""

    loss: str | None = None
    auxiliary: bool = False
    preset: Preset = "default"


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
            f"growth alone; name it with --loss ({listed(LOSSES)})"
        )
    return notes
