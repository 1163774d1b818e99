"""NumPy arrays: ``.npy`` and ``.npz`` files. Object arrays are refused, never unpickled."""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gantune.data.image_set import MAX_DEFLATE_RATIO, RawImages, from_arrays, reading
from gantune.data.sources.array_labels import Header, describe, read_labels
from gantune.data.sources.array_names import image_parts
from gantune.data.sources.labels_beside import read_array_labels, tables_beside
from gantune.data.sources.zips import check_members
from gantune.errors import DataError
from gantune.io.validation import did_you_mean

_CHANNELS = (1, 3, 4)
_MIN_SIDE = 4  # pixels; a shorter axis is taken for channels or features
_ROUNDING = 1e-3  # by which floats may exceed their range
_FORMATS = "uint8 or float, N x H x W, N x H x W x C or N x C x H x W, or with N as the last axis"
_LAST = ("HWN", "HWCN", "CHWN")
"""Orders of axes in which the images are counted by the last one, as in files of MATLAB."""


def open_array(path: Path, key: str | None = None, labels: Path | None = None) -> RawImages:
    """Images of an ``.npy`` file, or of one array of an ``.npz`` file; other arrays are not read.

    ``key`` names the array; by default it is the one that looks like images. Labels are whole
    numbers, text or bool, [N], [N, 1] or one-hot [N, K], in an array named like the images'
    (``x_train``: ``y_train``, ``arr_0``: ``arr_1``) or ``y``, ``labels`` or ``label``; class names
    are in an array of text such as ``label_names``. Floats lie in [0, 1], or in [-1, 1] if any is
    below -0.001; up to 0.001 beyond is clipped as a rounding error. ``labels``: a file of labels,
    used where there are no others. Raises ``DataError``.
    """
    with reading(path):
        if path.suffix.lower() == ".npz":
            images = _open_npz(path, key)
        else:
            with path.open("rb") as file:
                header = _read_header(file)
            _check(header, str(path))
            images = _raw(npy.open_memmap(path, mode="r"), str(path))
    if images.labels is not None:
        return images
    if labels is None:
        return replace(images, notes=(*images.notes, *tables_beside(path)))
    found = read_array_labels(labels, images.count)
    notes = (*found.notes, *images.notes)
    return replace(images, labels=found.values, classes=found.classes, notes=notes)


def array_images(array: NDArray[Any], place: str) -> RawImages:
    """Images of an array in memory, as in ``open_array``. Raises ``DataError``.

    ``place``: its name for messages.
    """
    _check((array.shape, array.dtype), place)
    return _raw(array, place)


def array_parts(path: Path) -> dict[str, tuple[str, int]]:
    """Of an ``.npz`` file the array of each part, with its number of images.

    Empty where the names of its arrays tell no parts. Raises ``DataError``.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        headers, _ = _read_headers(archive, path)
    candidates = [name for name, header in headers.items() if _looks_like_images(header)]
    parts = image_parts(candidates)
    return {part: (name, _count(headers[name][0])) for part, name in parts.items()}


def _read_headers(
    archive: zipfile.ZipFile, path: Path
) -> tuple[dict[str, Header], dict[str, zipfile.ZipInfo]]:
    members = {i.filename[:-4]: i for i in archive.infolist() if i.filename.endswith(".npy")}
    check_members(archive, [*members.values()], path, "save it again with numpy.savez")
    headers: dict[str, Header] = {}
    for name, info in members.items():
        with archive.open(info) as file:
            headers[name] = _read_header(file)
    return headers, members


def _open_npz(path: Path, key: str | None) -> RawImages:
    with zipfile.ZipFile(path) as archive:
        headers, members = _read_headers(archive, path)
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

        parts = image_parts([each for each in headers if _looks_like_images(headers[each])])
        shape = headers[name][0]
        layout = _layout(shape)
        counts = {each[0][0] for each in headers.values() if len(each[0]) in (1, 2)}
        if layout == "HWN" and shape[0] in counts and shape[-1] not in counts:
            layout = "NHW"  # by the number of labels
        count = _count(shape, layout)
        labels = read_labels(path, name, parts.values(), headers, load, count)
        raw = _raw(load(name), f"{path}: array {name!r}", labels.values, labels.classes, layout)
        return replace(raw, notes=(*raw.notes, *labels.notes))


def _read_header(file: IO[bytes]) -> Header:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _choose(path: Path, key: str | None, headers: Mapping[str, Header]) -> str:
    held = ", ".join(f"{name} {describe(header)}" for name, header in headers.items()) or "nothing"
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
    odd = [name for name, header in headers.items() if _step(header)]
    if objects and not candidates:
        return objects[0]
    if len(odd) == 1 and not candidates:
        return odd[0]
    what = (
        "several arrays look like images"
        if candidates
        else f"no array looks like images ({_FORMATS})"
    )
    hint = "; say which: --set data.key=NAME (--key NAME for the SAMPLES of evaluate)"
    raise DataError(f"{path}: {what}{hint if candidates else ''}; it holds {held}")


def _check(header: Header, place: str) -> None:
    shape, dtype = header
    if dtype.hasobject:
        raise DataError(
            f"{place} holds Python objects, which are never unpickled; save it as one uint8 array"
        )
    if (channels := _wrong_channels(header)) is not None:
        raise DataError(
            f"{place} has images of {channels} channels: {describe(header)}; they have 1 (gray), "
            "3 (colour) or 4 (colour and transparency)"
        )
    if not _looks_like_images(header):
        step = _step(header)
        raise DataError(
            f"{place} is no array of images ({_FORMATS}): {describe(header)}"
            f"{f'; {step}' if step else ''}"
        )
    if _count(shape) == 0:
        raise DataError(f"{place} is empty: {describe(header)}")


def _looks_like_images(header: Header) -> bool:
    shape, dtype = header
    return (dtype == np.uint8 or dtype.kind == "f") and _layout(shape) is not None


def _wrong_channels(header: Header) -> int | None:
    """The number of channels, if that alone is wrong."""
    shape, dtype = header
    is_pixels = dtype == np.uint8 or dtype.kind == "f"
    if len(shape) != 4 or not is_pixels or _layout(shape) is not None:
        return None
    channels, smaller_side, _ = sorted(shape[1:])
    is_in_place = channels in (shape[1], shape[3])
    return channels if is_in_place and smaller_side >= _MIN_SIDE else None


def _step(header: Header) -> str:
    """What to do with an array that is nearly one of images; empty for any other."""
    shape, dtype = header
    if _wrong_channels(header) is not None:
        return "keep 1, 3 or 4 channels"
    if dtype.kind in "iub" and dtype != np.uint8 and _layout(shape) is not None:
        if dtype.kind == "b":
            return "save it as array.astype('uint8') * 255"
        return (
            "save it as array.astype('uint8') if its values are 0 to 255, else as "
            "(array / array.max() * 255).astype('uint8')"
        )
    is_pixels = dtype == np.uint8 or dtype.kind == "f"
    if is_pixels and len(shape) == 2 and shape[1] >= _MIN_SIDE**2:
        return f"its {shape[1]} values a row are one image each: save array.reshape(-1, H, W, C)"
    if is_pixels and len(shape) == 5:
        return "save the frames alone: array.reshape(-1, H, W, C)"
    return ""


def _layout(shape: tuple[int, ...]) -> str | None:
    """The order of axes; ``None`` for no images."""
    if len(shape) == 3:
        if min(shape[1:]) < _MIN_SIDE:
            return None
        # 32 x 32 x 64 may be 32 images of 32 x 64 pixels.
        return "HWN" if shape[0] == shape[1] and shape[2] >= 4 * shape[0] else "NHW"
    if len(shape) != 4:
        return None
    if shape[3] in _CHANNELS and min(shape[1:3]) >= _MIN_SIDE:
        return "NHWC"
    if shape[1] in _CHANNELS and min(shape[2:]) >= _MIN_SIDE:
        return "NCHW"
    if shape[2] in _CHANNELS and shape[0] == shape[1] >= _MIN_SIDE:
        return "HWCN"
    if shape[0] in _CHANNELS and _MIN_SIDE <= shape[1] == shape[2] < shape[3]:
        return "CHWN"
    return None


def _count(shape: tuple[int, ...], layout: str | None = None) -> int:
    """The number of images."""
    return shape[-1] if (layout or _layout(shape)) in _LAST else shape[0]


def _raw(
    array: NDArray[Any],
    place: str,
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
    layout: str | None = None,
) -> RawImages:
    layout, is_float = layout or _layout(array.shape), array.dtype != np.uint8
    notes = []
    if layout in _LAST:
        notes = [_last_axis(array.shape, layout)]
        array, layout = np.moveaxis(array, -1, 0), f"N{layout[:-1]}"
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

    return replace(from_arrays(len(array), image, labels, classes, place), notes=tuple(notes))


def _last_axis(shape: tuple[int, ...], layout: str) -> str:
    by = " x ".join
    said = f"{by(map(str, shape))} is read as {by(layout)}"
    other = "for N x H x W save array[..., None]"
    return f"warning: {said}; {other}" if layout == "HWN" else said
