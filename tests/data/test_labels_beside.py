"""Labels that lie beside images are used or told."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.making import load, noise, write_pictures

IMAGES = noise(6, 8, 8)
LABELS = np.array([3, 5, 3, 5, 7, 7])


def save(path: Path, array: Any) -> None:
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, array)


@pytest.mark.parametrize(
    ("images", "labels", "values", "classes", "said"),
    [
        (
            "kmnist-train-imgs.npz",
            "kmnist-train-labels.npz",
            LABELS,
            ("3", "5", "7"),
            "labels from",
        ),
        ("x_train.npy", "y_train.npy", LABELS, ("3", "5", "7"), "labels from y_train.npy"),
        ("images.npy", "labels.npz", LABELS, ("3", "5", "7"), "labels from labels.npz"),
        ("images.npy", "labels.npy", LABELS[:, None], ("3", "5", "7"), "labels from labels.npy"),
        ("X.npy", "y.npy", np.eye(3)[[0, 1, 2, 0, 1, 2]], ("0", "1", "2"), "labels from y.npy"),
        ("cats.npy", "cats_labels.npy", np.array(list("aabbcc")), ("a", "b", "c"), "labels from"),
        (
            "images.npy",
            "labels.npy",
            LABELS[:4],
            (),
            "warning: labels.npy beside it has 4 labels f",
        ),
        (
            "images.npy",
            "labels.npy",
            noise(6, 4),
            (),
            "warning: labels.npy beside it is not used: 4",
        ),
        (
            "images.npy",
            "labels.npy",
            np.array([None] * 6),
            (),
            "warning: labels.npy beside it is no",
        ),
        ("x_train.npy", "y_test.npy", LABELS, (), ""),
        ("cats.npy", "dogs_labels.npy", LABELS, (), ""),
        ("images.npy", "features.npy", LABELS, (), ""),
    ],
)
def test_labels_in_another_file(
    tmp_path: Path, images: str, labels: str, values: Any, classes: tuple[str, ...], said: str
) -> None:
    save(tmp_path / images, IMAGES)
    save(tmp_path / labels, values)
    found = load(tmp_path / images)
    assert found.classes == classes
    assert said in found.found and ("beside it" in found.found) == said.startswith("warning")
    save(tmp_path / labels, LABELS * 0)  # other labels: other images
    if classes:
        assert load(tmp_path / images).classes == ("0",)


def test_a_file_of_labels_alone_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / "labels.npy").write_bytes(b"\x93NUMPY broken")
    assert "labels.npy beside it is not used" in load(tmp_path / "images.npy").warnings[0]


@pytest.mark.parametrize("name", ["labels.csv", "images_labels.txt", "y.json", "other.csv"])
def test_tables_beside_an_array_are_told(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / name).touch()
    told = f"{name} may hold labels, which are not read: save them as an array, labels.npy"
    assert (told in load(tmp_path / "images.npy").found) == (name != "other.csv")


def test_labels_of_its_own_win(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", x=IMAGES, y=np.arange(6))
    np.save(tmp_path / "labels.npy", LABELS)
    found = load(tmp_path / "images.npz")
    assert len(found.classes) == 6 and "labels.npy" not in found.found


@pytest.mark.parametrize(
    ("name", "content", "is_told"),
    [
        ("train/metadata.jsonl", '{"file_name": "1.png", "label": 3}', True),
        ("labels.csv", "id,breed", True),
        ("data.csv", "Image Index,Finding Labels", True),
        ("train.csv", "image;class\n", True),
        ("list_attr_celeba.txt", "", True),
        ("image_class_labels.txt", "", True),
        ("_annotations.coco.json", "{}", True),
        ("imagelabels.mat", "", True),
        ("cars_annos.mat", "", True),
        ("Ground_Truth.mat", "", True),
        ("trainLabels.parquet", "", True),
        ("ISIC_2019_Training_GroundTruth.csv", "image,MEL,NV", True),
        ("anno_train.csv", "a.jpg,39,116,569,375,14", True),
        ("sample_submission.csv", "id,label", False),
        ("sampleSubmission.csv", "id,label", False),
        ("unlabeled.txt", "", False),
        ("cannot.txt", "", False),
        ("setid.mat", "", False),
        ("data.csv", "time,loss\nlabel,3", False),
        ("notes.txt", "label", False),
        ("README.md", "labels", False),
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_tables_of_labels_are_told(
    tmp_path: Path, name: str, content: str, is_told: bool, form: str
) -> None:
    source = tmp_path / "a"
    write_pictures(source, "train/1.png", "train/2.png")
    (source / name).write_text(content)
    if form == "zip":
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in (tmp_path / "a").rglob("*.*"):
                archive.write(file, file.relative_to(tmp_path / "a"))
    found = load(source).found
    said = f"{name} may hold labels, which are not read: for classes put the images of each class"
    assert (said in found) == is_told
    assert not (is_told and "save its images as files" in found)


def test_tables_beside_classes_are_not_told(tmp_path: Path) -> None:
    write_pictures(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "labels.csv").write_text("id,label")
    assert "may hold labels" not in load(tmp_path).found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["cat.{}.jpg", "dog.{}.jpg"], "names of files tell 2 groups (cat, dog): for classes put"),
        (["Abyssinian_{}.png", "great_dane_{}.png"], "2 groups (Abyssinian, great_dane)"),
        (["IMG_{}.png"], ""),
        (["{}.png"], ""),
        (["1_{}.png", "2_{}.png"], ""),
        (["cat.{}.jpg", "dog.{}.jpg", "{}.jpg"], ""),
    ],
)
def test_names_that_tell_classes(tmp_path: Path, names: list[str], said: str) -> None:
    write_pictures(tmp_path, *(name.format(i) for name in names for i in range(5)))
    found = load(tmp_path).found
    assert said in found and ("names of files" in found) == bool(said)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("sample_submission.csv", ", names of files tell 2 groups (cat, dog): for classes put"),
        (
            "train.csv",
            ", train.csv may hold labels, which are not read, and names of files tell 2 groups "
            "(cat, dog): for classes put",
        ),
    ],
)
def test_a_table_hides_no_names_that_tell_classes(tmp_path: Path, table: str, said: str) -> None:
    write_pictures(
        tmp_path, *(f"train/{name}.{i}.jpg" for name in ("cat", "dog") for i in range(5))
    )
    (tmp_path / table).write_text("id,label")
    assert said in load(tmp_path).found
