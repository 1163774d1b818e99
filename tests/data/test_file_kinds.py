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
