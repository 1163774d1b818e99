"""Zips that need a password or an unknown method are told as such."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantune.data import load_samples
from gantune.errors import DataError
from tests.data.making import load, noise, write_pictures

METHODS = [9, 93, 95, 97, 98, 77]


def changed(path: Path, which: slice, *, flag: int = 0, method: int | None = None) -> Path:
    """The zip with other flags and methods of some members, in both of their headers."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        directory = archive.start_dir
    for info in infos[which]:
        entry = content.index(info.filename.encode(), directory) - 46
        for at in (info.header_offset + 6, entry + 8):
            content[at] |= flag
            if method is not None:
                content[at + 2] = method
    path.write_bytes(content)
    return path


def zipped(path: Path, suffix: str = ".png", count: int = 4) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            with archive.open(f"{number}{suffix}", "w") as file:
                Image.fromarray(noise(8, 8, seed=number)).save(file, "png")
    return path


@pytest.mark.parametrize("suffix", [".png", ""])
@pytest.mark.parametrize("which", [slice(None), slice(1, 2)])
def test_a_password_is_told(tmp_path: Path, which: slice, suffix: str) -> None:
    path = changed(zipped(tmp_path / "a.zip", suffix), which, flag=1)
    if suffix == "" and which.start == 1:  # what it is cannot be seen, so it is no image
        assert len(load(path)) == 3
        return
    for read in (load, load_samples):
        with pytest.raises(DataError, match=r"a\.zip: \d of its 4 files need a password") as found:
            read(path)
        assert str(found.value).endswith("unpack it (unzip a.zip -d FOLDER) and name the folder")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_python_lacks_is_told(tmp_path: Path, method: int) -> None:
    if method == 93 and sys.version_info >= (3, 14):
        pytest.skip("Python has Zstandard")
    path = changed(zipped(tmp_path / "a.zip"), slice(2, 3), method=method)
    with pytest.raises(DataError, match=rf"1 of its 4 files need the method .*\({method}\).*unzip"):
        load(path)


@pytest.mark.parametrize(("flag", "method"), [(1, None), (0, 93)])
def test_an_npz_too(tmp_path: Path, flag: int, method: int | None) -> None:
    np.savez(tmp_path / "a.npz", images=noise(4, 8, 8), labels=np.arange(4))
    path = changed(tmp_path / "a.npz", slice(0, 1), flag=flag, method=method)
    with pytest.raises(DataError, match=r"need .*such as images\.npy; save it again"):
        load(path)


def test_labels_with_a_password(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("dataset.json", '{"labels": null}')
    path = changed(tmp_path / "a.zip", slice(4, 5), flag=1)
    with pytest.raises(DataError, match=r"need a password.*dataset\.json"):
        load(path)


class _Unflagged(zipfile.ZipInfo):
    """A member whose name is in an encoding that the zip does not tell."""

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__(name)
        self._bytes = name.encode(encoding)

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self._bytes, 0


DOUBT = (
    "the names of the zip are in an unknown encoding, such as {}; unpack it with a program that "
    "knows it, or write it again with UTF-8 names"
)


@pytest.mark.parametrize(
    ("encoding", "has_flag", "names", "classes", "warned"),
    [
        ("utf-8", True, ("猫", "犬"), ("犬", "猫"), ""),
        ("utf-8", False, ("猫", "犬"), ("犬", "猫"), ""),
        ("utf-8", False, ("café", "tea"), ("café", "tea"), ""),
        ("cp932", False, ("猫", "犬"), None, "ö"),
        ("cp437", False, ("café", "tea"), ("café", "tea"), "café"),
    ],
)
def test_names_in_other_encodings(
    tmp_path: Path,
    encoding: str,
    has_flag: bool,
    names: tuple[str, ...],
    classes: tuple[str, ...] | None,
    warned: str,
) -> None:
    files = [f"{name}/{number}.png" for name in names for number in range(2)]
    write_pictures(tmp_path / "set", *files)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file) if has_flag else _Unflagged(file, encoding)
            archive.writestr(info, (tmp_path / "set" / file).read_bytes())
    found = load(tmp_path / "a.zip")
    assert len(found) == 4 and len(found.classes) == 2
    assert classes is None or found.classes == classes
    if warned:
        (warning,) = found.warnings
        start, end = DOUBT.split("{}")
        assert warning.startswith(start) and warning.endswith(end)
    else:
        assert found.warnings == ()


@pytest.mark.parametrize("name", ["../b.png", "/b.png", "../../etc/b.png", "a/../../b.png"])
def test_names_that_lead_out_of_a_zip_write_nothing(tmp_path: Path, name: str) -> None:
    home = tmp_path / "inner/deep"
    home.mkdir(parents=True)
    with zipfile.ZipFile(zipped(home / "a.zip"), "a") as archive:
        archive.writestr(name, archive.read("0.png"))
    assert len(load(home / "a.zip")) == 4 + (".." not in name)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.zip"]


@pytest.mark.parametrize("name", ["../data_batch_1", "/tmp/data_batch_1", "a/../../data_batch_1"])
def test_names_that_lead_out_of_a_tar_write_nothing(tmp_path: Path, name: str) -> None:
    home = tmp_path / "inner/deep"
    home.mkdir(parents=True)
    with tarfile.open(home / "a.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(DataError):
        load(home / "a.tar")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.tar"]
