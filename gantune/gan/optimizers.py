"""The optimizers, each of which can skip a step on a flag that lies on the device.

torch's fused ones read the attribute ``found_inf``, a scalar tensor, as they do for
``torch.amp.GradScaler``: where it is not 0, weights and moments stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantune.config import OptimizerConfig


def make_optimizer(weights: list[Tensor], config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that ``config`` names, for ``weights`` where they lie."""
    lr, decay, betas = config.lr, config.weight_decay, (config.beta1, config.beta2)
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(weights, lr, betas, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(weights, lr, betas, weight_decay=decay, fused=True)
        case "rmsprop":
            return RMSprop(weights, lr, alpha=config.beta2, weight_decay=decay)
        case "sgd":
            return _sgd(weights, config)


def set_rate(optimizer: torch.optim.Optimizer, lr: float, beta2: float) -> None:
    """Learning rate and decay of the second moment for the steps to come."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group:
            group["betas"] = (group["betas"][0], beta2)
        elif "alpha" in group:
            group["alpha"] = beta2


class RMSprop(torch.optim.RMSprop):
    """torch's own (Tieleman and Hinton 2012), which has no fused form: a step is undone where
    ``found_inf`` says so."""

    found_inf: Tensor

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        weights = [w for group in self.param_groups for w in group["params"] if w.grad is not None]
        moments = [self.state[w].get("square_avg", torch.zeros_like(w)) for w in weights]
        before = [tensor.clone() for tensor in (*weights, *moments)]
        super().step()
        after = [*weights, *(self.state[w]["square_avg"] for w in weights)]
        is_skipped = self.found_inf > 0
        kept = [torch.where(is_skipped, old, new) for old, new in zip(before, after, strict=True)]
        torch._foreach_copy_(after, kept)


def _sgd(weights: list[Tensor], config: OptimizerConfig) -> torch.optim.SGD:
    settings: dict[str, Any] = {"momentum": config.beta1, "weight_decay": config.weight_decay}
    optimizer = torch.optim.SGD(weights, config.lr, fused=True, **settings)
    if config.beta1 > 0:
        # Made now: where the first step is skipped, torch would leave them uninitialised.
        for weight in weights:
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return optimizer
