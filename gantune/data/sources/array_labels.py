"""Labels of an array of images in an ``.npz`` file, and the names of their classes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import encode_labels
from gantune.data.sources.array_names import labels_of, names_of
from gantune.errors import DataError
from gantune.io.formatting import count as counted
from gantune.io.formatting import first_names

Header = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and number format of an array."""


class Labels(NamedTuple):
    """Labels of the images of one array, and what a user should know of them."""

    values: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_labels(
    path: Path,
    images: str,
    parts: Collection[str],
    headers: Mapping[str, Header],
    load: Callable[[str], NDArray[Any]],
    count: int,
) -> Labels:
    """The labels of the array ``images``. Raises ``DataError`` for labels that cannot be used.

    ``parts``: the arrays of images of all parts; ``count``: the number of images.
    """
    others = [name for name in headers if name not in (images, *parts)]
    found = labels_of(images, others)
    if images == "arr_0" and found == ["arr_1"] and headers["arr_1"][0][:1] != (count,):
        found = []
    if len(found) > 1:
        found = [name for name in found if headers[name][0][:1] == (count,)]
    if len(found) > 1:
        names = " and ".join(found)
        return Labels(notes=(f"as {names} may both be the labels: call one of them 'labels'",))
    if not found:
        return Labels(notes=_not_looked_at(others))
    name = found[0]
    place = f"{path}: array {name!r}"
    shape, dtype = headers[name]
    if dtype.hasobject:
        raise DataError(
            f"{place} holds Python objects, which are never unpickled; save the labels as whole "
            "numbers or as text of NumPy's kind"
        )
    if not shape or shape[0] != count:
        raise DataError(
            f"{place} has {shape[0] if shape else 1} labels for the {count} images of "
            f"{images!r}; repair it, or save the images alone"
        )
    values = plain_labels(load(name), place)
    labels, classes = encode_labels(values)
    others = [each for each in others if each not in _labels_of_all(parts, others, name)]
    if values.dtype.kind not in "iu":
        return Labels(labels, classes, _not_looked_at(others))
    classes, used, why = _named(classes, name, {each: headers[each] for each in others}, load)
    others = [each for each in others if each != used]
    return Labels(labels, classes, (*why, *_not_looked_at(others)))


def _labels_of_all(images: Iterable[str], others: Sequence[str], own: str) -> set[str]:
    """The labels of all parts."""
    return {own, *(name for each in images for name in labels_of(each, others)[:1])}


def _named(
    classes: tuple[str, ...],
    labels: str,
    headers: Mapping[str, Header],
    load: Callable[[str], NDArray[Any]],
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """The names of classes by an array of text; which array, and why it is not used."""
    texts = {
        name: shape[0]
        for name, (shape, dtype) in headers.items()
        if len(shape) == 1 and (dtype.kind in "US" or dtype.hasobject)
    }
    found = names_of(labels, texts, len(classes))
    if not found:
        return classes, "", ()
    if len(found) > 1:
        return classes, "", (f"warning: {' and '.join(found)} may both name the classes",)
    name = found[0]
    if headers[name][1].hasobject:
        why = f"{name} holds Python objects, which are not read; save the names as text"
        return classes, name, (f"warning: {why}",)
    texts_of = _as_text(load(name)).tolist()
    numbers = [int(value) for value in classes]
    if min(numbers) < 0 or max(numbers) >= len(texts_of):
        why = f"{name} has {len(texts_of)} names, but classes are {numbers[0]} to {numbers[-1]}"
        return classes, name, (f"warning: {why}; not used",)
    names = tuple(str(texts_of[number]) for number in numbers)
    if len(set(names)) < len(names):
        return classes, name, (f"warning: {name} names two classes alike; not used",)
    return names, name, ()


def _not_looked_at(arrays: Sequence[str]) -> tuple[str, ...]:
    if not arrays:
        return ()
    return (f"{counted(len(arrays), 'array')} not looked at ({first_names(arrays, 5)})",)


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind != "S":
        return values
    return np.array([value.decode("utf-8", "replace") for value in values.tolist()])


def plain_labels(values: NDArray[Any], place: str) -> NDArray[Any]:
    """Labels [N] of whole numbers or text, from [N], [N, 1] or one-hot [N, K]."""
    if values.ndim > 2 or values.dtype.kind not in "iufbSU":
        raise DataError(f"{place} is no array of labels: {describe((values.shape, values.dtype))}")
    if values.ndim == 2 and values.shape[1] != 1:
        is_one_hot = (
            values.dtype.kind in "iufb"
            and bool(np.isin(values, (0, 1)).all())
            and bool((values.sum(axis=1) == 1).all())
        )
        if not is_one_hot:
            raise DataError(
                f"{place} has {values.shape[1]} numbers for each image, not one of them 1 and the "
                "others 0; save one class for each image"
            )
        return np.asarray(values.argmax(axis=1))
    values = values.reshape(-1)
    if values.dtype.kind == "S":
        return _as_text(values)
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind != "f":
        return values
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        odd = values[~np.isfinite(values) | (values != np.rint(values))][0]
        raise DataError(f"{place} holds {odd:g}, which is no class; labels are whole numbers")
    return values.astype(np.int64)


def describe(header: Header) -> str:
    """``150x20x20x3 uint8``."""
    shape, dtype = header
    return f"{'x'.join(map(str, shape)) or 'scalar'} {dtype.name}"
