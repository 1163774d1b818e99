"""The Ray engine: Ray Tune runs the loop, and asks the driver through thin adapters.

Tune pickles the adapters. So they hold no engine but the key under which it is registered.
"""

from __future__ import annotations

import pickle
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from gantune.errors import is_disk_full
from gantune.trial.records import Assignment, Done, Outcome, describe_outcome
from gantune.tuner.driver import Driver
from gantune.tuner.engines import base
from gantune.tuner.engines.ray.files import SharedFiles, import_files, is_resumable
from gantune.tuner.engines.ray.worker import TrialJob, TrialReport, train
from gantune.tuner.options import RayPlan
from gantune.tuner.state import SearchObserver

FINISHED: str = Searcher.FINISHED

_REFRESH = 0.25  # seconds between two refreshes of the state
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class _RunningTrial:
    name: str
    title: str
    worker: Any = None
    """A Ray actor."""
    checkpoint: tune.Checkpoint | None = None
    """The last one."""
    outcome: Outcome | None = None
    error: str = "the worker was lost"


class RayEngine:
    """Runs a driver's assignments as trials of Ray Tune, as many at a time as there are tasks.

    Ray must be connected. The public methods but ``run`` are called by the adapters; ``trial`` is
    Tune's id of one.
    """

    def __init__(
        self, driver: Driver, tasks: Sequence[base.Task], observer: SearchObserver, plan: RayPlan
    ) -> None:
        self._driver, self._observer, self._plan = driver, observer, plan
        self._task, self._concurrency = tasks[0], len(tasks)
        self._key = secrets.token_hex(8)
        self._storage = SharedFiles(plan.checkpoints, driver.folder, driver.space.study)
        self._running: dict[str, _RunningTrial] = {}
        self._refreshed = 0.0
        self._is_awaited = False  # a worker is idle, and Tune has not asked for a trial yet

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
        with registered(self._key, self):
            try:
                self._tuner().fit()
            except DriverError as found:
                raise found.error from found.error.__cause__
            except SystemError as error:  # how Ctrl-C comes out of Ray's waiting
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise error.__cause__ from None
                raise
            finally:
                for trial in self._running.values():
                    if trial.worker is not None:
                        ray.kill(trial.worker)

    def _tuner(self) -> tune.Tuner:
        assert self._plan.resources is not None
        extractor = self._driver.folder.extractor
        # There is no extractor if the trainer scores itself.
        paths = [path for path in extractor.rglob("*") if path.is_file()]
        job = TrialJob(
            key=self._key,
            task=replace(self._task, shares_gpu=self._plan.resources.shares_gpu),
            node=ray.get_runtime_context().get_node_id(),
            extractor=ray.put(
                {str(path.relative_to(extractor)): path.read_bytes() for path in paths}
            ),
            storage=self._storage,
            heartbeat=self._driver.space.budget.heartbeat,
            working_folder=str(Path.cwd()),
        )
        bundle = tune.PlacementGroupFactory([dict(self._plan.resources.amounts)])
        return tune.Tuner(
            tune.with_resources(tune.with_parameters(train, job=job), bundle),
            tune_config=tune.TuneConfig(
                search_alg=DriverSearcher(self._key),
                scheduler=DriverScheduler(self._key),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: _folder_name(trial.config["assignment"].name),
            ),
            run_config=tune.RunConfig(
                name=self._storage.experiment,
                storage_path=self._storage.place,
                failure_config=tune.FailureConfig(max_failures=base.MAX_TRIES - 1),
                callbacks=[_DriverCallback(self._key)],
                verbose=0,
            ),
        )

    def suggest(self, trial: str) -> Mapping[str, Any] | str | None:
        """A new trial's config, ``None`` for nothing yet, or ``FINISHED``."""
        if len(self._running) >= self._concurrency:
            return None
        work, self._is_awaited = self._driver.next_assignment(), False
        if isinstance(work, Done):
            return FINISHED
        if not isinstance(work, Assignment):
            return None
        self._driver.write_configs()  # the worker exports the folder: it must be complete
        self._running[trial] = _RunningTrial(work.name, work.title)
        folder, start = self._driver.folder.trial(work.name), None
        if is_resumable(folder):  # an earlier command has started it
            start = self._storage.upload(folder.path, f"start/{_folder_name(work.name)}")
        return {"assignment": work, "start": start}

    def on_start(self, trial: str, worker: Any) -> None:
        """A trial has been given to a worker."""
        self._running[trial].worker = worker

    def on_report(self, trial: str, report: TrialReport) -> bool:
        """Passes a report to the driver; whether the trial continues."""
        for line in report.messages:
            self._observer.message(line)
        if report.warmup_seconds is not None:
            self._driver.add_warmup_seconds(report.warmup_seconds)
        running, result = self._running[trial], report.result
        if isinstance(result, Outcome):
            running.outcome = result
        elif not self._driver.report(running.name, result):
            running.outcome = result.pruned()
        return running.outcome is None

    def on_checkpoint(self, trial: str, report: TrialReport, checkpoint: tune.Checkpoint) -> None:
        """Imports a trial's files into the run folder, and deletes its previous checkpoint."""
        running = self._running[trial]
        if not report.is_local:
            import_files(checkpoint, self._driver.folder.trial(running.name))
        previous, running.checkpoint = running.checkpoint, checkpoint
        if previous is not None and previous.filesystem is not None:
            with suppress(OSError):
                previous.filesystem.delete_dir(previous.path)

    def on_error(self, trial: str, error: BaseException | None) -> None:
        """Notes why a trial has failed; ``None`` if the error cannot be read.

        Raises ``RunError`` for a full disk.
        """
        name = self._running[trial].name
        if isinstance(error, RayTaskError) and is_disk_full(error.cause):
            raise base.disk_full_error(name, " (on the machine that trains it)")
        text = "an error that cannot be read here" if error is None else str(error)
        text = _COLOUR.sub("", text)
        if isinstance(error, RayActorError):  # the process is gone, the code has not failed
            silence = self._storage.take(f"hung/{name}")
            if silence is not None:
                # Empty if the worker was killed while it wrote.
                limit = float(silence or self._driver.space.budget.heartbeat)
                cause = f"was ended ({base.timeout_reason(limit)})"
            elif "node" in str(error).partition("\n")[0]:
                cause = "died (its machine is gone)"
            else:
                cause = (
                    "died (killed, out of memory, a crash of native code, or its machine is gone)"
                )
            self._observer.message(f"a worker {cause} and is replaced")
            text += f"\nthe worker {cause}"
        self._running[trial].error = text

    def on_retry(self, trial: str) -> None:
        """Announces that a trial is tried once more."""
        self._observer.message(base.retry_message(self._running[trial].name))

    def finish(self, trial: str, *, has_crashed: bool) -> None:
        """Finishes a trial with the outcome that it reported, or as crashed."""
        running, self._is_awaited = self._running.pop(trial), True
        name, outcome = running.name, running.outcome
        if has_crashed or outcome is None:
            outcome = base.crashed_outcome(self._driver.folder.trial(name), running.error)
        stored = self._driver.finish(name, outcome)
        self._observer.message(describe_outcome(running.title, stored))
        with suppress(OSError):
            self._storage.drop_trial(_folder_name(name))

    def refresh(self) -> None:
        """Writes results and shows the state a few times a second, unless a worker is idle.

        Tune's loop calls it ten times a second, and after each event.
        """
        if not self._is_awaited and time.monotonic() - self._refreshed >= _REFRESH:
            self._driver.flush_results()
            self._observer.refresh(self._driver.state())
            self._refreshed = time.monotonic()


def _folder_name(name: str) -> str:
    """A trial's folder in the storage: ``trials-0007``."""
    return name.replace("/", "-")


class DriverError(BaseException):
    """Carries an error of the driver through Tune, which would take an ``Exception`` for the
    trial's."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


_engines: dict[str, RayEngine] = {}


@contextmanager
def registered(key: str, engine: RayEngine) -> Iterator[None]:
    """Lets the adapters with this key find the engine within the block."""
    _engines[key] = engine
    try:
        yield
    finally:
        del _engines[key]


@contextmanager
def _engine(key: str) -> Iterator[RayEngine]:
    try:
        yield _engines[key]
    except Exception as error:
        raise DriverError(error) from error


class DriverSearcher(Searcher):
    """Trains what the driver hands out. It saves nothing: a search resumes from its study."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def suggest(self, trial_id: str) -> Any:
        with _engine(self._key) as engine:
            return engine.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        with _engine(self._key) as engine:
            engine.finish(trial_id, has_crashed=error)

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class DriverScheduler(FIFOScheduler):
    """Stops the trials that the driver prunes."""

    def __init__(self, key: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key = key

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        with _engine(self._key) as engine:
            continues = engine.on_report(trial.trial_id, result["report"])
        return str(TrialScheduler.CONTINUE if continues else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Passes on each failure of a trial, the first as well as the last."""
        error: BaseException | None = None
        with suppress(Exception):  # of a class that this process does not have
            error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        with _engine(self._key) as engine:
            engine.on_error(trial.trial_id, error)


class _DriverCallback(TrialProgressCallback):
    """Passes all other events on. It replaces Tune's own progress report, which would print."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def _print(self, msg: str) -> None:
        pass

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with _engine(self._key) as engine:
            engine.on_start(trial.trial_id, trial.temporary_state.ray_actor)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Any, **info: Any
    ) -> None:
        with _engine(self._key) as engine:
            engine.on_checkpoint(trial.trial_id, trial.last_result["report"], checkpoint)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with _engine(self._key) as engine:
            engine.on_retry(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with _engine(self._key) as engine:
            engine.refresh()
