"""Advice on configs that can be trained but are rarely meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gantune.config.network import GENERATOR_NORMS
from gantune.io.validation import comma_list

if TYPE_CHECKING:
    from gantune.config.trial import TrialConfig


_GRADIENT_PENALTIES = ("gradient_penalty", "dragan", "r1", "r2", "r1_r2")


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
        yield f"weight_clip with {comma_list(on_gradient)}: two ways to bound one slope; keep one"
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
    own, chosen = GENERATOR_NORMS[config.network.name][0], config.generator.norm
    in_generator = chosen == "batch" or (own == "batch" and chosen != "none")
    if config.accumulation > 1 and (in_generator or norm == "batch"):
        yield (
            f"accumulation {config.accumulation} with batch norm: its statistics are of a part of "
            "the batch, not of the whole"
        )
    if penalties.r1_r2 and (penalties.r1 or penalties.r2):
        yield "r1_r2 beside r1 or r2: the same gradient is penalised twice; keep one"
