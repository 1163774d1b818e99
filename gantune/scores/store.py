"""A study's extractor: made once, kept in the run folder, given to the workers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.io.files import write_bytes, write_text
from gantune.scores.choice import ExtractorChoice
from gantune.scores.classifier import Classifier
from gantune.scores.features import Extractor, FeatureNetwork
from gantune.scores.inception import Inception
from gantune.scores.point_features import PointFeatures
from gantune.scores.random_features import RandomFeatures
from gantune.scores.selection import select
from gantune.scores.user_network import UserNetwork

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
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScoreError(
            f"{record_path}: the feature extractor cannot be read ({why}); scores taken with "
            "another would not compare: restore the file, or start a new run folder"
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
