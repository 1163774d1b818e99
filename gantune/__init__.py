"""gantune: hyperparameter search for GANs.

A YAML file says which settings are open; gantune tries them, stops the runs that come apart, ranks
the survivors by FID, and writes the best one as a file that training imports.

Names are loaded when they are first used, so that ``import gantune`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gantune.search  # noqa: F401 - the package first, so that the function below keeps its name

if TYPE_CHECKING:
    from gantune.config import TrialConfig as TrialConfig
    from gantune.config import load_config as load_config
    from gantune.errors import GantuneError as GantuneError
    from gantune.gan.checkpoint import load_generator as load_generator
    from gantune.gan.networks import build_networks as build_networks
    from gantune.search.prepare import Options as Options
    from gantune.search.state import RunState, Watcher
    from gantune.search.training import train as train
    from gantune.space import SearchSpace
    from gantune.space import load_space as load_space

__version__ = "0.1.0"

_HOMES = {
    "GantuneError": "errors",
    "Options": "search.prepare",
    "TrialConfig": "config",
    "build_networks": "gan.networks",
    "load_config": "config",
    "load_generator": "gan.checkpoint",
    "load_space": "space",
    "train": "search.training",
}

__all__ = [
    "GantuneError",
    "Options",
    "TrialConfig",
    "build_networks",
    "load_config",
    "load_generator",
    "load_space",
    "search",
    "train",
]


def search(
    space: str | Path | SearchSpace,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> RunState:
    """Runs a search as ``gantune search`` does, or goes on with one that was stopped.

    ``space``: a file, a shipped space's name, or what ``load_space`` gave. ``options``: what the
    command line's options say; ``Options(trials=8, out=Path("runs/mine"))``. ``watcher`` is told
    what happens; silent by default. Returns the state that the run ended in; its folder holds
    ``best.yaml``. Raises a ``GantuneError`` for whatever keeps the search from running.
    """
    from gantune.search.prepare import Options, prepare
    from gantune.search.run import run_search
    from gantune.search.state import Watcher

    watcher = watcher or Watcher()
    return run_search(prepare(space, options or Options(), watcher), watcher)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gantune' has no attribute {name!r}")
    return getattr(import_module(f"gantune.{_HOMES[name]}"), name)
