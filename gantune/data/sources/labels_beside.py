"""Labels that lie beside images: in another array file, in a table, or in the names of files."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import encode_labels
from gantune.data.sources.array_labels import Labels, plain_labels
from gantune.data.sources.array_names import labels_of
from gantune.data.sources.file_kinds import DOCUMENTS
from gantune.data.sources.folder_names import words_of
from gantune.errors import DataError
from gantune.io.formatting import first_names

_ARRAYS = (".npy", ".npz")
_TABLES = (".csv", ".tsv")
_WORDS = frozenset(
    (
        *("label", "labels", "metadata", "annotation", "annotations", "attr", "attributes"),
        *("identity", "class", "classes", "category", "target", "targets", "breed", "diagnosis"),
        *("anno", "annos", "anns", "groundtruth", "gt", "categories", "attribute"),
    )
)
_JOINED = re.compile(  # in imagelabels, traingroundtruth, Ground_Truth; not in unlabeled
    r"labels?|(?:.*(?:image|img|train|test|val|all|class))labels?|labels?(?:all|train|test|val|map)"
    r"|.*(?:annotations?|groundtruth|metadata|attributes)"
)
_NO_LABELS = ("submission", "submit")  # a form for answers
_HOW = "for classes put the images of each class into a folder of its own"
_WORD = re.compile(r"[^\W\d]{2}")
_LEAST_OF_GROUP = 5  # images


def array_labels_file(images: Path) -> Path | None:
    """The array file beside one of images that is called like its labels; ``None`` if none is.

    ``y_train.npy`` beside ``x_train.npy``, ``set-labels.npz`` beside ``set-images.npz``.
    """
    others = {
        file.stem: file
        for file in _beside(images)
        if file.suffix.lower() in _ARRAYS and file != images
    }
    found = labels_of(images.stem, others, of_others=False)
    return others[found[0]] if found else None


def read_array_labels(file: Path, count: int) -> Labels:
    """The labels of ``count`` images; none, with a warning, where they do not fit."""
    try:
        values = _only_array(file)
        if values.shape[:1] != (count,):
            held = f"{values.shape[0] if values.shape else 1} labels for {count} images"
            return Labels(notes=(f"warning: {file.name} beside it has {held}: not used",))
        labels, classes = encode_labels(plain_labels(values, file.name))
    except Exception as error:  # NumPy raises almost anything on damaged files
        why = str(error).removeprefix(f"{file.name} ").removeprefix("has ")
        return Labels(notes=(f"warning: {file.name} beside it is not used: {why}",))
    return Labels(labels, classes, (f"labels from {file.name}",))


def tables_beside(images: Path) -> tuple[str, ...]:
    """What a user should know of tables that are called like the labels of an array of images."""
    names = [file.name for file in _beside(images) if file.name.endswith(DOCUMENTS)]
    found = [
        name
        for name in names
        if labels_of(images.stem, [PurePosixPath(name).stem], of_others=False)
    ]
    verb = "may hold labels, which are not read: save them as an array"
    return (f"{first_names(found, 2)} {verb}, labels.npy",) if found else ()


def _beside(file: Path) -> list[Path]:
    try:
        return sorted(file.parent.iterdir())
    except OSError:  # a folder that may be entered, but not listed
        return []


def _only_array(file: Path) -> NDArray[Any]:
    if file.suffix.lower() == ".npy":
        return np.asarray(np.load(file, allow_pickle=False))
    with np.load(file, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise DataError(f"{file.name} has {len(archive.files)} arrays; save the labels alone")
        return np.asarray(archive[archive.files[0]])


def is_called_labels(name: str) -> bool:
    """Whether a file that may hold labels is called like them."""
    return name.lower().endswith(DOCUMENTS) and _tell_labels(PurePosixPath(name).stem)


def _tell_labels(text: str) -> bool:
    """Whether any word, or any two words in a row, mean labels."""
    words = words_of(text)
    joined = (*words, *(first + second for first, second in pairwise(words)))
    return any(word in _WORDS or _JOINED.fullmatch(word) for word in joined)


def label_documents(names: Iterable[str], start: Callable[[str], bytes]) -> list[str]:
    """Which files may hold labels: tables by their columns, others by their names.

    ``start``: the first bytes of a file.
    """
    found = []
    for name in names:
        if any(word in PurePosixPath(name).stem.lower() for word in _NO_LABELS):
            continue
        header = ""
        if name.lower().endswith(_TABLES):
            header = start(name).split(b"\n")[0].decode("utf-8", "replace")
        if is_called_labels(name) or _tell_labels(header):
            found.append(name)
    return found


def unused_labels(documents: Sequence[str], files: Sequence[str]) -> str:
    """What a user should know of a set without classes that may have labels elsewhere; else empty.

    ``documents``: as of ``label_documents``; ``files``: the names of the images' files.
    """
    told = [f"{first_names(documents, 2)} may hold labels, which are not read"] if documents else []
    if groups := _groups(files):
        named = first_names(groups, 3)
        told.append(f"names of files tell {len(groups):,} groups ({named})")
    return f"{', and '.join(told)}: {_HOW}" if told else ""


def _groups(files: Sequence[str]) -> list[str]:
    """The groups that the starts of all files' names tell; empty if they tell none."""
    groups = Counter[str]()
    for file in files:
        name = file.rpartition("/")[2]
        name = name.rpartition(".")[0] or name
        start = name.rstrip("0123456789()").rstrip("_-. ")
        if start != name and _WORD.search(start):
            groups[start] += 1
    told = [name for name, count in groups.items() if count >= _LEAST_OF_GROUP]
    if len(told) < 2 or len(told) != len(groups) or groups.total() < len(files):
        return []
    return told
