"""Reads files of ``torch.save`` that may be a stranger's: no code of theirs runs, and time and
memory are bounded by the size of the file.

Only what state dicts consist of is accepted: dicts with keys of text or whole numbers, lists,
tuples, plain values, and dense tensors whose storage is in the file. ``torch.load`` with
``weights_only`` runs no code either, but also builds tensors larger than their file, containers
that hold themselves, and keys whose hash takes forever.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

_MOST_PICKLE = 2 << 20  # bytes; that of a thousand tensors has 150 kB
_MOST_DIRECTORY = 16 << 20  # bytes of the zip's list of entries, 100 each
_MOST_VALUES = 1_000_000
_MOST_TEXT = 64 << 20  # characters, with repetitions
_DEEPEST = 50

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}

_OPCODES = (
    pickle.PROTO + pickle.STOP + pickle.MARK + pickle.NONE + pickle.NEWTRUE + pickle.NEWFALSE
    # numbers and text
    + pickle.BININT + pickle.BININT1 + pickle.BININT2 + pickle.LONG1 + pickle.BINFLOAT
    + pickle.BINUNICODE
    # containers
    + pickle.EMPTY_DICT + pickle.EMPTY_LIST + pickle.EMPTY_TUPLE
    + pickle.TUPLE + pickle.TUPLE1 + pickle.TUPLE2 + pickle.TUPLE3
    + pickle.APPEND + pickle.APPENDS + pickle.SETITEM + pickle.SETITEMS
    + pickle.BINPUT + pickle.LONG_BINPUT + pickle.BINGET + pickle.LONG_BINGET
    # tensors, and dicts in an order
    + pickle.GLOBAL + pickle.REDUCE + pickle.BUILD + pickle.BINPERSID
)  # fmt: skip
"""What ``torch.save`` writes of such content, in its protocol 2."""


def read_tensors(path: Path | str, device: torch.device | str = "cpu") -> Any:
    """The content of a file of ``torch.save``, its tensors on ``device``.

    Raises ``ValueError`` for everything else and for damage, and ``OSError``.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        _check_directory(file, size)
        try:
            with zipfile.ZipFile(file) as archive:
                content = _Reader(archive, size).load()
            _check_tree(content, size)
        except (OSError, MemoryError, ValueError):
            raise
        except Exception as error:  # damaged bytes can raise almost anything
            raise ValueError(f"damaged: {error}") from error
    return _moved(content, torch.device(device))


def _check_directory(file: io.BufferedReader, size: int) -> None:
    """Raises ``ValueError`` where the zip's list of entries is missing, or so long that reading it
    takes much memory."""
    file.seek(max(0, size - 66_000))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise ValueError("no file of torch.save")
    longest = struct.unpack_from("<I", tail, end + 12)[0]
    at = tail.rfind(b"PK\x06\x06")  # of large files
    if at >= 0 and len(tail) >= at + 56:
        wide = struct.unpack_from("<Q", tail, at + 40)[0]
        longest = wide if longest == 0xFFFFFFFF else max(longest, wide)
    if longest > _MOST_DIRECTORY:
        raise ValueError("more parts than a checkpoint has")
    file.seek(0)


class _Reader(pickle._Unpickler):
    """Python's own unpickler, which keeps its memo in a dict, reduced to a few operations."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        code: pickle._Unpickler.dispatch[code] for code in _OPCODES
    }
    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive, self._storages = archive, dict[str, Tensor]()
        self._parts = _parts(archive, size)
        order = self._parts.get("byteorder")
        if order is not None and archive.read(order) != b"little":
            raise ValueError("written on a machine of another byte order")
        if "data.pkl" not in self._parts or self._parts["data.pkl"].file_size > _MOST_PICKLE:
            raise ValueError("no file of torch.save, or more values than a checkpoint has")
        super().__init__(io.BytesIO(archive.read(self._parts["data.pkl"])))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _ordered_dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ValueError(f"holds {module}.{name}, which no checkpoint has")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError("damaged: no storage of a tensor")
        if key not in self._storages:
            part = self._parts[f"data/{key}"]
            if part.file_size != count * dtype.itemsize:
                raise ValueError("a tensor has another size than its bytes")
            content = bytearray(self._archive.read(part))
            self._storages[key] = (
                torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
        found = self._storages[key]
        if found.dtype != dtype or len(found) != count:
            raise ValueError("two tensors of other types share their bytes")
        return found

    def _set_items(self, pairs: list[Any]) -> None:
        found = self.stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str | int) or not isinstance(found, dict):
                raise ValueError("a key is neither text nor a whole number")
            found[key] = value

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function not in (_ordered_dict, _tensor):
            raise ValueError("calls what no checkpoint calls")
        self.append(function(*arguments))

    def load_build(self) -> None:
        """The versions of modules, which a state dict carries as an attribute."""
        state, found = self.stack.pop(), self.stack[-1]
        if not isinstance(found, OrderedDict) or set(state) != {"_metadata"}:
            raise ValueError("sets what no checkpoint sets")
        found._metadata = state["_metadata"]  # type: ignore[attr-defined]

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BUILD[0]] = load_build


def _parts(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The files in the archive by their names below its folder, all stored as they are."""
    found: dict[str, zipfile.ZipInfo] = {}
    for part in archive.infolist():
        name = part.filename.partition("/")[2]
        if part.compress_type != zipfile.ZIP_STORED or part.compress_size != part.file_size:
            raise ValueError("its parts are compressed, and those of a checkpoint are not")
        if name in found:
            raise ValueError("two parts have one name")
        found[name] = part
    if sum(part.file_size for part in found.values()) > size:
        raise ValueError("its parts are larger than the file")
    return found


def _ordered_dict() -> OrderedDict[Any, Any]:
    return OrderedDict()


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> Tensor:
    """A tensor of which every element lies in its storage, and no more elements than that has."""
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Tensor) or len(shape) != len(stride) or len(shape) > 8:
        raise ValueError("damaged: no tensor")
    if not all(type(number) is int and 0 <= number < 2**48 for number in numbers):
        raise ValueError("a tensor's shape is none")
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if count > len(storage) or (count and last >= len(storage)):
        raise ValueError("a tensor is larger than its bytes")
    return storage.as_strided(shape, stride, offset)


def _check_tree(content: Any, size: int) -> None:
    """Raises ``ValueError`` where walking through the content takes long: where it holds itself, or
    one container so often that a few bytes stand for billions of values."""
    values = text = tensors = 0
    left: list[tuple[Any, int]] = [(content, 0)]
    while left:
        value, depth = left.pop()
        values += 1
        if isinstance(value, Mapping):
            inside = [*value.values()]
            text += sum(len(key) for key in value if isinstance(key, str))
        elif isinstance(value, list | tuple):
            inside = [*value]
        else:
            inside = []
            if isinstance(value, Tensor):
                tensors += value.nbytes
            elif isinstance(value, str):
                text += len(value)
            elif not isinstance(value, int | float | None):
                raise ValueError(f"holds a {type(value).__name__}, which no checkpoint has")
        if depth > _DEEPEST or values + len(left) + len(inside) > _MOST_VALUES:
            raise ValueError("nested too deeply, or holds itself")
        if text > _MOST_TEXT or tensors > 4 * size:
            raise ValueError("holds the same value too often")
        left += [(one, depth + 1) for one in inside]


def _moved(value: Any, device: torch.device) -> Any:
    """The same tree, every tensor in it on a device; changed in place where it can be."""
    if device.type == "cpu":
        return value
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        for key in value:
            value[key] = _moved(value[key], device)
    elif isinstance(value, list | tuple):
        return type(value)(_moved(one, device) for one in value)
    return value
