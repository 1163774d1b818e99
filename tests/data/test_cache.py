from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gantune.config import DataConfig
from gantune.data import cache_folder, load_images
from gantune.errors import DataError
from tests.data.making import load, noise, write_idx, write_pictures


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTUNE_CACHE", "/a")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("GANTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/b/gantune")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert cache_folder() == Path("/c/.cache/gantune")


def test_images_are_decoded_once_and_memory_mapped(tmp_path: Path, cache: Path) -> None:
    write_idx(tmp_path / "a", noise(3, 8, 8), np.array([1, 2, 1], np.uint8))
    calls: list[tuple[int, int]] = []
    config = DataConfig(source=str(tmp_path / "a"))
    first = load_images(config, progress=lambda *at: calls.append(at))
    second = load_images(config, progress=lambda *at: calls.append(at))
    assert calls == [(3, 3)]
    assert isinstance(second.array, np.memmap)
    assert not second.array.flags.writeable
    assert np.array_equal(first.array, second.array)
    assert first.content_hash == second.content_hash
    assert second.labels is not None
    assert second.labels.tolist() == [0, 1, 0]
    assert second.classes == ("1", "2")
    assert second.native == (8, 8)


def test_auto_and_its_concrete_form_share_an_entry(tmp_path: Path, cache: Path) -> None:
    write_idx(tmp_path / "a", noise(3, 8, 8))
    load(tmp_path / "a")
    load(tmp_path / "a", resolution=8, colour="gray")
    assert len(list(cache.iterdir())) == 1
    load(tmp_path / "a", resolution=16)
    load(tmp_path / "a", colour="rgb")
    assert len(list(cache.iterdir())) == 3


def test_changed_files_are_read_again(tmp_path: Path, cache: Path) -> None:
    path = write_idx(tmp_path / "a", noise(3, 8, 8))
    before = load(tmp_path / "a", resolution=8, colour="gray").content_hash
    write_idx(tmp_path / "a", noise(3, 8, 8, seed=1))
    os.utime(path, ns=(0, 0))
    after = load(tmp_path / "a", resolution=8, colour="gray")
    assert np.array_equal(after.array, noise(3, 1, 8, 8, seed=1))
    assert after.content_hash != before


def test_the_content_hash_covers_only_images_and_labels(tmp_path: Path, cache: Path) -> None:
    images = noise(3, 8, 8)
    write_idx(tmp_path / "a", images, np.array([1, 2, 1], np.uint8))
    write_idx(tmp_path / "b", images, np.array([1, 2, 1], np.uint8), zipped=True)
    write_idx(tmp_path / "c", images, np.array([1, 2, 2], np.uint8))
    write_idx(tmp_path / "d", images)
    hashes = [load(tmp_path / name).content_hash for name in "abcd"]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("name", ["images.u8", "labels.npy", "about.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "garbage"])
def test_a_damaged_entry_is_built_again(
    tmp_path: Path, cache: Path, name: str, damage: str
) -> None:
    write_idx(tmp_path / "a", noise(3, 8, 8), np.array([1, 2, 1], np.uint8))
    whole = load(tmp_path / "a")
    (entry,) = cache.iterdir()
    data = (entry / name).read_bytes()
    damaged = {"gone": b"", "empty": b"", "cut": data[: len(data) // 2], "garbage": b"[1]" * 9}
    (entry / name).unlink()
    if damage != "gone":
        (entry / name).write_bytes(damaged[damage])
    again = load(tmp_path / "a")
    assert np.array_equal(again.array, whole.array)
    assert np.array_equal(again.labels, whole.labels)  # type: ignore[arg-type]
    assert [path.name for path in cache.iterdir()] == [entry.name]


@pytest.mark.parametrize("name", ["images.u8", "labels.npy"])
def test_a_flipped_bit_is_not_served(tmp_path: Path, cache: Path, name: str) -> None:
    write_idx(tmp_path / "a", noise(3, 8, 8), np.array([1, 2, 1], np.uint8))
    whole = load(tmp_path / "a")
    (entry,) = cache.iterdir()
    data = bytearray((entry / name).read_bytes())
    data[-8] ^= 1
    (entry / name).write_bytes(data)
    again = load(tmp_path / "a")
    assert np.array_equal(again.array, noise(3, 1, 8, 8))
    assert np.array_equal(again.labels, whole.labels)  # type: ignore[arg-type]
    assert again.content_hash == whole.content_hash
    assert [path.name for path in cache.iterdir()] == [entry.name]


def test_several_at_once_do_not_clash(tmp_path: Path, cache: Path) -> None:
    write_idx(tmp_path / "a", noise(500, 8, 8))
    with ThreadPoolExecutor(8) as pool:
        sets = list(pool.map(lambda _: load(tmp_path / "a"), range(8)))
    assert {images.content_hash for images in sets} == {sets[0].content_hash}
    assert len(list(cache.iterdir())) == 1


def test_a_refused_source_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(3):
        shutil.copy(__file__, tmp_path / "a" / f"{number}.png")
    write_pictures(tmp_path / "a", "good.png")
    with pytest.raises(DataError, match="3 of 4 images"):
        load(tmp_path / "a")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"file: the cache .*; set GANTUNE_CACHE to .* that you can write"
    ):
        load("digits")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_not_a_crash(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path / "a", noise(300, 8, 8))
    whole_open = Path.open

    def full(path: Path, mode: str = "r", **settings):  # type: ignore[no-untyped-def]
        return whole_open(Path("/dev/full") if path.name == "images.u8" else path, mode, **settings)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(
        DataError, match="No space left on device; set GANTUNE_CACHE to a folder with space"
    ):
        load(tmp_path / "a")
    assert list(cache.iterdir()) == []
