"""What the parts of a config must agree on (errors), and what they had better (advice)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gantune.config.data import LAYOUTS
from gantune.config.network import DISCRIMINATOR_NORMS, GENERATOR_NORMS, RESOLUTIONS
from gantune.io.validation import listed, nearest

if TYPE_CHECKING:
    from gantune.config.trial import TrialConfig

__all__ = ["Disagreement", "advice", "disagreements"]

_SMOOTHED = ("minimax", "vanilla", "lsgan")
_GRADIENT_PENALTIES = ("gradient_penalty", "dragan", "r1", "r2", "r1_r2")


class Disagreement(NamedTuple):
    """Why a config cannot be trained, and the dotted path of what is at fault."""

    message: str
    path: str


def disagreements(config: TrialConfig) -> list[Disagreement]:
    """All that cannot be in a config."""
    return [found for rule in _RULES if (found := rule(config)) is not None]


def advice(config: TrialConfig) -> Iterator[str]:
    """What can be trained but is seldom meant, a sentence each."""
    penalties = config.penalties
    on_gradient = [name for name in _GRADIENT_PENALTIES if getattr(penalties, name) is not None]
    norm = config.discriminator.norm
    if penalties.weight_clip and norm == "spectral":
        yield (
            "weight_clip with discriminator.norm spectral: spectral normalisation rescales what "
            "is clipped, so clipping does nothing it was made for; keep one of the two"
        )
    if penalties.weight_clip and config.loss != "wgan":
        yield f"weight_clip is made for loss wgan; with {config.loss} it only weakens D"
    if penalties.weight_clip and on_gradient:
        yield f"weight_clip with {listed(on_gradient)}: two ways to bound one slope; keep one"
    if config.loss == "wgan" and not (penalties.weight_clip or on_gradient or norm == "spectral"):
        yield (
            "loss wgan without weight_clip, a gradient penalty or discriminator.norm spectral: "
            "nothing bounds the critic"
        )
    if on_gradient and norm == "batch":
        yield (
            f"{listed(on_gradient)} with discriminator.norm batch: the penalty is of each image's "
            "gradient, which batch norm mixes over the batch; use layer or none"
        )
    own, chosen = GENERATOR_NORMS[config.network.name][0], config.generator.norm
    in_generator = chosen == "batch" or (own == "batch" and chosen != "none")
    if config.accumulation > 1 and (in_generator or norm == "batch"):
        yield (
            f"accumulation {config.accumulation} with batch norm: its statistics are of a part of "
            "the batch, not of the whole"
        )
    if penalties.r1_r2 and (penalties.r1 or penalties.r2):
        yield "r1_r2 beside r1 or r2: the same gradient is penalised twice; keep one"


def _layout(config: TrialConfig) -> Disagreement | None:
    layout = config.data.source.partition(":")[2] if config.data.is_points else ""
    if layout in ("", *LAYOUTS):
        return None
    close = (own for own in LAYOUTS if nearest(layout, [own]))
    meant = (f" (did you mean 'gaussians:{own}'?)" for own in close)
    way_out = next(meant, f"; known: {listed(LAYOUTS)}")
    return Disagreement(f"gaussians have no layout {layout!r}{way_out}", "data.source")


def _kind(config: TrialConfig) -> Disagreement | None:
    name, data = config.network.name, config.data
    if data.is_points == (RESOLUTIONS[name] is None):
        return None
    kind = "points: use 'mlp'" if data.is_points else "images: use 'dcgan'"
    return Disagreement(
        f"network {name!r} cannot learn {data.source!r}, which gives {kind}", "network.name"
    )


def _resolution(config: TrialConfig) -> Disagreement | None:
    name, size = config.network.name, config.data.resolution
    sizes = RESOLUTIONS[name]
    if sizes is None or size == "auto" or size in sizes:
        return None
    fitting = [other for other, made in RESOLUTIONS.items() if made and size in made]
    way_out = f"; network {fitting[0]!r} makes {size}" if fitting else ""
    return Disagreement(
        f"network {name!r} makes {listed(sizes)} pixels, not {size}{way_out}", "data.resolution"
    )


def _conditional(config: TrialConfig) -> Disagreement | None:
    if config.network.conditional is not True or config.data.classes != 0:
        return None
    return Disagreement(
        "a conditional network needs labels, and data.classes is 0; set network.conditional false "
        "or auto, or give labelled data (a folder for each class, or labels beside the array)",
        "network.conditional",
    )


def _norms(config: TrialConfig) -> Disagreement | None:
    name = config.network.name
    norms = {
        "generator": (config.generator.norm, ("auto", *GENERATOR_NORMS[name])),
        "discriminator": (config.discriminator.norm, DISCRIMINATOR_NORMS[name]),
    }
    for player, (norm, known) in norms.items():
        if norm not in known:
            message = f"the {player} of network {name!r} has {listed(known)}, not {norm!r}"
            return Disagreement(message, f"{player}.norm")
    return None


def _smoothing(config: TrialConfig) -> Disagreement | None:
    if config.label_smoothing == 0 or config.loss in _SMOOTHED:
        return None
    return Disagreement(
        f"loss {config.loss!r} has no targets to smooth; label_smoothing belongs to "
        f"{listed(_SMOOTHED)}",
        "label_smoothing",
    )


def _points(config: TrialConfig) -> Disagreement | None:
    """What needs images."""
    if not config.data.is_points:
        return None
    source = config.data.source
    if config.augment.is_on:
        return Disagreement(f"{source!r} gives points; augmentation is of images", "augment")
    if config.data.held_out not in ("auto", 0):
        message = f"{source!r} gives points, of which none are held out; leave it out"
        return Disagreement(message, "data.held_out")
    if config.penalties.consistency:
        message = f"{source!r} gives points, which cannot be mirrored and shifted"
        return Disagreement(message, "penalties.consistency")
    for name in ("r1", "r2", "r1_r2"):
        penalty = getattr(config.penalties, name)
        if penalty and penalty.weight == "auto":
            message = f"auto is a rule for images, and {source!r} gives points; give a number"
            return Disagreement(message, f"penalties.{name}.weight")
    return None


def _accumulation(config: TrialConfig) -> Disagreement | None:
    batch, parts = config.batch_size, config.accumulation
    if batch % parts == 0 and batch // parts >= 2:
        return None
    return Disagreement(
        f"{parts} parts do not divide batch_size {batch} into equal parts of 2 images or more",
        "accumulation",
    )


def _schedule(config: TrialConfig) -> Disagreement | None:
    schedule = config.schedule
    if schedule.name != "constant":
        return None
    for name in ("lr_end", "beta2_end", "penalty_end", "ema_half_life_end"):
        if getattr(schedule, name) not in (None, type(schedule).model_fields[name].default):
            return Disagreement(
                "a constant schedule moves nothing; use schedule.name linear or cosine",
                f"schedule.{name}",
            )
    return None


def _augment(config: TrialConfig) -> Disagreement | None:
    if config.augment.probability != "adaptive" or config.augment.is_on:
        return None
    return Disagreement(
        "adaptive, but of nothing; turn on colour, translation or cutout", "augment.probability"
    )


_RULES: tuple[Callable[[TrialConfig], Disagreement | None], ...] = (
    *(_layout, _kind, _resolution, _conditional, _norms),
    *(_smoothing, _points, _accumulation, _schedule, _augment),
)
