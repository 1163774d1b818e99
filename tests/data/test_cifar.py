from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gantune.errors import DataError
from tests.data.making import load, noise, write_cifar


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_batches(tmp_path: Path, protocol: int) -> None:
    expected = write_cifar(tmp_path, protocol)
    images = load(tmp_path)
    assert np.array_equal(images.array, expected[:10])
    assert images.labels is not None
    assert images.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert images.classes[0] == "airplane"
    assert images.classes[9] == "truck"
    assert np.array_equal(load(tmp_path, split="test").array, expected[10:])


def test_binary_batches_below_the_authors_folder(tmp_path: Path) -> None:
    expected = write_cifar(tmp_path / "cifar-10-batches-bin", binary=True)
    assert np.array_equal(load(tmp_path).array, expected[:10])


def test_batches_of_python_2(tmp_path: Path) -> None:
    """As the authors wrote them: names and bytes are Python 2 text, the array in Fortran order."""
    write_cifar(tmp_path)
    image = noise(1, 3072)
    data = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x88T\x00\x0c\x00\x00" + image.tobytes() + b"tb"
        b"U\x06labels]K\x06au."
    )
    (tmp_path / "test_batch").write_bytes(data)
    images = load(tmp_path, split="test")
    assert np.array_equal(images.array.reshape(1, 3072), image)
    assert images.labels is not None
    assert images.labels.tolist() == [6]


@pytest.mark.parametrize("binary", [False, True])
def test_the_authors_archive_is_read_in_place(tmp_path: Path, binary: bool) -> None:
    inner = tmp_path / "cifar-10-batches"
    expected = write_cifar(inner, binary=binary)
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inner, inner.name)
    assert np.array_equal(load(path).array, expected[:10])
    assert np.array_equal(load(path, split="test").array, expected[10:])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"cifar\.tar\.gz"):
        load(path)


def test_a_tar_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    with pytest.raises(DataError, match="no CIFAR-10 batches in it"):
        load(tmp_path / "a.tar")


def test_missing_batches_are_named(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_2").unlink()
    (tmp_path / "data_batch_4").unlink()
    with pytest.raises(DataError, match="CIFAR-10 without data_batch_2, data_batch_4"):
        load(tmp_path)


def test_a_binary_batch_of_broken_length_or_label(tmp_path: Path) -> None:
    write_cifar(tmp_path, binary=True)
    batch = tmp_path / "data_batch_1.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"data_batch_1\.bin: damaged .* not a multiple of 3073"):
        load(tmp_path)
    batch.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match="none of CIFAR-10's ten"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "no batch of CIFAR-10"),
        ({b"data": noise(2, 3072)}, "labels"),
        ({b"data": noise(2, 3072), b"labels": [1]}, "1 labels for 2 images"),
        ({b"data": noise(2, 3072), b"labels": [1, "2"]}, "no list of whole numbers"),
        ({b"data": noise(2, 300), b"labels": [1, 2]}, r"shape \(2, 300\)"),
        ({b"data": np.zeros((2, 3072)), b"labels": [1, 2]}, "numbers other than unsigned bytes"),
        ({b"data": [0] * 3072, b"labels": [1]}, "no array where one belongs"),
    ],
)
def test_a_pickle_of_another_shape(tmp_path: Path, batch: object, message: str) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError, match=message):
        load(tmp_path)
