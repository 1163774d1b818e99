"""gantune: hyperparameter search for GANs.

A YAML file says which settings are open; gantune tries them, stops runs that fail, ranks the
survivors by FID, and writes the best config as a file that training code can load.

Names are imported when they are first used, so that ``import gantune`` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gantune.version import __version__ as __version__

if TYPE_CHECKING:
    from gantune.config import TrialConfig as TrialConfig
    from gantune.config import load_config as load_config
    from gantune.errors import GantuneError as GantuneError
    from gantune.errors import TrialStopped as TrialStopped
    from gantune.evaluation.evaluate import evaluate as evaluate
    from gantune.gan.checkpoint import load_generator as load_generator
    from gantune.gan.networks import build_networks as build_networks
    from gantune.gan.own_loop import load_networks as load_networks
    from gantune.gan.own_loop import losses as losses
    from gantune.gan.own_loop import penalties as penalties
    from gantune.gan.weights import Ema as Ema
    from gantune.health.diagnosis import diagnose as diagnose
    from gantune.health.monitor import HealthMonitor as HealthMonitor
    from gantune.report.run import Run as Run
    from gantune.report.run import load_run as load_run
    from gantune.space import load_space as load_space
    from gantune.trial.train import train as train
    from gantune.tuner import search as search
    from gantune.tuner.options import Options as Options

_HOMES = {
    "Ema": "gan.weights",
    "GantuneError": "errors",
    "HealthMonitor": "health.monitor",
    "Options": "tuner.options",
    "Run": "report.run",
    "TrialConfig": "config",
    "TrialStopped": "errors",
    "build_networks": "gan.networks",
    "diagnose": "health.diagnosis",
    "evaluate": "evaluation.evaluate",
    "load_config": "config",
    "load_generator": "gan.checkpoint",
    "load_networks": "gan.own_loop",
    "load_run": "report.run",
    "load_space": "space",
    "losses": "gan.own_loop",
    "penalties": "gan.own_loop",
    "search": "tuner",
    "train": "trial.train",
}

__all__ = [
    "Ema",
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
    "load_networks",
    "load_run",
    "load_space",
    "losses",
    "penalties",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gantune' has no attribute {name!r}")
    return getattr(import_module(f"gantune.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
