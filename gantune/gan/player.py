"""``Player``: a network with its optimizer, and one optimizer step."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantune.config.sections import OptimizerConfig
from gantune.gan.optimizers import make_optimizer
from gantune.gan.ranks import ALONE, Ranks

_MIN_SCALE = 1.0  # a gradient that overflows without any scaling of the loss is not finite


class StepStats(NamedTuple):
    """What one optimizer step did, as scalars on the device."""

    norm: Tensor
    """Norm of the whole gradient, before clipping."""
    skipped: Tensor
    """1.0 where the gradient was not finite and the weights stayed as they were, else 0.0. Also 0.0
    where only the scale of the loss was too large, which is how the scale is found."""
    change: Tensor | None = None
    """Norm of the change of all weights over the norm of the weights; only if measured."""


class Player:
    """One of the two networks with its optimizer.

    ``parts``: a step goes along the mean gradient of so many losses. ``scaled``: multiply the loss
    by a factor that adapts to the gradients, since small gradients vanish in float16
    (Micikevicius et al. 2018). A step with a gradient that is not finite is counted and leaves
    weights and moments alone. Nothing here waits for the device. Of several ranks all take the
    same step, along the mean of their gradients. ``moves_beta2``: beta2 may be a scalar on the
    device, as the rate may always be.
    """

    def __init__(
        self,
        network: nn.Module,
        config: OptimizerConfig,
        parts: int = 1,
        *,
        scaled: bool,
        ranks: Ranks = ALONE,
        moves_beta2: bool = False,
    ) -> None:
        self.network, self.config, self._ranks = network, config, ranks
        self.parameters = list[Tensor](network.parameters())
        self._weights = [parameter.detach() for parameter in self.parameters]
        self.optimizer = make_optimizer(self.parameters, config, moves_beta2=moves_beta2)
        device = self.parameters[0].device
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self._one = torch.ones((), device=device)
        self._share = self._one / parts
        self._last_norm = torch.zeros_like(self._one)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of one part's ``loss``, by this player's weights alone, to the next
        step."""
        scaled: Tensor = self._scaler.scale(loss)
        scaled.backward(self._share, inputs=self.parameters)  # type: ignore[no-untyped-call]

    def step(
        self, lr_factor: float | Tensor, beta2: float | Tensor, *, measured: bool = False
    ) -> StepStats:
        """One step along the accumulated gradient; ``lr_factor``, a number or a scalar on the
        device, multiplies the learning rate.

        ``measured``: also return how far the weights moved, which takes a copy of them.
        """
        before = [weight.clone() for weight in self._weights] if measured else []
        scale = self._scaler.scale(self._one)
        gradients = [weight.grad for weight in self.parameters if weight.grad is not None]
        self._ranks.average(gradients)
        self._scaler.unscale_(self.optimizer)
        norm = _norm(gradients)
        skipped = norm.isfinite().logical_not().to(torch.float32)
        if self.config.clip_norm is not None:
            torch._foreach_mul_(gradients, (self.config.clip_norm / norm).clamp(max=1.0))
        for group in self.optimizer.param_groups:
            group["lr"] = lr_factor * self.config.lr
            if "betas" in group:
                group["betas"] = (group["betas"][0], beta2)
            elif "alpha" in group:
                group["alpha"] = beta2
        self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
        self.optimizer.step()
        self._scaler.update()
        self.clear()
        if self._scaler.is_enabled():
            # A step lost to a scale that was too large says nothing of the run's health: it does
            # not count as skipped, and reports the norm before it.
            is_overscaled = (skipped > 0) & (scale > _MIN_SCALE)
            norm = torch.where(is_overscaled, self._last_norm, norm)
            self._last_norm.copy_(norm)
            skipped = skipped.masked_fill(is_overscaled, 0.0)
        if not measured:
            return StepStats(norm, skipped)
        moved = _norm(list(torch._foreach_sub(self._weights, before)))
        return StepStats(norm, skipped, moved / _norm(before))

    def clear(self) -> None:
        """Forgets the gradient so far."""
        for weight in self.parameters:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers, moments and the scale of the loss. Learning rates are the config's."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a ``state_dict``. Raises torch's errors where the networks differ."""
        self.network.load_state_dict(state["network"])
        settings = self.optimizer.state_dict()["param_groups"]
        moments = copy.deepcopy(state["optimizer"])  # torch would share them with the caller
        self.optimizer.load_state_dict({"state": moments, "param_groups": settings})
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])


def _norm(tensors: list[Tensor]) -> Tensor:
    """The norm of all elements together."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm
