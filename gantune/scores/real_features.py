"""The real side of every score: features of the real images, computed once and cached on disk."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.config import absolute_source
from gantune.data.changes import image_changes
from gantune.data.decoding import Progress
from gantune.data.image_set import ImageSet
from gantune.io.files import whole_folder
from gantune.scores.distances import Gaussian
from gantune.scores.feature_statistics import BATCH, gather, subset_indices
from gantune.scores.features import Extractor
from gantune.scores.score import Protocol

_VERSION = 2  # of the layout and the computation of cache entries
_ROWS, _MOMENTS = "features.npy", "moments.npz"
_log = logging.getLogger("gantune.scores")


@dataclass(frozen=True)
class RealImages:
    """The training images, and those held out from training."""

    learned: ImageSet
    held_out: ImageSet | None = None

    @property
    def found(self) -> str:
        """One line on what was found, with warnings of those held out too."""
        held_out = self.held_out
        unread = () if held_out is None else held_out.unreadable
        warned = [f"{len(unread):,} of those held out cannot be read"] if unread else []
        warned += [] if held_out is None else [f"held out: {text}" for text in held_out.warnings]
        return ", ".join([self.learned.found, *warned])

    def summary(self) -> dict[str, Any]:
        """``ImageSet.summary`` of both; ``held_out`` is ``None`` where there are none."""
        held_out = None if self.held_out is None else self.held_out.summary()
        return {**self.learned.summary(), "found": self.found, "held_out": held_out}

    def changes_since(self, began: Mapping[str, Any]) -> str:
        """What differs from the images that a run began with, in words; empty if nothing does.

        ``began``: as ``summary`` gives it.
        """
        text, before = image_changes(began, self.learned), began.get("held_out")
        if not text and before is not None and self.held_out is not None:
            text = image_changes(before, self.held_out)
            text = text and f"those held out: {text}"
        then, now = began["source"], absolute_source(self.learned.source, Path())
        return f"{text} (then {then}, now {now})" if text and then != now else text


@dataclass(frozen=True)
class RealFeatures:
    """Features of the real images under one protocol, and their Gaussian, on the CPU.

    ``rows`` are memory-mapped where the cache can be written.
    """

    rows: Tensor  # [N, D] float32
    gaussian: Gaussian
    classes: tuple[int, ...]
    """Number of images of each class; empty where the extractor knows no classes."""


def real_features(
    extractor: Extractor,
    images: ImageSet,
    protocol: Protocol,
    device: torch.device,
    progress: Progress | None = None,
) -> RealFeatures:
    """The features of ``protocol.real`` images, from the cache, or computed and cached.

    The cache is ``statistics/`` in ``gantune.data.cache_folder()``. A damaged entry is computed
    again; a folder that cannot be written is no error. ``progress`` is called with the images done
    and their total. Raises ``ScoreError`` for fewer than two images and for non-finite features.
    """
    folder, text = features_folder(protocol, device), _text(protocol, device)
    found = _read(folder, text)
    if found is None:
        batches = (batch.to(device) for batch in _batches(images, protocol.real, progress))
        count = protocol.real
        made = gather(extractor, batches, count, keep=count, source=images.source)
        gaussian = Gaussian.of(made).to(torch.device("cpu"))
        found = _cached(folder, text, RealFeatures(made.rows.cpu(), gaussian, made.classes))
    return found


def features_folder(protocol: Protocol, device: torch.device) -> Path:
    """The cache folder of the real features under this protocol, computed on such a device."""
    from gantune.data import cache_folder

    digest = hashlib.sha256(_text(protocol, device).encode()).hexdigest()
    return cache_folder() / "statistics" / digest[:32]


def _text(protocol: Protocol, device: torch.device) -> str:
    """The key of the real side: its protocol and the type of device, as devices round
    differently."""
    return json.dumps([_VERSION, device.type, asdict(protocol.of_real_images())], sort_keys=True)


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
                raise ValueError("its features are not those that were saved")
            gaussian = Gaussian(torch.from_numpy(file["mean"]), torch.from_numpy(file["factor"]))
            classes = tuple(file["classes"].tolist())
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy evaluates a header: a damaged one raises errors of all kinds
        _log.warning("%s: damaged (%s); computed again", folder, error)
        return None
    return RealFeatures(rows, gaussian, classes)


def _cached(folder: Path, text: str, found: RealFeatures) -> RealFeatures:
    """Writes a cache entry in place of a damaged one; the features with memory-mapped rows."""
    rows = found.rows.numpy()
    try:
        with whole_folder(folder, lambda entry: _read(entry, text) is not None) as temporary:
            np.save(temporary / _ROWS, rows, allow_pickle=False)
            np.savez(
                temporary / _MOMENTS,
                protocol=np.array(text),
                rows=np.array(_digest(rows)),
                mean=found.gaussian.mean.numpy(),
                factor=found.gaussian.factor.numpy(),
                classes=np.array(found.classes, dtype=np.int64),
            )
        return replace(found, rows=_mapped(folder))
    except OSError as error:
        _log.warning("%s: cannot be written (%s)", folder, error.strerror)
    return found


def _mapped(folder: Path) -> Tensor:
    rows = np.load(folder / _ROWS, mmap_mode="c", allow_pickle=False)  # private: never written back
    return torch.from_numpy(rows)


def _digest(rows: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()
