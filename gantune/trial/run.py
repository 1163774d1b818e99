"""``run_trial``: one run from the call of its trainer to its outcome."""

from collections.abc import Callable
from typing import Any

import torch

from gantune.gan.device_support import is_out_of_memory, release_memory
from gantune.trial.records import Outcome
from gantune.trial.session import Session


def run_trial(train: Callable[[Any, Session], object], session: Session) -> Outcome:
    """Calls ``train(config, session)`` until its budget, a verdict or the driver ends it.

    Running out of memory is an outcome; every other error is raised.
    """
    if session.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(session.device)
    outcome = _run(train, session)
    if outcome.ending == "out_of_memory":
        release_memory(session.device)  # the trainer and the error's traceback are gone by now
    return outcome


def _run(train: Callable[[Any, Session], object], session: Session) -> Outcome:
    try:
        train(session.config, session)
        return session.finish()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return session.out_of_memory()
