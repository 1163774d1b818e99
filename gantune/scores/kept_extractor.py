"""An extractor for scores outside a search: a classifier is trained once and then kept."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from gantune import __version__
from gantune.data.cache import cache_folder
from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.builds import inception_lack
from gantune.scores.choice import ExtractorChoice
from gantune.scores.features import Extractor
from gantune.scores.inception import Inception, downloaded_weights
from gantune.scores.store import load_extractor, resolve_extractor

__all__ = ["kept_extractor"]


def kept_extractor(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
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
    return inception_lack() is None and downloaded_weights().exists()


def _folder(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Path:
    """Of all that the choice depends on; the digits have a classifier that is shipped."""
    is_digits = images.source == "digits"
    parts = [__version__, images.content_hash, images.classes, is_digits, device.type]
    digest = hashlib.sha256(json.dumps([*parts, asdict(choice)]).encode()).hexdigest()
    return cache_folder() / "extractors" / digest[:32]
