"""``Regularizer``: all penalties of a run, each weighted, and added where it is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gantune.config import PenaltyConfig, TrialConfig
from gantune.gan.penalties import (
    PENALTIES,
    PenaltyInputs,
    auto_weight,
    orthogonality,
    update_anchors,
)


class Regularizer:
    """The penalties of a config. ``anchors`` [2]: running means of D's outputs on real and on
    generated images (Tseng et al. 2021); NaN until the first step."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        given = {
            name: settings
            for name, settings in config.penalties
            if isinstance(settings, PenaltyConfig)
        }
        orthogonal = config.penalties.orthogonal
        self._of_generator = None
        if orthogonal is not None and orthogonal.player != "discriminator":
            self._of_generator = orthogonal
        if orthogonal is not None and orthogonal.player == "generator":
            del given["orthogonal"]
        self._of_discriminator = given
        self._weights = {name: _weight(settings, config) for name, settings in given.items()}
        self._lecam = config.penalties.lecam
        self.anchors = torch.full((2,), torch.nan, device=device)

    def observe(self, logits: Tensor) -> None:
        """Takes D's outputs [2, N] at one of its steps into the running means."""
        if self._lecam is not None:
            update_anchors(self.anchors, logits, self._lecam.decay)

    def penalise(self, step: PenaltyInputs, number: int, factor: float) -> dict[str, Tensor]:
        """The penalties of D that are due at its step ``number``, as they enter its loss.

        ``factor`` multiplies all weights. A penalty that acts at every n-th step is n times as
        strong there, so that it does as much in all (lazy regularisation, Karras et al. 2020).
        """
        return {
            name: PENALTIES[name](step, settings)
            * (self._weights[name] * settings.interval * factor)
            for name, settings in self._of_discriminator.items()
            if number % settings.interval == 0
        }

    def penalise_generator(self, network: nn.Module, number: int, factor: float) -> Tensor | None:
        """The penalty of G's weights at its step ``number``, or ``None`` where none is due."""
        settings = self._of_generator
        if settings is None or number % settings.interval:
            return None
        return orthogonality(network) * (settings.weight * settings.interval * factor)

    def state_dict(self) -> dict[str, Any]:
        """The running means, where there is a penalty that needs them."""
        return {} if self._lecam is None else {"anchors": self.anchors.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Reads back what ``state_dict`` gave."""
        if self._lecam is not None:
            self.anchors.copy_(state["anchors"])


def _weight(settings: PenaltyConfig, config: TrialConfig) -> float:
    if settings.weight != "auto":
        return settings.weight
    assert config.data.resolution != "auto", "a trainer's data is resolved"
    return auto_weight(config.data.resolution, config.batch_size)
