"""What a search tells once about a user's own trainer that cannot do what others can."""

import logging

from gantune.config import Command
from gantune.io.formatting import last_line

__all__ = ["TrainerWarnings"]

_log = logging.getLogger(__name__)


class TrainerWarnings:
    """The warnings of one search; each is logged once."""

    def __init__(self, trainer: str | Command | None) -> None:
        self._told: set[str] = set()
        self._is_command = isinstance(trainer, Command)
        self._resumes = isinstance(trainer, Command) and trainer.resume is not None

    def saves_nothing(self) -> None:
        """Its trials cannot be paused."""
        if self._is_command:
            what, remedy = "the command has no resume:", "say how it resumes"
            if self._resumes:
                what = "the command had written nothing into {folder} when a rung was scored"
                remedy = "let it save before"
        else:
            what = "the trainer saves nothing into session.checkpoint_dir"
            remedy = "save and load there"
        self._warn(
            "saves_nothing",
            f"{what}, so its trials cannot be paused: a trial that is not among the best at a rung "
            f"is stopped for good; {remedy}, or write pruning.rule: median",
        )

    def cannot_resume(self, name: str, error: str) -> None:
        """A promoted trial has failed before it came beyond its rung. ``error``: its traceback."""
        if self._is_command:
            remedy = "look at resume: and checkpoint:"
        else:
            remedy = (
                "where session.kimg is above 0, load it from session.checkpoint_dir and go on from "
                "there"
            )
        self._warn(
            "cannot_resume",
            f"{name} could not go on from its checkpoint: {last_line(error)}. It is trained again "
            "from its start, and no trial is paused any more. A paused trial goes on from what its "
            f"trainer saved: {remedy}, or set pruning.rule: median, which never pauses",
        )

    def best_is_unsaved(self, name: str) -> None:
        """The best trial has no checkpoint, so its finals will have none."""
        place, remedy = "session.checkpoint_dir", "save your networks before session.score"
        if self._is_command:
            place, remedy = "{folder}", "pass {folder} to the command"
        self._warn(
            "best_is_unsaved",
            f"{name}, the best, has saved nothing into {place}: its score will be all that is left "
            f"of it; {remedy}",
        )

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("%s", text)
