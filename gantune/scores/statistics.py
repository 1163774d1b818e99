"""Sums over the features of the real images, taken once and kept on disk."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.files import write_bytes
from gantune.scores.features import Extractor
from gantune.scores.score import Protocol

__all__ = ["BATCH", "Statistics", "collect", "real_statistics", "statistics_file"]

BATCH = 250
"""Images a batch. Fixed, because random numbers drawn in other portions are other numbers."""

_log = logging.getLogger("gantune.scores")


@dataclass(frozen=True)
class Statistics:
    """What a Frechet distance needs of one side, in float64, for D features and K classes."""

    total: Tensor  # [D]: sum of the features
    products: Tensor  # [D, D]: sum of their outer products
    count: int
    classes: tuple[int, ...]  # K counts; empty where no classes are known

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        mean = self.total / self.count
        spread = self.products.diagonal().sum() - self.count * mean.square().sum()
        return max(float(spread) / (self.count - 1), 0.0)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each class, in [0, 1]."""
        return tuple(number / self.count for number in self.classes)


def collect(
    extractor: Extractor, batches: Iterable[Tensor], device: torch.device, source: str
) -> Statistics:
    """Sums up the features of all batches on the device; the sums come back on the CPU.

    Raises ``ScoreError``, naming ``source``, for features that are not finite.
    """
    size, classes = extractor.features, len(extractor.classes)
    total = torch.zeros(size, dtype=torch.float64, device=device)
    products = torch.zeros(size, size, dtype=torch.float64, device=device)
    counts = torch.zeros(classes, dtype=torch.int64, device=device)
    count = 0
    for batch in batches:
        with torch.inference_mode(), _exact():
            features = extractor.module(batch)
            named = extractor.classify(features)
            if named is not None:
                counts += named.bincount(minlength=classes)
            features = features.double()
            total += features.sum(dim=0)
            products += features.T @ features
            count += len(batch)
    if not products.isfinite().all():
        raise ScoreError(f"{source}: features are not finite; no score can be taken")
    return Statistics(total.cpu(), products.cpu(), count, tuple(counts.tolist()))


def real_statistics(
    extractor: Extractor, images: ImageSet, protocol: Protocol, device: torch.device
) -> Statistics:
    """The real images' statistics: from the cache, else computed and put there.

    The cache is ``statistics/`` in ``gantune.data.cache_folder()``; a damaged entry is computed
    again, and a folder that cannot be written costs only the time. Raises ``ScoreError`` for fewer
    than 2 images and for features that are not finite.
    """
    if protocol.real < 2:
        raise ScoreError(f"{images.source}: {protocol.real} real image; a distance needs 2 or more")
    path = statistics_file(protocol)
    found = _read(path, protocol)
    if found is None:
        batches = (batch.to(device) for batch in _batches(images, protocol.real))
        found = collect(extractor, batches, device, images.source)
        _write(path, protocol, found)
    return found


def statistics_file(protocol: Protocol) -> Path:
    """Where the real images' statistics under this protocol are kept."""
    from gantune.data import cache_folder

    return cache_folder() / "statistics" / f"{_real_side(protocol).hash}.npz"


def _exact() -> AbstractContextManager[None]:
    """Full float32 and one order of summing on CUDA, whose convolutions default to 10-bit TF32."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def _real_side(protocol: Protocol) -> Protocol:
    return replace(protocol, generated=0, latent_seed=0)


def _batches(images: ImageSet, count: int) -> Iterator[Tensor]:
    """``count`` of the images at even distances, since a source may be sorted by class."""
    index = np.arange(count) * len(images) // count
    for start in range(0, count, BATCH):
        yield torch.from_numpy(np.asarray(images.array[index[start : start + BATCH]]))


def _read(path: Path, protocol: Protocol) -> Statistics | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["protocol"]) != _text(protocol):
                return None
            total: NDArray[np.float64] = file["total"]
            products: NDArray[np.float64] = file["products"]
            classes = tuple(file["classes"].tolist())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("%s: damaged (%s); computed again", path, error)
        return None
    return Statistics(torch.from_numpy(total), torch.from_numpy(products), protocol.real, classes)


def _write(path: Path, protocol: Protocol, found: Statistics) -> None:
    data = io.BytesIO()
    np.savez(
        data,
        protocol=np.array(_text(protocol)),
        total=found.total.numpy(),
        products=found.products.numpy(),
        classes=np.array(found.classes, dtype=np.int64),
    )
    try:
        write_bytes(path, data.getvalue())
    except OSError as error:
        _log.warning("%s: cannot be kept (%s)", path, error.strerror)


def _text(protocol: Protocol) -> str:
    return json.dumps(asdict(_real_side(protocol)), sort_keys=True)
