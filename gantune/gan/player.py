"""``Player``: a network with its optimizer, and the one way in which it learns."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantune.config import OptimizerConfig
from gantune.gan.optimizers import make_optimizer, set_rate

_LEAST_SCALE = 1.0  # of a loss: gradients that overflow without any scale are no numbers


class StepStats(NamedTuple):
    """What one step of a player did, as scalars on its device."""

    norm: Tensor
    """Norm of the whole gradient, before it is clipped."""
    skipped: Tensor
    """1.0 where the gradient was not finite and the weights stayed as they were, else 0.0; also 0.0
    where a scaled loss was scaled too far, which is how the scale is found."""
    change: Tensor | None = None
    """Norm of what the step added to all weights over the norm of these, where it was asked for."""


class Player:
    """One of the two networks with its optimizer.

    ``scaled``: in float16 small gradients would vanish, so the loss is multiplied by a factor that
    moves with what the gradients bear (Micikevicius et al. 2018). A step with a gradient that is
    not finite is counted and leaves weights and moments alone; none of it needs a synchronisation
    with the device.
    """

    def __init__(self, network: nn.Module, config: OptimizerConfig, *, scaled: bool) -> None:
        self.network, self.config = network, config
        self.parameters = list[Tensor](network.parameters())
        self._weights = [parameter.detach() for parameter in self.parameters]
        self.optimizer = make_optimizer(self.parameters, config)
        device = self.parameters[0].device.type
        self._scaler = torch.amp.GradScaler(device, enabled=scaled)
        self._one = torch.ones((), device=self.parameters[0].device)
        self._last_norm = torch.zeros_like(self._one)

    def learn(self, loss: Tensor) -> None:
        """Adds the gradient of ``loss`` by this player's weights alone to the next step."""
        scaled: Tensor = self._scaler.scale(loss)
        scaled.backward(inputs=self.parameters)  # type: ignore[no-untyped-call]

    def step(self, rate: float, beta2: float, *, measured: bool = False) -> StepStats:
        """One step along the gradient that was learned; ``rate`` multiplies the learning rate.

        ``measured``: say as well how far the weights moved, which takes a copy of them.
        """
        before = [weight.clone() for weight in self._weights] if measured else []
        scale = self._scaler.scale(self._one)
        self._scaler.unscale_(self.optimizer)
        gradients = [weight.grad for weight in self.parameters if weight.grad is not None]
        norm = _norm(gradients)
        skipped = norm.isfinite().logical_not().to(torch.float32)
        if self.config.clip_norm is not None:
            torch._foreach_mul_(gradients, (self.config.clip_norm / norm).clamp(max=1.0))
        set_rate(self.optimizer, rate * self.config.lr, beta2)
        self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
        self.optimizer.step()
        self._scaler.update()
        for weight in self.parameters:
            weight.grad = None
        update = self._counted(norm, skipped, scale)
        return update._replace(change=self._change(before)) if measured else update

    def _change(self, before: list[Tensor]) -> Tensor:
        moved = torch._foreach_sub(self._weights, before)
        return _norm(list(moved)) / _norm(before)

    def _counted(self, norm: Tensor, skipped: Tensor, scale: Tensor) -> StepStats:
        """The update as it counts: a step lost to too large a scale is no sign of bad health, and
        shows the norm before it."""
        if not self._scaler.is_enabled():
            return StepStats(norm, skipped)
        is_overscaled = (skipped > 0) & (scale > _LEAST_SCALE)
        self._last_norm = torch.where(is_overscaled, self._last_norm, norm)
        return StepStats(self._last_norm, skipped.masked_fill(is_overscaled, 0.0))

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers, moments and the loss's factor; learning rates belong to the config."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Reads back what ``state_dict`` gave; an error of torch's where the networks differ."""
        self.network.load_state_dict(state["network"])
        settings = self.optimizer.state_dict()["param_groups"]
        moments = copy.deepcopy(state["optimizer"])  # torch would share them with their owner
        self.optimizer.load_state_dict({"state": moments, "param_groups": settings})
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])


def _norm(tensors: list[Tensor]) -> Tensor:
    """Of all their elements together."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm
