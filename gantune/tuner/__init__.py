"""The search: the study, the driver that decides, and the engines that train."""

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
    """Runs a search as ``gantune search`` does, or resumes one that was stopped.

    ``space``: a file, the name of a shipped space, or the result of ``load_space``. ``options``:
    those of the command line, ``Options(trials=8, out="runs/mine")``; options that change the space
    need a file or a name, because ``load_space`` takes them as overrides. ``observer`` receives
    messages, progress and the state; by default nothing does. Returns the final state; its folder
    holds ``best.yaml``. Raises a ``GantuneError`` where the search cannot run.
    """
    from gantune.tuner.options import Options
    from gantune.tuner.prepare import prepare
    from gantune.tuner.state import SearchObserver
    from gantune.tuner.variants.margins import search_with_margins

    observer, options = observer or SearchObserver(), options or Options()
    return search_with_margins(prepare(space, options, observer), options, observer)
