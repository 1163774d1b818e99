"""The Ray Tune engine: a loop around the driver that is Tune's own, with two thin adapters."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError, RayTaskError

from gantune.errors import is_disk_full
from gantune.trial.records import Assignment, Outcome, describe_outcome
from gantune.tuner.driver import Driver
from gantune.tuner.engines.messages import Task
from gantune.tuner.engines.ray import adapters
from gantune.tuner.engines.ray.files import Storage, goes_on, unpack
from gantune.tuner.engines.ray.options import RayPlan
from gantune.tuner.engines.ray.worker import TrialJob, TrialReport, train
from gantune.tuner.engines.retry_policy import (
    TRIES,
    crashed_outcome,
    disk_full,
    silence_words,
    trying_again,
)
from gantune.tuner.records import Done
from gantune.tuner.state import SearchObserver

_REFRESH = 0.25  # seconds from one look at the state to the next


class RayEngine:
    """Runs a driver's assignments as trials of Ray Tune, as many at a time as there are tasks.

    Ray is connected already. Tune's ids of trials are those of its adapters' calls.
    """

    def __init__(
        self, driver: Driver, tasks: Sequence[Task], observer: SearchObserver, plan: RayPlan
    ) -> None:
        self._driver, self._observer, self._plan = driver, observer, plan
        self._task, self._slots = tasks[0], len(tasks)
        self._key = secrets.token_hex(8)
        self._storage = Storage.of(plan.checkpoints, driver.folder, driver.space.study)
        self._names: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, str] = {}
        self._workers: dict[str, Any] = {}  # of the trials that run
        self._kept: dict[str, tune.Checkpoint] = {}
        self._refreshed = 0.0
        self._is_awaited = False  # whether a place is free and Tune has not asked for more yet

    def run(self) -> None:
        """Returns once the driver has nothing left.

        Raises ``TrainingError`` if too many trials crash, and ``RunError`` if a disk is full.
        """
        count, device = self._slots, self._task.device
        self._observer.message(
            f"starting {count} worker{'s' * (count > 1)} on {device}, by Ray Tune"
        )
        for left in self._driver.folder.path.glob("*/.[0-9]*"):  # by a killed process, half moved
            shutil.rmtree(left, ignore_errors=True)
        with adapters.registered(self._key, self):
            try:
                self._tuner().fit()
            except adapters.Ended as ended:
                raise ended.error from ended.error.__cause__
            except SystemError as error:  # how Ctrl-C comes out of Ray's waiting
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise error.__cause__ from None
                raise
            finally:
                for worker in self._workers.values():  # of trials that are not to end any more
                    ray.kill(worker)

    def suggest(self, trial: str) -> Mapping[str, Any] | str | None:
        """What a new trial is to train; ``None`` for nothing yet."""
        if len(self._names) >= self._slots:
            return None
        work, self._is_awaited = self._driver.next_assignment(), False
        if isinstance(work, Done):
            return adapters.FINISHED
        if not isinstance(work, Assignment):
            return None
        self._driver.write_configs()  # its worker packs the folder: nothing may be on its way there
        self._names[trial] = work.name
        return {"assignment": work, "start": self._start(work.name)}

    def on_start(self, trial: str, worker: Any) -> None:
        """Notes whose process trains a trial."""
        self._workers[trial] = worker

    def answer(self, trial: str, sent: TrialReport) -> bool:
        """Whether a trial is to go on, after what it reported."""
        for line in sent.said:
            self._observer.message(line)
        if sent.readying is not None:
            self._driver.add_warmup_seconds(sent.readying)
        if isinstance(sent.what, Outcome):
            self._outcomes[trial] = sent.what
            return False
        if self._driver.report(self._names[trial], sent.what):
            return True
        self._outcomes[trial] = sent.what.pruned()
        return False

    def on_checkpoint(self, trial: str, sent: TrialReport, checkpoint: tune.Checkpoint) -> None:
        """Brings a trial's files into the run folder; the checkpoint before is needed no more."""
        if not sent.is_here:
            unpack(checkpoint, self._driver.folder.trial(self._names[trial]))
        before, self._kept[trial] = self._kept.get(trial), checkpoint
        if before is not None and before.filesystem is not None:
            with suppress(OSError):
                before.filesystem.delete_dir(before.path)

    def note_error(self, trial: str, error: BaseException | None) -> None:
        """Notes why a trial's worker or code has failed. Raises ``RunError`` for a full disk."""
        name = self._names[trial]
        if has_full_disk(error):
            raise disk_full(name, " (on the machine that trains it)")
        text = traceback_text(error)
        if error is not None and has_died(error):
            silence = self._storage.take(f"hung/{name}")
            is_hung = silence is not None
            limit = float(silence or self._limit)  # empty: it was ended as it wrote
            why = silence_words(limit) if is_hung else why_it_died(error)
            cause = f"was ended ({why})" if is_hung else f"died ({why})"
            self._observer.message(f"a worker {cause} and is replaced")
            text += f"\nthe worker {cause}"
        self._errors[trial] = text

    def try_again(self, trial: str) -> None:
        """Tells that a trial is begun once more."""
        self._observer.message(trying_again(self._names[trial]))

    def finish(self, trial: str, *, has_crashed: bool) -> None:
        """Ends a trial, with the outcome that it reported."""
        name, self._is_awaited = self._names.pop(trial), True
        self._workers.pop(trial, None)
        outcome = self._outcomes.pop(trial, None)
        if has_crashed or outcome is None:
            folder = self._driver.folder.trial(name)
            outcome = crashed_outcome(folder, self._errors.get(trial, "the worker was lost"))
        self._kept.pop(trial, None)
        self._driver.finish(name, outcome)
        self._observer.message(describe_outcome(name, outcome))
        with suppress(OSError):
            self._storage.drop_trial(adapters.folder_name(name))

    def refresh(self) -> None:
        """Writes results and shows the state, some times a second, while nobody waits for it."""
        if not self._is_awaited and time.monotonic() - self._refreshed >= _REFRESH:
            self._driver.flush_results()
            self._observer.refresh(self._driver.state())
            self._refreshed = time.monotonic()

    @property
    def _limit(self) -> float:
        return self._driver.space.budget.heartbeat

    def _start(self, name: str) -> tune.Checkpoint | None:
        """What the run folder holds of a trial that another driver has begun."""
        folder = self._driver.folder.trial(name)
        if not goes_on(folder):
            return None
        return self._storage.upload(folder.path, f"start/{adapters.folder_name(name)}")

    def _tuner(self) -> tune.Tuner:
        assert self._plan.resources is not None
        trainable = tune.with_parameters(train, job=self._job())
        takes = tune.PlacementGroupFactory([dict(self._plan.resources.amounts)])
        return tune.Tuner(
            tune.with_resources(trainable, takes),
            tune_config=tune.TuneConfig(
                search_alg=adapters.DriverSearcher(self._key),
                scheduler=adapters.DriverScheduler(self._key),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=adapters.folder_of_trial,
            ),
            run_config=tune.RunConfig(
                name=self._storage.experiment,
                storage_path=self._storage.place,
                failure_config=tune.FailureConfig(max_failures=TRIES - 1),
                callbacks=[adapters.DriverEvents(self._key)],
                verbose=0,
            ),
        )

    def _job(self) -> TrialJob:
        extractor = self._driver.folder.extractor
        paths = extractor.iterdir() if extractor.exists() else ()  # none: the trainer scores itself
        files = {path.name: path.read_bytes() for path in paths}
        return TrialJob(
            key=self._key,
            task=self._task,
            node=ray.get_runtime_context().get_node_id(),
            extractor=ray.put(files),
            storage=self._storage,
            heartbeat=self._limit,
            working_folder=str(Path.cwd()),
        )


# Why a trial on Ray has failed, in words.


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def has_died(error: BaseException | None) -> bool:
    """Whether it is the worker's process that is gone, and no error of the code."""
    return isinstance(error, RayActorError)


def why_it_died(error: BaseException) -> str:
    """What is known of a worker's death."""
    if "node" in str(error).partition("\n")[0]:
        return "its machine is gone"
    return "killed, out of memory, a crash of native code, or its machine is gone"


def has_full_disk(error: BaseException | None) -> bool:
    """Whether a worker failed because its disk is full."""
    return isinstance(error, RayTaskError) and is_disk_full(error.cause)


def traceback_text(error: BaseException | None) -> str:
    """The error as Ray tells it, without colours."""
    return _COLOUR.sub("", str(error)) if error is not None else "an error that cannot be read here"
