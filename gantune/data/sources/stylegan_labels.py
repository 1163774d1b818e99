"""``dataset.json``, in which StyleGAN and its successors keep the labels of images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gantune.data.image_set import encode_labels, encode_names
from gantune.data.sources.array_labels import Labels, plain_labels
from gantune.errors import DataError

LABELS_FILE = "dataset.json"
"""At the top of the folder or zip."""

_SHOWN = 60  # characters of an entry


def read_stylegan_labels(content: bytes, place: Path) -> list[Any] | None:
    """The labels of ``dataset.json``, empty for none; ``None`` where it is another tool's file."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place}: its {LABELS_FILE} is no JSON: {error}; repair or remove it"
        ) from (None)
    if not isinstance(tree, dict) or "labels" not in tree:
        return None
    labels = tree["labels"]
    if labels is None:
        return []
    if not isinstance(labels, list):
        raise DataError(f"{place}: 'labels' in its {LABELS_FILE} is neither a list nor null")
    return labels


def labels_of_entries(entries: Sequence[Any], names: Sequence[str], place: Path) -> Labels:
    """The labels of images by the entries of the file: pairs of a name and a class.

    A class is a whole number, text, or a list of which one number is 1. Other lists, such as EG3D's
    positions of a camera, are no classes: then the note says so. Raises ``DataError``.
    """
    if not entries:
        return Labels(notes=(f"{LABELS_FILE} gives no labels",))
    given: dict[str, Any] = {}
    for entry in entries:
        match entry:
            case [str(name), int() | float() | str() | list() as label]:
                given[name.replace("\\", "/")] = label
            case _:
                raise _no_pair(entry, place)
    missing = [name for name in names if name not in given]
    if missing:
        raise DataError(
            f"{place}: {LABELS_FILE} has no label for {len(missing):,} of {len(names):,} "
            f"images, such as {missing[0]}; add them, or set its labels to null"
        )
    kinds = {type(given[name]) for name in names}
    if kinds == {str}:
        return Labels(*encode_names([given[name] for name in names]))
    try:
        values = np.array([given[name] for name in names])
        is_one_kind = len(kinds) == 1
    except ValueError:  # lists of several lengths
        is_one_kind = False
    if not is_one_kind:
        raise DataError(
            f"{place}: {LABELS_FILE} holds labels of several kinds or lengths; give one kind"
        )
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "iuf" and not _is_one_hot(values):
        return Labels(
            notes=(
                f"as {LABELS_FILE} gives {values.shape[1]} numbers for each image, such as the "
                "position of a camera: they are not used",
            )
        )
    return Labels(*encode_labels(plain_labels(values, f"{place}: {LABELS_FILE}")))


def _is_one_hot(values: Any) -> bool:
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _no_pair(entry: Any, place: Path) -> DataError:
    text = json.dumps(entry, ensure_ascii=False)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return DataError(
        f"{place}: {LABELS_FILE} holds {shown}, where a pair of a file's name and a whole number "
        "belongs"
    )
