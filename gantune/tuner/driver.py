"""The driver: the one that decides. It hands out work, answers at rungs and writes the study.

It is passive: engines call ``next_assignment``, ``report``, ``finish`` and, once no worker
waits for any of these, ``flush_results``. It never waits or starts anything itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from gantune.config import AnyConfig
from gantune.errors import TrainingError
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.annotations import show_ending, show_pictures
from gantune.tuner.finalists import PlannedFinal, plan_finalists, plan_runs, start_recipe
from gantune.tuner.records import Done, TrialRecord, Wait
from gantune.tuner.recovery import check_same_study, read_ending
from gantune.tuner.results import ResultsWriter, write_ending
from gantune.tuner.state import RunState, Timing, has_budget, make_state, trials_are_over
from gantune.tuner.study import Study, make_pruner, make_sampler, percent, rungs_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchContext:
    """What a search fixes beside its space."""

    resolve: Callable[[AnyConfig], AnyConfig]
    """Writes the data's true resolution, colour and place into a config."""
    protocol: str
    """Hash of the full protocol."""
    header: str = ""
    """What ``best.yaml`` says of its origin: command, versions, protocol."""
    preparing_seconds: float = 0.0
    """Spent on the scores before the first trial, over all starts."""
    workers: int = 1


class Driver:
    """The brain of one search over a run folder; its studies' only writer."""

    def __init__(
        self, space: SearchSpace, folder: RunFolder, storage: BaseStorage, setting: SearchContext
    ) -> None:
        self.space, self.folder, self._setting = space, folder, setting
        self._rungs = rungs_of(space.pruning)
        self._trials = Study.open(storage, space.study, "trial")
        self._finals = Study.open(storage, f"{space.study}.finalists", "finalist")
        self._pruner = make_pruner(space.pruning)
        self._started = time.monotonic()
        self._spent = float(self._trials.attributes.get("seconds", 0.0))
        self._readying = float(self._trials.attributes.get("readying_seconds", 0.0))
        self._crashes: list[str] = []
        self._files = ResultsWriter(folder, self._trials, self._finals, setting.header)
        self._state: RunState | None = None  # as it was made last, until something happens
        identity = {"space": space.hash, "protocol": setting.protocol}
        check_same_study(self._trials, identity, folder.path)
        for key, value in identity.items():
            self._trials.set_attribute(key, value)
        if not self._trials.attributes.get("started"):
            for params in space.start_points()[len(self._trials.numbers()) :]:
                self._trials.enqueue(params, start=True)
            self._trials.set_attribute("started", True)
        self._running: dict[str, Assignment] = {}
        self._again = list(self._unfinished())
        for record in (*self.trials(), *self.finalists()):
            place = folder.trial(record.name)
            if record.outcome is not None:
                self._files.is_behind = True  # it may have been killed before it wrote results
                if not place.verdict.exists():  # or in ``finish``
                    write_ending(place, record.outcome)

    def next_assignment(self) -> Assignment | Wait | Done:
        """The next piece of work. Raises ``TrainingError`` once too many trials have crashed."""
        if len(self._crashes) > self.space.budget.max_failed:
            raise TrainingError(
                f"{len(self._crashes)} trials crashed (max_failed is "
                f"{self.space.budget.max_failed}); the first one:\n{self._crashes[0]}"
            )
        assignment = self._next()
        while isinstance(assignment, Assignment) and self._had_ended(assignment):
            assignment = self._next()
        if not isinstance(assignment, Wait):  # which is asked for four times a second
            self._state = None
        if isinstance(assignment, Assignment):
            self._running[assignment.name] = assignment
            self._files.hand_out(assignment)
        return assignment

    def report(self, name: str, report: RungReport) -> bool:
        """Notes a rung's score; whether the trial is to go on. Finalists always are."""
        self._state = None
        assignment = self._running[name]
        study = self._study(assignment)
        study.report(assignment.number, percent(report.rung), report.score.value)
        show_pictures(study, self.folder, assignment)
        if assignment.kind == "finalist" or report.rung >= 1:
            return True
        return not study.should_prune(assignment.number, self._pruner)

    def finish(self, name: str, outcome: Outcome) -> None:
        """Notes how a trial ended."""
        self._state = None
        self.write_configs()
        assignment = self._running.pop(name)
        study = self._study(assignment)
        show_ending(study, self.folder, assignment, outcome)  # what has ended takes no pictures
        study.tell(assignment.number, outcome, assignment.config.kimg)
        self._note_seconds()
        if outcome.ending == "crashed":
            self._crashes.append(outcome.error)
        write_ending(self.folder.trial(name), outcome)
        self._files.is_behind = True

    def write_configs(self) -> None:
        """Writes each ``config.yaml`` of what was handed out."""
        self._files.write_configs()

    def flush_results(self) -> None:
        """Writes what no worker waits for: configs, and the results of what has ended.

        Where the results take long, in a large study, they are left out for some time after.
        """
        self.write_configs()
        if self._files.is_due:
            self.write()

    def add_warmup_seconds(self, seconds: float) -> None:
        """Notes what a worker took on scoring before its first trial."""
        self._readying += seconds
        self._trials.set_attribute("readying_seconds", self._readying)

    def write(self) -> None:
        """Writes ``trials.csv``, ``best.yaml`` and the studies' notes, from the studies."""
        state = self.state()
        self._files.write(state, self._best_config(state))

    @property
    def seconds(self) -> float:
        """Seconds that this search has taken, over all its starts."""
        return self._spent + time.monotonic() - self._started

    def trials(self) -> list[TrialRecord]:
        """All trials by number."""
        return self._trials.records()

    def finalists(self) -> list[TrialRecord]:
        """All trainings of finalists by number."""
        return self._finals.records()

    def state(self) -> RunState:
        """The whole search as it stands now."""
        setting = self._setting
        spent = Timing(self.seconds, setting.preparing_seconds, setting.workers, self._readying)
        if self._state is None:
            trials, finalists = self.trials(), self.finalists()
            self._state = make_state(self.space, self.folder, trials, finalists, spent)
        return replace(self._state, timing=spent)

    def close(self) -> None:
        """Notes the time that was taken and writes what ``flush_results`` left out; to be called
        however the search ends."""
        self._note_seconds()
        self.write_configs()
        if self._files.is_behind:
            self.write()

    def _note_seconds(self) -> None:
        self._trials.set_attribute("seconds", self.seconds)

    def _config_of(self, record: TrialRecord) -> AnyConfig:
        """The config that an ended trial trained."""
        return self._setting.resolve(self.space.configs_of(record.params))

    def _best_config(self, state: RunState) -> AnyConfig | None:
        """The config to go on with, if there is one: a winner's has the finalists' budget."""
        if state.best is None:
            return None
        config = self._config_of(state.best)
        if state.winner is None:
            return config
        return config.replaced(kimg=self.space.finalists.budget(config.kimg))

    def _finalist_config(self, run: PlannedFinal) -> AnyConfig:
        """The config that a finalist trains: its trial's, on another seed and budget."""
        config = self._config_of(self.trials()[run.origin])
        return config.replaced(seed=run.seed, kimg=run.kimg)

    def _next(self) -> Assignment | Wait | Done:
        if self._again:
            return self._again.pop(0)
        if has_budget(self.space.budget, self.trials(), self.seconds):
            return self._ask_trial()
        run = self._next_finalist()
        if run is not None:
            return self._ask_finalist(run)
        return Wait() if self._running else Done()

    def _had_ended(self, assignment: Assignment) -> bool:
        """Takes a run from its folder, where the study's own lines of its end were lost."""
        found = read_ending(self.folder.trial(assignment.name), assignment.config)
        if found is None:
            return False
        self._state = None
        outcome, rungs = found
        study, number = self._study(assignment), assignment.number
        for rung, value in rungs.items():
            study.report(number, percent(rung), value)
        show_ending(study, self.folder, assignment, outcome)
        study.tell(number, outcome, assignment.config.kimg)
        self._files.is_behind = True
        _log.warning("%s had ended already; taken from its folder", assignment.name)
        return True

    def _ask_trial(self) -> Assignment:
        number = len(self._trials.numbers())
        trial = self._trials.ask(make_sampler(self.space.sampler, number))
        config = self._setting.resolve(self.space.suggest(trial))
        trial.set_user_attr("budget_kimg", config.kimg)
        return self._assignment(f"trials/{trial.number:04d}", config)

    def _next_finalist(self) -> PlannedFinal | None:
        """The next training of the finals that nobody has begun.

        The start recipe's are known before the last trials have ended, so they fill the gap.
        """
        records = self.trials()
        begun = {(record.origin, record.seed, record.budget_kimg) for record in self.finalists()}
        finalists = self.space.finalists
        if trials_are_over(self.space.budget, records, self.seconds):
            plan = plan_finalists(records, finalists, self._seed)
        else:
            plan = plan_runs(start_recipe(records) if finalists.top else [], finalists, self._seed)
        return next((run for run in plan if astuple(run) not in begun), None)

    def _ask_finalist(self, run: PlannedFinal) -> Assignment:
        if not self._finals.numbers(TrialState.WAITING):  # one left by a crash comes first
            params = self.trials()[run.origin].params
            self._finals.enqueue(params, origin=run.origin, seed=run.seed, budget_kimg=run.kimg)
        trial = self._finals.ask()
        self.space.suggest(trial)
        notes = trial.user_attrs
        run = PlannedFinal(notes["origin"], notes["seed"], notes["budget_kimg"])
        return self._assignment(f"finalists/{trial.number:04d}", self._finalist_config(run))

    def _unfinished(self) -> Iterator[Assignment]:
        """The runs that the last driver left, each with the config it had."""
        for number in self._trials.numbers(TrialState.RUNNING):
            trial = self._trials.trial(number, make_sampler(self.space.sampler, number))
            config = self._setting.resolve(self.space.suggest(trial))
            trial.set_user_attr("budget_kimg", config.kimg)
            yield self._assignment(f"trials/{number:04d}", config)
        for record in self.finalists():
            if record.outcome is None and record.origin is not None and record.seed is not None:
                run = PlannedFinal(record.origin, record.seed, record.budget_kimg)
                yield self._assignment(record.name, self._finalist_config(run))

    def _assignment(self, name: str, config: AnyConfig) -> Assignment:
        return Assignment(name, config, self._rungs, self.space.stability)

    @property
    def _seed(self) -> int:
        return self.space.first_config().seed

    def _study(self, assignment: Assignment) -> Study:
        return self._trials if assignment.kind == "trial" else self._finals
