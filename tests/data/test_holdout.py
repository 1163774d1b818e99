from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gantune.config import DataConfig, make_config
from gantune.data import ImageSet, load_held_out, load_images, load_parts, resolve_data
from gantune.data.image_set import RawImages, from_arrays
from gantune.data.load import HoldoutSplit
from gantune.data.sources import pictures
from gantune.errors import ConfigError, DataError
from tests.data.making import load, noise, write_cifar, write_idx, write_pictures


def held_out(source: Path | str, **settings: Any) -> ImageSet | None:
    return load_held_out(DataConfig(source=str(source), **settings))


def both(source: Path | str, **settings: Any) -> tuple[ImageSet, ImageSet]:
    config = DataConfig(source=str(source), **settings)
    aside = load_held_out(config)
    assert aside is not None
    return load_images(config), aside


def counted(count: int) -> NDArray[np.uint8]:
    """Images [N, 8, 8], each filled with its own number."""
    return np.arange(count, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)


def numbers(images: ImageSet) -> list[int]:
    return [int(number) for number in images.array[:, 0, 0, 0]]


def test_a_share_is_held_out_and_never_trained_on(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counted(50))
    learned, aside = both(tmp_path / "a.npy", held_out=0.2)
    assert (len(learned), len(aside)) == (40, 10)
    assert sorted(numbers(learned) + numbers(aside)) == list(range(50))
    assert numbers(learned) == sorted(numbers(learned))
    assert numbers(aside) == sorted(numbers(aside))
    assert isinstance(learned.array, np.memmap)
    assert isinstance(aside.array, np.memmap)
    assert learned.split == "train but 20% held out"
    assert aside.split == "20% held out of train"
    whole = load(tmp_path / "a.npy")
    assert len({learned.content_hash, aside.content_hash, whole.content_hash}) == 3


def test_labels_go_with_their_images_and_keep_their_numbers(tmp_path: Path) -> None:
    labels = np.arange(50) % 5 + 3
    labels[7] = 100  # a class of one image: only one of the two sides has it
    np.savez(tmp_path / "a.npz", x=counted(50), y=labels)
    for images in both(tmp_path / "a.npz", held_out=0.3):
        assert images.classes == ("3", "4", "5", "6", "7", "100")
        assert images.labels is not None
        told = [int(images.classes[label]) for label in images.labels]
        assert told == [int(labels[number]) for number in numbers(images)]


def of(count: int, share: float, *, is_held_out: bool) -> set[int]:
    raw: RawImages = from_arrays(count, lambda i: np.zeros((1, 1), np.uint8))
    names = HoldoutSplit(share, is_held_out).of(raw, "a")
    return {int(names.name(i).removeprefix("image ")) for i in range(names.count)}


@given(st.integers(1, 400), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_the_two_parts_are_the_whole(count: int, share: float, other: float) -> None:
    aside = round(share * count)
    if min(aside, count - aside) < 2:
        with pytest.raises(DataError, match=rf"holds {aside} out and leaves {count - aside}"):
            of(count, share, is_held_out=True)
        with pytest.raises(DataError, match="held_out"):
            of(count, share, is_held_out=False)
        return
    held, learned = of(count, share, is_held_out=True), of(count, share, is_held_out=False)
    assert len(held) == aside
    assert held | learned == set(range(count))
    assert not held & learned
    if min(round(other * count), count - round(other * count)) >= 2:
        more, fewer = sorted((held, of(count, other, is_held_out=True)), key=len, reverse=True)
        assert fewer <= more


def test_the_choice_is_permanent() -> None:
    """A config trained again must learn the same images, whatever versions are installed."""
    assert of(20, 0.25, is_held_out=True) == {3, 9, 13, 15, 18}


def test_images_without_a_share_keep_their_entry_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "a.npy", counted(50))
    entries = tmp_path / "cache" / "data"
    load(tmp_path / "a.npy")
    load(tmp_path / "a.npy", held_out=0)
    assert len(list(entries.iterdir())) == 1
    for share in (0.1, 0.2):
        both(tmp_path / "a.npy", held_out=share)
    assert len(list(entries.iterdir())) == 5


def test_the_digits_keep_the_key_of_their_entry() -> None:
    """Caches that were written before there was anything to hold out stay valid."""
    from gantune.data.cache import entry_folder
    from gantune.data.decoding import ImageFormat

    images = load("digits")
    assert isinstance(images.array, np.memmap)
    entry = entry_folder("digits", ImageFormat(8, "gray"), None, "train")
    assert Path(str(images.array.filename)).parent == entry


def test_both_parts_have_one_format(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(20, 12, 12))
    learned, aside = both(tmp_path / "a.npy", held_out=0.5, resolution=16, colour="rgb")
    assert learned.array.shape == aside.array.shape == (10, 3, 16, 16)
    learned, aside = both(tmp_path / "a.npy", held_out=0.5)
    assert learned.array.shape == aside.array.shape == (10, 1, 12, 12)


def test_pictures_of_a_share(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", *(f"{i:02}.png" for i in range(20)))
    learned, aside = both(tmp_path / "a", held_out=0.25)
    assert sorted(numbers(learned) + numbers(aside)) == [10 * i for i in range(20)]


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_too_few_images_in_either_part(tmp_path: Path, share: float) -> None:
    np.save(tmp_path / "a.npy", counted(3))
    for read in (load, held_out):
        with pytest.raises(DataError, match=rf"held_out: {share} of the 3 images of .*another sh"):
            read(tmp_path / "a.npy", held_out=share)


def test_the_test_part_is_held_out_by_itself(tmp_path: Path) -> None:
    learned, test = noise(6, 10, 10), noise(4, 10, 10, seed=1)
    write_idx(tmp_path, learned, np.array([5, 7, 9, 5, 7, 9], np.uint8))
    write_idx(tmp_path, test, np.array([9, 7, 9, 7], np.uint8), part="t10k")
    found = held_out(tmp_path, resolution=10, colour="gray")
    assert found is not None
    assert np.array_equal(found.array[:, 0], test)
    assert (found.split, found.classes) == ("test", ("5", "7", "9"))
    assert found.labels is not None
    assert found.labels.tolist() == [2, 1, 2, 1]
    assert found.content_hash != load(tmp_path, split="test").content_hash  # numbered otherwise
    assert np.array_equal(load(tmp_path).array[:, 0], learned)
    assert load(tmp_path).split == "train"


def test_the_test_part_has_the_format_of_the_training_part(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(4, 12, 12))
    write_idx(tmp_path, noise(4, 10, 10), part="t10k")
    found = held_out(tmp_path)
    assert found is not None
    assert found.array.shape == (4, 1, 12, 12)
    assert found.native == (10, 10)


def test_the_test_part_of_cifar(tmp_path: Path) -> None:
    images = write_cifar(tmp_path / "cifar-10-batches-py")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    for source in (tmp_path, tmp_path / "a.tar.gz"):
        found = held_out(source)
        assert found is not None
        assert np.array_equal(found.array, images[10:])
        assert found.classes == load(source).classes


def test_an_unknown_class_removes_the_labels_of_the_test_part(
    tmp_path: Path,
) -> None:
    write_idx(tmp_path, noise(4, 8, 8), np.array([1, 2, 1, 2], np.uint8))
    write_idx(tmp_path, noise(4, 8, 8), np.array([1, 2, 3, 1], np.uint8), part="t10k")
    found = held_out(tmp_path)
    assert found is not None
    assert (found.labels, found.classes) == (None, ())
    (warning,) = found.warnings
    assert warning == "test has a class '3' that is not learned, so its labels are not used"


def test_classes_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    write_pictures(
        tmp_path, *(f"train/{name}/{n}.png" for name in ("Cat", "Dog") for n in range(2))
    )
    write_pictures(tmp_path, *(f"test/{name}/{n}.png" for name in ("cat", "Dog") for n in range(2)))
    found = held_out(tmp_path)
    assert found is not None and found.labels is None
    (warning,) = found.warnings
    assert warning.startswith(
        "test has a class 'cat', which train calls 'Cat': write both in the same upper and lower"
    )


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_labels_need_both_parts(tmp_path: Path, part: str) -> None:
    for name in ("train", "t10k"):
        labels = np.array([1, 2], np.uint8) if name == part else None
        write_idx(tmp_path, noise(2, 8, 8), labels, part=name)
    found = held_out(tmp_path)
    assert found is not None
    assert (found.labels, found.classes) == (None, ())


def test_nothing_is_held_out(tmp_path: Path) -> None:
    images = write_idx(tmp_path, noise(4, 8, 8))
    assert held_out(tmp_path) is None  # only the training part is there
    write_idx(tmp_path, noise(4, 8, 8), part="t10k")
    assert held_out(tmp_path) is not None
    assert held_out(tmp_path, held_out=0) is None
    assert held_out(tmp_path, split="test") is None
    assert held_out(images) is not None  # the test part that lies beside the file
    assert held_out(tmp_path / "t10k-images-idx3-ubyte") is None
    assert held_out("digits") is None
    assert held_out("gaussians:ring") is None


def test_a_share_is_of_the_part_that_is_trained_on(
    tmp_path: Path,
) -> None:
    write_idx(tmp_path, counted(20))
    write_idx(tmp_path, counted(10) + 100, part="t10k")
    learned, aside = both(tmp_path, held_out=0.5)
    assert sorted(numbers(learned) + numbers(aside)) == list(range(20))
    learned, aside = both(tmp_path, held_out=0.5, split="test")
    assert sorted(numbers(learned) + numbers(aside)) == list(range(100, 110))
    assert aside.split == "50% held out of test"


def test_a_damaged_test_part_names_a_remedy(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(4, 8, 8))
    write_idx(tmp_path, noise(4, 8, 8), part="t10k").write_bytes(b"no idx")
    with pytest.raises(DataError, match=r"t10k-images.*no IDX file.*held_out: 0 skips"):
        held_out(tmp_path)
    write_idx(tmp_path, noise(1, 8, 8), part="t10k")
    with pytest.raises(DataError, match=r"one image; .*held_out: 0 skips"):
        held_out(tmp_path)


def test_the_resolved_config_trains_on_the_same_images(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(80, 16, 16))
    data = {"source": str(tmp_path / "a.npy"), "held_out": 0.1}
    config = make_config({"data": data, "batch_size": 64})
    found = resolve_data(config)
    assert found.data.held_out == 0.1
    again = make_config(found.model_dump())
    assert load_images(again.data).content_hash == load_images(config.data).content_hash
    with pytest.raises(DataError, match="batch_size: 64 is more than the 40 images"):
        resolve_data(make_config({"data": data | {"held_out": 0.5}, "batch_size": 64}))


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (
            "atuo",
            "auto or train or val or test or unlabeled or extra or a number belongs here, not "
            "'atuo' (did you mean",
        ),
        ("0.1", "'0.1' is text where a number belongs (remove the quotes)"),
        (0.6, "input should be less than or equal to 0.5, not 0.6"),
        (-0.1, "input should be greater than or equal to 0, not -0.1"),
        (float("nan"), "data.held_out: "),
        (
            None,
            "auto or train or val or test or unlabeled or extra or a number belongs here, not null",
        ),
    ],
)
def test_shares_that_cannot_be(share: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config({"data": {"held_out": share}})
    assert message in str(caught.value)


def test_a_share_of_points_is_refused() -> None:
    tree = {"data": {"source": "gaussians", "held_out": 0.1}, "network": {"name": "mlp"}}
    with pytest.raises(ConfigError, match=r"data\.held_out: 'gaussians' gives points"):
        make_config(tree)


@pytest.mark.parametrize("place", ["a folder", "a zip"])
@pytest.mark.parametrize("choice", ["auto", "test", 0.5])
def test_the_files_of_a_source_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, choice: Any
) -> None:
    """A listing of a million files takes seconds."""
    folder = tmp_path / "set"
    for part in ("train", "test"):
        write_pictures(folder / part, *(f"{number}.png" for number in range(6)))
    source = folder
    if place == "a zip":
        source = Path(shutil.make_archive(str(folder), "zip", folder))
    listed = []
    for name in ("scan_folder", "scan_members"):
        real = getattr(pictures, name)

        def noted(*arguments: Any, real: Any = real, **settings: Any) -> Any:
            listed.append(arguments)
            return real(*arguments, **settings)

        monkeypatch.setattr(pictures, name, noted)
    for _ in range(2):  # decoded, then from the cache
        learned, held_out = load_parts(DataConfig(source=str(source), held_out=choice))
        assert held_out is not None
        assert len(learned) + len(held_out) == (6 if choice == 0.5 else 12)
    assert len(listed) == 2
    use = "not used" if choice == 0.5 else "held out to judge by"
    assert f"other parts: test (6) {use}" in learned.found
    assert "other parts" not in held_out.found
