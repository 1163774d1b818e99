"""The search: the study, the driver that decides, and the engines that train for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gantune.space import SearchSpace
    from gantune.tuner.options import Options
    from gantune.tuner.state import RunState, SearchObserver

__all__ = ["search"]


def search(
    space: str | Path | SearchSpace,
    options: Options | None = None,
    observer: SearchObserver | None = None,
) -> RunState:
    """Runs a search as ``gantune search`` does, or goes on with one that was stopped.

    ``space``: a file, a shipped space's name, or what ``load_space`` gave. ``options``: what the
    command line's options say, ``Options(trials=8, out="runs/mine")``; those that change the space
    are for a file or a name, ``load_space`` takes them as overrides. ``observer`` is told what
    happens; silent by default. Returns the state that the run ended in; its folder holds
    ``best.yaml``. Raises a ``GantuneError`` for whatever keeps the search from running.
    """
    from gantune.tuner.options import Options
    from gantune.tuner.prepare import prepare
    from gantune.tuner.run import run_search
    from gantune.tuner.state import SearchObserver

    observer = observer or SearchObserver()
    return run_search(prepare(space, options or Options(), observer), observer)
