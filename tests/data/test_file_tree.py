from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gantune.config import DataConfig
from gantune.data import load_held_out, load_parts
from gantune.errors import DataError
from tests.data.making import load, noise, write_idx, write_pictures


def zipped(folder: Path, separator: str = "/") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = file.relative_to(folder).as_posix().replace("/", separator)
                archive.writestr(name, file.read_bytes())
                archive.getinfo(name).filename = name
    return path


SETS: list[tuple[str, list[str], int, tuple[str, ...], str]] = [
    (
        "numbers in natural order",
        [f"{i}/a.png" for i in range(12)],
        12,
        tuple(str(i) for i in range(12)),
        "",
    ),
    (
        "chunks of FFHQ",
        ["00000/a.png", "01000/b.png", "02000/c.png"],
        3,
        (),
        "no classes, as its folders 00000, 01000, 02000 are numbered parts of one set",
    ),
    ("chunks of StyleGAN", ["00000/img00000999.png", "00001/img00001000.png"], 2, (), "no classes"),
    ("numbers that are no chunks", ["00000/1.png", "00001/1.png"], 2, ("00000", "00001"), ""),
    (
        "parts",
        ["train/a/1.png", "train/b/1.png", "val/a/1.png", "test/a/1.png"],
        2,
        ("a", "b"),
        "other parts: test (1) held out to judge by, val (1) not used",
    ),
    (
        "parts in a folder",
        ["set/train/1.png", "set/valid/1.png", "set/valid/2.png"],
        1,
        (),
        "other parts: val (2) held out to judge by",
    ),
    (
        "parts in every class",
        ["cat/train/1.png", "dog/train/1.png", "cat/test/1.png", "dog/test/1.png"],
        2,
        ("cat", "dog"),
        "other parts: test (2) held out to judge by",
    ),
    (
        "a class that is called train",
        ["train/1.png", "car/1.png"],
        2,
        ("car", "train"),
        "warning: its folder train is taken for a class; if it is a part of the set, ",
    ),
    (
        "unlabelled images beside the parts, as STL-10 has them",
        ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "unlabeled/1.png"],
        2,
        ("a", "b"),
        "other parts: test (2) held out to judge by, unlabeled (1) not used",
    ),
    (
        "more images beside the parts, as SVHN has them",
        ["train/1.png", "Extra/1.png", "Extra/2.png"],
        1,
        (),
        "other parts: extra (2) not used",
    ),
    (
        "unlabelled images beside classes",
        ["cat/1.png", "dog/1.png", "unlabelled/1.png"],
        3,
        ("cat", "dog", "unlabelled"),
        "warning: its folder unlabelled is taken for a class",
    ),
    (
        "two domains, as CycleGAN has them",
        ["trainA/1.png", "trainB/1.png", "trainB/2.png", "testA/1.png", "testB/1.png"],
        3,
        ("A", "B"),
        "other parts: test (2) held out to judge by",
    ),
    (
        "two domains without a test",
        ["trainA/1.png", "trainB/1.png"],
        2,
        ("A", "B"),
        "by the folders of the train part",
    ),
    (
        "two domains with words",
        ["train_photo/1.png", "train_map/1.png", "val_photo/1.png", "val_map/1.png"],
        2,
        ("map", "photo"),
        "other parts: val (2) held out to judge by",
    ),
    (
        "parts with years, as COCO has them",
        ["train2017/1.png", "val2017/1.png", "test2015/1.png", "unlabeled2017/1.png"],
        1,
        (),
        "other parts: test (1) held out to judge by, unlabeled (1) not used, val (1) not used",
    ),
    (
        "masks named with the parts",
        ["train_images/1.png", "train_masks/1.png", "test_images/1.png", "test_masks/1.png"],
        1,
        (),
        "other parts: test (1) held out to judge by",
    ),
    (
        "something else beside the parts",
        ["train/1.png", "test/1.png", "pred/1.png", "pred/2.png"],
        1,
        (),
        "2 beside the parts: pred/1.png",
    ),
    (
        "classes that begin like parts",
        ["train-station/1.png", "test-tube/1.png", "cat/1.png"],
        3,
        ("cat", "test-tube", "train-station"),
        "",
    ),
    (
        "only a val part",
        ["val/a/1.png", "val/b/1.png"],
        2,
        ("a", "b"),
        "only a val part is there: it is learned, as by data.split: val",
    ),
    ("only a test part", ["testing/1.png"], 1, (), "only a test part is there"),
    (
        "only a val part in every class",
        ["a/val/1.png", "b/val/1.png"],
        2,
        ("a", "b"),
        "only a val part is there",
    ),
    (
        "formats that are not read",
        ["a.png", "b.heic", "c.HEIC"],
        1,
        (),
        "2 to convert to JPEG or PNG first: b.heic",
    ),
    (
        "masks",
        ["images/1.png", "masks/1.png", "labels/1.png"],
        1,
        (),
        "2 folder beside images/: labels",
    ),
    (
        "masks in parts",
        ["train/images/1.png", "train/masks/1.png", "test/images/1.png"],
        1,
        (),
        "1 folder beside images/: train/masks",
    ),
    (
        "images with parts inside",
        ["images/train/1.png", "images/val/1.png", "labels/train/1.png"],
        1,
        (),
        "other parts: val (1) held out to judge by",
    ),
    (
        "what Synology leaves",
        ["a/1.png", "b/1.png", "@eaDir/1.png/x.png"],
        2,
        ("a", "b"),
        "of the system: @eaDir",
    ),
    (
        "thumbnails",
        ["a/1.png", "b/1.png", "thumbnails128x128/1.png"],
        2,
        ("a", "b"),
        "1 folder of thumbnails: thumbnails128x128",
    ),
    (
        "thumbnails alone, as FFHQ has them",
        ["thumbnails128x128/00000/00000.png", "thumbnails128x128/01000/01000.png", "LICENSE.txt"],
        2,
        (),
        "no classes, as its folders 00000, 01000 are numbered parts of one set",
    ),
    ("masks alone", ["masks/1.png", "images/readme.txt"], 1, (), "1 no image: images/readme.txt"),
    (
        "a search in the folder of its images",
        [
            *("a/1.png", "b/1.png", "runs/x/run.json", "runs/x/space.yaml", "runs/x/real.png"),
            *("runs/x/trials/0000/samples-0010kimg.png", "runs/x/artifacts/1234"),
        ],
        2,
        ("a", "b"),
        "3 written by gantune: runs/x/",
    ),
    (
        "a search that writes among its images",
        ["1.png", "2.png", "run.json", "space.yaml", "real.png", "trials/0000/neighbours.png"],
        2,
        (),
        "2 written by gantune: ",
    ),
    (
        "a training in the folder of its images",
        ["a/1.png", "b/1.png", "runs/config.yaml", "runs/ticks.jsonl", "runs/samples-0010kimg.png"],
        2,
        ("a", "b"),
        "1 written by gantune: runs/samples-0010kimg.png",
    ),
    ("classes called best and last", ["best/1.png", "last/1.png"], 2, ("best", "last"), ""),
    ("hidden", ["a/1.png", "b/1.png", ".cache/1.png"], 2, ("a", "b"), "1 hidden: .cache"),
    (
        "images beside folders",
        ["a/1.png", "b/1.png", "1.png"],
        3,
        (),
        "lie beside its folders: 1.png",
    ),
]


@pytest.mark.parametrize("form", ["folder", "zip", "zip of Windows"])
@pytest.mark.parametrize(
    ("names", "count", "classes", "said"), [case[1:] for case in SETS], ids=[c[0] for c in SETS]
)
def test_what_is_read_and_what_is_said(
    tmp_path: Path, form: str, names: list[str], count: int, classes: tuple[str, ...], said: str
) -> None:
    folder = tmp_path / "set"
    write_pictures(folder, *names)
    source = folder if form == "folder" else zipped(folder, "\\" if "Windows" in form else "/")
    images = load(source)
    assert (len(images), images.classes) == (count, classes)
    assert images.found.startswith(f"{count} image{'s' * (count > 1)} from {source}: ")
    assert said in images.found


def test_a_folder_and_its_zip_are_one_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_pictures(folder, *(f"{name}/{i}.png" for name in ORDER for i in range(2)))
    write_pictures(folder, "images/1.png", *(f"masks/{i}.png" for i in range(3)), ".git/a/1.png")
    for name in ("masks/a", ".idea/b", "lost+found"):
        (folder / name).mkdir(parents=True)
    forms = load(folder), load(Path(shutil.make_archive(str(folder), "zip", folder)))
    one, other = forms
    assert one.classes == other.classes and one.content_hash == other.content_hash
    assert (one.array == other.array).all()
    told = [images.found.split("not looked at")[1] for images in forms]
    assert told[0] == told[1]
    assert "1 folder beside images/: masks" in told[0] and "2 hidden" in told[0]


ORDER = ("cat", "cat 2", "cat-b", "cat.c", "dog", "dog/e", "cat!")


def test_of_a_zip_the_advice_is_to_unpack_it_first(tmp_path: Path) -> None:
    first = "unpack it (unzip set.zip -d FOLDER), then "
    for number, (names, said) in enumerate(
        [
            (["trainA/1.png", "trainB/2.png"], "name its folder as the source, such as {}/trainA"),
            (["train/1.png", "car/2.png"], "name the folder to learn as the source"),
            (["a.png", "a_L.png", "b.png", "b_L.png"], "put each kind into its own folder"),
        ]
    ):
        folder = tmp_path / str(number) / "set"
        write_pictures(folder, *names)
        found = load(folder).found
        assert said.format(folder) in found and "unpack" not in found
        assert first + said.format("FOLDER") in load(zipped(folder)).found


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_class_without_images_is_told(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "set"
    write_pictures(folder, "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/cat/2.png")
    for name in ("train/owl/new/1", "test/dog", "train/.git", "test/.idea", "train/cat/old"):
        (folder / name).mkdir(parents=True)
    source = folder
    if form == "zip":
        source = Path(shutil.make_archive(str(folder), "zip", folder))
    learned, held_out = load_parts(DataConfig(source=str(source)))
    for images, name in ((learned, "owl"), (held_out, "dog")):
        assert images is not None
        (said,) = [text for text in images.warnings if "no image" in text]
        assert said == f"no image in {name}, thus no class: add some, or remove the folder"
    assert learned.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "split", "count", "message"),
    [
        (["train/1.png", "unlabeled/1.png", "unlabeled/2.png"], "unlabeled", 2, ""),
        (["val/1.png"], "val", 1, ""),
        (["val/1.png"], "test", 0, "has no 'test' part; its folders are val"),
        (["trainA/1.png", "testA/1.png", "testB/1.png"], "train", 1, ""),
        (["trainA/1.png", "trainB/1.png", "testB/1.png"], "test", 1, ""),
        (
            ["train/1.png", "test/1.png"],
            "extra",
            0,
            "no 'extra' part; its folders are test, train",
        ),
    ],
)
def test_any_part_can_be_learned(
    tmp_path: Path, names: list[str], split: str, count: int, message: str
) -> None:
    write_pictures(tmp_path, *names)
    if message:
        with pytest.raises(DataError, match=message):
            load(tmp_path, split=split)
    else:
        assert len(load(tmp_path, split=split)) == count


def test_parts_can_be_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, *(f"{part}/{i}.png" for part in ("train", "val") for i in range(3)))
    write_pictures(tmp_path, "testing/1.png", "testing/2.png")
    assert [len(load(tmp_path, split=part)) for part in ("train", "val", "test")] == [3, 3, 2]

    def held_out(choice: Any) -> str:
        images = load_held_out(DataConfig(source=str(tmp_path), held_out=choice))
        return "" if images is None else f"{len(images)} {images.split}"

    assert [held_out(choice) for choice in ("auto", "val", "test", 0)] == [
        "2 test",
        "3 val",
        "2 test",
        "",
    ]
    with pytest.raises(DataError, match=r"the part that data\.split learns"):
        held_out("train")
    write_pictures(tmp_path / "b", "train/1.png", "val/1.png", "val/2.png")
    with pytest.raises(DataError, match=r"no 'test' part; it has train, val"):
        load_held_out(DataConfig(source=str(tmp_path / "b"), held_out="test"))
    with pytest.raises(DataError, match=r"no 'test' part; its folders are train, val"):
        load(tmp_path / "b", split="test")


def test_links_are_followed_without_circles(tmp_path: Path) -> None:
    write_pictures(tmp_path / "elsewhere", "1.png", "2.png")
    write_pictures(tmp_path / "set", "cat/1.png")
    root = tmp_path / "set"
    (root / "dog").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "out").symlink_to(tmp_path)
    (root / "self").symlink_to(root / "self")
    (root / "cat" / "gone.png").symlink_to(tmp_path / "no.png")
    images = load(root)
    assert images.class_sizes == {"cat": 1, "dog": 2}
    assert "2 a link to a folder that is read already" in images.found
    assert "2 broken link" in images.found


def test_a_folder_below_a_link_that_is_read_already_is_no_link(tmp_path: Path) -> None:
    write_pictures(tmp_path / "elsewhere", "one/1.png", "two/2.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "elsewhere" / "one")
    (tmp_path / "set" / "z").symlink_to(tmp_path / "elsewhere")
    images = load(tmp_path / "set")
    assert images.class_sizes == {"a": 1, "z": 1}
    assert "(1 folder that is read already: z/one)" in images.found


def test_images_are_told_by_content_where_no_name_tells(tmp_path: Path) -> None:
    picture = Image.new("L", (8, 8), 100)
    for name, kind in (
        ("a.ppm", "PPM"),
        ("b.pgm", "PPM"),
        ("c.jfif", "JPEG"),
        ("d.avif", "AVIF"),
        ("e", "PNG"),
        ("f.orig", "JPEG"),
        ("g.cr2x", "TIFF"),
        ("h.dat", "WEBP"),
    ):
        (picture.convert("RGB") if kind in ("AVIF", "WEBP") else picture).save(
            tmp_path / name, format=kind
        )
    (tmp_path / "notes.txt").write_text("BM")
    (tmp_path / "P1").write_text("P1 is no picture")
    images = load(tmp_path, colour="gray")
    assert len(images) == 8
    assert np.abs(images.array.astype(int) - 100).max() <= 3
    assert "2 files not looked at (2 no image: P1, ...)" in images.found


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_values_of_few_bits_in_16_bits(tmp_path: Path, bits: int) -> None:
    most = (1 << bits) - 1
    for number in range(3):
        pixels = np.linspace(0, most - number, 64).astype(np.uint16).reshape(8, 8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    images = load(tmp_path)
    assert images.array.max() == 255
    assert 120 < images.array.mean() < 135
    assert (f"use {bits} bits: scaled" in images.found) == (bits < 16)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([0] * 20, "nearly all of them are black"),
        ([90] * 19 + [200], "19 of 20 are one and the same"),
        ([*range(40, 58), 40, 41], "2 of 20 images are copies of others"),
    ],
)
def test_sets_that_show_nearly_nothing(tmp_path: Path, levels: list[int], said: str) -> None:
    for number, level in enumerate(levels):
        Image.new("L", (8, 8), level).save(tmp_path / f"{number}.png")
    images = load(tmp_path)
    assert images.found.count(said) == 1
    assert any(said in text for text in images.warnings)


def test_idx_files_of_one_part_are_used(tmp_path: Path) -> None:
    write_idx(tmp_path, noise(4, 8, 8), part="t10k")
    images = load(tmp_path)
    assert len(images) == 4
    assert "only a test part is there: it is learned" in images.found
    assert load_held_out(DataConfig(source=str(tmp_path))) is None
