"""``TrialConfig``: all settings of one training run. Imports neither torch nor Optuna.

Every field states its meaning, unit and range. Ranges are checked when a config is made, and so are
the rules between fields (such as a network and the resolutions that it makes).
"""

from __future__ import annotations

from gantune.config.advice import advice
from gantune.config.external import (
    TRAINER,
    ExternalConfig,
    ExternalFields,
    absolute_trainer,
    explain_wrong_trainer,
    make_external_config,
)
from gantune.config.loading import (
    AnyConfig,
    absolute_source,
    dump_config,
    load_any_config,
    load_config,
    make_config,
)
from gantune.config.sections import (
    DISCRIMINATOR_NORMS,
    GENERATOR_NORMS,
    RESOLUTIONS,
    AugmentConfig,
    ConsistencyConfig,
    DataConfig,
    DiscriminatorConfig,
    DiscriminatorNorm,
    DraganConfig,
    EmaConfig,
    GeneratorConfig,
    GeneratorNorm,
    GradientPenaltyConfig,
    InstanceNoiseConfig,
    LecamConfig,
    NetworkConfig,
    OptimizerConfig,
    OrthogonalConfig,
    PenaltiesConfig,
    PenaltyConfig,
    R1Config,
    R1R2Config,
    R2Config,
    ScheduleConfig,
    WeightClipConfig,
)
from gantune.config.trial import TrialConfig

__all__ = [
    "DISCRIMINATOR_NORMS",
    "GENERATOR_NORMS",
    "RESOLUTIONS",
    "TRAINER",
    "AnyConfig",
    "AugmentConfig",
    "ConsistencyConfig",
    "DataConfig",
    "DiscriminatorConfig",
    "DiscriminatorNorm",
    "DraganConfig",
    "EmaConfig",
    "ExternalConfig",
    "ExternalFields",
    "GeneratorConfig",
    "GeneratorNorm",
    "GradientPenaltyConfig",
    "InstanceNoiseConfig",
    "LecamConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "OrthogonalConfig",
    "PenaltiesConfig",
    "PenaltyConfig",
    "R1Config",
    "R1R2Config",
    "R2Config",
    "ScheduleConfig",
    "TrialConfig",
    "WeightClipConfig",
    "absolute_source",
    "absolute_trainer",
    "advice",
    "dump_config",
    "explain_wrong_trainer",
    "load_any_config",
    "load_config",
    "make_config",
    "make_external_config",
]
