"""``Features``: statistics and cached rows of the features of one side, computed batch by batch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gantune.config.extractor import ScoreDtype
from gantune.data.image_set import random_subset
from gantune.errors import ScoreError
from gantune.gan.precision import float32_computed
from gantune.scores.features import Extractor

BATCH = 250
"""Images per batch. Fixed, because other batches would draw other random numbers."""

_BLOCK = 1000  # rows in float64 at a time


class Moments:
    """Running sums of features and of their products, both around a fixed point near the mean.

    Around zero the covariance would be a small difference of large numbers.
    """

    def __init__(self, first: Tensor) -> None:
        self._point = first.double().mean(dim=0)
        self._sum = torch.zeros_like(self._point)
        self._products = torch.zeros(2 * (len(self._point),)).to(self._point)
        self._count = 0

    def add(self, features: Tensor) -> None:
        """Adds a batch, [n, D]."""
        apart = features.double() - self._point
        self._sum += apart.sum(dim=0)
        self._products.addmm_(apart.T, apart)
        self._count += len(features)

    @property
    def mean(self) -> Tensor:
        """Mean of all rows added, float64 [D]."""
        return self._point + self._sum / self._count

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        apart = self._sum / self._count
        squares = self._products.diagonal().sum() - self._count * apart.square().sum()
        return float(squares) / (self._count - 1)

    @cached_property
    def covariance(self) -> Tensor:
        """Unbiased covariance of all rows added, float64 [D, D]. Cached: add all rows before."""
        apart = self._sum / self._count
        # In place where possible: with 2,048 features each such matrix has 32 MiB.
        return self._products.addr(apart, apart, alpha=-self._count).div_(self._count - 1)


@dataclass(frozen=True)
class Features:
    """Features of ``count`` images: mean and covariance of all, and the rows of K of them.

    ``streamed`` has the sums over all images; ``None`` where all of them are in ``rows``.
    """

    rows: Tensor  # [K, D] float32, K <= count
    count: int
    classes: tuple[int, ...] = ()
    """Number of images of each class; empty where the extractor knows no classes."""
    streamed: Moments | None = None

    @cached_property
    def mean(self) -> Tensor:
        """Mean over all images, float64 [D]."""
        if self.streamed is not None:
            return self.streamed.mean
        sums = [part.double().sum(dim=0) for part in torch.split(self.rows, _BLOCK)]
        return torch.stack(sums).sum(dim=0) / self.count

    @cached_property
    def covariance(self) -> Tensor:
        """Unbiased covariance over all images, float64 [D, D]."""
        moments = self.streamed
        if moments is None:
            moments = Moments(self.rows[:BATCH])
            for part in torch.split(self.rows, _BLOCK):
                moments.add(part)
        return moments.covariance

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        if self.streamed is not None:
            return self.streamed.variance
        parts = (part.double() - self.mean for part in torch.split(self.rows, _BLOCK))
        return sum(float(part.square().sum()) for part in parts) / (self.count - 1)


def subset_indices(total: int, count: int) -> Tensor:
    """``count`` different indices below ``total``, as ``random_subset`` chooses, int64 [count]."""
    return torch.from_numpy(random_subset(total, count))


def subsample(rows: Tensor, count: int) -> Tensor:
    """A random subset of ``count`` rows, always the same, [count, D]."""
    if count == len(rows):
        return rows
    return rows[subset_indices(len(rows), count).to(rows.device)]


def tiles(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """All pairs of up to 1,000 rows of either side: both slices, and both parts in float64."""
    for start in range(0, len(rows), _BLOCK):
        at = slice(start, start + _BLOCK)
        near = rows[at].double()
        for begin in range(0, len(others), _BLOCK):
            to = slice(begin, begin + _BLOCK)
            yield at, to, near, others[to].to(near)


def gather(
    extractor: Extractor,
    batches: Iterable[Tensor],
    count: int,
    keep: int,
    source: str,
    dtype: ScoreDtype = "float32",
) -> Features:
    """Computes the features of all batches, ``count`` images in total, on the extractor's device.

    ``keep``: the largest number of rows to cache, chosen at random. ``dtype``: what the extractor
    computes in; all that follows is float32 and more. Raises ``ScoreError``, naming
    ``source``, for fewer than two images, and for features that are not finite or not one row per
    image.
    """
    if count < 2:
        raise ScoreError(f"{source}: {count} images; a distance needs at least 2")
    keys = subset_indices(count, min(keep, count))
    rows = torch.empty(len(keys), extractor.features)
    seen, streamed, classes = 0, None, None
    for batch in batches:
        with torch.inference_mode(), _computed_in("float32", batch.device):
            with _computed_in(dtype, batch.device):
                features = extractor.module(batch)
            wanted = (len(batch), extractor.features)
            if features.shape != wanted or not features.is_floating_point():
                raise ScoreError(
                    f"extractor {extractor.name}: returned {features.dtype} "
                    f"{list(features.shape)} for {len(batch)} images; float32 {list(wanted)} was "
                    "expected"
                )
            if features.dtype == torch.bfloat16:
                features = features.float()
            rows = rows.to(features.device)
            if count > keep:
                streamed = streamed or Moments(features)
                streamed.add(features)
            named = extractor.classify(features)
            if named is not None:
                counts = named.bincount(minlength=len(extractor.classes))
                classes = counts if classes is None else classes + counts
            first, last = torch.searchsorted(keys, torch.tensor([seen, seen + len(batch)])).tolist()
            rows[first:last] = features[(keys[first:last] - seen).to(features.device)]
            seen += len(batch)
    found = Features(rows, count, () if classes is None else tuple(classes.tolist()), streamed)
    if not found.mean.isfinite().all():
        raise ScoreError(
            f"{source}: features are not finite, so there is no score (extractor {extractor.name})"
        )
    return found


@contextmanager
def _computed_in(dtype: ScoreDtype, device: torch.device) -> Iterator[None]:
    """What networks compute in within the block, whatever the process has set, and on CUDA the same
    convolutions each time. ``tf32`` is full float32 where the device has none."""
    cudnn = torch.backends.cudnn
    before = cudnn.enabled, cudnn.benchmark, cudnn.deterministic
    try:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = True, False, True
        with (
            float32_computed("tf32" if dtype == "tf32" else "ieee"),
            torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"),
        ):
            yield
    finally:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = before
