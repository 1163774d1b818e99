"""Files and folders that are not read say what to do first."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gantune.errors import DataError
from tests.data.making import idx_bytes, load, noise


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("IMG_1.HEIC", "convert to JPEG or PNG first"),
        ("a.heif", "convert to JPEG or PNG first"),
        ("a.psd", "convert to JPEG or PNG first"),
        ("a.CR2", "convert to JPEG or PNG first"),
        ("film.mp4", "split into PNGs first"),
        ("set.7z", "unpack first"),
        ("set.rar", "unpack first"),
        ("set.parquet", "save its images as files or as .npz first"),
        ("set.h5", "save its images as files or as .npz first"),
    ],
)
@pytest.mark.parametrize("place", ["itself", "folder", "zip"])
def test_the_next_step(tmp_path: Path, name: str, step: str, place: str) -> None:
    (tmp_path / "set").mkdir()
    source = tmp_path / "set" / name
    source.write_bytes(b"\0" * 100)
    if place == "folder":
        source = source.parent
    if place == "zip":
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr(f"set/{name}", b"\0" * 100)
    with pytest.raises(DataError) as error:
        load(source)
    assert step in str(error.value)


DICOM = bytes(128) + b"DICM"


@pytest.mark.parametrize(
    ("files", "step"),
    [
        (
            {"train": b"", "test": b"", "meta": b""},
            "CIFAR-100 in Python's format is not read: save",
        ),
        ({"train_X.bin": b"", "train_y.bin": b""}, "STL-10 in binary files is not read: save"),
        ({"bedroom_lmdb/data.mdb": b"", "bedroom_lmdb/lock.mdb": b""}, "an LMDB is not read"),
        ({"train.csv": b"label,pixel0"}, "train.csv: a table of pixels is not read: save numpy"),
        ({"IM0001": DICOM, "IM0002": DICOM}, "IM0001: DICOM is not read: save the pixels"),
        ({"a/1.dcm": DICOM}, "1.dcm: DICOM is not read"),
        (
            {"x.pt": b"PK"},
            "x.pt: it may run code when it is opened, so it is not read: save its im",
        ),
        ({"x.pkl": b""}, "save its images as one uint8 array with numpy.savez"),
        ({"x.bin": b""}, "x.bin: its form is not known"),
        ({"x": b"PAR1"}, "x: Parquet is not read"),
        ({"dataset_info.json": b"{}", "data.arrow": b""}, "a data set of Hugging Face is not read"),
        ({"x.nii.gz": b"\x1f\x8b"}, "x.nii.gz: not read: save its slices as 16-bit PNGs"),
        ({"x.tfrecord-00000-of-00002": b""}, "not read: save its images as files or as .npz first"),
        (
            {"labels.csv": b"", "x.h5": b""},
            "x.h5: not read: save its images as files or as .npz first",
        ),
    ],
)
@pytest.mark.parametrize("place", ["itself", "folder"])
def test_sets_that_are_not_read(
    tmp_path: Path, files: dict[str, bytes], step: str, place: str
) -> None:
    for name, content in files.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    if place == "itself" and len(files) > 1:
        pytest.skip("a folder of several files")
    source = tmp_path / "set" / next(iter(files)) if place == "itself" else tmp_path / "set"
    with pytest.raises(DataError) as error:
        load(source)
    assert step in str(error.value) and str(tmp_path / "set") in str(error.value)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("x.pt", "x.pt: it may run code when it is opened, so it is not read"),
        ("a/1.dcm", "a/1.dcm: not read: convert to JPEG or PNG first"),
        ("x.npz", "unpack it (unzip a.zip -d FOLDER) and name x.npz there"),
        ("deep/x.npy", "name deep/x.npy there"),
        ("train.zip", "name train.zip there"),
        ("train-images-idx3-ubyte.gz", "name the folder there"),
        ("cifar-10-batches-py/data_batch_1", "name the folder there"),
    ],
)
def test_a_zip_of_other_sources_is_to_be_unpacked(tmp_path: Path, name: str, step: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "")
        archive.writestr(name, bytes(50))
    with pytest.raises(DataError) as error:
        load(path)
    assert f"{path}: no image in it" in str(error.value) and step in str(error.value)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_a_tar_is_to_be_unpacked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"set.{ending}"
    with tarfile.open(path, "w" if ending == "tar" else "w:gz") as archive:
        info = tarfile.TarInfo("set/1.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"png"))
    with pytest.raises(DataError, match=rf"unpack it \(tar -xf set\.{ending} -C FOLDER\) and name"):
        load(path)


@pytest.mark.parametrize("place", ["itself", "folder"])
def test_labels_alone(tmp_path: Path, place: str) -> None:
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.arange(4, dtype=np.uint8)))
    step = "it holds labels: name the file of images"
    if place == "folder":
        step = f"put train-images-idx3-ubyte beside {path.name}"
    with pytest.raises(DataError, match=step):
        load(path if place == "itself" else tmp_path)


def test_float_pictures(tmp_path: Path) -> None:
    from PIL import Image

    for number, pixels in enumerate(noise(3, 8, 8)):
        Image.fromarray(pixels.astype(np.float32)).save(tmp_path / f"{number}.tif")
    with pytest.raises(DataError, match=r"scale them to 0 to 255 and save 8-bit PNGs\)"):
        load(tmp_path)
