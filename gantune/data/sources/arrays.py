"""NumPy arrays: ``.npy`` and ``.npz`` files. Object arrays are refused, never unpickled."""

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gantune.data.image_set import MAX_DEFLATE_RATIO, RawImages, encode_labels, from_arrays, reading
from gantune.data.sources.zips import check_members
from gantune.errors import DataError
from gantune.io.validation import did_you_mean

_CHANNELS = (1, 3, 4)
_MIN_SIDE = 4  # pixels; a shorter axis is taken for channels or features
_ROUNDING = 1e-3  # by which floats may exceed their range
_FORMATS = "uint8 or float, N x H x W, N x H x W x C or N x C x H x W"

_Header = tuple[tuple[int, ...], np.dtype[Any]]


def open_array(path: Path, key: str | None = None) -> RawImages:
    """Images of an ``.npy`` file, or of one array of an ``.npz`` file; other arrays are not read.

    ``key`` names the array; by default it is the one that looks like images. Labels are whole
    numbers, text or bool, [N], [N, 1] or one-hot [N, K], in an array named like the images'
    (``x_train``: ``y_train``, ``arr_0``: ``arr_1``) or ``y``, ``labels`` or ``label``; class names
    are in ``classes``. Floats lie in [0, 1], or in [-1, 1]
    if any is below -0.001; up to 0.001 beyond is clipped as a rounding error. Raises
    ``DataError``.
    """
    with reading(path):
        if path.suffix.lower() == ".npz":
            return _open_npz(path, key)
        with path.open("rb") as file:
            header = _read_header(file)
        _check(header, str(path))
        return _raw(npy.open_memmap(path, mode="r"), str(path))


def array_images(array: NDArray[Any], place: str) -> RawImages:
    """Images of an array in memory, as in ``open_array``. Raises ``DataError``.

    ``place``: its name for messages.
    """
    _check((array.shape, array.dtype), place)
    return _raw(array, place)


def _open_npz(path: Path, key: str | None) -> RawImages:
    with zipfile.ZipFile(path) as archive:
        members = {i.filename[:-4]: i for i in archive.infolist() if i.filename.endswith(".npy")}
        check_members(archive, [*members.values()], path, "save it again with numpy.savez")
        headers: dict[str, _Header] = {}
        for name, info in members.items():
            with archive.open(info) as file:
                headers[name] = _read_header(file)
        name = _choose(path, key, headers)
        _check(headers[name], f"{path}: array {name!r}")

        def load(member: str) -> NDArray[Any]:
            info, (shape, dtype) = members[member], headers[member]
            size, largest = math.prod(shape) * dtype.itemsize, max(info.compress_size, 1)
            if size > info.file_size or info.file_size > MAX_DEFLATE_RATIO * largest:
                raise DataError(
                    f"{path}: damaged or truncated: {info.filename} promises {size} bytes"
                )
            with archive.open(info) as file:
                array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
            return array

        labels, classes = _labels(path, name, headers, load)
        return _raw(load(name), f"{path}: array {name!r}", labels, classes)


def _read_header(file: IO[bytes]) -> _Header:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _choose(path: Path, key: str | None, headers: Mapping[str, _Header]) -> str:
    held = ", ".join(f"{name} {_describe(header)}" for name, header in headers.items()) or "nothing"
    if key is not None:
        if key not in headers:
            raise DataError(
                f"{path}: no array {key!r}{did_you_mean(key, headers)}; it holds {held}"
            )
        return key
    objects = [name for name, (_, dtype) in headers.items() if dtype.hasobject]
    candidates = [name for name, header in headers.items() if _looks_like_images(header)]
    if len(candidates) == 1:
        return candidates[0]
    odd = [name for name, header in headers.items() if _wrong_channels(header) is not None]
    if objects and not candidates:
        return objects[0]
    if len(odd) == 1 and not candidates:
        return odd[0]
    what = (
        "several arrays look like images"
        if candidates
        else f"no array looks like images ({_FORMATS})"
    )
    hint = "; say which: data.key in a config, --key for the SAMPLES of evaluate"
    raise DataError(f"{path}: {what}{hint if candidates else ''}; it holds {held}")


def _check(header: _Header, place: str) -> None:
    shape, dtype = header
    if dtype.hasobject:
        raise DataError(
            f"{place} holds Python objects, which are never unpickled; save it as one uint8 array"
        )
    if (channels := _wrong_channels(header)) is not None:
        raise DataError(
            f"{place} has images of {channels} channels: {_describe(header)}; they have 1 (gray), "
            "3 (colour) or 4 (colour and transparency)"
        )
    if not _looks_like_images(header):
        raise DataError(f"{place} is no array of images ({_FORMATS}): {_describe(header)}")
    if shape[0] == 0:
        raise DataError(f"{place} is empty: {_describe(header)}")


def _looks_like_images(header: _Header) -> bool:
    shape, dtype = header
    return (dtype == np.uint8 or dtype.kind == "f") and _layout(shape) is not None


def _wrong_channels(header: _Header) -> int | None:
    """The number of channels, if that alone is wrong."""
    shape, dtype = header
    is_pixels = dtype == np.uint8 or dtype.kind == "f"
    if len(shape) != 4 or not is_pixels or _layout(shape) is not None:
        return None
    channels, smaller_side, _ = sorted(shape[1:])
    is_in_place = channels in (shape[1], shape[3])
    return channels if is_in_place and smaller_side >= _MIN_SIDE else None


def _layout(shape: tuple[int, ...]) -> str | None:
    if len(shape) == 3:
        return "NHW" if min(shape[1:]) >= _MIN_SIDE else None
    if len(shape) != 4:
        return None
    if shape[3] in _CHANNELS and min(shape[1:3]) >= _MIN_SIDE:
        return "NHWC"
    if shape[1] in _CHANNELS and min(shape[2:]) >= _MIN_SIDE:
        return "NCHW"
    return None


def _raw(
    array: NDArray[Any],
    place: str,
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
) -> RawImages:
    layout, is_float = _layout(array.shape), array.dtype != np.uint8
    low, high = (float(array.min()), float(array.max())) if is_float else (0.0, 1.0)
    if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # true for NaN as well
        held = "NaN" if math.isnan(low) else f"floats from {low:.9g} to {high:.9g}"
        raise DataError(
            f"{place} holds {held}; floats must lie in [0, 1] or [-1, 1], or be saved as uint8"
        )
    offset, scale = (1, 127.5) if low < -_ROUNDING else (0, 255)

    def image(index: int) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = array[index]
        if is_float:
            levels = np.rint((array[index].astype(np.float64) + offset) * scale)
            pixels = levels.clip(0, 255).astype(np.uint8)
        if layout == "NCHW":
            pixels = pixels.transpose(1, 2, 0)
        return pixels[:, :, 0] if layout != "NHW" and pixels.shape[2] == 1 else pixels

    return from_arrays(len(array), image, labels, classes, place)


def _labels(
    path: Path, images: str, headers: Mapping[str, _Header], load: Callable[[str], NDArray[Any]]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    similar = [images.replace("images", "labels"), images.replace("x", "y", 1)]
    if images == "arr_0" and headers.get("arr_1", ((), None))[0][:1] == headers[images][0][:1]:
        similar.append("arr_1")
    names = (*similar, "y", "labels", "label")
    name = next((name for name in names if name != images and name in headers), None)
    if name is None:
        return None, ()
    place, count = f"{path}: array {name!r}", headers[images][0][0]
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
    values = _plain_labels(load(name), place)
    labels, classes = encode_labels(values)
    shape, dtype = headers.get("classes", ((), np.dtype("O")))
    if dtype.kind in "US" and len(shape) == 1 and values.dtype.kind in "iu":
        texts = load("classes")
        texts = np.char.decode(texts, "utf-8", "replace") if dtype.kind == "S" else texts
        known = {str(index): str(text) for index, text in enumerate(texts)}
        classes = tuple(known.get(value, value) for value in classes)
    return labels, classes


def _plain_labels(values: NDArray[Any], place: str) -> NDArray[Any]:
    """Labels [N] of whole numbers or text, from [N], [N, 1] or one-hot [N, K]."""
    if values.ndim > 2 or values.dtype.kind not in "iufbSU":
        raise DataError(f"{place} is no array of labels: {_describe((values.shape, values.dtype))}")
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
        return np.array([value.decode("utf-8", "replace") for value in values.tolist()])
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind != "f":
        return values
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        odd = values[~np.isfinite(values) | (values != np.rint(values))][0]
        raise DataError(f"{place} holds {odd:g}, which is no class; labels are whole numbers")
    return values.astype(np.int64)


def _describe(header: _Header) -> str:
    shape, dtype = header
    return f"{'x'.join(map(str, shape)) or 'scalar'} {dtype.name}"
