"""``TrialConfig``: all settings of one training run, and the rules between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from gantune.config.sections import (
    DISCRIMINATOR_NORMS,
    GENERATOR_NORMS,
    LAYOUTS,
    RESOLUTIONS,
    AugmentConfig,
    ConfigModel,
    DataConfig,
    DiscriminatorConfig,
    EmaConfig,
    GeneratorConfig,
    InstanceNoiseConfig,
    NetworkConfig,
    PenaltiesConfig,
    ScheduleConfig,
)
from gantune.io.validation import comma_list, did_you_mean, validation_errors


class TrialConfig(ConfigModel):
    """All settings of one training run, as in ``best.yaml``.

    Frozen: ``config.model_copy(update=...)`` or ``replaced`` make another one. ``load_config``
    reads a file and raises ``ConfigError``. The constructor raises pydantic's ``ValidationError``
    for values out of range and for fields that contradict each other.
    """

    data: DataConfig = DataConfig()
    kimg: float = Field(default=40.0, gt=0, le=1_000_000)
    """Length of the run: thousands of real images shown to the discriminator."""
    tick_kimg: float = Field(default=1.0, gt=0, le=1000)
    """Interval of ticks, kimg: health judges the run once a tick."""
    network: NetworkConfig = NetworkConfig()
    loss: Literal["minimax", "vanilla", "wgan", "hinge", "lsgan", "relativistic"] = "vanilla"
    """``minimax``: the saturating original, and ``vanilla``: its non-saturating form (Goodfellow et
    al. 2014); ``wgan`` (Arjovsky et al. 2017); ``hinge`` (Lim and Ye 2017); ``lsgan`` (Mao et al.
    2017); ``relativistic``: of pairs of a real and a generated image (Jolicoeur-Martineau 2019;
    Huang et al. 2024, R3GAN)."""
    label_smoothing: float = Field(default=0.0, ge=0, le=0.5)
    """One-sided: real images have the target 1 minus this (Salimans et al. 2016: 0.1). For the
    losses with targets: ``minimax``, ``vanilla``, ``lsgan``."""
    penalties: PenaltiesConfig = PenaltiesConfig()
    augment: AugmentConfig = AugmentConfig()
    instance_noise: InstanceNoiseConfig = InstanceNoiseConfig()
    batch_size: int = Field(default=64, ge=2, le=65_536)
    """Real images in each discriminator step."""
    accumulation: int = Field(default=1, ge=1, le=1024)
    """Parts in which each batch is computed, one after the other, before an optimizer step: less
    memory for the same batch. Must divide ``batch_size``. Batch norm sees one part at a time."""
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig = EmaConfig()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``bf16``: autocast of the networks to bfloat16, weights and losses stay fp32; ``fp16``: to
    float16, with loss scaling for each player, on GPUs only (elsewhere ``auto`` is used, with a
    warning); ``auto``: bf16 if the device supports it natively."""
    compile: bool = False
    """Compile both networks with ``torch.compile``: takes about a minute, then steps are faster on
    a GPU. Without a compiler the networks run uncompiled, with a warning."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of weights, latents and the order of the images."""

    @property
    def auxiliary(self) -> bool:
        """Whether reported losses have other than adversarial terms: never for this trainer."""
        return False

    def replaced(self, *, kimg: float | None = None, seed: int | None = None) -> TrialConfig:
        """The same run with another length or seed, unchecked."""
        changes = {"kimg": kimg, "seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return self.model_copy(update=given)

    @model_validator(mode="after")
    def _check_rules(self) -> TrialConfig:
        conflicts = [conflict for rule in _RULES if (conflict := rule(self)) is not None]
        if conflicts:
            raise validation_errors(*conflicts)
        return self


# ---- Rules between fields -----------------------------------------------------------------------


_SMOOTHED = ("minimax", "vanilla", "lsgan")


class ConfigConflict(NamedTuple):
    """Why a config cannot be trained, and the dotted path of the field at fault."""

    message: str
    path: str


def _layout(config: TrialConfig) -> ConfigConflict | None:
    layout = config.data.source.partition(":")[2] if config.data.is_points else ""
    if layout in ("", *LAYOUTS):
        return None
    close = (known for known in LAYOUTS if did_you_mean(layout, [known]))
    guesses = (f" (did you mean 'gaussians:{known}'?)" for known in close)
    hint = next(guesses, f"; known: {comma_list(LAYOUTS)}")
    return ConfigConflict(f"gaussians have no layout {layout!r}{hint}", "data.source")


def _network(config: TrialConfig) -> ConfigConflict | None:
    name, data = config.network.name, config.data
    if data.is_points == (RESOLUTIONS[name] is None):
        return None
    kind = "points: use 'mlp'" if data.is_points else "images: use 'dcgan'"
    return ConfigConflict(
        f"network {name!r} cannot learn {data.source!r}, which gives {kind}", "network.name"
    )


def _resolution(config: TrialConfig) -> ConfigConflict | None:
    name, size = config.network.name, config.data.resolution
    sizes = RESOLUTIONS[name]
    if sizes is None or size == "auto" or size in sizes:
        return None
    fitting = [other for other, made in RESOLUTIONS.items() if made and size in made]
    hint = f"; network {fitting[0]!r} makes {size}" if fitting else ""
    return ConfigConflict(
        f"network {name!r} makes {comma_list(sizes)} pixels, not {size}{hint}", "data.resolution"
    )


def _conditional(config: TrialConfig) -> ConfigConflict | None:
    if config.network.conditional is not True or config.data.classes != 0:
        return None
    return ConfigConflict(
        "a conditional network needs labels, and data.classes is 0; set network.conditional false "
        "or auto, or give labelled data (a folder for each class, or labels beside the array)",
        "network.conditional",
    )


def _norms(config: TrialConfig) -> ConfigConflict | None:
    name = config.network.name
    norms = {
        "generator": (config.generator.norm, ("auto", *GENERATOR_NORMS[name])),
        "discriminator": (config.discriminator.norm, DISCRIMINATOR_NORMS[name]),
    }
    for player, (norm, known) in norms.items():
        if norm not in known:
            message = f"the {player} of network {name!r} has {comma_list(known)}, not {norm!r}"
            return ConfigConflict(message, f"{player}.norm")
    return None


def _smoothing(config: TrialConfig) -> ConfigConflict | None:
    if config.label_smoothing == 0 or config.loss in _SMOOTHED:
        return None
    return ConfigConflict(
        f"loss {config.loss!r} has no targets to smooth; label_smoothing belongs to "
        f"{comma_list(_SMOOTHED)}",
        "label_smoothing",
    )


def _points(config: TrialConfig) -> ConfigConflict | None:
    """Settings that need images."""
    if not config.data.is_points:
        return None
    source = config.data.source
    if config.augment.is_on:
        return ConfigConflict(f"{source!r} gives points; augmentation is of images", "augment")
    if config.data.held_out not in ("auto", 0):
        message = f"{source!r} gives points, of which none are held out; leave it out"
        return ConfigConflict(message, "data.held_out")
    if config.penalties.consistency:
        message = f"{source!r} gives points, which cannot be flipped and shifted"
        return ConfigConflict(message, "penalties.consistency")
    for name in ("r1", "r2", "r1_r2"):
        penalty = getattr(config.penalties, name)
        if penalty and penalty.weight == "auto":
            message = f"auto is a rule for images, and {source!r} gives points; give a number"
            return ConfigConflict(message, f"penalties.{name}.weight")
    return None


def _accumulation(config: TrialConfig) -> ConfigConflict | None:
    batch, parts = config.batch_size, config.accumulation
    if batch % parts == 0 and batch // parts >= 2:
        return None
    return ConfigConflict(
        f"{parts} parts do not divide batch_size {batch} into equal parts of 2 images or more",
        "accumulation",
    )


def _schedule(config: TrialConfig) -> ConfigConflict | None:
    schedule = config.schedule
    if schedule.name != "constant":
        return None
    for name in ("lr_end", "beta2_end", "penalty_end", "ema_half_life_end"):
        if getattr(schedule, name) not in (None, type(schedule).model_fields[name].default):
            return ConfigConflict(
                "a constant schedule moves nothing; use schedule.name linear or cosine",
                f"schedule.{name}",
            )
    return None


def _augment(config: TrialConfig) -> ConfigConflict | None:
    if config.augment.probability != "adaptive" or config.augment.is_on:
        return None
    return ConfigConflict(
        "adaptive, but of nothing; turn on colour, translation or cutout", "augment.probability"
    )


_RULES: tuple[Callable[[TrialConfig], ConfigConflict | None], ...] = (
    *(_layout, _network, _resolution, _conditional, _norms),
    *(_smoothing, _points, _accumulation, _schedule, _augment),
)
