from __future__ import annotations

import os
from pathlib import Path

import pytest

from gantune.config import absolute_source
from gantune.errors import DataError
from tests.data.making import load, noise, write_idx


@pytest.mark.parametrize(
    ("name", "meant"), [("digit", "digits"), ("gaussian:ring", "gaussians:ring")]
)
def test_a_near_miss_of_a_built_in_name(name: str, meant: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: no such file .*did you mean '{meant}'\?"):
        load(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("digit", "digits"), ("gaussian:ring", "gaussians:ring")]
)
def test_a_near_miss_of_a_built_in_name_that_became_a_path(
    tmp_path: Path, name: str, meant: str
) -> None:
    with pytest.raises(DataError, match=rf"{name}: no such .*older \(did you mean '{meant}'\?\)"):
        load(absolute_source(name, tmp_path))
    with pytest.raises(DataError, match=rf"has no folder '{name}'$"):
        load(tmp_path / name / "images")


def test_a_near_miss_of_a_path_wherever_it_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path / "fashion_mnist", noise(2, 8, 8))
    with pytest.raises(DataError, match=r"did you mean 'fashion_mnist'\?"):
        load(tmp_path / "fasion_mnist")
    with pytest.raises(
        DataError, match=r"has no folder 'fashon' \(did you mean 'fashion_mnist'\?\)"
    ):
        load(tmp_path / "fashon" / "train" / "images")
    with pytest.raises(DataError, match=r"qqq: no such file or folder$"):
        load(tmp_path / "qqq")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"^qqq: no such file or folder in {tmp_path}$"):
        load("qqq")
    with pytest.raises(DataError, match="idx3-ubyte is a file"):
        load(tmp_path / "fashion_mnist" / "train-images-idx3-ubyte" / "a")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.org/set.zip", "an address; download it first"),
        ("s3://bucket/set", "an address; download it first"),
        ("photos/*.png", "a pattern of names; name the folder"),
        ("file:///photos", "an address; write the path alone"),
        (r"C:\photos\cats", "a path of Windows"),
        ("%HOME%/photos", "which is not replaced here"),
        ("CIFAR10", "nothing is downloaded: fetch the set first"),
        ("fashion_mnist", "nothing is downloaded: fetch the set first"),
        ("torchvision.datasets.MNIST", "nothing is downloaded: fetch the set first"),
        ("$HOME/photos", r"a name with a variable, which is not replaced here; write"),
        ("${DATA}/photos", r"which is not replaced here"),
        ("huggan/anime-faces", "nothing is downloaded: save the images of a data set of Hugging"),
        ("photos/deeper/cats", "has no folder 'photos'"),
    ],
)
@pytest.mark.parametrize("is_absolute", [False, True])
def test_names_of_other_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str, is_absolute: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=said):
        load(absolute_source(name, tmp_path) if is_absolute else name)


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "~nobody-of-this-name/a"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(DataError):
        load(name)


def test_kinds_of_file_that_hold_no_images(tmp_path: Path) -> None:
    for name, message in (("a.txt", "not a kind of file"), ("a.png", "one image is no data set")):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=message):
            load(tmp_path / name)
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load(tmp_path / "a.npy")


def test_a_split_that_the_source_does_not_have() -> None:
    with pytest.raises(DataError, match=r"data\.split: 'digits' has no 'test' part"):
        load("digits", split="test")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_idx(tmp_path, noise(2, 8, 8))
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        load(path)
