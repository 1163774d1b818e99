"""A user's trainer under a session: imported by its name, called, and cleaned up after."""

import inspect
import os
import traceback
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import torch

from gantune.config import Command, ExternalConfig
from gantune.errors import TrainerError, TrainerExitError, TrialStopped, summarize_error
from gantune.gan.device_support import is_out_of_memory
from gantune.io.imports import import_file, import_named
from gantune.io.trust import UserCode, UserCommand, check_code
from gantune.trial.checkpoint_files import FolderStore
from gantune.trial.command import check_program, train_command
from gantune.trial.process_state import ProcessState, restored_process
from gantune.trial.session import Session
from gantune.trial.trainer_input import seeded

UserTrainer = Callable[[dict[str, Any], Session], object]
"""``trainer(config, session)``; its return value is ignored."""


_import_changes: dict[str, ProcessState] = {}
"""What the modules of a trainer change in the process when they are imported, by its name. Python
imports a module once, and each run needs it."""


def trainer_code(trainer: str | Command) -> UserCode:
    """The code that a trainer's name or command stands for."""
    if isinstance(trainer, str):
        return UserCode(trainer, Path.cwd())
    folder = Path(trainer.working_folder or Path.cwd()).resolve()
    return UserCommand(str(trainer), folder, {**trainer.section(), "working_folder": str(folder)})


def find_trainer(name: str | Command) -> UserTrainer:
    """Imports a trainer by its name; a module is looked for in the current folder first.

    What the import changes in the process is put back, and holds again while the trainer runs. Of a
    command, finds its program. Raises ``TrainerError`` where there is none, its module fails, or it
    cannot be called, and ``TrustError`` for one that the user has never named.
    """
    check_code(trainer_code(name), "command" if isinstance(name, Command) else "trainer")
    if isinstance(name, Command):
        check_program(name)
        return partial(train_command, command=name)
    with restored_process() as before:
        if name in _import_changes:
            _import_changes[name].write()
        found = _import(name)
        changes = ProcessState.now().changes_since(before)
    _import_changes[name] = changes

    @wraps(found)
    def trainer(config: dict[str, Any], session: Session) -> object:
        changes.write()
        return found(config, session)

    return trainer


def _import(name: str) -> UserTrainer:
    home, _, path = name.rpartition(":")
    try:
        if home.endswith(".py"):
            found = import_file(Path(home), path)
        else:
            found = import_named(name, str(Path.cwd()))
    except ImportError as error:
        raise TrainerError(f"trainer: {name!r}: {error}") from error.__cause__
    if not callable(found):
        raise TrainerError(
            f"trainer: {name!r}: must be a function of config and session; its type is "
            f"{type(found).__name__}"
        )
    try:
        inspect.signature(found).bind({}, None)
    except TypeError as error:
        raise TrainerError(
            f"trainer: {name!r}: is called as {path}(config, session): {error}"
        ) from None
    except ValueError:  # a compiled function may have no signature
        pass
    trainer: UserTrainer = found
    return trainer


def train(config: ExternalConfig, session: Session, *, trainer: UserTrainer) -> None:
    """Calls ``trainer`` until it returns or is stopped. Global random numbers start at the seed.
    What it changes in the process is put back.

    An error after the session has told it to stop becomes part of the outcome; every other error is
    raised, ``SystemExit`` as a ``TrainerExitError``.
    """
    store = FolderStore(session.folder, config)
    resumed_at = session.kimg if session.start(store) else None
    with restored_process() as session.own_state, seeded(config.seed, session.device):
        if session.device.type == "cuda":
            torch.cuda.set_device(session.device)
        _call(trainer, config, session, resumed_at)
    if not session.should_stop:
        _check_scored(config, session)
        if session.judge.best is None:
            store.save_unranked(session.position)


def _call(
    trainer: UserTrainer, config: ExternalConfig, session: Session, resumed_at: float | None
) -> None:
    process = os.getpid()
    try:
        if not session.should_stop:
            trainer(config.mapping(), session)
    except TrialStopped:
        pass
    except SystemExit as error:
        raise TrainerExitError(
            f"{config.trainer} ended with SystemExit({error.code!r}); return from the function to "
            "end a run"
        ) from error
    except Exception as error:
        if is_out_of_memory(error) or not session.should_stop:
            if session.kimg == resumed_at:
                error.add_note(_how_to_resume(error, session, config.trainer))
            raise
        session.error = traceback.format_exc()
    finally:
        if os.getpid() != process:  # a child that the trainer forked has returned here
            traceback.print_exc()
            os._exit(1)


def _how_to_resume(error: Exception, session: Session, trainer: str | Command) -> str:
    """The last line for the traceback of a trainer that failed where it should go on."""
    if isinstance(trainer, Command):
        return (
            f"{summarize_error(error)} (where the command should go on at {session.kimg:g} kimg: "
            "look at resume: and checkpoint: in the space; without resume: no trial is paused)"
        )
    return (
        f"{summarize_error(error)} (where the trainer should go on at {session.kimg:g} kimg with a "
        "run that was paused or stopped: load what was saved in session.checkpoint_dir and count "
        "on from session.kimg; if it cannot, write pruning.rule: median, which pauses no trial)"
    )


def _check_scored(config: ExternalConfig, session: Session) -> None:
    """Raises ``TrainerError`` where a trainer has returned without a report or a score."""
    if not session.has_reports:
        raise TrainerError(
            f"{config.trainer} returned without a report; call session.report(kimg=..., "
            "d_loss=..., g_loss=...) as it trains"
        )
    if session.judge.final_score is None:
        raise TrainerError(
            f"{config.trainer} returned at {session.kimg:g} kimg without a score; call "
            "session.score(value) or session.score(images=...) where session.should_score"
        )
