"""The Ray engine: Ray Tune runs the loop, and asks the driver through thin adapters."""

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
from gantune.trial.records import Assignment, Done, Outcome, describe_outcome
from gantune.tuner.driver import Driver
from gantune.tuner.engines.base import (
    MAX_TRIES,
    Task,
    crashed_outcome,
    disk_full_error,
    retry_message,
    timeout_reason,
)
from gantune.tuner.engines.ray import adapters
from gantune.tuner.engines.ray.files import SharedFiles, import_files, is_resumable
from gantune.tuner.engines.ray.worker import TrialJob, TrialReport, train
from gantune.tuner.options import RayPlan
from gantune.tuner.state import SearchObserver

_REFRESH = 0.25  # seconds between two refreshes of the state
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class RayEngine:
    """Runs a driver's assignments as trials of Ray Tune, as many at a time as there are tasks.

    Ray must be connected. The engine is the ``TuneEvents`` of its adapters.
    """

    def __init__(
        self, driver: Driver, tasks: Sequence[Task], observer: SearchObserver, plan: RayPlan
    ) -> None:
        self._driver, self._observer, self._plan = driver, observer, plan
        self._task, self._concurrency = tasks[0], len(tasks)
        self._key = secrets.token_hex(8)
        self._storage = SharedFiles.of(plan.checkpoints, driver.folder, driver.space.study)
        # All by Tune's id of a trial that runs.
        self._names: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, str] = {}
        self._workers: dict[str, Any] = {}
        self._checkpoints: dict[str, tune.Checkpoint] = {}
        self._refreshed = 0.0
        self._is_awaited = False  # a place is free, and Tune has not asked for a trial yet

    def run(self) -> None:
        """Returns once the driver has no more work.

        Raises ``TrainingError`` if too many trials crash, and ``RunError`` if a disk is full.
        """
        count, device = self._concurrency, self._task.device
        self._observer.message(
            f"starting {count} worker{'s' * (count > 1)} on {device}, by Ray Tune"
        )
        for partial in self._driver.folder.path.glob("*/.[0-9]*"):  # left by a killed process
            shutil.rmtree(partial, ignore_errors=True)
        with adapters.registered(self._key, self):
            try:
                self._tuner().fit()
            except adapters.DriverError as found:
                raise found.error from found.error.__cause__
            except SystemError as error:  # how Ctrl-C comes out of Ray's waiting
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise error.__cause__ from None
                raise
            finally:
                for worker in self._workers.values():  # of trials that have not ended
                    ray.kill(worker)

    def _tuner(self) -> tune.Tuner:
        assert self._plan.resources is not None
        trainable = tune.with_parameters(train, job=self._job())
        bundle = tune.PlacementGroupFactory([dict(self._plan.resources.amounts)])
        return tune.Tuner(
            tune.with_resources(trainable, bundle),
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
                failure_config=tune.FailureConfig(max_failures=MAX_TRIES - 1),
                callbacks=[adapters.DriverCallback(self._key)],
                verbose=0,
            ),
        )

    def _job(self) -> TrialJob:
        extractor = self._driver.folder.extractor
        # There is no extractor if the trainer scores itself.
        paths = extractor.iterdir() if extractor.exists() else ()
        files = {path.name: path.read_bytes() for path in paths}
        return TrialJob(
            key=self._key,
            task=self._task,
            node=ray.get_runtime_context().get_node_id(),
            extractor=ray.put(files),
            storage=self._storage,
            heartbeat=self._driver.space.budget.heartbeat,
            working_folder=str(Path.cwd()),
        )

    def suggest(self, trial: str) -> Mapping[str, Any] | str | None:
        """What a new trial trains; ``None`` for nothing yet."""
        if len(self._names) >= self._concurrency:
            return None
        work, self._is_awaited = self._driver.next_assignment(), False
        if isinstance(work, Done):
            return adapters.FINISHED
        if not isinstance(work, Assignment):
            return None
        self._driver.write_configs()  # the worker exports the folder: it must be complete
        self._names[trial] = work.name
        return {"assignment": work, "start": self._start_checkpoint(work.name)}

    def _start_checkpoint(self, name: str) -> tune.Checkpoint | None:
        """The run folder's files of a trial that an earlier command has started."""
        folder = self._driver.folder.trial(name)
        if not is_resumable(folder):
            return None
        return self._storage.upload(folder.path, f"start/{adapters.folder_name(name)}")

    def on_start(self, trial: str, worker: Any) -> None:
        """Notes the worker of a trial."""
        self._workers[trial] = worker

    def on_report(self, trial: str, report: TrialReport) -> bool:
        """Passes a report to the driver; whether the trial continues."""
        for line in report.messages:
            self._observer.message(line)
        if report.warmup_seconds is not None:
            self._driver.add_warmup_seconds(report.warmup_seconds)
        if isinstance(report.result, Outcome):
            self._outcomes[trial] = report.result
            return False
        if self._driver.report(self._names[trial], report.result):
            return True
        self._outcomes[trial] = report.result.pruned()
        return False

    def on_checkpoint(self, trial: str, report: TrialReport, checkpoint: tune.Checkpoint) -> None:
        """Imports a trial's files into the run folder, and deletes its previous checkpoint."""
        if not report.is_local:
            import_files(checkpoint, self._driver.folder.trial(self._names[trial]))
        previous, self._checkpoints[trial] = self._checkpoints.get(trial), checkpoint
        if previous is not None and previous.filesystem is not None:
            with suppress(OSError):
                previous.filesystem.delete_dir(previous.path)

    def on_error(self, trial: str, error: BaseException | None) -> None:
        """Notes why a trial has failed. Raises ``RunError`` for a full disk."""
        name = self._names[trial]
        if _has_full_disk(error):
            raise disk_full_error(name, " (on the machine that trains it)")
        text = _traceback_text(error)
        if isinstance(error, RayActorError):  # the process is gone, the code has not failed
            silence = self._storage.take(f"hung/{name}")
            if silence is not None:
                # Empty if the worker was killed while it wrote.
                limit = float(silence or self._driver.space.budget.heartbeat)
                cause = f"was ended ({timeout_reason(limit)})"
            else:
                cause = f"died ({_why_it_died(error)})"
            self._observer.message(f"a worker {cause} and is replaced")
            text += f"\nthe worker {cause}"
        self._errors[trial] = text

    def on_retry(self, trial: str) -> None:
        """Announces that a trial is tried once more."""
        self._observer.message(retry_message(self._names[trial]))

    def finish(self, trial: str, *, has_crashed: bool) -> None:
        """Finishes a trial with the outcome that it reported, or as crashed."""
        name, self._is_awaited = self._names.pop(trial), True
        self._workers.pop(trial, None)
        outcome = self._outcomes.pop(trial, None)
        if has_crashed or outcome is None:
            folder = self._driver.folder.trial(name)
            outcome = crashed_outcome(folder, self._errors.get(trial, "the worker was lost"))
        self._checkpoints.pop(trial, None)
        self._driver.finish(name, outcome)
        self._observer.message(describe_outcome(name, outcome))
        with suppress(OSError):
            self._storage.drop_trial(adapters.folder_name(name))

    def refresh(self) -> None:
        """Writes results and shows the state some times a second, unless a place is free."""
        if not self._is_awaited and time.monotonic() - self._refreshed >= _REFRESH:
            self._driver.flush_results()
            self._observer.refresh(self._driver.state())
            self._refreshed = time.monotonic()


def _has_full_disk(error: BaseException | None) -> bool:
    return is_disk_full(error.cause if isinstance(error, RayTaskError) else None)


def _traceback_text(error: BaseException | None) -> str:
    """The error as Ray prints it, without colours."""
    return _COLOUR.sub("", str(error)) if error is not None else "an error that cannot be read here"


def _why_it_died(error: BaseException) -> str:
    if "node" in str(error).partition("\n")[0]:
        return "its machine is gone"
    return "killed, out of memory, a crash of native code, or its machine is gone"
