"""``Regularizer``: all penalties of a run, with their weights and intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gantune.config import TrialConfig
from gantune.config.sections import PenaltyConfig
from gantune.gan.penalties import PenaltyInputs
from gantune.gan.penalties.gradients import auto_weight, dragan, gradient_penalty, r1, r1_r2, r2
from gantune.gan.penalties.outputs import consistency, lecam, update_anchors
from gantune.gan.penalties.weights import orthogonality

Penalty = Callable[[PenaltyInputs, Any], Tensor]
"""``(inputs, config)`` to the penalty, a scalar, without its weight and interval."""

PENALTIES: dict[str, Penalty] = {
    "gradient_penalty": gradient_penalty,
    "dragan": dragan,
    "r1": r1,
    "r2": r2,
    "r1_r2": r1_r2,
    "lecam": lecam,
    "consistency": consistency,
    "orthogonal": lambda inputs, config: orthogonality(inputs.network),
}
"""The penalties of D's loss, by their name in a config."""


class Regularizer:
    """The penalties of a config. ``anchors`` [2]: running means of D's logits on real and
    generated images (Tseng et al. 2021); NaN until the first step."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        self._of_discriminator = {
            name: settings
            for name, settings in config.penalties
            if isinstance(settings, PenaltyConfig)
        }
        self._of_generator = config.penalties.orthogonal
        if self._of_generator is not None and self._of_generator.player == "generator":
            del self._of_discriminator["orthogonal"]
        elif self._of_generator is not None and self._of_generator.player == "discriminator":
            self._of_generator = None
        self._weights = {
            name: auto_weight(cast(int, config.data.resolution), config.batch_size)
            if settings.weight == "auto"
            else settings.weight
            for name, settings in self._of_discriminator.items()
        }
        self._lecam = config.penalties.lecam
        self.anchors = torch.full((2,), torch.nan, device=device)

    def observe(self, logits: Tensor) -> None:
        """Updates the running means with D's logits [2, N] at one of its steps."""
        if self._lecam is not None:
            update_anchors(self.anchors, logits, self._lecam.decay)

    def phase(self, step: int, steps: int, kimg: Sequence[float], g_step: int) -> tuple[bool, ...]:
        """What is due at some steps of D from ``step`` on, at so many kimg each, and at G's step:
        equal for steps that do the same work."""
        found = [
            (step + k) % settings.interval == 0
            for k in range(steps)
            for settings in self._of_discriminator.values()
        ]
        if self._lecam is not None:
            found += [at >= self._lecam.start for at in kimg]
        if self._of_generator is not None:
            found.append(g_step % self._of_generator.interval == 0)
        return tuple(found)

    def penalties(
        self, inputs: PenaltyInputs, step: int, factor: float | Tensor
    ) -> dict[str, Tensor]:
        """The penalties that are due at D's step ``step``, as they enter its loss.

        ``factor`` multiplies all weights. A penalty with an interval of n steps is n times as
        strong at each of them (lazy regularisation, Karras et al. 2020).
        """
        return {
            name: PENALTIES[name](inputs, settings)
            * (self._weights[name] * settings.interval * factor)
            for name, settings in self._of_discriminator.items()
            if step % settings.interval == 0
        }

    def generator_penalties(
        self, network: nn.Module, step: int, factor: float | Tensor
    ) -> dict[str, Tensor]:
        """The penalties that are due at G's step ``step``, as they enter its loss."""
        settings = self._of_generator
        if settings is None or step % settings.interval:
            return {}
        weight = settings.weight * settings.interval * factor
        return {"generator_orthogonal": orthogonality(network) * weight}

    def state_dict(self) -> dict[str, Any]:
        """The running means, where a penalty needs them."""
        return {} if self._lecam is None else {"anchors": self.anchors.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a ``state_dict``."""
        if self._lecam is not None:
            self.anchors.copy_(state["anchors"])
