"""The driver decides: it hands out work, answers at rungs and writes the study.

It is passive: engines call ``next_assignment``, ``report``, ``finish`` and, while no worker waits
for any of these, ``flush_results``. It never waits and starts nothing itself.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from gantune.config import AnyConfig
from gantune.errors import TrainingError
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace
from gantune.trial.checkpoint_files import drop_copy, holds_files
from gantune.trial.records import (
    Assignment,
    Done,
    Outcome,
    PaceReport,
    Report,
    TrialRecord,
    Wait,
)
from gantune.tuner.annotations import annotate_outcome, annotate_promotion, attach_pictures
from gantune.tuner.assignments import Assignments
from gantune.tuner.budget import Ledger, budget_key, is_improvement
from gantune.tuner.finals.finalists import (
    PlannedFinal,
    plan_finalists,
    plan_runs,
    start_finalist,
    survivors,
)
from gantune.tuner.pruning import make_rule
from gantune.tuner.recovery import (
    check_same_study,
    enqueue_start_points,
    recover_outcome,
    unfinished,
    write_missing_outcomes,
)
from gantune.tuner.refusals import Refusals
from gantune.tuner.results import ResultsWriter, keep_paused, write_outcome
from gantune.tuner.state import RunState, Timing, make_state
from gantune.tuner.study import Study, make_sampler
from gantune.tuner.trainer_warnings import TrainerWarnings


@dataclass(frozen=True)
class SearchContext:
    """What is fixed for a search beside its space."""

    resolve: Callable[[AnyConfig], AnyConfig]
    """Writes the true resolution, colour and path of the data into a config."""
    protocol: str
    """Hash of the full protocol."""
    header: str = ""
    """Where ``best.yaml`` comes from: command, versions, protocol."""
    timing: Timing = field(default_factory=Timing)
    """The parts of it that the study does not store."""
    judges_alone: bool = False
    """Whether rules about pace judge each run without the others."""


class Driver:
    """Decides for one search over a run folder; the only writer of its studies.

    Raises ``RunError`` where the studies belong to another search.
    """

    def __init__(
        self, space: SearchSpace, folder: RunFolder, storage: BaseStorage, context: SearchContext
    ) -> None:
        self.space, self.folder, self._context = space, folder, context
        self._trials = Study.open(storage, space.study, "trial")
        self._warnings = TrainerWarnings(space.own_trainer)
        self._finals = Study.open(storage, f"{space.study}.finalists", "finalist")
        self._rule = make_rule(space.pruning)
        self._started = time.monotonic()
        self._earlier = replace(
            context.timing,
            seconds=float(self._trials.attributes.get("seconds", 0.0)),
            warmup_seconds=float(self._trials.attributes.get("readying_seconds", 0.0)),
        )
        self._crashes: list[str] = []
        self._assignments = Assignments(space, context.resolve, judges_alone=context.judges_alone)
        self._results = ResultsWriter(folder, self._trials, self._finals, context.header)
        self._state: RunState | None = None  # cached until something happens
        identity = {"space": space.hash, "protocol": context.protocol}
        check_same_study(self._trials, identity, folder.path)
        for key, value in identity.items():
            self._trials.set_attribute(key, value)
        enqueue_start_points(self._trials, space)
        self._running: dict[str, Assignment] = {}
        self._restarted: set[str] = set()
        self._pausing: set[str] = set()  # runs that were told to stop, and may go on later
        self._refusals = Refusals()
        self._has_to_wait = False  # until a run reports or ends: engines ask four times a second
        self._resumed = list(unfinished(space, self._trials, self._finals, self._assignments))
        records = (*self.trials(), *self.finalists())
        self._results.is_behind = write_missing_outcomes(folder, records)

    def next_assignment(self) -> Assignment | Wait | Done:
        """The next piece of work. Raises ``TrainingError`` once too many trials have crashed."""
        if len(self._crashes) > self.space.budget.max_failed:
            raise TrainingError(
                f"{len(self._crashes)} trials crashed (max_failed is "
                f"{self.space.budget.max_failed}); the first one:\n{self._crashes[0]}"
            )
        if self._has_to_wait:
            return Wait()
        work = self._next()
        while isinstance(work, Assignment) and recover_outcome(
            self._study(work), self.folder, work
        ):
            self._state, self._results.is_behind = None, True
            work = self._next()
        self._has_to_wait = isinstance(work, Wait)
        if not self._has_to_wait:
            self._state = None
        if isinstance(work, Assignment):
            self._running[work.name] = work
            self._results.prepare_folder(work)
        return work

    def report(self, name: str, report: Report) -> bool:
        """Stores a rung's score; returns whether the run continues. Finalists do, unless a rule
        about pace speaks; ``Refusals`` says when that counts."""
        self._state, self._has_to_wait = None, False
        self._pausing.discard(name)  # of an earlier try
        self._refusals.forget(name)
        assignment = self._running[name]
        study, doubt = self._study(assignment), report.doubt
        if isinstance(report, PaceReport):
            return self._refusals.spares(assignment, study.records(), report.doubt)
        percent = round(100 * report.rung)
        is_new = percent not in self._record(assignment).rungs
        study.report(assignment.number, report.rung, report.score.value, report.score.error)
        attach_pictures(study, self.folder, assignment)
        if doubt and not self._refusals.spares(assignment, study.records(), doubt):
            return False
        if assignment.kind == "finalist":
            return True
        if is_new and is_improvement(self.trials(), assignment.number, percent):
            self._trials.set_attribute("improved", len(self.trials()))
        if report.rung >= 1:
            return True
        return self._goes_on(assignment, percent, report.can_pause)

    def _goes_on(self, assignment: Assignment, percent: int, can_pause: bool) -> bool:
        """The rule's answer. A yes is stored, so that it stays one after a kill or a retry."""
        number, rule = assignment.number, self._rule
        if rule.pauses and not can_pause:
            self._warnings.saves_nothing()
        can_pause = rule.pauses and can_pause and not self._cannot_resume
        goes_on = rule.goes_on(self._trials, number, percent, can_pause=can_pause)
        is_promoted = self._record(assignment).promoted >= percent
        is_asked = rule.pauses and goes_on and not is_promoted
        if is_asked and (can_pause or _has_survivor(self.trials())):  # it stops for good otherwise
            goes_on = self._ledger().fits_next_piece(self._record(assignment))
        if rule.pauses and goes_on and not is_promoted:
            self._trials.set_promoted(number, percent)
        if not goes_on:
            self._refusals.note(assignment.name, rule.standing(self.trials(), number, percent))
        if not goes_on and can_pause:
            self._pausing.add(assignment.name)
        return goes_on

    def finish(self, name: str, outcome: Outcome) -> Outcome:
        """Stores how a trial ended or that it is paused; returns what is stored."""
        self._state, self._has_to_wait = None, False
        self.write_configs()
        assignment = self._running.pop(name)
        study, is_pausing = self._study(assignment), name in self._pausing
        outcome = self._refusals.explain(name, outcome)
        self._pausing.discard(name)
        if outcome.ending == "crashed" and self._restart(assignment, outcome):
            return replace(outcome, ending="paused", error="")  # which a warning has told
        if is_pausing and outcome.ending == "pruned":
            outcome = replace(outcome, ending="paused")
            keep_paused(self.folder.trial(name))
            annotate_outcome(study, self.folder, assignment, outcome)
            study.pause(assignment.number, outcome)
            self._trials.set_attribute("seconds", self.seconds)
            self._results.is_behind = True
            return outcome
        self._end(assignment, outcome)
        return outcome

    def _end(self, assignment: Assignment, outcome: Outcome) -> None:
        name, study = assignment.name, self._study(assignment)
        annotate_outcome(study, self.folder, assignment, outcome)
        study.tell(assignment.number, outcome, assignment.config.kimg)
        self._trials.set_attribute("seconds", self.seconds)
        if outcome.ending == "crashed":
            self._crashes.append(outcome.error)
        write_outcome(self.folder.trial(name), outcome)
        self._results.is_behind = True

    def write_configs(self) -> None:
        """Writes the missing ``config.yaml`` of each run that was handed out."""
        self._results.write_configs()

    def flush_results(self) -> None:
        """Writes what no worker waits for: configs, and the results of runs that have ended.

        In a large study, where writing takes long, results are written less often.
        """
        self.write_configs()
        if self._results.is_due:
            self.write()

    def add_warmup_seconds(self, seconds: float) -> None:
        """Adds the time that a worker spent on its warm-up before its first trial."""
        total = self._earlier.warmup_seconds + seconds
        self._earlier = replace(self._earlier, warmup_seconds=total)
        self._trials.set_attribute("readying_seconds", total)

    def write(self) -> None:
        """Writes ``trials.csv``, ``best.yaml`` and the studies' notes, from the studies."""
        state, best = self.state(), None
        if state.best is not None:
            best = self._assignments.config_of(state.best)
        if best is not None and state.winner is not None:  # trained with the finals' budget
            best = best.replaced(kimg=self.space.finalists.budget(best.kimg))
        self._results.write(state, best)

    @property
    def seconds(self) -> float:
        """Seconds that this search has taken, over all its starts."""
        return self._earlier.seconds + time.monotonic() - self._started

    def trials(self) -> list[TrialRecord]:
        """All trials by number."""
        return self._trials.records()

    def finalists(self) -> list[TrialRecord]:
        """All trainings of finalists by number."""
        return self._finals.records()

    def state(self) -> RunState:
        """The whole search at this moment."""
        timing = replace(self._earlier, seconds=self.seconds)
        if self._state is None:
            trials, finalists = self.trials(), self.finalists()
            self._state = make_state(
                self.space, self.folder, trials, finalists, timing, self._are_trials_over
            )
        return replace(self._state, timing=timing)

    def close(self) -> None:
        """Stores the time taken and writes the results that ``flush_results`` skipped.

        Call it however the search ends.
        """
        self._trials.set_attribute("seconds", self.seconds)
        self.write_configs()
        if self._results.is_behind:
            self.write()

    def _next(self) -> Assignment | Wait | Done:
        if self._resumed:
            return self._resumed.pop(0)
        work = None if self._are_trials_over else self._next_trial()
        if work is not None:
            return work
        run = self._next_finalist()
        if run is None:
            return Wait() if self._running else Done()
        if not self._finals.numbers(TrialState.WAITING):  # one left by a kill comes first
            params = self.trials()[run.origin].params
            self._finals.enqueue(params, origin=run.origin, seed=run.seed, budget_kimg=run.kimg)
        trial = self._finals.ask()
        self.space.sample_config(trial)
        queued = trial.user_attrs
        run = PlannedFinal(queued["origin"], queued["seed"], queued["budget_kimg"])
        return self._assignments.finalist(trial.number, run, self.trials()[run.origin])

    def _next_trial(self) -> Assignment | None:
        """A promoted or a new trial. ``None`` if there is neither; if no trial runs either, the
        trials are over."""
        ledger = self._ledger()
        records = ledger.trials
        for record in self._rule.due(records):
            if ledger.fits_next_piece(record):
                return self._promote(record)
        if ledger.fits_new_trial:
            sampler = make_sampler(self.space.sampler, self._trials.count)
            return self._assignments.new(self._trials.ask(sampler))
        if ledger.has_room and ledger.resumes:  # no whole trial fits any more
            for record in self._rule.leftover(records):
                if ledger.fits_to_end(record):
                    return self._promote(record)
        needed = self._rule.needed(records, ledger.least)
        # What the end takes is kept. It takes more where promoted trials fail.
        must = not (_has_survivor(records) or ledger.is_spent)
        if needed is not None and (ledger.fits() or must):
            return self._promote(needed)
        if not any(record.outcome is None for record in records):
            self._end_trials(records)
        return None

    def _ledger(self) -> Ledger:
        improved = int(self._trials.attributes.get("improved", 0))
        workers = self._context.timing.workers
        records, finalists = self.trials(), self.finalists()
        resumes = not self._cannot_resume
        return Ledger(
            self.space, records, finalists, self.seconds, workers, improved, resumes=resumes
        )

    @property
    def _cannot_resume(self) -> bool:
        """Whether a promoted trial has shown that the trainer cannot go on from its files."""
        return bool(self._trials.attributes.get("cannot_resume", False))

    def _record(self, assignment: Assignment) -> TrialRecord:
        return self._study(assignment).record(assignment.number)

    def _promote(self, record: TrialRecord) -> Assignment:
        if self._cannot_resume:
            drop_copy(self.folder.trial(record.name).external_last)
        percent, assignment = record.last_percent, self._assignments.again(record)
        self._trials.promote(record.number, percent)
        annotate_promotion(self._trials, assignment, percent)
        return assignment

    def _restart(self, assignment: Assignment, outcome: Outcome) -> bool:
        """Trains a promoted trial from its start where an external trainer could not go on.

        It has crashed before it came beyond the rung from which it was promoted. From then on no
        trial is paused. Whether it is trained again.
        """
        record, home = self._record(assignment), self.folder.trial(assignment.name)
        trainer = self.space.own_trainer
        can_resume = isinstance(trainer, str) or (trainer is not None and trainer.resume)
        if not can_resume or not record.promoted:
            return False
        paused_at = max((line["kimg"] for line in home.scores() if line["rung"]), default=0.0)
        if outcome.kimg > paused_at or assignment.name in self._restarted:
            return False
        self._restarted.add(assignment.name)
        self._trials.set_attribute("cannot_resume", True)
        drop_copy(home.external_last)
        self._resumed.insert(0, assignment)
        self._warnings.cannot_resume(assignment.name, outcome.error)
        return True

    def _end_trials(self, records: Sequence[TrialRecord]) -> None:
        """Ends the paused trials, none of which will be promoted; from now on only finals begin."""
        standings = self._rule.paused_standings(records)
        for record in records:
            if record.is_paused and record.outcome is not None:
                standing = standings.get(record.number)
                outcome = replace(record.outcome, ending="pruned", standing=standing)
                self._end(self._assignments.again(record), outcome)
        self._trials.set_attribute("closed", budget_key(self.space))

    @property
    def _are_trials_over(self) -> bool:
        return bool(self._trials.attributes.get("closed") == budget_key(self.space))

    def _next_finalist(self) -> PlannedFinal | None:
        """The next training of the finals that has not been handed out.

        Those of the start recipe are known before the last trials have ended, so idle workers train
        them meanwhile, once its own trial has shown that it does not fail.
        """
        records = self.trials()
        begun = {(record.origin, record.seed, record.budget_kimg) for record in self.finalists()}
        finalists, seed = self.space.finalists, self.space.first_config().seed
        if self._are_trials_over:
            self._warn_unsaved(records)
            plan = plan_finalists(self.space, records)
        else:
            starts = start_finalist(self.space, records)
            known = [r for r in starts if r.outcome is not None and not r.is_paused]
            plan = plan_runs(known, finalists, seed)
        return next((run for run in plan if run not in begun), None)

    def _warn_unsaved(self, records: list[TrialRecord]) -> None:
        """Warns where the best trial's own trainer has saved nothing: nor will its finals."""
        best = next(iter(survivors(records)), None)
        if self.space.own_trainer is None or best is None:
            return
        if not holds_files(self.folder.trial(best.name).external_best):
            self._warnings.best_is_unsaved(best.name)

    def _study(self, assignment: Assignment) -> Study:
        return self._trials if assignment.kind == "trial" else self._finals


def _has_survivor(records: Sequence[TrialRecord]) -> bool:
    """Whether a trial has come to its end with a score."""
    return any(100 in record.rungs for record in records if record.value is not None)
