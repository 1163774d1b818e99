"""The thin adapters: Tune's calls become those of the engine, and the driver's answers Tune's.

Tune pickles them, so they hold a key into a table and no driver.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

if TYPE_CHECKING:
    from gantune.tuner.engines.ray.engine import RayEngine


FINISHED: str = Searcher.FINISHED


_engines: dict[str, RayEngine] = {}


class Ended(BaseException):
    """Carries the driver's error through Tune, which would take any ``Exception`` for a trial's."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class DriverSearcher(Searcher):
    """What is trained next: what the driver hands out."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def suggest(self, trial_id: str) -> Any:
        """A trial's config, ``None`` for nothing yet, or ``FINISHED``."""
        with _engine(self._key) as engine:
            return engine.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """A trial has ended, or has failed for the last time."""
        with _engine(self._key) as engine:
            engine.finish(trial_id, has_crashed=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is what a search goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class DriverScheduler(FIFOScheduler):
    """Who goes on: those to whom the driver says so."""

    def __init__(self, key: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key = key

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """The driver's answer to what a trial reported."""
        with _engine(self._key) as engine:
            goes_on = engine.answer(trial.trial_id, result["sent"])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A trial's worker or code has failed, for the first time or for the last."""
        with _engine(self._key) as engine:
            engine.note_error(trial.trial_id, _error_of(trial))


class DriverEvents(TrialProgressCallback):
    """What else happens. It stands in for Tune's own progress report, which would print."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def _print(self, msg: str) -> None:
        """Nothing."""

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial has got its worker."""
        with _engine(self._key) as engine:
            engine.on_start(trial.trial_id, trial.temporary_state.ray_actor)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Any, **info: Any
    ) -> None:
        """A trial's files have come into the storage."""
        with _engine(self._key) as engine:
            engine.on_checkpoint(trial.trial_id, trial.last_result["sent"], checkpoint)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial will be tried again."""
        with _engine(self._key) as engine:
            engine.try_again(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ten times a second, and after each event."""
        with _engine(self._key) as engine:
            engine.refresh()


@contextmanager
def registered(key: str, engine: RayEngine) -> Iterator[None]:
    """Within it the adapters of this key find the engine."""
    _engines[key] = engine
    try:
        yield
    finally:
        del _engines[key]


def folder_name(name: str) -> str:
    """A trial's folder in the storage: ``trials-0007``."""
    return name.replace("/", "-")


def folder_of_trial(trial: Trial) -> str:
    """The same of one of Tune's trials."""
    return folder_name(trial.config["assignment"].name)


@contextmanager
def _engine(key: str) -> Iterator[RayEngine]:
    try:
        yield _engines[key]
    except Exception as error:
        raise Ended(error) from error


def _error_of(trial: Trial) -> BaseException | None:
    """The last error as Ray brought it; ``None`` where it could not be kept."""
    try:
        error: BaseException = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # of a class that this process does not have
        return None
    return error
