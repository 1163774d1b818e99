"""gantune: hyperparameter search for GANs.

A YAML file says which settings are open; gantune tries them, stops the runs that come apart, ranks
the survivors by FID, and writes the best one as a file that training imports.

Names are loaded when they are first used, so that ``import gantune`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gantune.config import TrialConfig as TrialConfig
    from gantune.config import load_config as load_config
    from gantune.errors import GantuneError as GantuneError
    from gantune.errors import TrialStopped as TrialStopped
    from gantune.evaluation.evaluate import evaluate as evaluate
    from gantune.gan.checkpoint import load_generator as load_generator
    from gantune.gan.networks import build_networks as build_networks
    from gantune.health.diagnosis import diagnose as diagnose
    from gantune.health.monitor import HealthMonitor as HealthMonitor
    from gantune.report.run import Run as Run
    from gantune.report.run import load_run as load_run
    from gantune.search import search as search
    from gantune.space import load_space as load_space
    from gantune.trial.train import train as train
    from gantune.tuner.options import Options as Options

__version__ = "0.1.0"

_HOMES = {
    "GantuneError": "errors",
    "HealthMonitor": "health.monitor",
    "Options": "search.options",
    "Run": "report.run",
    "TrialConfig": "config",
    "TrialStopped": "errors",
    "build_networks": "gan.networks",
    "diagnose": "health.diagnosis",
    "evaluate": "search.evaluating",
    "load_config": "config",
    "load_generator": "gan.checkpoint",
    "load_run": "report.run",
    "load_space": "space",
    "search": "search",
    "train": "search.training",
}

__all__ = [
    "GantuneError",
    "HealthMonitor",
    "Options",
    "Run",
    "TrialConfig",
    "TrialStopped",
    "build_networks",
    "diagnose",
    "evaluate",
    "load_config",
    "load_generator",
    "load_run",
    "load_space",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gantune' has no attribute {name!r}")
    home = import_module(f"gantune.{_HOMES[name]}")
    return home if name == "search" else getattr(home, name)  # the package search can be called
