"""A study's extractor: made once, kept in the run folder, given to the workers."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from gantune.config.extractor import ExtractorChoice
from gantune.data.cache import cache_folder
from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError, first_line
from gantune.io.files import write_bytes, write_text
from gantune.scores.extractors.classifier import Classifier
from gantune.scores.extractors.inception import Inception, downloaded_weights, missing_inception
from gantune.scores.extractors.random_features import PointFeatures, RandomFeatures
from gantune.scores.extractors.selection import select
from gantune.scores.extractors.user_network import UserNetwork
from gantune.scores.features import Extractor, FeatureNetwork
from gantune.version import __version__

_NETWORKS: dict[str, type[FeatureNetwork]] = {
    network.kind: network
    for network in (Inception, Classifier, RandomFeatures, PointFeatures, UserNetwork)
}


def resolve_extractor(
    choice: ExtractorChoice | str,
    images: ImageSet,
    folder: Path,
    device: torch.device | str = "cpu",
) -> Extractor:
    """Makes the extractor that is asked for and keeps it in ``folder``.

    A name stands for the choice with that name. Called once, when a study is made: a classifier is
    trained here, in seconds, where none is at hand. Raises ``ScoreError`` for an extractor that
    cannot be had, for one that does not suit these images, and for a folder that cannot be written.
    """
    if isinstance(choice, str):
        choice = ExtractorChoice(choice)
    with torch.random.fork_rng(devices=[]):
        extractor = select(choice, images, torch.device(device))
        extractor.module.cpu()  # so that what is kept can be read where there is no GPU
        _save(extractor, folder)
    return load_extractor(folder, device)


def load_extractor(folder: Path, device: torch.device | str = "cpu") -> Extractor:
    """Reads an extractor back. Raises ``ScoreError`` where it is missing, damaged or changed."""
    record_path, weights_path = _paths(folder)
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        with torch.random.fork_rng(devices=[]):  # layers draw first weights from the global state
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
    except ScoreError:  # what the network is made of cannot be had here
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


# An extractor for scores outside a search: a classifier is trained once and then kept.


def cached_extractor(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    """What ``resolve_extractor`` gives, for the same images from the cache.

    It is kept in ``extractors/`` in ``gantune.data.cache_folder()``; but neither Inception, whose
    weights lie in a file already, nor a network of one's own, which may change. Raises
    ``ScoreError``.
    """
    if choice.is_user_network or _may_be_inception(choice, device):
        with tempfile.TemporaryDirectory(prefix="gantune-") as folder:
            return resolve_extractor(choice, images, Path(folder), device)
    kept = _folder(choice, images, device)
    try:
        return load_extractor(kept, device)
    except ScoreError:  # there is none yet, or it is damaged
        return _made(choice, images, device, kept)


def _made(choice: ExtractorChoice, images: ImageSet, device: torch.device, kept: Path) -> Extractor:
    """Made in a folder beside ``kept`` that is renamed into it, so that no other process reads
    one half of it and one of its own."""
    is_damaged = kept.exists()
    growing = kept.with_name(f".{kept.name}.{secrets.token_hex(8)}")
    try:
        extractor = resolve_extractor(choice, images, growing, device)
        if extractor.module.kind == Inception.kind:  # downloaded only now
            return extractor
        if is_damaged:
            shutil.rmtree(kept, ignore_errors=True)
        try:
            growing.rename(kept)
        except OSError:  # another process was first; later scores will be taken by its weights
            with suppress(ScoreError):
                return load_extractor(kept, device)
        return extractor
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def _may_be_inception(choice: ExtractorChoice, device: torch.device) -> bool:
    """Whether Inception is asked for, or may be chosen and is at hand."""
    if choice.name == "inception" or choice.weights is not None:
        return True
    if choice.name != "auto" or device.type == "cpu":  # where it is never chosen
        return False
    return missing_inception() is None and downloaded_weights().exists()


def _folder(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Path:
    """Of all that the choice depends on; the digits have a classifier that is shipped."""
    is_digits = images.source == "digits"
    parts = [__version__, images.content_hash, images.classes, is_digits, device.type]
    digest = hashlib.sha256(json.dumps([*parts, asdict(choice)]).encode()).hexdigest()
    return cache_folder() / "extractors" / digest[:32]
