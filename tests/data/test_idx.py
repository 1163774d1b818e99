from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gantune.config import DataConfig
from gantune.data import load_held_out
from gantune.errors import DataError
from tests.data.making import idx_bytes, load, noise, write_idx, write_pictures


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
    write_idx(tmp_path, noise(3, 8, 8), part="emnist-digits-test")
    with pytest.raises(
        DataError,
        match=r"holds 2 sets of IDX files \(emnist-digits, emnist-letters\); name the file of "
        r"images of one, such as .*/emnist-digits-train-images",
    ):
        load(tmp_path)
    assert len(load(tmp_path / "emnist-digits-train-images-idx3-ubyte")) == 2
    held_out = load_held_out(DataConfig(source=f"{tmp_path}/emnist-digits-train-images-idx3-ubyte"))
    assert held_out is not None and len(held_out) == 3


def test_sets_in_their_own_folders(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", noise(2, 8, 8))
    write_idx(tmp_path / "MNIST" / "raw", noise(2, 8, 8), zipped=True)
    write_idx(tmp_path / "MNIST" / "raw", noise(3, 8, 8), part="t10k", zipped=True)
    (tmp_path / "readme.txt").touch()
    assert (len(load(tmp_path)), len(load(tmp_path, split="test"))) == (2, 3)
    write_idx(tmp_path / "FashionMNIST" / "raw", noise(4, 8, 8))
    with pytest.raises(
        DataError, match=r"2 sets .*FashionMNIST, MNIST\); name one of these folders"
    ):
        load(tmp_path)
    assert len(load(tmp_path / "FashionMNIST")) == 4


def test_an_archive_whose_files_lie_beside_it_needs_no_unpacking(tmp_path: Path) -> None:
    write_pictures(tmp_path, "set/1.png", "set/2.png", "other.zip")
    for name in ("set.zip", "set.tar.gz"):
        (tmp_path / name).touch()
    found = load(tmp_path).found
    assert "2 archive that is unpacked beside it: set.tar.gz, ..." in found
    assert "1 to unpack first: other.zip" in found


@pytest.mark.parametrize("copy", ["train-images.idx3-ubyte", "train-images-idx3-ubyte/{}"])
def test_copies_of_a_part(tmp_path: Path, copy: str) -> None:
    labels = np.array([3, 5], np.uint8)
    path = write_idx(tmp_path / "a", noise(2, 8, 8), labels)
    write_idx(tmp_path / "a", noise(3, 8, 8), np.array([3, 5, 5], np.uint8), part="t10k")
    for file in list((tmp_path / "a").iterdir()):
        new = tmp_path / "b" / copy.replace("train-images", file.name[:-11].rstrip("-"))
        new = Path(str(new).replace("idx3", "idx1") if "labels" in file.name else new)
        new = Path(str(new).format(file.name))
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(file.read_bytes())
    both = shutil.copytree(tmp_path / "b", tmp_path / "c")
    if "/" not in copy:
        shutil.copytree(tmp_path / "a", both, dirs_exist_ok=True)
    for folder in ("a", "b", "c"):
        images = load(tmp_path / folder)
        assert (len(images), images.classes) == (2, ("3", "5")), folder
        assert len(load(tmp_path / folder, split="test")) == 3
    assert path.exists()


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
