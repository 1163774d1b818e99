"""``TrialConfig``: all settings of one training run. Imports neither torch nor Optuna.

Every field states its meaning, unit and range. Ranges are checked when a config is made, and so are
the rules between fields (such as a network and the resolutions that it makes).
"""

from gantune.config.command import Command, CommandFields
from gantune.config.external import ExternalConfig, make_external_config, trainer_section
from gantune.config.loading import (
    AnyConfig,
    absolute_source,
    dump_config,
    load_any_config,
    load_config,
    make_config,
)
from gantune.config.sections import RESOLUTIONS, DataConfig, Folders, Part
from gantune.config.trial import TrialConfig, advice, largest_batch

__all__ = [
    "RESOLUTIONS",
    "AnyConfig",
    "Command",
    "CommandFields",
    "DataConfig",
    "ExternalConfig",
    "Folders",
    "Part",
    "TrialConfig",
    "absolute_source",
    "advice",
    "dump_config",
    "largest_batch",
    "load_any_config",
    "load_config",
    "make_config",
    "make_external_config",
    "trainer_section",
]
