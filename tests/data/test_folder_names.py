"""What names of folders mean, by the layouts of sets that are known. Most read no file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gantune.config import Folders
from gantune.data.sources.file_scan import LeftOut, scan_members
from gantune.data.sources.file_tree import FileTree, arrange
from gantune.errors import DataError
from tests.data.making import load, write_pictures


def read(*folders: str, meaning: Folders = "auto") -> FileTree:
    """What is found where two images lie in each folder; a name with an ending is a file."""
    names = [
        name
        for folder in folders
        for name in ([folder] if "." in folder else [f"{folder}/x_7.png", f"{folder}/y_8.png"])
    ]
    found, left_out = scan_members(names, lambda _: b"", are_left_out=meaning != "classes")
    return arrange(found, (), left_out, None, "train", Path("set"), meaning)


PARTS: list[tuple[str, list[str], dict[str, int], tuple[str, ...]]] = [
    (
        "Intel's scenes",
        ["seg_train/seg_train/sea", "seg_train/seg_train/ice", "seg_test/seg_test/sea", "seg_pred"],
        {"train": 4, "test": 2},
        ("ice", "sea"),
    ),
    (
        "American sign language",
        ["asl_alphabet_train/asl_alphabet_train/A", "asl_alphabet_test/A.jpg"],
        {"train": 2, "test": 1},
        (),
    ),
    (
        "DIV2K",
        [
            *("DIV2K_train_HR", "DIV2K_valid_HR"),
            *("DIV2K_train_LR_bicubic/X2", "DIV2K_valid_LR_bicubic/X2"),
        ],
        {"train": 2, "val": 2},
        (),
    ),
    (
        "Market-1501",
        ["bounding_box_train", "bounding_box_test", "query", "gt_bbox"],
        {"train": 2, "test": 2},
        (),
    ),
    (
        "Omniglot",
        [
            *("images_background/Greek/character01", "images_background/Latin/character01"),
            "images_evaluation/Tengwar/character01",
        ],
        {"train": 4, "test": 2},
        ("Greek", "Latin"),
    ),
    ("nnU-Net", ["imagesTr", "imagesTs", "labelsTr"], {"train": 2, "test": 2}, ()),
    (
        "data bowl",
        ["stage1_train", "stage1_test", "stage2_test_final"],
        {"train": 2, "test": 2},
        (),
    ),
    ("dogs and cats", ["train", "test1"], {"train": 2, "test": 2}, ()),
    (
        "fruits",
        ["Training/Kiwi", "Training/Fig", "Test/Kiwi", "test-multiple_fruits", "papers"],
        {"train": 4, "test": 2},
        ("Fig", "Kiwi"),
    ),
    (
        "sets",
        ["training_set/cat", "training_set/dog", "test_set/cat"],
        {"train": 4, "test": 2},
        ("cat", "dog"),
    ),
    ("joined words", ["TrainSet", "ValSet"], {"train": 2, "val": 2}, ()),
    ("one word with a set", ["train_set", "test"], {"train": 2, "test": 2}, ()),
    (
        "numbers in names",
        ["train-clean-100", "train-clean-360", "test-clean"],
        {"train": 4, "test": 2},
        (),
    ),
    ("a prefix in words", ["my photos train", "my photos test"], {"train": 2, "test": 2}, ()),
    ("dots", ["faces.train", "faces.val/a"], {}, ()),
    ("train and eval", ["train", "eval"], {"train": 2, "val": 2}, ()),
    ("train_val", ["voc_train_val", "voc_test"], {"train": 2, "test": 2}, ()),
    ("a part in two pieces", ["train_1", "train_2", "test_1"], {"train": 4, "test": 2}, ()),
    ("pieces of one part", ["train_0", "train_1"], {}, ()),
    ("real and fake", ["training_real", "training_fake"], {}, ("training_fake", "training_real")),
    ("classes alike", ["express_train", "crash_test"], {}, ("crash_test", "express_train")),
    ("languages", ["tr", "ts", "en"], {}, ("en", "tr", "ts")),
    ("a background", ["background", "cat"], {}, ("background", "cat")),
    (
        "two kinds",
        ["ct_train", "ct_test", "mr_train", "mr_test"],
        {"train": 4, "test": 4},
        ("ct", "mr"),
    ),
    ("masks", ["ct_images_train", "ct_masks_train", "ct_images_test"], {"train": 2, "test": 2}, ()),
    (
        "more training images",
        ["train/cat", "train/dog", "train_aug/cat", "train_small/dog", "val/cat", "query/cat"],
        {"train": 4, "val": 2},
        ("cat", "dog"),
    ),
    ("a part twice", ["train", "trainval", "val", "test"], {"train": 2, "val": 2, "test": 2}, ()),
    (
        "a picture above",
        ["preview.png", "set/train/cat", "set/train/dog", "set/test/cat"],
        {"train": 4, "test": 2},
        ("cat", "dog"),
    ),
    (
        "a picture in another folder",
        ["docs/logo.png", *(f"set/{part}/{n}.png" for part in ("train", "test") for n in range(9))],
        {"train": 9, "test": 9},
        (),
    ),
    (
        "parts below classes",
        ["cat/train", "cat/test", "dog/train", "dog/test"],
        {"train": 4, "test": 4},
        ("cat", "dog"),
    ),
    (
        "MVTec",
        [
            f"{name}/{folder}"
            for name in ("bottle", "cable")
            for folder in ("train/good", "test/good", "test/crack", "ground_truth/crack")
        ],
        {"train": 4, "test": 8},
        ("bottle", "cable"),
    ),
    (
        "a class without a test part",
        ["rose/train", "rose/test", "lily/train", "lily/test", "iris/train"],
        {"train": 6, "test": 4},
        ("iris", "lily", "rose"),
    ),
    ("parts of one class", ["cat/train", "cat/test", "dog/photos"], {}, ("cat", "dog")),
    ("parts of one class of files", ["cat/train", "cat/test", "dog/1.png"], {}, ("cat", "dog")),
    ("images beside parts of classes", ["a/train", "a/test", "b/train", "b/1.png"], {}, ("a", "b")),
    (
        "many images above",
        ["1.png", "2.png", "3.png", "4.png", "5.png", "a/train", "a/test"],
        {},
        (),
    ),
    (
        "parts of different folders",
        ["transport/train", "transport/car", "lab/test", "lab/desk"],
        {},
        ("lab", "transport"),
    ),
    ("domains of a test part", ["testA", "testB"], {}, ("A", "B")),
    ("domains of a val part", ["valA", "valB"], {}, ("A", "B")),
    ("two languages", ["tr", "te"], {}, ("te", "tr")),
    ("no train part among others", ["val", "test", "bus"], {}, ("bus", "test", "val")),
]


@pytest.mark.parametrize(
    ("folders", "sizes", "classes"), [each[1:] for each in PARTS], ids=[each[0] for each in PARTS]
)
def test_parts(folders: list[str], sizes: dict[str, int], classes: tuple[str, ...]) -> None:
    tree = read(*folders)
    assert (dict(tree.sizes), tree.classes) == (sizes, classes)


CHUNKS: list[tuple[str, list[str], tuple[str, ...], str]] = [
    ("NIH", ["images_001/images", "images_002/images"], (), "numbered parts of one set"),
    ("dates", ["2023/01/15", "2023/01/16", "2023/02/01", "2024/11/30"], (), "2023, 2024 are dates"),
    ("one year", ["2023/01/15", "2023/02/01"], (), "01, 02 are dates"),
    ("one month", ["2023/01/15", "2023/01/31"], (), "15, 31 are dates"),
    ("days", ["2023-01-15", "2023-01-16"], (), "dates"),
    ("days without dashes", ["20230115", "20231231"], (), "dates"),
    ("named months", ["2023/01-January", "2023/02-February"], (), "dates"),
    ("months in words", ["2023/Jan", "2023/Feb"], (), "dates"),
    ("whole months", ["2023/March", "2023/Sept", "2023/september"], (), "dates"),
    ("animals of a year", ["2020/octopus", "2020/marten"], ("marten", "octopus"), ""),
    ("names of a year", ["2019/Mark", "2019/Maria", "2019/Julia"], ("Julia", "Maria", "Mark"), ""),
    ("months with numbers", ["01.2023", "02.2023"], (), "dates"),
    ("ten thousands", [f"{n // 10_000:02}/{n}.png" for n in range(5000, 15_000)], (), "numbered"),
    (
        "numbers of StyleGAN's form",
        ["00000/img00000001.png", "00001/img00000150.png"],
        ("00000", "00001"),
        "",
    ),
    (
        "a patient twice",
        ["part1/p1", "part1/p2", "part1/p3", "part2/p3", "part2/p4"],
        (),
        "numbered parts",
    ),
    (
        "words in hashes",
        ["fad/fad4567890abcdef.png", "bee/bee4567890abcdef.png"],
        ("bee", "fad"),
        "",
    ),
    ("people in pieces", ["part1/alice", "part2/carol"], ("alice", "carol"), "numbered parts"),
    ("a month of a year", ["2023-01/15", "2023-01/16"], (), "dates"),
    ("European dates", ["15.01.2023/a_1.png", "16.01.2023/a_1.png"], (), "dates"),
    ("numbers that are no dates", ["2023/01", "2023/13"], ("01", "13"), ""),
    ("months alone", ["01", "02"], ("01", "02"), ""),
    ("HAM10000", ["HAM10000_images_part_1", "HAM10000_images_part_2"], (), "numbered parts"),
    ("folds", ["fold1", "fold10"], (), "numbered parts"),
    ("copies of an archive", ["archive", "archive (1)", "archive (2)"], (), "numbered parts"),
    ("shards", ["shard-00000-of-00002", "shard-00001-of-00002"], (), "numbered parts"),
    ("lettered parts", ["part_A/images", "part_B/images"], (), "numbered parts"),
    ("discs", ["disc1", "disc2"], (), "numbered parts"),
    ("ranges", ["1-1000/7.png", "1001-2000/1001.png"], (), "numbered parts"),
    ("ages", ["20-29/1.png", "30-39/2.png"], ("20-29", "30-39"), ""),
    ("a camera", ["100CANON", "101CANON"], (), "numbered parts"),
    ("hundreds", [f"{n // 100:02}/{n}.png" for n in range(10, 205)], (), "numbered parts"),
    ("StyleGAN", ["00000/img00000001.png", "00001/img00001999.png"], (), "numbered parts"),
    ("FFHQ", ["00000/00001.png", "69000/69999.png"], (), "numbered parts"),
    ("a part of FFHQ", ["01000/01001.png", "69000/69999.png"], (), "numbered parts"),
    ("digits", ["0/1.png", "1/1.png"], ("0", "1"), ""),
    ("numbered classes", ["class_1", "class_2"], ("class_1", "class_2"), ""),
    ("people", ["person_01", "person_02"], ("person_01", "person_02"), ""),
    ("ImageNet", ["n01440764", "n01443537"], ("n01440764", "n01443537"), ""),
    ("numbers of birds", ["001.Wren", "002.Kite"], ("001.Wren", "002.Kite"), ""),
    (
        "classes in pieces",
        ["part1/cat", "part1/dog", "part2/cat", "part2/dog"],
        ("cat", "dog"),
        "its folders part1, part2 are numbered parts of one set",
    ),
    ("patients in pieces", ["part1/p1", "part1/p2", "part2/p3", "part2/p4"], (), "numbered parts"),
    (
        "Places365",
        ["a/abbey", "a/airfield", "b/bar"],
        ("abbey", "airfield", "bar"),
        "are the first letters of the names in them",
    ),
    ("landmarks", ["0/1/2/012ab.png", "f/e/a/fea01.png"], (), "first letters of the names"),
    (
        "landmarks below folders",
        ["all/0/1/2/012ab56789abcdef.png", "all/0/f/2/0f2ab56789abcdef.png"],
        (),
        "first letters of the names",
    ),
    (
        "landmarks in parts",
        [
            *("train/0/1/2/012ab56789abcdef.png", "train/f/1/2/f12ab56789abcdef.png"),
            *("test/0/1/2/012ac56789abcdef.png", "test/f/1/2/f12ac56789abcdef.png"),
        ],
        (),
        "first letters of the names",
    ),
    (
        "hashes below a folder",
        ["im/0a/0a12345678abcdef.png", "im/f0/f012345678abcdef.png"],
        (),
        "first",
    ),
    ("digits below a letter", ["d/0/d0000.png", "d/1/d1000.png"], ("0", "1"), ""),
    ("hashes", ["0a/0a12345678abcdef.png", "ff/ff12345678abcdef.png"], (), "first letters"),
    ("letters", ["A/A1.png", "B/B1.png"], ("A", "B"), ""),
    ("sides", ["L", "R"], ("L", "R"), ""),
    (
        "pieces of the train part",
        ["train/images_01", "train/images_02", "test/images_01"],
        (),
        "num",
    ),
]


ORDINARY: list[list[str]] = [
    ["01/0100.png", "01/0101.png", "02/0200.png"],
    ["001/00101.png", "002/00201.png"],
    ["0001/00010001.jpg", "0002/00020001.jpg"],
    ["01/s0103.jpg", "02/s0203.jpg"],
    ["00/0000.png", "01/0100.png"],
    ["00000/00000_00000.png", "00001/00001_00000.png"],
    ["lang_tr", "lang_te", "lang_en"],
    ["tr_print", "ts_print", "en_print"],
    ["soil_background", "soil_test", "soil_weed"],
    ["GT", "LR2", "LR4", "Evoque"],
    ["Ford GT", "Ford LR"],
    ["RGB", "no label", "depth map"],
    ["fist", "palm", "thumbs_up", "thumbs_down"],
    ["1990", "2000", "2010"],
    ["2022", "2023"],
    ["190101", "200102"],
    ["000000", "008000", "800000"],
    ["test_a", "test_b", "test_c"],
    ["dev a", "dev b"],
    ["ad/ad1234.png", "be/be1234.png"],
    ["1000CANON", "1001CANON"],
    ["HR", "LR", "DE"],
    ["parta", "partb"],
    ["2020/1", "2020/2", "2020/3"],
    ["set_A", "set_B"],
    ["CD 1", "CD 2"],
    ["six pack 1", "six pack 2"],
    ["10000/10000_1.png", "20000/20000_1.png", "50000/50000_2.png"],
    ["1/1000200030004000.png", "2/2000200030004001.png"],
    ["bus", "car", "train"],
    ["A", "A1"],
    ["s1", "s2"],
]


@pytest.mark.parametrize("folders", ORDINARY, ids=" ".join)
@pytest.mark.parametrize("above", ["", "all/", "train/"])
def test_ordinary_classes_stay(folders: list[str], above: str) -> None:
    """With all their images, also where the same classes are in a test part."""
    test = [name.replace(".png", "7.png") for name in folders]
    others = [f"test/{name}" for name in test] if above == "train/" else []
    tree = read(*(above + name for name in folders), *others)
    known = {name.partition("/")[0] for name in folders if "." in name} or set(folders)
    assert set(tree.classes) == {name.rpartition("/")[2] for name in known}
    assert len(tree.names) == sum(1 if "." in name else 2 for name in folders)


@pytest.mark.parametrize(
    ("folders", "classes", "said"), [each[1:] for each in CHUNKS], ids=[c[0] for c in CHUNKS]
)
def test_folders_that_only_divide_a_set(
    folders: list[str], classes: tuple[str, ...], said: str
) -> None:
    expanded = []
    for name in folders:  # a dot that is no ending
        is_file = name.endswith(".png")
        expanded += [name] if is_file else [f"{name}/x_7.png", f"{name}/y_8.png"]
    tree = read(*expanded)
    assert tree.classes == classes
    assert said in " ".join(tree.notes)
    assert ("data.folders: classes if they are" in " ".join(tree.notes)) == bool(
        said and not classes
    )


COMPANIONS: list[tuple[str, list[str], int, tuple[str, ...]]] = [
    ("Pascal VOC", ["JPEGImages", "SegmentationClass", "SegmentationObject"], 2, ()),
    ("Cityscapes", ["leftImg8bit/train/a", "leftImg8bit/val/a", "gtFine/train/a"], 2, ()),
    ("pairs of super-resolution", ["HR", "LR"], 2, ()),
    ("pairs with a factor", ["HR", "LR_bicubic/X2", "LR_bicubic/X4"], 2, ()),
    ("NYU", ["rgb", "depth"], 2, ()),
    ("KITTI", ["image_2", "label_2"], 2, ()),
    ("words", ["xray images", "xray masks"], 2, ()),
    ("CelebAMask-HQ", ["CelebA-HQ-img", "CelebAMask-HQ-mask-anno/0"], 2, ()),
    ("thumbnails beside images", ["thumbnails", "1.png"], 1, ()),
    ("faces with masks", ["mask", "no_mask"], 4, ("mask", "no_mask")),
    ("masks of something else", ["cat images", "dog masks"], 4, ("cat images", "dog masks")),
]


@pytest.mark.parametrize(
    ("folders", "count", "classes"), [e[1:] for e in COMPANIONS], ids=[e[0] for e in COMPANIONS]
)
def test_what_belongs_to_images(folders: list[str], count: int, classes: tuple[str, ...]) -> None:
    tree = read(*folders)
    assert (len(tree.names), tree.classes) == (count, classes)


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (["part1/a", "part2/b"], ("part1", "part2")),
        (["2022-01", "2023-12"], ("2022-01", "2023-12")),
        (["images", "masks"], ("images", "masks")),
        (["HR", "LR", "thumbnails"], ("HR", "LR", "thumbnails")),
        (["set/a", "set/b"], ("a", "b")),
    ],
)
def test_the_user_says_what_folders_mean(folders: list[str], classes: tuple[str, ...]) -> None:
    assert read(*folders).classes != classes or folders[0] == "set/a"
    as_classes = read(*folders, meaning="classes")
    assert (as_classes.classes, len(as_classes.names)) == (classes, 2 * len(folders))
    assert not [text for text in as_classes.notes if text.startswith("warning")]
    assert read(*folders, meaning="none").classes == ()


@pytest.mark.parametrize("above", ["", "all/", "train/"])
def test_images_beside_classes_are_named_and_left_out_if_the_user_says_so(above: str) -> None:
    others = ["test/oak", "test/elm"] if above == "train/" else []
    folders = [f"{above}oak", f"{above}elm", f"{above}cover.jpg", *others]
    tree = read(*folders)
    assert (tree.classes, len(tree.names)) == ((), 5)
    assert f"as images lie beside its folders: {above}cover.jpg (data.folders" in tree.notes[0]
    tree = read(*folders, meaning="classes")
    assert (tree.classes, len(tree.names)) == (("elm", "oak"), 4)
    assert f"1 beside the classes: {above}cover.jpg" in tree.notes[-1]


def test_images_are_left_out_without_telling_anything_twice(tmp_path: Path) -> None:
    folder = tmp_path / "zoo"
    write_pictures(folder, "set/cover.png", "set/cat/1.png", "set/dog/1.png")
    (folder / "other").mkdir()
    images = load(folder, folders="classes")
    assert images.classes == ("cat", "dog")
    assert [text for text in images.warnings if "no image" in text] == [
        "no image in other, thus no class: add some, or remove the folder"
    ]


def test_what_the_user_says_leaves_parts_alone() -> None:
    folders = ["train/fold1", "train/fold2", "test/fold1", "test/fold2"]
    assert read(*folders).classes == ()
    tree = read(*folders, meaning="classes")
    assert (tree.classes, dict(tree.sizes)) == (("fold1", "fold2"), {"train": 4, "test": 4})


@pytest.mark.parametrize("part", [["fold1/7.png", "fold2/8.png"], ["fold1", "fold2", "other"]])
def test_parts_agree_on_what_folders_mean(part: list[str]) -> None:
    """The folders of all parts decide, whichever part is read."""
    names = [f"train/{name}" for name in ["fold1/1.png", "fold2/2.png"]]
    held = [f"test/{name}" if "." in name else f"test/{name}/1.png" for name in part]
    found = {
        split: arrange([*names, *held], (), LeftOut(), None, split, Path("set")).classes
        for split in ("train", "test")
    }
    assert bool(found["train"]) == bool(found["test"]) == (len(part) == 3)


@pytest.mark.parametrize(
    ("folders", "remedy"),
    [
        (["val", "test"], "val or test"),
        (["test", "extra"], "test or extra"),
        (["unlabeled", "test"], "test or unlabeled"),
        (["unlabeled/cat", "extra/cat", "val/cat"], "val or unlabeled or extra"),
    ],
)
def test_a_set_without_what_is_learned_says_which_part_is_there(
    folders: list[str], remedy: str
) -> None:
    with pytest.raises(DataError, match=f"to learn another one, set data.split to {remedy}$"):
        read(*folders)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_the_meaning_of_folders_is_a_setting(tmp_path: Path, form: str) -> None:
    write_pictures(tmp_path / "a", "images/1.png", "masks/2.png")
    source = tmp_path / "a"
    if form == "zip":
        source = Path(shutil.make_archive(str(source), "zip", source))
    found = [load(source, folders=meaning) for meaning in ("auto", "classes", "none", "auto")]
    assert [len(images) for images in found] == [1, 2, 1, 1]
    assert found[1].classes == ("images", "masks")
    with pytest.raises(DataError, match=r"data\.folders: 'digits' is no folder or zip"):
        load("digits", folders="none")


FILES: list[tuple[str, list[str], list[str]]] = [
    ("BUSI", ["b (1).png", "b (1)_mask.png", "b (1)_mask_1.png", "b (2).png"], ["b (1)", "b (2)"]),
    ("Cityscapes", ["a_0_leftImg8bit.png", "a_0_gtFine_color.png"], ["a_0_leftImg8bit"]),
    ("Carvana", ["x_01.jpg", "x_01_mask.gif"], ["x_01"]),
    ("a mask first", ["mask_1.png", "img_1.jpg"], ["img_1"]),
    ("a mask first of a bare number", ["mask_1.png", "1.jpg"], ["1"]),
    ("super-resolution", ["img_1_SRF_2_HR.png", "img_1_SRF_2_LR.png"], ["img_1_SRF_2_HR"]),
    ("an image and its labels", ["a_image.png", "a_label.png"], ["a_image"]),
    ("joined words", ["catMask.png", "cat.png"], ["cat"]),
    ("a mask of another", ["cat_mask.png", "dog.png"], ["cat_mask", "dog"]),
    ("words that hold such a word", ["unmasked.png", "un.png"], ["un", "unmasked"]),
    ("labels in text", ["a.png", "a_mask.txt"], ["a"]),
    ("no image beside", ["mask.png", "label.png"], ["label", "mask"]),
    ("channels", ["a.png", "a_alpha_0.png", "a_alpha_1.png"], ["a", "a_alpha_0", "a_alpha_1"]),
    ("cars", ["cat.png", "cat_gt_0.png", "cat_gt_1.png"], ["cat", "cat_gt_0", "cat_gt_1"]),
    ("letters", ["alpha_1.png", "1.png"], ["1", "alpha_1"]),
]


@pytest.mark.parametrize(
    ("files", "left"), [each[1:] for each in FILES], ids=[each[0] for each in FILES]
)
@pytest.mark.parametrize("folders", [("", "more/"), ("cat/", "dog/")])
def test_masks_beside_their_images(
    files: list[str], left: list[str], folders: tuple[str, str]
) -> None:
    tree = read(*(folder + name for folder in folders for name in files))
    for folder in folders:
        stems = [Path(name).stem for name in tree.names if str(Path(name).parent) == folder[:-1]]
        assert sorted(stems) == left or folder == ""
    assert len(tree.names) == 2 * len(left)
    masks = sum(name.endswith((".png", ".jpg", ".gif")) for name in files) - len(left)
    assert ("mask or version of an image beside it" in tree.left_out.text()) == (masks > 0)


@pytest.mark.parametrize(
    ("files", "owner"),
    [
        (["ford.jpg", "ford_gt.jpg"], "ford.jpg"),
        (["500.jpg", "gt500.jpg", "mini.jpg"], "500.jpg"),
        (["wine_01.jpg", "wine_01_label.jpg"], "wine_01.jpg"),
        (["gas.png", "gas mask.png", "a.png", "b.png"], "gas.png"),
        (["ocean.png", "ocean_depth.png"], "ocean.png"),
        (["sea_HR.png", "sea_LR.png"], "sea_HR.png"),
        (["a.png", "a_mask.png", "b.png", "b_mask.png", "c.png", "d.png", "e.png"], "a.png"),
        (["a.png", "a_mask.png", "b.png", "b_label.png"], "a.png"),
        (["a.png", "a_mask.png", "a_mask_1.png", "a_mask_2.png"], "a.png"),
        (["x/a.png", "x/a_mask.png", *(f"y/{i}.png" for i in range(9))], "x/a.png"),
        (["1.heic", "1_mask.png", "2.png"], "1.heic"),
    ],
)
def test_photos_are_no_masks_by_coincidence(files: list[str], owner: str) -> None:
    tree = read(*files)
    assert len(tree.names) == sum(not name.endswith(".heic") for name in files)
    (told,) = (note for note in tree.notes if "called like masks" in note)
    assert told.startswith("warning: ") and f" beside {owner}: if that is what they" in told


@pytest.mark.parametrize(
    "files",
    [
        ["a.png", "a_mask.png", "b.png", "b_mask.png", "c.png", "d.png"],  # half of them
        ["x/a.png", "x/a_mask.png", "x/b.png", "x/b_mask.png", *(f"y/{i}.png" for i in range(9))],
        ["1.heic", "1_mask.png", "2.heic", "2_mask.png", "3.png"],
        [f"case{i}/scan{end}.png" for i in range(3) for end in ("", "_mask")],
    ],
)
def test_masks_of_a_share_of_the_images_are_left_out(files: list[str]) -> None:
    tree = read(*files)
    assert [name for name in tree.names if "mask" in name] == []
    assert "called like masks" not in " ".join(tree.notes)


@pytest.mark.parametrize(
    ("files", "learned", "said"),
    [
        (["images/1.heic", "masks/1.png"], "masks/1.png", "1 to convert to JPEG or PNG first"),
        (["images.zip", "a/thumbnails/1.png", "a/x.txt"], "a/thumbnails/1.png", "1 to unpack"),
        (["1.heic", "1_mask.png", "2.HEIC", "2_mask.png"], "1_mask.png", "2 to convert"),
        (["images/readme.txt", "masks/1.png"], "masks/1.png", ""),
        (["images/1.heic", "images/2.png", "masks/1.png"], "images/2.png", ""),
    ],
)
def test_masks_in_place_of_images_that_cannot_be_read_are_warned_of(
    files: list[str], learned: str, said: str
) -> None:
    tree = read(*files)
    assert tree.names[0] == learned
    told = [note for note in tree.notes if "the other images cannot be read" in note]
    assert len(told) == bool(said)
    assert all(said in note and f"such as {learned}, as" in note for note in told)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["1.png", "1_L.png", "2.png", "2_L.png"], "such as 1.png and 1_L.png: both are learned"),
        (["a/1.jpg", "a/1.png", "b/2.jpg", "b/2.png"], "such as a/1.jpg and a/1.png"),
        (["1.png", "1 flipped.png", "2.png", "2 flipped.png"], "come in pairs"),
        (["1.png", "1_1.png", "2.png", "2_1.png"], ""),
        (["1.png", "1_L.png", "2.png", "3.png", "4.png"], ""),
        (["a/1.png", "b/1.png", "a/2.png", "b/2.png"], ""),
        ([*(f"{i}{end}.png" for i in range(4) for end in ("", "_L")), "8.png", "9.png"], ""),
        ([*(f"{i}{end}.png" for i in range(9) for end in ("", "_L")), "10.png", "11.png"], "pairs"),
        (["cat.png", "cat_no2.png", "dog.png", "dog_no2.png"], ""),
    ],
)
def test_pairs_are_warned_of(files: list[str], said: str) -> None:
    notes = " ".join(read(*files).notes)
    assert said in notes and ("in pairs" in notes) == bool(said)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("new\nline", "new\\nline"),
        ("tab\tand bell\a", "tab\\tand bell\\x07"),
        ("line\u2028end", "line\\u2028end"),
        ("odd\udcff", "odd\\udcff"),
        ("猫 🦊 [bold] 👨\u200d👩", "猫 🦊 [bold] 👨\u200d👩"),
    ],
)
def test_names_of_classes_are_one_line(tmp_path: Path, name: str, shown: str) -> None:
    write_pictures(tmp_path, f"{name}/1.png", "other/1.png", "other/a\nb.txt")
    images = load(tmp_path)
    assert set(images.classes) == {shown, "other"}
    assert shown in images.found and images.found.isprintable() == shown.isprintable()
    assert len(images.found.splitlines()) == 1


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (["train", "car"], "its folder train is taken for a class; if it is a part of the set"),
        (
            ["CUB_200/images/a", "CUB_200/images/b", "segmentations/a"],
            "segmentations is taken for a class; if it holds masks",
        ),
        (
            ["images/vangogh", "resized/resized"],
            "resized is taken for a class; if it holds versions",
        ),
        (
            ["entrenamiento/gato", "entrenamiento/perro", "prueba/gato", "prueba/perro"],
            "each of its folders holds gato, perro: if these are the classes, name one",
        ),
        (
            ["cat/train", "cat/test", "dog/photos"],
            "cat has the parts test, train, but too many images are in folders without parts, such "
            "as dog/photos: all images are learned, those of tests too; move them",
        ),
        (
            ["1.png", "2.png", "3.png", "4.png", "5.png", "a/train", "a/test"],
            "too many images are above it: all",
        ),
    ],
)
def test_classes_that_may_be_something_else_are_warned_of(folders: list[str], said: str) -> None:
    assert said in " ".join(read(*folders).notes)
