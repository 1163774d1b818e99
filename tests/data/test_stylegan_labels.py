"""Labels of ``dataset.json``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import DataError
from tests.data.making import load, write_pictures


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize(
    ("labels", "classes", "given"),
    [
        (None, (), None),
        ([["00000/img00000000.png", 10], ["00000/img00000001.png", 2]], ("2", "10"), [1, 0]),
        ([["00000\\img00000000.png", 3], ["00000\\img00000001.png", 3]], ("3",), [0, 0]),
        ([["00000/img00000000.png", 2.0], ["00000/img00000001.png", 1.0]], ("1", "2"), [1, 0]),
        ([["00000/img00000000.png", "b"], ["00000/img00000001.png", "a"]], ("a", "b"), [1, 0]),
        (
            [["00000/img00000000.png", [0, 1]], ["00000/img00000001.png", [1, 0]]],
            ("0", "1"),
            [1, 0],
        ),
    ],
)
def test_labels_of_stylegan(
    tmp_path: Path, is_zip: bool, labels: Any, classes: tuple[str, ...], given: list[int] | None
) -> None:
    folder = tmp_path / "set"
    write_pictures(folder, "00000/img00000000.png", "00000/img00000001.png")
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    images = load(Path(shutil.make_archive(str(folder), "zip", folder)) if is_zip else folder)
    assert images.classes == classes
    assert "not looked at" not in images.found
    assert (None if images.labels is None else images.labels.tolist()) == given


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"labels": [["a.png", 1]]}', "has no label for 1 of 2 images, such as b.png"),
        ('{"labels": [["a.png", 1.5], ["b.png", 1]]}', "labels of several kinds"),
        ('{"labels": [["a.png", 1.5], ["b.png", 2.0]]}', "holds 1.5, which is no class"),
        ('{"labels": [["a.png", null], ["b.png", 1]]}', r'holds \["a.png", null\], where a pair'),
        ('{"labels": [["a.png", [1, 2]], ["b.png", [1]]]}', "give one kind"),
        ('{"labels": [["a.png"]]}', "where a pair of a file's name and a whole number belongs"),
        ('{"labels": [[' + "1, " * 99 + "1]]}", r"1, 1,\.\.\., where a pair"),
        ('{"labels": {"a.png": 1}}', "neither a list nor null"),
        ("{", "is no JSON"),
    ],
)
def test_labels_of_stylegan_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_labels_do_not_depend_on_what_folders_mean(tmp_path: Path) -> None:
    write_pictures(tmp_path, "x/a.png", "y/b.png")
    given = {"labels": [["x/a.png", "cat"], ["y/b.png", "cat"]]}
    (tmp_path / "dataset.json").write_text(json.dumps(given))
    said = "dataset.json is not read, as data.folders is classes"
    for folders, classes in (("auto", ("cat",)), ("none", ("cat",)), ("classes", ("x", "y"))):
        images = load(tmp_path, folders=folders)
        assert images.classes == classes
        assert (said in images.found) == (folders == "classes")


def test_labels_that_are_no_classes(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    cameras = [[name, [0.5] * 25] for name in ("a.png", "b.png")]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": cameras}))
    assert "no classes, as dataset.json gives 25 numbers for each image" in load(tmp_path).found
