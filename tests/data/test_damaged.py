"""Whatever bytes a file holds, reading it ends in images or in a ``DataError``."""

from __future__ import annotations

import io
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gantune.errors import DataError
from tests.data.making import idx_bytes, load, noise
from tests.examples import examples


def npy_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, noise(2, 4, 4))
    return file.getvalue()


def npz_bytes() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x=noise(2, 4, 4), y=np.arange(2))
    return file.getvalue()


def png_bytes() -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(4, 4, 3)).save(file, "PNG")
    return file.getvalue()


def zip_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/1.png", png_bytes())
        archive.writestr("b/2.png", png_bytes())
    return file.getvalue()


def pickle_bytes() -> bytes:
    return pickle.dumps({b"data": noise(1, 3072), b"labels": [3]}, protocol=2)


def tar_bytes() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("test_batch")
        info.size = len(pickle_bytes())
        archive.addfile(info, io.BytesIO(pickle_bytes()))
    return file.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "train-images-idx3-ubyte": lambda: idx_bytes(noise(2, 4, 4)),
    "a.npy": npy_bytes,
    "a.npz": npz_bytes,
    "a.zip": zip_bytes,
    "a.tar": tar_bytes,
    "test_batch": pickle_bytes,
    "a.png": png_bytes,
}
IN_A_FOLDER = ("test_batch", "a.png")


def read(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        split = "test" if name in ("test_batch", "a.tar") else "train"
        load(folder if name in IN_A_FOLDER else path, split=split)


@pytest.mark.parametrize("name", KINDS)
def test_the_whole_files_are_good(name: str) -> None:
    read(name, KINDS[name]())


@pytest.mark.parametrize("name", KINDS)
@given(data=st.binary(max_size=200))
@examples(50)
def test_random_bytes(name: str, data: bytes) -> None:
    with pytest.raises(DataError):
        read(name, data)


@pytest.mark.parametrize("name", KINDS)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    kept=st.floats(0, 1),
)
@examples(50)
def test_damaged_files(name: str, edits: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(KINDS[name]())
    for place, value in edits:
        data[int(place * min(len(data), 400))] = value
    try:
        read(name, bytes(data[: max(1, int(kept * len(data)))] if kept < 0.5 else data))
    except DataError as error:
        assert str(error)


@given(data=st.binary(max_size=60))
@examples(300)
def test_random_operations_after_a_pickles_head(data: bytes) -> None:
    with pytest.raises(DataError):
        read("test_batch", b"\x80\x04]}(" + data + b".")
