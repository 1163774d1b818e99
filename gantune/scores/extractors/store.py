"""Saves and loads extractors: in a run folder for a study, in the cache for scores outside one."""

import hashlib
import io
import json
import logging
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from gantune.config.extractor import DINOV2, ExtractorChoice
from gantune.data.cache import cache_folder
from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError, TrustError, first_line
from gantune.io.files import whole_folder, write_bytes, write_text
from gantune.scores.extractors.classifier import Classifier
from gantune.scores.extractors.dinov2 import DinoV2
from gantune.scores.extractors.inception import Inception, missing_inception
from gantune.scores.extractors.random_features import PointFeatures, RandomFeatures
from gantune.scores.extractors.selection import select
from gantune.scores.extractors.user_network import UserNetwork
from gantune.scores.features import Extractor, FeatureNetwork
from gantune.version import __version__

_log = logging.getLogger("gantune.scores")

_NETWORKS: dict[str, type[FeatureNetwork]] = {
    network.kind: network
    for network in (
        *(Inception, DinoV2, UserNetwork),
        *(Classifier, RandomFeatures, PointFeatures),
    )
}


def resolve_extractor(
    choice: ExtractorChoice | str,
    images: ImageSet,
    folder: Path,
    device: torch.device | str = "cpu",
) -> Extractor:
    """Selects the extractor and saves it in ``folder``.

    A name stands for the choice of that name. Called once, when a study is created. It may train a
    classifier, which takes seconds; the next study of the same images finds it in the cache. Raises
    ``ScoreError`` for an extractor that is not available or does not suit these images, and for a
    folder that cannot be written; ``TrustError`` for a network that the user has never named
    (``ExtractorChoice.remember``).
    """
    if isinstance(choice, str):
        choice = ExtractorChoice(choice)
    return _stored(_found(choice, images, torch.device(device)), folder, device)


def load_extractor(folder: Path, device: torch.device | str = "cpu") -> Extractor:
    """Loads an extractor. Raises ``ScoreError`` where it is missing, damaged or changed."""
    record_path, weights_path = _paths(folder)
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        with torch.random.fork_rng(devices=[]):  # layers draw initial weights from the global state
            module = _NETWORKS[record["kind"]].restored(record["settings"], weights_path)
        extractor = Extractor(
            name=record["name"],
            module=module.eval().requires_grad_(False),
            reason=record["reason"],
            classes=tuple(record["classes"]),
            accuracy=record["accuracy"],
        )
        if extractor.weights_hash != record["weights_hash"]:
            raise ValueError(module.changed)
    except FileNotFoundError as error:
        raise ScoreError(f"{error.filename}: no such file; the study has no extractor") from None
    except (ScoreError, TrustError):  # a library is missing here, or it is a stranger's code
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ScoreError(
            f"{record_path}: the feature extractor cannot be read ({first_line(error)}); scores of "
            "another extractor would not be comparable: restore the file, or start a new run folder"
        ) from error
    extractor.module.to(device)
    return extractor


def _save(extractor: Extractor, folder: Path) -> None:
    record_path, weights_path = _paths(folder)
    weights = io.BytesIO()
    torch.save(extractor.module.weights(), weights)
    record = {
        "name": extractor.name,
        "reason": extractor.reason,
        "kind": extractor.module.kind,
        "settings": extractor.module.settings,
        "resize": extractor.module.resize,
        "classes": list(extractor.classes),
        "accuracy": extractor.accuracy,
        "weights_hash": extractor.weights_hash,
    }
    try:
        write_bytes(weights_path, weights.getbuffer())
        write_text(record_path, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise ScoreError(f"{folder}: cannot be written: {error.strerror}") from None


def _paths(folder: Path) -> tuple[Path, Path]:
    return folder / "extractor.json", folder / "extractor.pt"


def cached_extractor(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    """The extractor that is chosen for these images, from the cache, or selected and cached.

    The cache is ``extractors/`` in ``gantune.data.cache_folder()``; a folder that cannot be written
    is no error. Not cached are published ones, whose weights are in a file already, and the user's
    own networks, which may change. Raises ``ScoreError`` and ``TrustError``.
    """
    extractor = _found(choice, images, device)
    if choice.is_user_network:  # storing it shows whether its factory gives it a second time
        with tempfile.TemporaryDirectory(prefix="gantune-") as folder:
            return _stored(extractor, Path(folder), device)
    extractor.module.to(device)
    return extractor


def _stored(extractor: Extractor, folder: Path, device: torch.device | str) -> Extractor:
    """The extractor as it is read from a folder after it was saved there."""
    extractor.module.cpu()  # so that the saved weights can be read without a GPU
    _save(extractor, folder)
    return load_extractor(folder, device)


def _found(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    """From the cache, on the CPU, or selected and cached."""
    if choice.is_user_network or _may_be_published(choice, device):
        return _selected(choice, images, device)
    # All that the selection depends on.
    is_digits = images.source == "digits"
    parts = [__version__, images.content_hash, images.classes, is_digits, device.type]
    digest = hashlib.sha256(json.dumps([*parts, asdict(choice)]).encode()).hexdigest()
    entry = cache_folder() / "extractors" / digest[:32]
    with suppress(ScoreError):  # there is none yet, or it is damaged
        return load_extractor(entry)
    extractor = _selected(choice, images, device)
    if extractor.module.kind == Inception.kind:  # downloaded just now
        return extractor
    return _kept(extractor, entry)


def _selected(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    with torch.random.fork_rng(devices=[]):
        extractor = select(choice, images, device)
    extractor.module.eval().requires_grad_(False)
    return extractor


def _kept(extractor: Extractor, entry: Path) -> Extractor:
    """The extractor as a cache entry. Where another process was first, it is that one's."""
    try:
        with whole_folder(entry, _can_be_loaded) as temporary:
            _save(extractor, temporary)
        return load_extractor(entry)
    except (ScoreError, OSError) as error:
        _log.warning("%s: cannot be written (%s)", entry, first_line(error))
    return extractor


def _can_be_loaded(folder: Path) -> bool:
    with suppress(ScoreError):
        load_extractor(folder)
        return True
    return False


def _may_be_published(choice: ExtractorChoice, device: torch.device) -> bool:
    """Whether Inception or DINOv2 is requested, or Inception may be selected, which is downloaded
    as soon as that is possible."""
    if choice.name in ("inception", *DINOV2) or choice.weights is not None:
        return True
    if choice.name != "auto" or device.type == "cpu":  # where it is never chosen
        return False
    return missing_inception() is None
