"""``TrialConfig``: one run of GAN training, whole. No torch and no Optuna here.

Every field states its meaning, unit and legal range; ranges are checked when the config is made,
and so is what the fields must agree on (a network and the resolution it can make).
"""

from __future__ import annotations

from gantune.config.advice import advice
from gantune.config.data import DataConfig
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
from gantune.config.network import (
    DISCRIMINATOR_NORMS,
    GENERATOR_NORMS,
    RESOLUTIONS,
    DiscriminatorNorm,
    GeneratorNorm,
    NetworkConfig,
)
from gantune.config.optimization import (
    DiscriminatorConfig,
    EmaConfig,
    GeneratorConfig,
    OptimizerConfig,
    ScheduleConfig,
)
from gantune.config.regularization import (
    AugmentConfig,
    ConsistencyConfig,
    DraganConfig,
    GradientPenaltyConfig,
    InstanceNoiseConfig,
    LecamConfig,
    OrthogonalConfig,
    PenaltiesConfig,
    PenaltyConfig,
    R1Config,
    R1R2Config,
    R2Config,
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
