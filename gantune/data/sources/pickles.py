"""Reads arrays from an untrusted pickle without executing it.

A pickle is a program that can call any function by name. Here every name gives an inert record of
the call, only the names that arrays need are allowed, and a record is read as an array afterwards.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantune.errors import DataError

_RECONSTRUCT = {f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")}
_FROM_BUFFER = {f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")}
_SCALAR = {f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")}
_ENCODE = "_codecs.encode"  # how protocol 2 writes bytes
_ALLOWED = {"numpy.ndarray", "numpy.dtype", _ENCODE} | _RECONSTRUCT | _FROM_BUFFER | _SCALAR
_MAX_TUPLES = 1000  # nested ones are hashed recursively, without a limit


class _Record:
    """A name in a pickle, or a call of it, which only stores its arguments."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None

    def __call__(self, *arguments: Any) -> _Record | bytes:
        if self.name == _ENCODE and arguments and isinstance(arguments[0], str):
            return arguments[0].encode("latin1")
        return _Record(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, place: str) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._place = place

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise DataError(
                f"{self._place}: refused: this pickle names {full}, which is not part of an array; "
                "it was not executed"
            )
        return _Record(full)


def read_pickle(data: bytes, place: str) -> Any:
    """The plain containers of a pickle, with inert records where it has arrays.

    Text of Python 2 is returned as bytes. ``place``: its name for messages. Raises ``DataError``
    for a name that no array needs, and any other error for damaged bytes, and where it would take
    memory or stack out of proportion to its size.
    """
    # Listing the operations also checks every length that they state.
    tuples = 0
    for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
        if operation.name.endswith("PUT") and isinstance(argument, int) and argument > count:
            raise ValueError("a memo index beyond all that came before")
        tuples += operation.name.startswith("TUPLE")
    if tuples > _MAX_TUPLES:
        raise ValueError(f"{tuples} tuples, where a few arrays need {_MAX_TUPLES} at most")
    return _Unpickler(data, place).load()


def as_bytes_array(record: Any) -> NDArray[np.uint8]:
    """A record of ``read_pickle`` as a uint8 array of its shape. Raises ``ValueError``."""
    if not isinstance(record, _Record):
        raise ValueError("no array where one belongs")
    if record.name in _RECONSTRUCT:
        _, shape, dtype, fortran, data = record.state
    elif record.name in _FROM_BUFFER:
        data, dtype, shape, order = record.arguments
        fortran = order == "F"
    else:
        raise ValueError(f"{record.name} where an array belongs")
    if not isinstance(dtype, _Record) or dtype.arguments[:1] not in (("u1",), (b"u1",)):
        raise ValueError("an array of numbers other than unsigned bytes")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("an array without bytes")
    array = np.frombuffer(bytes(data), dtype=np.uint8)
    return array.reshape(shape, order="F" if fortran else "C")
