"""``diagnose``: the verdict on a whole log, and the place of its best checkpoint."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from gantune.config import TrialConfig
from gantune.config.loss_families import LOSSES, loss_by_alias
from gantune.health.history import FEWEST_SCORES, FEWEST_TICKS, FEWEST_WITHOUT_BUDGET, Unit
from gantune.health.logs import Columns, Log, Record, open_log, open_records
from gantune.health.logs.columns import SCORES
from gantune.health.logs.gaps import Gaps
from gantune.health.loss_guess import FIRST, Guess, guess_loss
from gantune.health.monitor import HealthMonitor
from gantune.health.reach import Reach
from gantune.health.remedies import Proposal, proposals
from gantune.health.rules import RULES, Verdict
from gantune.io.formatting import and_list, count
from gantune.io.validation import comma_list

Preset = str | Mapping[str, Any]

_ALL_OBSERVED = 20_000  # records; of longer logs only every n-th one is observed, to save memory


@dataclass(frozen=True)
class ScorePoint:
    """A finite score and its place, in the log's unit. ``name``: ``fid`` or ``score``."""

    at: float
    value: float
    name: str


@dataclass(frozen=True)
class Diagnosis:
    """The result for one log. All places are in ``unit``."""

    verdict: Verdict | None
    """``None``: healthy."""
    unit: Unit
    """The unit of the log, ``step`` or ``kimg``."""
    best: float | None
    """The best place to take a checkpoint from; ``None`` where the evidence begins at once."""
    best_score: ScorePoint | None
    """The lowest finite score, at ``best``; ``None`` where the log has no scores."""
    last: float
    """The place of the last record that was read."""
    records: int
    """Number of records that were read."""
    loss: str | None
    """The loss that the log was judged by, if known."""
    measured: tuple[str, ...]
    """The signals and scores found in the log."""
    reach: tuple[Reach, ...]
    """From where on each rule could act in this log, or what it lacks for that."""
    notes: tuple[str, ...]
    """What could not be judged, and how the log was read: one sentence each."""
    lacking: str = ""
    """Why a log without a verdict cannot be called healthy; empty where it can."""
    config: TrialConfig | None = None
    """The run's config, where it lies beside the log and is of gantune's own trainer."""

    @property
    def kind(self) -> str:
        """``healthy``, ``diverged``, ``collapsed`` or ``stalled``; ``not judged`` where something
        is ``lacking``."""
        if self.verdict is not None:
            return self.verdict.kind
        return "not judged" if self.lacking else "healthy"

    @property
    def proposals(self) -> list[Proposal]:
        """What to try after the verdict: new values where the config is known, else advice."""
        return proposals(self.verdict.rule, self.config, self.loss) if self.verdict else []

    @property
    def wasted_share(self) -> float:
        """Share of the run, from 0 to its last record, after ``best``."""
        if self.best is None:
            return 1.0
        return max(0.0, 1 - self.best / self.last) if self.last > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values for JSON."""
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
            "remedies": [proposal.to_dict() for proposal in self.proposals],
            "rules": [reach.to_dict() for reach in self.reach],
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
    ``loss``, ``auxiliary``, ``preset``: as in ``HealthMonitor``. ``columns``: the names of signals
    in this log, such as ``{"d_loss": "Loss/D"}``. Raises ``LogError`` for a log that cannot be read
    and ``ConfigError`` for an unknown loss or preset.
    """
    judge = partial(diagnose_log, loss=loss, auxiliary=auxiliary, preset=preset)
    if not isinstance(log, Path | str):
        return judge(open_records(log, Columns(columns)))
    with open_log(log, Columns(columns)) as file:
        return judge(file)


def diagnose_log(
    records: Log | Iterable[Record],
    loss: str | None = None,
    *,
    auxiliary: bool = False,
    preset: Preset = "default",
    stop_at_verdict: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> Diagnosis:
    """Judges records while they are read.

    ``loss``, ``auxiliary``, ``preset``: as in ``HealthMonitor``. ``stop_at_verdict``: stops reading
    at the verdict. ``on_record``: called with each record. Raises ``LogError`` and ``ConfigError``.
    """
    log = records if isinstance(records, Log) else None
    named = loss and loss_by_alias(loss)
    make_monitor = partial(HealthMonitor, preset=preset, auxiliary=auxiliary)
    make_monitor(named)  # raises for a wrong preset before the first record
    judged = _Judged(make_monitor, log, named, can_guess=not auxiliary)
    for record in records:
        if on_record:
            on_record(record)
        if judged.add(record) and stop_at_verdict:
            break
    return judged.diagnosis()


class _Judged:
    """The monitors of one log, one for each pair of players. They begin once the loss is known: by
    name, by the log, or guessed from the first records."""

    def __init__(
        self,
        make_monitor: Callable[..., HealthMonitor],
        log: Log | None,
        named: str | None,
        *,
        can_guess: bool,
    ) -> None:
        self._make, self._log, self._loss = make_monitor, log, named
        self._guess: Guess | None = None
        self._waiting: list[Record] = []
        self._monitors: dict[str, _LogMonitor] = {}
        self._is_known, self._can_guess = named is not None, can_guess

    def add(self, record: Record) -> Verdict | None:
        """Adds a record and returns the verdict of its players, if any."""
        if not self._is_known and self._log is not None and self._log.loss:
            self._loss, self._is_known = self._log.loss, True
        if not self._is_known:
            self._waiting.append(record)
            if len(self._waiting) < FIRST and all(map(math.isfinite, record.values.values())):
                return None
            return self._begin()
        return self._observe(record)

    def _begin(self) -> Verdict | None:
        """Guesses the loss and observes the records that have waited for it."""
        if self._can_guess:  # the values of losses with other terms tell nothing
            self._guess = guess_loss([record.values for record in self._waiting])
        self._loss, self._is_known = self._guess and self._guess.loss, True
        verdicts = [self._observe(record) for record in self._waiting]
        self._waiting = []
        return next(filter(None, verdicts), None)

    def _observe(self, record: Record) -> Verdict | None:
        monitor = self._monitors.get(record.group)
        if monitor is None:
            log, loss = self._log, self._loss
            smoothing = log.label_smoothing if log is not None and loss == log.loss else 0.0
            budget = None if log is None else log.budget
            health = self._make(
                loss, budget_kimg=budget, label_smoothing=smoothing, counted=record.unit
            )
            monitor = self._monitors[record.group] = _LogMonitor(health)
        if self._guess is not None and self._guess.factor != 1 and "d_loss" in record.values:
            whole = self._guess.factor * record.values["d_loss"]
            record = record._replace(values={**record.values, "d_loss": whole})
        return monitor.add(record)

    def diagnosis(self) -> Diagnosis:
        """The diagnosis of the records so far: of several pairs of players that of the one with the
        first verdict."""
        if not self._is_known:
            self._begin()
        if not self._monitors:
            self._monitors[""] = _LogMonitor(self._make(self._loss))
        groups = self._monitors

        def first(group: str) -> float:
            verdict = groups[group].verdict
            return math.inf if verdict is None else verdict.at

        told = min(groups, key=first)
        monitor = groups[told]
        notes = list(self._log.notes) if self._log is not None else []
        names = [name for name in groups if name]
        if len(names) > 1:
            what = f"this is {told}'s" if told else "this is of what they share"
            several = "discriminators" if max(map(len, names)) == 1 else "runs"
            notes.append(f"several {several}: {comma_list(names)}; each was judged, and {what}")
        if self._guess is not None:
            if self._guess.factor != 1:
                notes.append(
                    "D's loss begins like a mean over real and generated images, so it was "
                    f"multiplied by {self._guess.factor:g}"
                )
            like = "vanilla or hinge" if self._loss == "vanilla" else self._loss
            notes.append(
                f"the loss was not named; the first losses look like {like}: judged as "
                f"{self._loss}; name it with --loss"
            )
        has_budget = self._log is not None and self._log.budget is not None
        notes += _notes(monitor, self._loss, has_budget)
        config = None if self._log is None else self._log.config
        if config is not None and self._loss != config.loss:  # another one was named
            config = None
        return replace(monitor.diagnosis(self._loss, notes), config=config)


def _notes(monitor: _LogMonitor, loss: str | None, has_budget: bool) -> Iterator[str]:
    """What limits the diagnosis, one sentence each."""
    places = monitor.count - monitor.merged
    fewest = FEWEST_TICKS if has_budget else FEWEST_WITHOUT_BUDGET
    if places < fewest:
        yield (
            f"only {count(places, 'place')} in the log, too few to judge it: most rules need "
            f"{fewest} or more"
        )
    if monitor.merged > monitor.count // 2:
        yield (
            f"{monitor.merged:,} of {monitor.count:,} records have the same place as the record "
            "before, and were merged with it; name a column that increases, with --columns "
            f"{monitor.unit}=NAME"
        )
    if monitor.remark:
        yield monitor.remark
    if monitor.returns:
        times = "once" if monitor.returns == 1 else f"{monitor.returns:,} times"
        yield f"the log goes back {times}, as after a resume: records past that place are dropped"
    if monitor.resumed_at is not None:
        place = f"{monitor.unit} {monitor.resumed_at:,.10g}"
        yield f"after the verdict the log resumes at {place}: not judged"
    if "d_loss" not in monitor.measured:
        yield "D's loss is not in the log: the rules that read it could not judge anything"
    elif loss is None:
        skipped = [name for name, rule in RULES.items() if "unknown" not in rule.families]
        yield (
            f"the loss was not named, so {and_list(skipped)} were not judged, and exploding "
            f"only by a critic's bound; name it with --loss ({comma_list(LOSSES)})"
        )


class _LogMonitor:
    """Passes the records of a log to a ``HealthMonitor`` and collects what a diagnosis needs.

    Its verdict at a record never depends on later records. A place before the last one means that
    training resumed there: later records are dropped. Records of one place are merged.
    """

    def __init__(self, monitor: HealthMonitor) -> None:
        self._monitor = monitor
        self.verdict: Verdict | None = None
        self.unit: Unit = "step"
        self.last = 0.0
        self.count = 0
        self.returns = 0
        self.merged = 0
        """Number of records with the same place as the record before, merged with it."""
        self.resumed_at: float | None = None
        """The place where the log resumes after the verdict, if it does."""
        self.measured: set[str] = set()
        self._values: dict[str, float] = {}
        self._gaps = Gaps()
        self._finite = array("d")  # places of records in which all numbers are finite
        self._scores: list[ScorePoint] = []

    def diagnosis(self, loss: str | None, notes: list[str]) -> Diagnosis:
        """The diagnosis of the records so far."""
        verdict, best_score = self.verdict, min(self._scores, key=attrgetter("value"), default=None)
        best: float | None = self.last
        if best_score is not None:
            best = best_score.at
        elif verdict is not None:
            index = bisect_left(self._finite, verdict.since)
            best = self._finite[index - 1] if index else None
        return Diagnosis(
            verdict=verdict,
            unit=self.unit,
            best=best,
            best_score=best_score,
            last=self.last,
            records=self.count,
            loss=loss,
            measured=tuple(sorted(self.measured)),
            reach=tuple(self._monitor.reach),
            notes=tuple(notes),
            lacking=self._lacking(loss),
        )

    def _lacking(self, loss: str | None) -> str:
        if self.count - self.merged < FEWEST_TICKS:
            return "too few places in the log"
        if len(self._scores) >= FEWEST_SCORES:
            return ""
        if "d_loss" not in self.measured:
            return "D's loss was not found"
        if loss is None:
            return "which loss? name it with --loss"
        return ""

    @property
    def remark(self) -> str:
        """What is odd about the scores where no rule speaks."""
        return self._monitor.remark

    def add(self, record: Record) -> Verdict | None:
        """Adds a record and returns the verdict, if any."""
        at, values = record.at, self._gaps.filled(record.values)
        is_back = self.count > 0 and at < self.last
        is_same = self.count > 0 and at == self.last
        self.count += 1
        self.returns += is_back
        self.merged += is_same and bool(values.keys() & self._values.keys())
        self.last, self.unit = at, record.unit
        if self.verdict is not None:
            if is_back and self.resumed_at is None:
                self.resumed_at = at
            return self.verdict
        if is_back or is_same:
            del self._finite[bisect_left(self._finite, at) :]
        if is_back:
            del self._scores[bisect_left(self._scores, at, key=attrgetter("at")) :]
        self._values = {**self._values, **values} if is_same else dict(values)
        if not self._values:
            return None
        self.measured |= values.keys()
        is_finite = all(map(math.isfinite, self._values.values()))
        if is_finite:
            self._finite.append(at)
        found = ((name, self._values.get(name, math.nan)) for name in SCORES)
        score = next((ScorePoint(at, v, name) for name, v in found if math.isfinite(v)), None)
        if score is not None:
            if self._scores and self._scores[-1].at == at:
                self._scores.pop()
            self._scores.append(score)

        # Of a very long log some records are observed, and all with scores or non-finite values.
        stride = self.count // _ALL_OBSERVED
        is_due = is_back or stride < 2 or self.count % stride == 0 or not is_finite
        has_score = any(name in self._values for name in SCORES)
        if is_due or has_score or self._values.get("non_finite", 0.0) > 0:
            self.verdict = self._observe(record)
        return self.verdict

    def _observe(self, record: Record) -> Verdict | None:
        """Observes a tick and then its score, as in a search; a FID is observed with its tick."""
        place = {"kimg" if record.unit == "kimg" else "step": record.at}
        signals = dict(self._values)
        score, spread = signals.pop("score", None), signals.pop("feature_spread", None)
        verdict = self._monitor.observe(**place, **signals) if signals else None
        if score is not None:
            verdict = self._monitor.observe_score(score=score, spread=spread, **place)
        return verdict
