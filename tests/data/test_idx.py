from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantune.errors import DataError
from tests.data.making import idx_bytes, load, noise, write_idx


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_gives_images_labels_and_parts(tmp_path: Path, zipped: bool) -> None:
    train, test = noise(6, 28, 28), noise(4, 28, 28, seed=1)
    write_idx(tmp_path, train, np.array([3, 5, 3, 5, 7, 7], np.uint8), zipped=zipped)
    write_idx(tmp_path, test, part="t10k", zipped=zipped)
    images = load(tmp_path)
    assert np.array_equal(images.array, train[:, None])
    assert images.classes == ("3", "5", "7")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0, 1, 2, 2]
    assert (images.native, images.colour, images.split) == ((28, 28), "gray", "train")
    held_out = load(tmp_path, split="test")
    assert np.array_equal(held_out.array, test[:, None])
    assert held_out.labels is None
    assert held_out.split == "test"


def test_one_images_file_is_enough_and_finds_its_labels(tmp_path: Path) -> None:
    path = write_idx(tmp_path, noise(2, 8, 8), np.array([1, 0], np.uint8), zipped=True)
    labels = load(path).labels
    assert labels is not None
    assert labels.tolist() == [1, 0]


def test_torchvisions_raw_folder_and_a_plain_twin_of_a_gzipped_file(tmp_path: Path) -> None:
    images = noise(2, 8, 8)
    write_idx(tmp_path / "raw", images)
    write_idx(tmp_path / "raw", images, zipped=True)
    assert np.array_equal(load(tmp_path).array, images[:, None])


def test_two_data_sets_in_a_folder_are_not_guessed_at(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(2, 8, 8), part="emnist-letters-train")
    write_idx(tmp_path, noise(2, 8, 8), part="emnist-digits-train")
    with pytest.raises(
        DataError, match=r"several 'train' parts: emnist-digits-train-images.*itself"
    ):
        load(tmp_path)


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(2, 8, 8))
    with pytest.raises(DataError, match=r"no 'test' part among .*train-images-idx3-ubyte"):
        load(tmp_path, split="test")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"", "opens with nothing"),
        (lambda whole: b"\0\0\x0d\3" + whole[4:], "no IDX file of images: it opens with 00000d03"),
        (lambda whole: whole[::-1], "no IDX file of images"),
        (lambda whole: whole[:9], "damaged or truncated"),
        (lambda whole: whole[:-1], r"truncated \(its header says 3x8x8 bytes\)"),
        (lambda whole: whole + b"\0", "bytes left over"),
        (lambda whole: whole[:4] + b"\xff" * 12 + whole[16:], "truncated"),
        (lambda whole: whole[:4] + b"\0" * 12, "holds no image"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(idx_bytes(noise(3, 8, 8))))
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path)
    assert str(path) in str(caught.value)


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = write_idx(tmp_path, noise(3, 8, 8), zipped=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged or truncated"):
        load(tmp_path)


def test_labels_of_another_count(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(3, 8, 8), np.zeros(4, np.uint8))
    with pytest.raises(DataError, match="4 labels for the 3 images"):
        load(tmp_path)
