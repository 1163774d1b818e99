"""Remedies that bound the slope of the discriminator: penalties and normalisation."""

from __future__ import annotations

from gantune.config import TrialConfig
from gantune.config.sections import DISCRIMINATOR_NORMS
from gantune.config.trial import GRADIENT_PENALTIES
from gantune.health.remedies.remedy import Changes, Remedy
from gantune.health.rules import RULES

_ALL = frozenset(RULES)


def _has_penalty(config: TrialConfig) -> bool:
    return any(getattr(config.penalties, name) is not None for name in GRADIENT_PENALTIES)


def _without_clip(config: TrialConfig) -> Changes:
    return {"penalties.weight_clip": None} if config.penalties.weight_clip else {}


def _r1(config: TrialConfig) -> Changes:
    if _has_penalty(config) or config.data.is_points:
        return {}
    return {**_without_clip(config), "penalties.r1": {"weight": "auto"}}


def _gradient_penalty(config: TrialConfig) -> Changes:
    if _has_penalty(config):
        return {}
    return {**_without_clip(config), "penalties.gradient_penalty": {"weight": 10.0}}


def _stronger(config: TrialConfig) -> Changes:
    given = {name: getattr(config.penalties, name) for name in GRADIENT_PENALTIES}
    return {
        f"penalties.{name}.weight": min(10 * penalty.weight, 10_000.0)
        for name, penalty in given.items()
        if penalty is not None and penalty.weight != "auto"
    }


def _spectral(config: TrialConfig) -> Changes:
    if "spectral" not in DISCRIMINATOR_NORMS[config.network.name]:
        return {}
    if config.discriminator.norm == "spectral":
        return {}
    return {**_without_clip(config), "discriminator.norm": "spectral"}


def _without_batch_norm(config: TrialConfig) -> Changes:
    return {"discriminator.norm": "none"} if config.discriminator.norm == "batch" else {}


SLOPES = (
    Remedy(
        "r1",
        "add the R1 penalty with StyleGAN2's weight, 0.0002 * resolution^2 / batch size",
        "D cannot become steep around real images, so the generator keeps a gradient there.",
        "Mescheder et al. 2018; Karras et al. 2020",
        _ALL,
        _r1,
    ),
    Remedy(
        "gradient_penalty",
        "add a gradient penalty of weight 10, in place of weight clipping",
        "The slope of D stays near 1 between real and generated images.",
        "Gulrajani et al. 2017",
        _ALL,
        _gradient_penalty,
    ),
    Remedy(
        "stronger_penalty",
        "multiply the weight of the gradient penalty by 10",
        "A weak penalty does not hold the discriminator.",
        "Mescheder et al. 2018; Huang et al. 2024",
        _ALL - {"stillborn"},
        _stronger,
    ),
    Remedy(
        "spectral_norm",
        "normalise the discriminator's weights spectrally",
        "Each layer's slope is at most 1, at almost no cost.",
        "Miyato et al. 2018",
        _ALL,
        _spectral,
    ),
    Remedy(
        "no_batch_norm",
        "remove batch norm from the discriminator",
        "With batch norm D tells real from generated batches by their statistics.",
        "Gulrajani et al. 2017, section 4",
        _ALL,
        _without_batch_norm,
    ),
)
