"""``Player``: a network with its optimizer, and the one way in which it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantune.config import DiscriminatorConfig, GeneratorConfig

__all__ = ["Player", "Update"]


class Update(NamedTuple):
    """What one step of a player did, as scalars on its device."""

    norm: Tensor
    """Norm of the whole gradient."""
    skipped: Tensor
    """1.0 where the gradient was not finite and the weights stayed as they were, else 0.0."""


class Player:
    """One of the two networks with its Adam (Kingma and Ba 2015).

    A step with a gradient that is not finite is counted and leaves weights and moments alone;
    neither needs a synchronisation with the device.
    """

    def __init__(self, network: nn.Module, config: GeneratorConfig | DiscriminatorConfig) -> None:
        self.network = network
        self.parameters = list[Tensor](network.parameters())
        betas = (config.beta1, config.beta2)
        self.optimizer = torch.optim.Adam(self.parameters, config.lr, betas, fused=True)

    def step(self, loss: Tensor) -> Update:
        """Differentiates ``loss`` by this player's weights alone and takes one step of Adam."""
        for weight in self.parameters:
            weight.grad = None
        loss.backward(inputs=self.parameters)  # type: ignore[no-untyped-call]
        gradients = [weight.grad for weight in self.parameters if weight.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        skipped = norm.isfinite().logical_not().to(torch.float32)
        # Fused Adam reads this flag on the device, as it does for torch.amp.GradScaler.
        self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
        self.optimizer.step()
        return Update(norm, skipped)

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers and Adam's moments; learning rates belong to the config."""
        return {
            "network": self.network.state_dict(),
            "adam": self.optimizer.state_dict()["state"],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Reads back what ``state_dict`` gave; an error of torch's where the networks differ."""
        self.network.load_state_dict(state["network"])
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["adam"], "param_groups": settings})
