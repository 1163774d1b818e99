"""``run_own_trial``: a trainer of the user's own, found, called, and ended."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gantune.errors import TrainerError, TrialStopped
from gantune.gan.device_support import is_out_of_memory, peak_memory, release_memory
from gantune.io.imports import import_file, import_named
from gantune.trial.external.run import OwnCourse
from gantune.trial.external.samples import seed_all
from gantune.trial.external.session import OwnSession
from gantune.trial.records import Outcome

OwnTrainer = Callable[[dict[str, Any], OwnSession], object]
"""``trainer(config, session)``; what it returns is not looked at."""


def find_trainer(name: str) -> OwnTrainer:
    """Imports a trainer by its name; a module is looked for in the current folder first.

    Raises ``TrainerError`` where there is none, its module fails, or it cannot be called.
    """
    home, _, path = name.rpartition(":")
    try:
        if home.endswith(".py"):
            found = import_file(Path(home), path)
        else:
            found = import_named(name, str(Path.cwd()))
    except ImportError as error:
        raise TrainerError(f"trainer: {name!r}: {error}") from error.__cause__
    if not callable(found):
        kind = type(found).__name__
        raise TrainerError(f"trainer: {name!r}: is a {kind}; a function of config and session is")
    try:
        inspect.signature(found).bind({}, None)
    except TypeError as error:
        raise TrainerError(
            f"trainer: {name!r}: is called as {path}(config, session): {error}"
        ) from None
    except ValueError:  # of something compiled, which does not say
        pass
    trainer: OwnTrainer = found
    return trainer


def run_own_trial(course: OwnCourse, trainer: OwnTrainer) -> Outcome:
    """Trains ``course.config`` until the trainer returns or is stopped.

    Running out of memory is an outcome; every other error is raised, ``SystemExit`` as a
    ``TrainerError``. Global random numbers begin at the config's seed.
    """
    if course.device.type == "cuda":
        torch.cuda.set_device(course.device)
        torch.cuda.reset_peak_memory_stats(course.device)
    outcome = _run(course, trainer)
    if outcome.ending == "out_of_memory":
        release_memory(course.device)  # after the error's traceback has let go of it
    return outcome


def _run(course: OwnCourse, trainer: OwnTrainer) -> Outcome:
    process = os.getpid()
    course.begin()
    seed_all(course.config.seed)
    try:
        if not course.should_stop:
            trainer(course.config.mapping(), OwnSession(course))
    except TrialStopped:
        pass
    except SystemExit as error:
        raise TrainerError(
            f"{course.config.trainer} ended with SystemExit({error.code!r}); return from the "
            "function to end a run"
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            return course.lost(_out_of_memory(course.device))
        if not course.should_stop:
            raise
        return replace(course.conclude(), error=traceback.format_exc())  # it has ended already
    finally:
        if os.getpid() != process:  # a child that the trainer forked has come back here
            traceback.print_exc()
            os._exit(1)
    return course.conclude()


def _out_of_memory(device: torch.device) -> str:
    whose = "" if device.type == "cuda" else " of this process"
    return (
        f"out of memory on {device} in the trainer: peak {peak_memory(device):.2f} GiB{whose}; a "
        "smaller batch or network takes less"
    )
