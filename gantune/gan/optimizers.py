"""Optimizers whose step can be skipped by a flag on the device, and recorded.

torch's fused ones read the attribute ``found_inf``, a scalar tensor, as they do for
``torch.amp.GradScaler``: where it is not 0, weights and moments stay as they were. Those here do
the same, and their rate and beta2 may be scalars on the device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantune.config.sections import OptimizerConfig

Tensors = list[Tensor] | tuple[Tensor, ...]


def make_optimizer(
    weights: list[Tensor], config: OptimizerConfig, *, moves_beta2: bool = False
) -> torch.optim.Optimizer:
    """The optimizer that ``config`` names, on the device of ``weights``.

    ``moves_beta2``: its beta2 will be a scalar on the device, which torch's do not take.
    """
    lr, decay, betas = config.lr, config.weight_decay, (config.beta1, config.beta2)
    recordable = weights[0].is_cuda  # torch refuses it elsewhere
    match config.optimizer:
        case "adam" | "adamw" as name if moves_beta2:
            return _Adam(weights, lr, betas, decay, decoupled=name == "adamw")
        case "adam":
            return torch.optim.Adam(
                weights, lr, betas, weight_decay=decay, fused=True, capturable=recordable
            )
        case "adamw":
            return torch.optim.AdamW(
                weights, lr, betas, weight_decay=decay, fused=True, capturable=recordable
            )
        case "rmsprop":
            return _RMSprop(weights, lr, config.beta2, decay)
        case "sgd":
            sgd = torch.optim.SGD(weights, lr, config.beta1, weight_decay=decay, fused=True)
            if config.beta1 > 0:
                # Made now: where the first step is skipped, torch would leave them uninitialised.
                for weight in weights:
                    sgd.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            return sgd


class _ForAll(torch.optim.Optimizer):
    """A step for all weights at once."""

    moments: tuple[str, ...]
    """Names of the tensors that are kept for each weight, of its shape."""
    found_inf: Tensor

    def __init__(self, weights: list[Tensor], **defaults: Any) -> None:
        super().__init__(weights, defaults)
        for weight in weights:
            for name in self.moments:
                self.state[weight][name] = torch.zeros_like(weight)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        weights = [weight for weight in group["params"] if weight.grad is not None]
        gradients = [weight.grad for weight in weights]
        moments = [[self.state[weight][name] for weight in weights] for name in self.moments]
        moved, *newer = self._moved(group, weights, gradients, *moments)
        old = [tensor for tensors in (weights, *moments) for tensor in tensors]
        new = [tensor for tensors in (moved, *newer) for tensor in tensors]
        is_skipped = self.found_inf > 0
        kept = [torch.where(is_skipped, *both) for both in zip(old, new, strict=True)]
        torch._foreach_copy_(old, kept)

    def _moved(
        self,
        group: dict[str, Any],
        weights: Tensors,
        gradients: Tensors,
        *moments: Tensors,
    ) -> tuple[Tensors, ...]:
        """New weights, then new moments. The tensors that are given stay as they are."""
        raise NotImplementedError


class _RMSprop(_ForAll):
    """RMSprop (Tieleman and Hinton 2012)."""

    moments = ("square_avg",)

    def __init__(self, weights: list[Tensor], lr: float, alpha: float, decay: float) -> None:
        super().__init__(weights, lr=lr, alpha=alpha, eps=1e-8, weight_decay=decay)

    def _moved(
        self,
        group: dict[str, Any],
        weights: Tensors,
        gradients: Tensors,
        *moments: Tensors,
    ) -> tuple[Tensors, ...]:
        if group["weight_decay"]:
            gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
        newer = _averaged_squares(moments[0], gradients, group["alpha"])
        roots = torch._foreach_sqrt(newer)
        torch._foreach_add_(roots, group["eps"])
        steps = torch._foreach_div(gradients, roots)
        torch._foreach_mul_(steps, group["lr"])
        return torch._foreach_sub(weights, steps), newer


class _Adam(_ForAll):
    """Adam (Kingma and Ba 2015, algorithm 1) with a beta2 that changes; ``decoupled``: AdamW
    (Loshchilov and Hutter 2019, algorithm 2)."""

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        weights: list[Tensor],
        lr: float,
        betas: tuple[float, float],
        decay: float,
        *,
        decoupled: bool,
    ) -> None:
        # ``capturable``: torch moves the loaded step to the weights' device only with it.
        defaults = {"betas": betas, "eps": 1e-8, "weight_decay": decay, "capturable": True}
        super().__init__(weights, lr=lr, **defaults)
        self._is_decoupled = decoupled
        # One count for all weights, kept with the first of them so that it is saved.
        self._first = weights[0]
        self.state[self._first]["step"] = torch.zeros((), device=self._first.device)

    def _moved(
        self,
        group: dict[str, Any],
        weights: Tensors,
        gradients: Tensors,
        *moments: Tensors,
    ) -> tuple[Tensors, ...]:
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        if decay and self._is_decoupled:
            weights = torch._foreach_mul(weights, 1 - lr * decay)
        elif decay:
            gradients = torch._foreach_add(gradients, weights, alpha=decay)
        count = self.state[self._first]["step"]
        count += self.found_inf == 0
        means = torch._foreach_lerp(moments[0], gradients, 1 - beta1)
        squares = _averaged_squares(moments[1], gradients, beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - beta2**count).sqrt())
        torch._foreach_add_(roots, group["eps"])
        steps = torch._foreach_div(means, roots)
        torch._foreach_mul_(steps, lr / (1 - beta1**count))
        return torch._foreach_sub(weights, steps), means, squares


def _averaged_squares(
    averages: Tensors, gradients: Tensors, weight: float | Tensor
) -> tuple[Tensor, ...]:
    """Moving averages of squared gradients, new ones: ``weight`` of the old ones is kept."""
    squares = torch._foreach_mul(gradients, gradients)
    torch._foreach_sub_(squares, averages)
    torch._foreach_mul_(squares, 1 - weight)
    torch._foreach_add_(squares, averages)
    return squares
