"""The real images' side of every score: their features, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.data.image_set import ImageSet
from gantune.scores.distances import Gaussian
from gantune.scores.feature_statistics import BATCH, gather, subsample, subset_indices
from gantune.scores.features import Extractor
from gantune.scores.protocol import Protocol

Progress = Callable[[int, int], None]


_VERSION = 2  # of an entry's layout and of how it is computed


_ROWS, _MOMENTS = "features.npy", "moments.npz"


_log = logging.getLogger("gantune.scores")


@dataclass(frozen=True)
class RealImages:
    """The images that are learned, and those that were held out from learning."""

    learned: ImageSet
    held_out: ImageSet | None = None


@dataclass(frozen=True)
class RealFeatures:
    """Features of the real images of one protocol, and their Gaussian, on the CPU.

    ``rows`` are memory-mapped where the cache can be written.
    """

    rows: Tensor  # [N, D] float32
    gaussian: Gaussian
    classes: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.rows)

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """Share of each class, in [0, 1]; empty where no classes are known."""
        return tuple(number / self.count for number in self.classes)

    def subsample(self, count: int) -> Tensor:
        """The features of ``count`` of the images, at even distances: [count, D] float32."""
        return subsample(self.rows, count)


def real_features(
    extractor: Extractor,
    images: ImageSet,
    protocol: Protocol,
    device: torch.device,
    progress: Progress | None = None,
) -> RealFeatures:
    """The features of ``protocol.real`` of the images: from the cache, else computed and put there.

    The cache is ``statistics/`` in ``gantune.data.cache_folder()``; a damaged entry is computed
    again, and a folder that cannot be written costs only the time. ``progress`` is called with
    images done and all there are. Raises ``ScoreError`` for fewer than two images and for features
    that are not finite.
    """
    folder, text = features_folder(protocol, device), _text(protocol, device)
    found = _read(folder, text)
    if found is None:
        batches = (batch.to(device) for batch in _batches(images, protocol.real, progress))
        count = protocol.real
        made = gather(extractor, batches, count, keep=count, source=images.source)
        gaussian = Gaussian.of(made).to(torch.device("cpu"))
        found = _kept(folder, text, RealFeatures(made.rows.cpu(), gaussian, made.classes))
    return found


def features_folder(protocol: Protocol, device: torch.device) -> Path:
    """Where the real images' features under this protocol, computed on such a device, are kept."""
    from gantune.data import cache_folder

    digest = hashlib.sha256(_text(protocol, device).encode()).hexdigest()
    return cache_folder() / "statistics" / digest[:32]


def _text(protocol: Protocol, device: torch.device) -> str:
    """What the real side depends on: all that says nothing of the samples, and the kind of device,
    whose rounding is its own."""
    real = replace(
        protocol,
        generated=0,
        latent_seed=None,
        kept=0,
        recall_neighbours=0,
        coverage_neighbours=0,
        held_out_data="",
    )
    return json.dumps([_VERSION, device.type, asdict(real)], sort_keys=True)


def _batches(images: ImageSet, count: int, progress: Progress | None) -> Iterator[Tensor]:
    index = subset_indices(len(images), count).numpy()
    for start in range(0, count, BATCH):
        yield torch.from_numpy(np.asarray(images.array[index[start : start + BATCH]]))
        if progress is not None:
            progress(min(start + BATCH, count), count)


def _read(folder: Path, text: str) -> RealFeatures | None:
    try:
        with (folder / _MOMENTS).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            rows = _mapped(folder)
            if str(file["protocol"]) != text or str(file["rows"]) != _digest(rows.numpy()):
                raise ValueError("its features are not those that were kept")
            gaussian = Gaussian(torch.from_numpy(file["mean"]), torch.from_numpy(file["factor"]))
            classes = tuple(file["classes"].tolist())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("%s: damaged (%s); computed again", folder, error)
        return None
    return RealFeatures(rows, gaussian, classes)


def _kept(folder: Path, text: str, found: RealFeatures) -> RealFeatures:
    """Writes an entry whole or not at all: it grows beside its place and is renamed into it.

    What comes back is the same with its rows on disk, so that they need no memory.
    """
    growing = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    rows = found.rows.numpy()
    try:
        growing.mkdir(parents=True)
        np.save(growing / _ROWS, rows, allow_pickle=False)
        np.savez(
            growing / _MOMENTS,
            protocol=np.array(text),
            rows=np.array(_digest(rows)),
            mean=found.gaussian.mean.numpy(),
            factor=found.gaussian.factor.numpy(),
            classes=np.array(found.classes, dtype=np.int64),
        )
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        growing.rename(folder)
        return replace(found, rows=_mapped(folder))
    except OSError as error:
        _log.warning("%s: cannot be kept (%s)", folder, error.strerror)
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return found


def _mapped(folder: Path) -> Tensor:
    rows = np.load(folder / _ROWS, mmap_mode="c", allow_pickle=False)  # private: never written back
    return torch.from_numpy(rows)


def _digest(rows: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()
