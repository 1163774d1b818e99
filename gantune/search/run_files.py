"""``RunFiles``: what is written of a search beside its studies, once no worker waits."""

from __future__ import annotations

import time

from gantune.config import AnyConfig, dump_config
from gantune.io.files import write_text
from gantune.io.yaml_document import commented
from gantune.run_folder.run import RunFolder
from gantune.search.results import describe_best, describe_winner, drop_checkpoints, write_table
from gantune.search.showing import show_search
from gantune.search.state import RunState
from gantune.search.study import Study
from gantune.trial.records import Assignment

__all__ = ["RunFiles"]

_QUICK = 0.2  # seconds that writing the results may take at every trial's end
_RARELY = 20  # if it takes longer: at most one part in so many of the time is spent on it


class RunFiles:
    """The configs of what was handed out, and the results of what has ended.

    ``header``: what ``best.yaml`` says of its origin.
    """

    def __init__(self, folder: RunFolder, trials: Study, finals: Study, header: str) -> None:
        self._folder, self._trials, self._finals, self._header = folder, trials, finals, header
        self._handed_out: list[Assignment] = []
        self._dropped: set[str] = set()  # names of trials whose checkpoints are gone
        self._next_writing = 0.0  # monotonic time
        self.is_behind = False
        """Whether something has ended since the results were written."""

    @property
    def is_due(self) -> bool:
        """Whether the results are to be written now: where that takes long, in a large study, not
        for some time after the last writing."""
        return self.is_behind and time.monotonic() >= self._next_writing

    def hand_out(self, assignment: Assignment) -> None:
        """Makes a run's folder ready for it; its config is written by ``write_configs``."""
        home = self._folder.trial(assignment.name)
        home.path.mkdir(parents=True, exist_ok=True)
        home.verdict.unlink(missing_ok=True)  # of another config: it must not become this one's
        self._handed_out.append(assignment)

    def write_configs(self) -> None:
        """Writes each ``config.yaml`` of what was handed out since this was done last."""
        for assignment in self._handed_out:
            place = self._folder.trial(assignment.name).config
            write_text(place, dump_config(assignment.config))
        self._handed_out.clear()

    def write(self, state: RunState, best: AnyConfig | None) -> None:
        """Writes ``trials.csv``, ``best.yaml`` and the studies' notes, and removes checkpoints that
        are needed no more."""
        begun = time.monotonic()
        write_table(self._folder.table, state.trials, state.rung_protocol)
        drop_checkpoints(state, self._dropped)
        if best is not None:
            heading = f"{describe_best(state)}\n{self._header}"
            write_text(self._folder.best, f"{commented(heading)}\n{dump_config(best)}")
            self._trials.note("note", describe_winner(state))
        show_search(self._trials, self._finals, state, self._header)
        self.is_behind = False
        ended = time.monotonic()
        if ended - begun > _QUICK:
            self._next_writing = ended + _RARELY * (ended - begun)
