"""``TrialConfig``: all settings of one training run, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

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
    2017); ``relativistic``: compares pairs of a real and a generated image (Jolicoeur-Martineau
    2019; Huang et al. 2024, R3GAN)."""
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
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """``fp32``: float32 in full, on GPUs too; ``tf32``: float32 whose products GPUs since Ampere
    compute by TF32 (elsewhere ``fp32``, with a warning); ``bf16``: autocast of the networks to
    bfloat16, weights and losses stay float32; ``fp16``: to float16, with loss scaling for each
    player, on GPUs only (elsewhere ``auto``, with a warning); ``auto``: bf16 if the device supports
    it natively, else fp32. With ``bf16`` and ``fp16``, penalties are computed by TF32."""
    compile: bool = False
    """Compile both networks with ``torch.compile``: takes about a minute, then steps are faster on
    a GPU. Without a compiler the networks run uncompiled, with a warning."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of weights, latents and the order of the images."""

    @property
    def has_unbounded_critic(self) -> bool:
        """Whether the loss is a critic's and nothing bounds its slope: no clipped weights, no
        gradient penalty, no spectral norm."""
        bounds = ("weight_clip", *GRADIENT_PENALTIES)
        is_bounded = any(getattr(self.penalties, name) is not None for name in bounds)
        return self.loss == "wgan" and not is_bounded and self.discriminator.norm != "spectral"

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
        conflicts = [*_network_conflicts(self), *_training_conflicts(self)]
        if conflicts:
            raise validation_errors(*conflicts)
        return self


# ---- Rules between fields -----------------------------------------------------------------------


SMOOTHED = ("minimax", "vanilla", "lsgan")
"""Losses with targets, which ``label_smoothing`` smooths."""

GRADIENT_PENALTIES = ("gradient_penalty", "dragan", "r1", "r2", "r1_r2")
"""Penalties of the gradient of D."""


def _network_conflicts(config: TrialConfig) -> Iterator[tuple[str, str]]:
    """Messages, each with the dotted path of the field at fault, on data and networks."""
    name, data = config.network.name, config.data
    layout = data.source.partition(":")[2] if data.is_points else ""
    if layout not in ("", *LAYOUTS):
        close = (known for known in LAYOUTS if did_you_mean(layout, [known]))
        guesses = (f" (did you mean 'gaussians:{known}'?)" for known in close)
        hint = next(guesses, f"; known: {comma_list(LAYOUTS)}")
        yield f"gaussians have no layout {layout!r}{hint}", "data.source"

    sizes, size = RESOLUTIONS[name], data.resolution
    if data.is_points != (sizes is None):
        kind = "points: use 'mlp'" if data.is_points else "images: use 'dcgan'"
        yield f"network {name!r} cannot learn {data.source!r}, which gives {kind}", "network.name"
    if sizes is not None and size != "auto" and size not in sizes:
        fitting = [other for other, made in RESOLUTIONS.items() if made and size in made]
        hint = f"; network {fitting[0]!r} makes {size}" if fitting else ""
        message = f"network {name!r} makes {comma_list(sizes)} pixels, not {size}{hint}"
        yield message, "data.resolution"

    if config.network.conditional is True and data.classes == 0:
        message = (
            "a conditional network needs labels, and data.classes is 0; set network.conditional "
            "false or auto, or give labelled data (a folder for each class, or labels beside the "
            "array)"
        )
        yield message, "network.conditional"

    g_norm, d_norm = config.generator.norm, config.discriminator.norm
    if g_norm not in ("auto", *GENERATOR_NORMS[name]):
        known = comma_list(("auto", *GENERATOR_NORMS[name]))
        yield f"the generator of network {name!r} has {known}, not {g_norm!r}", "generator.norm"
    elif d_norm not in DISCRIMINATOR_NORMS[name]:
        known = comma_list(DISCRIMINATOR_NORMS[name])
        message = f"the discriminator of network {name!r} has {known}, not {d_norm!r}"
        yield message, "discriminator.norm"


def _points_conflict(config: TrialConfig) -> Iterator[tuple[str, str]]:
    """The first setting that needs images although the data gives points."""
    if not config.data.is_points:
        return
    source, penalties = config.data.source, config.penalties
    named = {name: getattr(penalties, name) for name in ("r1", "r2", "r1_r2")}
    auto = [name for name, penalty in named.items() if penalty and penalty.weight == "auto"]
    if config.augment.is_on:
        yield f"{source!r} gives points; augmentation is of images", "augment"
    elif config.data.held_out not in ("auto", 0):
        message = f"{source!r} gives points, of which none are held out; leave it out"
        yield message, "data.held_out"
    elif penalties.consistency:
        message = f"{source!r} gives points, which cannot be flipped and shifted"
        yield message, "penalties.consistency"
    elif auto:
        message = f"auto is a rule for images, and {source!r} gives points; give a number"
        yield message, f"penalties.{auto[0]}.weight"


def _training_conflicts(config: TrialConfig) -> Iterator[tuple[str, str]]:
    """The same on the loss and the steps of the training."""
    if config.label_smoothing and config.loss not in SMOOTHED:
        message = f"loss {config.loss!r} has no targets to smooth; label_smoothing belongs to "
        yield message + comma_list(SMOOTHED), "label_smoothing"
    yield from _points_conflict(config)

    batch, parts, schedule = config.batch_size, config.accumulation, config.schedule
    if not _divides(parts, batch):
        message = (
            f"{parts} parts do not divide batch_size {batch} into equal parts of 2 images or more"
        )
        yield message, "accumulation"

    ends = ("lr_end", "beta2_end", "penalty_end", "ema_half_life_end")
    defaults = {name: ScheduleConfig.model_fields[name].default for name in ends}
    moved = [name for name in ends if getattr(schedule, name) not in (None, defaults[name])]
    if schedule.name == "constant" and moved:
        message = "a constant schedule moves nothing; use schedule.name linear or cosine"
        yield message, f"schedule.{moved[0]}"
    if config.augment.probability == "adaptive" and not config.augment.is_on:
        message = "adaptive, but no augmentation is on; turn on colour, translation or cutout"
        yield message, "augment.probability"


def _divides(parts: int, batch: int) -> bool:
    return batch % parts == 0 and batch // parts >= 2


def largest_batch(most: int, accumulations: Iterable[int]) -> int | None:
    """The largest ``batch_size`` up to ``most`` that goes with each of these; ``None``: no such."""
    parts = set(accumulations)
    sizes = range(most, 1, -1)
    return next((size for size in sizes if all(_divides(n, size) for n in parts)), None)


def advice(config: TrialConfig) -> Iterator[str]:
    """A sentence for each combination that can be trained but is rarely intended."""
    penalties = config.penalties
    on_gradient = [name for name in GRADIENT_PENALTIES if getattr(penalties, name) is not None]
    norm = config.discriminator.norm
    if penalties.weight_clip and norm == "spectral":
        yield (
            "weight_clip with discriminator.norm spectral: spectral normalisation rescales the "
            "clipped weights, so clipping has no effect; keep one of the two"
        )
    if penalties.weight_clip and config.loss != "wgan":
        yield f"weight_clip is made for loss wgan; with {config.loss} it only weakens D"
    if penalties.weight_clip and on_gradient:
        yield f"weight_clip with {comma_list(on_gradient)}: both bound the slope of D; keep one"
    if config.has_unbounded_critic:
        yield (
            "loss wgan without weight_clip, a gradient penalty or discriminator.norm spectral: "
            "nothing bounds the critic"
        )
    if on_gradient and norm == "batch":
        yield (
            f"{comma_list(on_gradient)} with discriminator.norm batch: the penalty is of each "
            "image's gradient, which batch norm mixes over the batch; use layer or none"
        )
    default, g_norm = GENERATOR_NORMS[config.network.name][0], config.generator.norm
    has_batch_norm = g_norm == "batch" or (default == "batch" and g_norm != "none")
    if config.accumulation > 1 and (has_batch_norm or norm == "batch"):
        yield (
            f"accumulation {config.accumulation} with batch norm: its statistics are those of a "
            "part of the batch, not of the whole"
        )
    if penalties.r1_r2 and (penalties.r1 or penalties.r2):
        yield "r1_r2 beside r1 or r2: the same gradient is penalised twice; keep one"
