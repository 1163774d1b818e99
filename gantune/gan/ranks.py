"""``Ranks``: the processes that train one GAN together, each on its share of every batch.

Each draws the whole batch's random numbers and takes its own rows, gradients are averaged, and
layers that mix images see all of them. So N ranks train as one process does, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import dropout

from gantune.config import TrialConfig
from gantune.config.trial import GRADIENT_PENALTIES
from gantune.errors import DeviceError
from gantune.io.validation import comma_list


@dataclass(frozen=True)
class Ranks:
    """This process's number among ``count`` that are connected by torch's default process group.

    All of them call the same methods in the same order. With one, nothing is exchanged.
    """

    rank: int = 0
    count: int = 1

    def part(self, number: int) -> slice:
        """The rows of this rank in a batch of so many."""
        share = number // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def rows(self, whole: Tensor, share: int, dim: int = 0) -> Tensor:
        """The rows of this rank along ``dim``, where one or more whole batches lie one behind the
        other; ``share``: images of one rank in each."""
        if self.count == 1:
            return whole
        shape = [*whole.shape[:dim], -1, self.count, share, *whole.shape[dim + 1 :]]
        return whole.view(shape).select(dim + 1, self.rank).flatten(dim, dim + 1)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors of one dtype by their means over all ranks, in one exchange."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat.div_(self.count), [tensor.numel() for tensor in tensors])
        means = [part.view(one.shape) for part, one in zip(parts, tensors, strict=True)]
        torch._foreach_copy_(list(tensors), means)

    @torch.no_grad()
    def gather(self, values: Tensor) -> Tensor:
        """The values [..., n] of all ranks as [..., N], without a graph."""
        if self.count == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.count)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts, -1)

    @torch.no_grad()
    def std(self, values: Tensor) -> Tensor:
        """The standard deviation of all elements of all ranks."""
        if self.count == 1:
            return values.std()
        self.average([mean := values.mean()])
        self.average([variance := (values - mean).square().mean()])
        number = values.numel() * self.count
        return (variance * (number / (number - 1))).sqrt()

    def share(self, value: Any = None) -> Any:
        """The value that rank 0 gives, on all ranks: any object that can be pickled."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, 0, device=torch.device("cpu"))
        return values[0]


ALONE = Ranks()
"""The one process of an ordinary training."""


def check_ranks(config: TrialConfig, count: int, place: str) -> None:
    """Raises ``DeviceError`` for a config that ``count`` ranks cannot train as one process does.

    ``place``: where the user has asked for them.
    """
    batch, parts = config.batch_size, config.accumulation
    if batch % (parts * count):
        accumulated = f", in {parts} parts each," if parts > 1 else ""
        raise DeviceError(
            f"{place}: {count} devices{accumulated} cannot share batch_size {batch} equally; take "
            f"a multiple of {parts * count}, or another number of devices"
        )
    penalties = [n for n in GRADIENT_PENALTIES if getattr(config.penalties, n) is not None]
    if penalties and config.discriminator.norm == "batch":
        raise DeviceError(
            f"{place}: discriminator.norm batch mixes the images of all devices, so that "
            f"penalties.{comma_list(penalties)} cannot be taken of each image; take "
            "discriminator.norm layer or none, or one device"
        )


# ---- Layers that mix images, or draw for each ---------------------------------------------------


def joined(network: nn.Module, ranks: Ranks, share: int) -> None:
    """Replaces batch norm and dropout of ``network`` by those of several ranks, with the same names
    in its state dict. ``share``: images of one rank in a batch."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                parent.add_module(name, RankBatchNorm(layer, ranks))
            elif isinstance(layer, nn.Dropout):
                parent.add_module(name, RankDropout(layer, ranks, share))


class RankBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the images of all ranks: what ``nn.SyncBatchNorm`` is on GPUs alone.

    Features [n, C] or [n, C, H, W]. Differentiable any number of times.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        self.load_state_dict(norm.state_dict())
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.to(self.running_mean.dtype)
        axes = [0, *range(2, values.ndim)]
        # The mean of squares would lose digits where the mean is large.
        variances, means = _of_all_ranks(
            torch.stack(torch.var_mean(values, axes, correction=0)), self.ranks
        )
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        with torch.no_grad():
            number = values.numel() // values.shape[1] * self.ranks.count
            unbiased = variance * (number / (number - 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked.add_(1)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        shape = [1, -1, *[1] * (values.ndim - 2)]
        return torch.addcmul(shift.view(shape), values, scale.view(shape)).to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions: that of the layer that it replaces."""


class RankDropout(nn.Module):
    """Dropout whose mask is drawn for the images of all ranks."""

    def __init__(self, layer: nn.Dropout, ranks: Ranks, share: int) -> None:
        super().__init__()
        self.p, self.ranks, self.share = layer.p, ranks, share

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return features
        # Joined from parts, so that it lies in memory as the features of one process would.
        whole = torch.cat([torch.ones_like(features)] * self.ranks.count)
        return features * self.ranks.rows(dropout(whole, self.p), self.share)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _of_all_ranks(values: Tensor, ranks: Ranks) -> Tensor:
    """Values [K, ...] of all ranks as [K, ranks, ...], with their graph."""
    nothing = torch.zeros_like(values)
    places = [values if rank == ranks.rank else nothing for rank in range(ranks.count)]
    total: Tensor = _Sum.apply(torch.stack(places, 1))  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """The sum over all ranks. Every rank's loss depends on it, so that its gradient is the sum of
    theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(gradient)  # type: ignore[no-untyped-call]
        return total
