"""Thin adapters: they pass Tune's calls to the engine, and the engine's answers to Tune.

Tune pickles them. So they hold no engine but the key under which it is registered here.
"""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Checkpoint
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from gantune.tuner.engines.ray.worker import TrialReport

FINISHED: str = Searcher.FINISHED


class TuneEvents(Protocol):
    """What the adapters need of an engine. A trial is named by Tune's id."""

    def suggest(self, trial: str) -> Mapping[str, Any] | str | None:
        """A new trial's config, ``None`` for nothing yet, or ``FINISHED``."""

    def on_start(self, trial: str, worker: Any) -> None:
        """A trial has been given to a worker, a Ray actor."""

    def on_report(self, trial: str, report: TrialReport) -> bool:
        """A trial has reported; whether it continues."""

    def on_checkpoint(self, trial: str, report: TrialReport, checkpoint: Checkpoint) -> None:
        """The files of a trial's report are in the storage."""

    def on_error(self, trial: str, error: BaseException | None) -> None:
        """A trial's worker or code has failed. The error is ``None`` if it cannot be read."""

    def on_retry(self, trial: str) -> None:
        """A failed trial will be tried once more."""

    def finish(self, trial: str, *, has_crashed: bool) -> None:
        """A trial has ended, or has failed for the last time."""

    def refresh(self) -> None:
        """Tune's loop has made a step: ten times a second, and after each event."""


class DriverError(BaseException):
    """Carries an error of the driver through Tune, which would take an ``Exception`` for the
    trial's."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


_engines: dict[str, TuneEvents] = {}


@contextmanager
def registered(key: str, engine: TuneEvents) -> Iterator[None]:
    """Lets the adapters with this key find the engine within the block."""
    _engines[key] = engine
    try:
        yield
    finally:
        del _engines[key]


@contextmanager
def _engine(key: str) -> Iterator[TuneEvents]:
    try:
        yield _engines[key]
    except Exception as error:
        raise DriverError(error) from error


class DriverSearcher(Searcher):
    """Trains what the driver hands out."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def suggest(self, trial_id: str) -> Any:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            return engine.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            engine.finish(trial_id, has_crashed=error)

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: a search resumes from its study."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing."""


class DriverScheduler(FIFOScheduler):
    """Stops the trials that the driver prunes."""

    def __init__(self, key: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key = key

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Passes a trial's report to the engine, and its answer to Tune."""
        with _engine(self._key) as engine:
            continues = engine.on_report(trial.trial_id, result["report"])
        return str(TrialScheduler.CONTINUE if continues else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Passes a failure to the engine, the first of a trial or the last."""
        with _engine(self._key) as engine:
            engine.on_error(trial.trial_id, _read_error(trial))


class DriverCallback(TrialProgressCallback):
    """Passes all other events on. It replaces Tune's own progress report, which would print."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def _print(self, msg: str) -> None:
        """Prints nothing."""

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            engine.on_start(trial.trial_id, trial.temporary_state.ray_actor)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Any, **info: Any
    ) -> None:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            engine.on_checkpoint(trial.trial_id, trial.last_result["report"], checkpoint)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            engine.on_retry(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Passes the call to the engine."""
        with _engine(self._key) as engine:
            engine.refresh()


def folder_name(name: str) -> str:
    """A trial's folder in the storage: ``trials-0007``."""
    return name.replace("/", "-")


def folder_of_trial(trial: Trial) -> str:
    """That folder for one of Tune's trials."""
    return folder_name(trial.config["assignment"].name)


def _read_error(trial: Trial) -> BaseException | None:
    """The last error as Ray stored it; ``None`` if it cannot be unpickled here."""
    try:
        error: BaseException = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # of a class that this process does not have
        return None
    return error
