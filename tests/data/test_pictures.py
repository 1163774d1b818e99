from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gantune.data import decoding
from gantune.data.image_set import Unreadable, unreadable_remedy, unreadable_text
from gantune.errors import DataError, UnreadableError
from tests.data.making import load, write_pictures


def zip_folder(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


Bring = Callable[[Path], Path]


@pytest.fixture(params=["folder", "zip"])
def brought(request: pytest.FixtureRequest, tmp_path: Path) -> Bring:
    """A function that hands a folder on as it is, or as a zip."""

    def bring(folder: Path) -> Path:
        if request.param == "folder":
            return folder
        return zip_folder(folder, tmp_path / "a.zip")

    return bring


def test_classes_are_the_first_folder_level(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", "dog/1.png", "cat/deep/2.png", "cat/1.PNG", "cat/note.gif")
    (tmp_path / "a" / "readme.txt").write_text("no image")
    images = load(brought(tmp_path / "a"))
    assert images.array[:, 0, 0, 0].tolist() == [20, 10, 30, 0]  # cat/1, cat/deep/2, cat/note, dog
    assert images.classes == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 0, 1]


def test_a_folder_around_all_of_them_is_no_class(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", "set/dog/1.png", "set/cat/1.png")
    assert load(brought(tmp_path / "a")).classes == ("cat", "dog")


@pytest.mark.parametrize(
    "names", [("1.png", "2.png"), ("a/1.png", "a/2.png"), ("a/1.png", "2.png")]
)
def test_no_labels_without_two_folders_that_hold_all(
    tmp_path: Path,
    brought: Bring,
    names: tuple[str, ...],
) -> None:
    write_pictures(tmp_path / "a", *names)
    images = load(brought(tmp_path / "a"))
    assert images.labels is None
    assert images.classes == ()


def test_hidden_files_are_ignored(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", "1.png", ".cache/2.png", ".3.png", "__MACOSX/4.png")
    assert len(load(brought(tmp_path / "a"))) == 1


def test_every_format_and_any_colour_makes_the_set_rgb(tmp_path: Path, brought: Bring) -> None:
    endings = ("png", "jpg", "jpeg", "bmp", "gif", "tif", "TIFF")
    write_pictures(tmp_path / "a", *(f"gray.{ending}" for ending in endings))
    source = brought(tmp_path / "a")
    assert load(source).array.shape == (7, 1, 8, 8)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a" / "z.webp", lossless=True)
    images = load(brought(tmp_path / "a")).array
    assert images.shape == (8, 3, 8, 8)
    assert images[7, :, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png", "avif"])
@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([1, 1], ""),
        ([2, 1], "1 further page of 1 file not looked at (0.x: of a stack"),
        ([3, 4, 1], "5 further pages of 2 files not looked at (0.x, ...: of a stack"),
    ],
)
def test_of_a_stack_or_animation_the_first_page_counts(
    tmp_path: Path, ending: str, pages: list[int], said: str
) -> None:
    for number, count in enumerate(pages):
        frames = [Image.new("RGB", (8, 8), (40 + 60 * i,) * 3) for i in range(count)]
        several: Any = {"save_all": True, "append_images": frames[1:]} if count > 1 else {}
        frames[0].save(tmp_path / f"{number}.{ending}", **several)
    images = load(tmp_path, colour="gray")
    assert np.abs(images.array.astype(int) - 40).max() <= 3
    assert said.replace(".x", f".{ending}") in images.found
    assert ("further page" in images.found) == bool(said)


@pytest.mark.parametrize(
    ("sizes", "said", "is_warning"),
    [
        ([(8, 8)], "", False),
        ([(8, 6)], "", False),
        ([(32, 18)], "the crop to a square keeps 56% of an image", False),
        ([(18, 32)], "the crop to a square keeps 56% of an image", False),
        ([(30, 13)], "the crop to a square keeps 43% of an image", True),
        ([(16, 8)], "if each shows 2 pictures side by side, cut them in 2", True),
        ([(8, 16)], "sides of exactly 2:1", True),
        ([(24, 8)], "the crop to a square keeps the middle 33%; if each shows 3 pictures", True),
        ([(16, 8), (8, 8), (8, 8)], "", False),
    ],
)
@pytest.mark.parametrize("kind", ["files", "array"])
def test_the_crop_says_what_it_leaves(
    tmp_path: Path, kind: str, sizes: list[tuple[int, int]], said: str, is_warning: bool
) -> None:
    source = tmp_path / "a"
    if kind == "files":
        for number, size in enumerate(sizes):
            write_pictures(source, f"{number}.png", size=size)
    elif len(sizes) == 1:
        source = tmp_path / "a.npy"
        np.save(source, np.full((1, *sizes[0][::-1]), 90, np.uint8))
    else:
        pytest.skip("an array has one size")
    images = load(source)
    assert said in images.found and ("the crop" in images.found) == bool(said)
    assert any("the crop" in text for text in images.warnings) == is_warning


def test_the_native_size_is_the_most_frequent(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", size=(30, 20))
    write_pictures(tmp_path, "b.png", "c.png", size=(12, 16))
    images = load(tmp_path)
    assert images.native == (16, 12)
    assert images.resolution == 12


def test_a_few_corrupt_images_are_skipped_and_named(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", *(f"{'xy'[i % 2]}/{i:03}.png" for i in range(200)), size=(4, 4))
    (tmp_path / "a" / "x" / "050.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    whole = (tmp_path / "a" / "y" / "051.png").read_bytes()
    (tmp_path / "a" / "y" / "051.png").write_bytes(whole[: len(whole) // 2])
    source = brought(tmp_path / "a")
    images = load(source)
    assert len(images) == 198
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [99, 99]
    assert "2 of 200 images cannot be read: x/050.png, y/051.png (cannot identify" in images.found
    assert [image.name for image in images.unreadable] == ["x/050.png", "y/051.png"]


def test_corrupt_images_are_named_each_time_once(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", *(f"{i:03}.png" for i in range(200)), size=(4, 4))
    (tmp_path / "a" / "050.png").write_bytes(b"no image")
    settings: list[dict[str, Any]] = [{}, {}, {"resolution": 4, "colour": "gray"}]
    for given in settings:  # made, read, and read without a look at the files
        images = load(tmp_path / "a", **given)
        assert images.found.count("1 of 200 images cannot be read: 050.png (") == 1
        assert images.found.count("050.png") == 1


def test_more_than_1_percent_is_refused(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", *(f"{i:03}.png" for i in range(99)), size=(4, 4))
    for number in range(5):
        (tmp_path / "a" / f"bad{number}.jpg").write_bytes(b"no image")
    source = brought(tmp_path / "a")
    with pytest.raises(UnreadableError) as error:
        load(source)
    named = "bad0.jpg, bad1.jpg, bad2.jpg and 2 more (cannot identify image file)"
    assert str(error.value) == (
        f"{source}: 5 of 104 images cannot be read: {named}, which gantune doctor "
        "--data lists. More than 1%: repair or remove them"
    )
    assert [image.name for image in error.value.images] == [f"bad{n}.jpg" for n in range(5)]


FORBIDDEN, BROKEN = "Permission denied", "image file is truncated"


@pytest.mark.parametrize(
    ("reasons", "told", "remedy"),
    [
        ([BROKEN], f"0 ({BROKEN})", "repair or remove them"),
        ([BROKEN] * 3, f"0, 1, 2 ({BROKEN})", "repair or remove them"),
        ([BROKEN] * 9, f"0, 1, 2 and 6 more ({BROKEN}), which gantune", "repair or remove them"),
        ([FORBIDDEN] * 2, f"0, 1 ({FORBIDDEN})", "let this user read them"),
        ([FORBIDDEN, BROKEN], f"0 ({FORBIDDEN}); 1 ({BROKEN})", "repair or remove them"),
        (list("abcde"), "0 (a); 1 (b); 2 (c); 2 more reasons, which", "repair or remove them"),
    ],
)
def test_unreadable_images_are_told_by_reason(reasons: list[str], told: str, remedy: str) -> None:
    images = [Unreadable(str(number), why) for number, why in enumerate(reasons)]
    start = f"{len(images)} of 99 images cannot be read: {told}"
    assert unreadable_text(images, 99).startswith(start)
    assert unreadable_remedy(reasons) == remedy


def test_a_forbidden_image_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/x/1.png")

    write_pictures(tmp_path / "a", "0.png", "1.png", size=(4, 4))
    monkeypatch.setattr(decoding, "convert_image", refuse)
    with pytest.raises(UnreadableError) as error:
        load(tmp_path / "a")
    message = "2 of 2 images cannot be read: 0.png, 1.png (Permission denied). More than 1%: let "
    assert message in str(error.value)


def test_none_that_can_be_read(tmp_path: Path, brought: Bring) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.png").touch()
    with pytest.raises(DataError, match=r"none of its images can be read, such as a\.png"):
        load(brought(tmp_path / "a"))


def test_postscript_in_disguise_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")
    with pytest.raises(DataError, match="none of its images can be read"):
        load(tmp_path)


def test_a_decompression_bomb_is_a_corrupt_image(tmp_path: Path, brought: Bring) -> None:
    write_pictures(tmp_path / "a", "a.png")
    Image.new("1", (20_000, 5_000)).save(tmp_path / "a" / "b.png")
    with pytest.raises(DataError, match=r"1 of 2 .*b\.png \(20000x5000 pixels are too many\)"):
        load(brought(tmp_path / "a"), resolution=8)


def test_a_folder_without_an_image_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image in it, at any depth; it is empty"):
        load(tmp_path)
    for name in ("x.npz", "a.txt"):
        (tmp_path / name).touch()
    with pytest.raises(
        DataError, match=r"it holds a\.txt, x\.npz\. x\.npz: not read: name it as the source itself"
    ):
        load(tmp_path)


def test_a_zip_without_an_image_or_truncated(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", "a.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.txt").touch()
    with pytest.raises(DataError, match=r"no image in it; it holds a\.txt"):
        load(zip_folder(tmp_path / "b", tmp_path / "b.zip"))
    path = zip_folder(tmp_path / "a", tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.zip: damaged or truncated"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.zip: damaged or truncated"):
        load(path)


def test_odd_names_in_a_zip(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", "a.png")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nameless", b"")
        archive.writestr("folder.png/", b"")
        archive.write(tmp_path / "a" / "a.png", "/b.png")
    path.write_bytes(path.read_bytes().replace(b"nameless", b"\0ameless"))
    assert len(load(path)) == 1
