"""The probability of augmentation, steered by how sure the discriminator is of real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gantune.config import AugmentConfig

__all__ = ["AdaptiveProbability"]

_INTERVAL = 4  # steps of D between two adjustments (Karras et al. 2020, section 3.1)


class AdaptiveProbability:
    """ADA's rule: more augmentation where D overfits (Karras et al. 2020, section 3.1).

    Overfitting shows as r_t, the mean sign of D's outputs on real images: 1 where D takes all of
    them for real. Every 4 steps of D the probability rises where r_t is above ``config.target``
    and falls where it is below, so fast that it gets from 0 to 1 in ``config.speed`` kimg.

    ``threshold`` is the output above which D takes an image for real; ``None`` where only
    differences count: then the sign is that of each real image's output less a generated one's.
    Nothing here waits for the device.
    """

    def __init__(
        self, config: AugmentConfig, threshold: float | None, device: torch.device | str
    ) -> None:
        self._target, self._images_to_one = config.target, config.speed * 1000
        self._threshold = threshold
        self._value = torch.zeros((), device=device)
        self._signs = torch.zeros((), device=device)  # summed since the last adjustment
        self._steps, self._images = 0, 0  # since the last adjustment

    @property
    def value(self) -> Tensor:
        """The probability, a scalar in [0, 1] on the device; changes in place."""
        return self._value

    @torch.no_grad()
    def update(self, logits: Tensor) -> None:
        """Takes note of D's outputs [2, N] on real and generated images, once each step of D."""
        real, fake = logits
        least = fake if self._threshold is None else self._threshold
        self._signs += torch.sign(real - least).mean()  # the sign of a NaN is 0: undecided
        self._steps += 1
        self._images += len(real)
        if self._steps == _INTERVAL:
            self._adjust()

    def _adjust(self) -> None:
        direction = torch.sign(self._signs / _INTERVAL - self._target)
        self._value += direction * (self._images / self._images_to_one)
        self._value.clamp_(0, 1)
        self._signs.zero_()
        self._steps, self._images = 0, 0

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on, beside the config."""
        return {
            "value": self._value.clone(),
            "signs": self._signs.clone(),
            "steps": self._steps,
            "images": self._images,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where ``state_dict()`` was taken."""
        self._value.copy_(state["value"])
        self._signs.copy_(state["signs"])
        self._steps, self._images = int(state["steps"]), int(state["images"])
