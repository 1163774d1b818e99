"""``advice``: warnings about configs that can be trained but are rarely intended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gantune.config.sections import GENERATOR_NORMS
from gantune.io.validation import comma_list

if TYPE_CHECKING:
    from gantune.config.trial import TrialConfig


_GRADIENT_PENALTIES = ("gradient_penalty", "dragan", "r1", "r2", "r1_r2")


def advice(config: TrialConfig) -> Iterator[str]:
    """A sentence for each combination that can be trained but is rarely intended."""
    penalties = config.penalties
    on_gradient = [name for name in _GRADIENT_PENALTIES if getattr(penalties, name) is not None]
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
    if config.loss == "wgan" and not (penalties.weight_clip or on_gradient or norm == "spectral"):
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
