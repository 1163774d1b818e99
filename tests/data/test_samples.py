from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from gantune.data import load_samples
from gantune.data.image_set import random_subset
from gantune.errors import DataError
from tests.data.making import noise, write_pictures


def save(path: Path, array: NDArray[Any]) -> Path:
    np.save(path, array)
    return path


@pytest.fixture(params=["folder", "zip"])
def brought(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A function that hands a folder on as it is, or as a zip."""

    def bring(folder: Path) -> Path:
        if request.param == "folder":
            return folder
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
        return path

    return bring


def test_pictures_in_their_own_size(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    write_pictures(tmp_path / "a", *(f"{i:02}.png" for i in range(5)), size=(9, 9))
    path = brought(tmp_path / "a")
    images = load_samples(path)
    assert images.array.shape == (5, 1, 9, 9)
    assert images.array.dtype == np.uint8
    assert images.array[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert (images.source, images.native, images.labels) == (str(path), (9, 9), None)
    assert images.content_hash == load_samples(path).content_hash


def test_fewer_are_a_random_subset_that_is_always_the_same(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    """Of a folder that is sorted by class, every class is among them."""
    for name in ("a", "b", "c"):
        write_pictures(tmp_path / "a" / name, *(f"{i:02}.png" for i in range(20)))
    path = brought(tmp_path / "a")
    whole = load_samples(path)
    chosen = random_subset(60, 24)
    assert np.array_equal(load_samples(path, most=24).array, whole.array[chosen])
    assert min(np.bincount(chosen // 20)) >= 3
    assert len(load_samples(path, most=99)) == 60


def test_arrays(tmp_path: Path) -> None:
    pixels = noise(4, 3, 8, 8)
    assert np.array_equal(load_samples(save(tmp_path / "a.npy", pixels)).array, pixels)
    np.savez(tmp_path / "a.npz", arr_0=pixels.transpose(0, 2, 3, 1), arr_1=np.arange(4))
    assert np.array_equal(load_samples(tmp_path / "a.npz").array, pixels)
    assert (
        load_samples(tmp_path / "a.npz").content_hash
        == load_samples(tmp_path / "a.npy").content_hash
    )  # the images' own, in whatever file


def test_the_array_that_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=noise(2, 8, 8), b=noise(3, 8, 8))
    assert len(load_samples(tmp_path / "a.npz", key="b")) == 3
    with pytest.raises(DataError, match=r"several arrays look like images; say which: --set data"):
        load_samples(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"no array 'c'.*it holds a 2x8x8"):
        load_samples(tmp_path / "a.npz", key="c")


def test_colour_is_converted(tmp_path: Path) -> None:
    gray = noise(3, 1, 8, 8)
    path = save(tmp_path / "a.npy", gray.repeat(3, axis=1))
    assert np.array_equal(load_samples(path, colour="gray").array, gray)
    assert load_samples(path).array.shape == (3, 3, 8, 8)
    path = save(tmp_path / "b.npy", gray)
    assert np.array_equal(load_samples(path, colour="rgb").array, gray.repeat(3, axis=1))


def test_what_is_transparent_is_laid_on_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.zeros((2, 8, 8, 4), np.uint8))
    assert (load_samples(path).array == 255).all()


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "cache"))
    images = load_samples(save(tmp_path / "a.npy", noise(4, 8, 8)))
    assert isinstance(images.array, np.memmap)
    assert list((tmp_path / "cache").iterdir()) == []
    assert np.array_equal(images.array[:, 0], noise(4, 8, 8))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"cache cannot be written.*GANTUNE_CACHE"):
        load_samples(save(tmp_path / "a.npy", noise(4, 8, 8)))


def test_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = save(tmp_path / "a.npy", noise(300, 8, 8))
    load_samples(path, most=290, progress=lambda *at: seen.append(at))
    assert seen == [(256, 290), (290, 290)]


def test_mixed_sizes_name_two_files(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    write_pictures(tmp_path / "a", *(f"{i:03}.png" for i in range(25)))
    Image.new("L", (16, 16)).save(tmp_path / "a" / "020.png")
    match = r"020\.png: 16x16 pixels, but .*000\.png: 8x8; samples have one size: resize"
    with pytest.raises(DataError, match=match):
        load_samples(brought(tmp_path / "a"))


def test_images_that_are_not_square(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    write_pictures(tmp_path / "a", "0.png", "1.png", size=(12, 8))
    with pytest.raises(DataError, match=r"0\.png: 12x8 pixels \(width x height\).*crop or resize"):
        load_samples(brought(tmp_path / "a"))
    with pytest.raises(DataError, match=r"b\.npy: image 0: 12x8 pixels"):
        load_samples(save(tmp_path / "b.npy", noise(2, 8, 12)))


def test_fewer_than_two(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    write_pictures(tmp_path / "a", "0.png")
    with pytest.raises(DataError, match="holds one image; a score needs 2 or more"):
        load_samples(brought(tmp_path / "a"))
    with pytest.raises(DataError, match="holds one image"):
        load_samples(save(tmp_path / "b.npy", noise(1, 8, 8)))
    with pytest.raises(DataError, match=r"b\.npy: 1 of its images asked for; a score needs 2"):
        load_samples(save(tmp_path / "b.npy", noise(3, 8, 8)), most=1)


def test_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"a: no image in it, at any depth; it is empty"):
        load_samples(tmp_path / "a")
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    with pytest.raises(DataError, match=r"a\.zip: no image in it; it holds nothing"):
        load_samples(tmp_path / "a.zip")
    np.savez(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npz: .*it holds nothing"):
        load_samples(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npy is empty: 0x8x8 uint8"):
        load_samples(save(tmp_path / "a.npy", noise(0, 8, 8)))


@pytest.mark.parametrize("name", ["gone", "gone.npz", "digits", "gaussians:grid", "a\0b"])
def test_paths_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such file or folder; samples are a folder or zip"):
        load_samples(name)


def test_settings_are_no_samples(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text("kimg: 1\n")
    with pytest.raises(DataError, match="settings, not samples; name the checkpoint"):
        load_samples(tmp_path / "best.yaml")


def test_a_file_named_as_a_built_in_source_is_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "digits", "0.png", "1.png")
    assert len(load_samples("digits")) == 2


def test_an_unreadable_sample_is_an_error(tmp_path: Path, brought) -> None:  # type: ignore[no-untyped-def]
    write_pictures(tmp_path / "a", *(f"{i:03}.png" for i in range(200)))
    whole = (tmp_path / "a" / "150.png").read_bytes()
    (tmp_path / "a" / "150.png").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"1 of 200 .*150\.png.*Every sample counts: repair"):
        load_samples(brought(tmp_path / "a"))
    (tmp_path / "a" / "000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"000\.png: damaged or truncated"):
        load_samples(brought(tmp_path / "a"))


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("last", [False, True])
def test_a_wrong_number_of_channels(tmp_path: Path, channels: int, last: bool) -> None:
    shape = (3, 8, 8, channels) if last else (3, channels, 8, 8)
    shown = "x".join(map(str, shape))
    match = rf"has images of {channels} channels: {shown} uint8; they have 1 \(gray\), 3 .* or 4"
    with pytest.raises(DataError, match=match):
        load_samples(save(tmp_path / "a.npy", noise(*shape)))
    np.savez(tmp_path / "a.npz", samples=noise(*shape))
    with pytest.raises(DataError, match=match):
        load_samples(tmp_path / "a.npz")


def test_other_arrays(tmp_path: Path) -> None:
    for array in (np.zeros((4, 8, 8), np.int64), noise(4, 32, 3, 32), noise(9), noise(2, 2, 8)):
        with pytest.raises(DataError, match=r"is no array of images \(uint8 or float"):
            load_samples(save(tmp_path / "a.npy", array))


def test_pictures_of_floats_have_no_range(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("0.tif", "1.tif"):
        Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a" / name)
    with pytest.raises(DataError, match="floating-point pixels have no known range"):
        load_samples(tmp_path / "a")


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        (2, 4, 4),
        elements=st.floats(-2, 2, width=16) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0]),
    )
)
def test_floats_never_wrap_around(
    tmp_path_factory: pytest.TempPathFactory, floats: NDArray[Any]
) -> None:
    path = save(tmp_path_factory.mktemp("floats") / "a.npy", floats)
    if not (np.isfinite(floats).all() and np.abs(floats).max() <= 1.001):
        with pytest.raises(
            DataError, match=r"a\.npy holds (floats from|NaN).*\[0, 1\] or \[-1, 1\]"
        ):
            load_samples(path)
        return
    pixels = floats.astype(np.float64)
    expected = (pixels + 1) * 127.5 if pixels.min() < -1e-3 else pixels * 255
    expected = expected.clip(0, 255)
    assert np.abs(load_samples(path).array[:, 0] - expected).max() <= 0.5 + 1e-9


@given(
    st.lists(st.integers(0, 9), min_size=0, max_size=5),
    st.sampled_from(["u1", "f4", "i8", "?", "u2", "c8"]),
)
def test_any_array_is_images_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], kind: str
) -> None:
    path = save(tmp_path_factory.mktemp("arrays") / "a.npy", np.zeros(shape, kind))
    try:
        images = load_samples(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        count, channels, height, width = images.array.shape
        assert count in (shape[0], shape[-1]) and count >= 2  # images by the last axis are read too
        assert channels in (1, 3)
        assert height == width >= 4


@given(st.binary(max_size=60), st.sampled_from(["a.npy", "a.npz", "a.zip"]))
def test_any_bytes_are_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=name):
        load_samples(path)


def test_an_array_is_read_as_its_file_is(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((5, 3, 9, 9), dtype=np.float32) * 2 - 1
    read, kept = load_samples(array), load_samples(save(tmp_path / "a.npy", array))
    assert read.source == "samples"
    assert np.array_equal(read.array, kept.array)
    with pytest.raises(DataError, match=r"samples holds floats from .* to 1.99"):
        load_samples(array + 1)
    with pytest.raises(DataError, match="samples is no array of images"):
        load_samples(array.astype(np.int64))
