from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gantune.config import DataConfig
from gantune.data import ImageSet, load_parts
from gantune.errors import DataError
from tests.data.making import load, noise


def load_npz(folder: Path, key: str | None = None, **arrays: NDArray[Any]) -> ImageSet:
    np.savez_compressed(folder / "a.npz", **arrays)  # type: ignore[arg-type]
    return load(folder / "a.npz", key=key)


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_all_layouts_become_nchw(tmp_path: Path, ending: str) -> None:
    colour, gray = noise(5, 3, 8, 8), noise(5, 8, 8)
    layouts = {
        "nchw": (colour, colour),
        "nhwc": (colour.transpose(0, 2, 3, 1), colour),
        "nhw": (gray, gray[:, None]),
        "nhw1": (gray[..., None], gray[:, None]),
        "n1hw": (gray[:, None], gray[:, None]),
        "fortran": (np.asfortranarray(gray), gray[:, None]),
    }
    for name, (given, expected) in layouts.items():
        path = tmp_path / f"{name}.{ending}"
        if ending == "npy":
            np.save(path, given)
        else:
            np.savez(path, pictures=given)
        assert np.array_equal(load(path).array, expected), name


def test_alpha_is_composed_on_white(tmp_path: Path) -> None:
    clear = np.zeros((2, 8, 8, 4), np.uint8)
    np.save(tmp_path / "a.npy", clear)
    images = load(tmp_path / "a.npy")
    assert images.array.shape == (2, 3, 8, 8)
    assert (images.array == 255).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_between_0_and_1_or_minus_1_and_1(tmp_path: Path, kind: Any) -> None:
    ramp = np.linspace(0, 1, 64).reshape(1, 8, 8)
    expected = np.rint(255 * ramp)
    for name, array in (("unit", ramp), ("symmetric", 2 * ramp - 1)):
        np.save(tmp_path / f"{name}.npy", array.astype(kind))
        found = load(tmp_path / f"{name}.npy").array[0].astype(float)
        assert np.abs(found - expected).max() <= 1, name
        assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (255.0, "floats from 255 to 255"),
        (-1.5, "floats from -1.5 to -1.5"),
        (1.0010001, "floats from 1.0010001 to 1.0010001"),
        (np.nan, "NaN"),
        (np.inf, "floats from inf to inf"),
    ],
)
def test_other_floats_are_refused(tmp_path: Path, value: float, held: str) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 8, 8), value))
    match = rf"a\.npy holds {held}; floats must lie in \[0, 1\] .* saved as uint8"
    with pytest.raises(DataError, match=match):
        load(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("error", [1e-7, 9e-4])
def test_a_rounding_error_beyond_the_range_is_clipped(
    tmp_path: Path, kind: Any, error: float
) -> None:
    ramp = np.linspace(0, 1, 64).reshape(1, 8, 8)
    expected = np.rint(255 * ramp)
    unit, symmetric = ramp.copy(), 2 * ramp - 1
    for array, low in ((unit, 0), (symmetric, -1)):
        array[0, 0, 0], array[0, 7, 7] = low - error, 1 + error
        np.save(tmp_path / "a.npy", array.astype(kind))
        found = load(tmp_path / "a.npy").array[0].astype(float)
        assert np.abs(found - expected).max() <= 1, low
        assert (found.min(), found.max()) == (0, 255)


def test_the_one_array_that_looks_like_images_is_taken(tmp_path: Path) -> None:
    images = load_npz(
        tmp_path,
        x=noise(3, 8, 8),
        weights=np.zeros((3, 2)),
        names=np.array(["a", "b", "c"]),
        y=np.array([[4], [2], [4]]),
    )
    assert len(images) == 3
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0, 1]
    assert images.classes == ("2", "4")


def test_labels_follow_the_images_name_and_classes_give_names(tmp_path: Path) -> None:
    images = load_npz(
        tmp_path,
        "x_test",
        x_train=noise(3, 8, 8),
        y_train=np.array([0, 0, 0]),
        x_test=noise(2, 8, 8, seed=1),
        y_test=np.array([2, 1]),
        classes=np.array(["cat", "dog", "owl"]),
    )
    assert np.array_equal(images.array, noise(2, 1, 8, 8, seed=1))
    assert images.labels is not None
    assert [images.classes[label] for label in images.labels] == ["owl", "dog"]


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        (np.eye(3)[[2, 0, 1]], [2, 0, 1], ("0", "1", "2")),
        (np.eye(3, dtype=bool)[[2, 0, 0]], [1, 0, 0], ("0", "2")),
        (np.array([10.0, 2.0, 10.0], dtype=np.float32), [1, 0, 1], ("2", "10")),
        (np.array(["b10", "b2", "b10"]), [1, 0, 1], ("b2", "b10")),
        (np.array([b"cat", b"dog", b"cat"]), [0, 1, 0], ("cat", "dog")),
        (np.array([True, False, True]), [1, 0, 1], ("0", "1")),
        (np.array([[5], [3], [5]]), [1, 0, 1], ("3", "5")),
    ],
)
def test_labels_in_any_form(
    tmp_path: Path, values: NDArray[Any], labels: list[int], classes: tuple[str, ...]
) -> None:
    images = load_npz(tmp_path, x=noise(3, 8, 8), y=values)
    assert images.labels is not None
    assert images.labels.tolist() == labels
    assert images.classes == classes
    unnamed = load_npz(tmp_path, arr_0=noise(3, 8, 8), arr_1=values)
    assert unnamed.classes == classes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(2), "array 'y' has 2 labels for the 3 images of 'x'"),
        (np.arange(4), "array 'y' has 4 labels for the 3 images"),
        (np.array(1), "array 'y' has 1 labels for the 3 images"),
        (np.array([0, 1.5, 2]), "array 'y' holds 1.5, which is no class"),
        (np.array([0, np.nan, 2]), "array 'y' holds nan, which is no class"),
        (np.full((3, 2), 0.5), "array 'y' has 2 numbers for each image"),
        (np.zeros((3, 2, 2), dtype=int), "array 'y' is no array of labels"),
        (np.zeros(3, dtype="datetime64[s]"), "array 'y' is no array of labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, values: NDArray[Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_npz(tmp_path, x=noise(3, 8, 8), y=values)


def test_two_candidates_are_listed_with_their_shapes(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"several .*: --set data\.key=NAME \(--key NAME for .*a 3x8x8 uint8, b 4x3x8x8 uint8",
    ):
        load_npz(tmp_path, a=noise(3, 8, 8), b=noise(4, 3, 8, 8))


def test_no_candidate_is_listed_as_well(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no array looks like images .* it holds x 3x2 float64"):
        load_npz(tmp_path, x=np.zeros((3, 2)))
    with pytest.raises(DataError, match="it holds nothing"):
        load_npz(tmp_path)


def test_a_key_that_is_not_there_or_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no array 'imges' \(did you mean 'images'\?\)"):
        load_npz(tmp_path, "imges", images=noise(3, 8, 8))
    with pytest.raises(DataError, match=r"array 'y' is no array of images .*: 3 int64"):
        load_npz(tmp_path, "y", images=noise(3, 8, 8), y=np.arange(3))


def test_an_empty_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty: 0x8x8 uint8"):
        load_npz(tmp_path, x=noise(0, 8, 8))


class Bomb:
    """Creates the file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_object_arrays_are_refused_and_never_unpickled(tmp_path: Path, ending: str) -> None:
    array = np.array([Bomb(tmp_path / "ran")], dtype=object)
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, x=array)
    with pytest.raises(DataError, match="Python objects, which are never unpickled"):
        load(path)
    assert not (tmp_path / "ran").exists()


def test_object_labels_are_not_unpickled_with_good_images(tmp_path: Path) -> None:
    bomb = np.array([Bomb(tmp_path / "ran")] * 3, dtype=object)
    with pytest.raises(DataError, match=r"array 'y' holds Python objects, .* never unpickled"):
        load_npz(tmp_path, x=noise(3, 8, 8), y=bomb, classes=bomb)
    assert not (tmp_path / "ran").exists()


def test_a_truncated_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(3, 8, 8))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"a\.npy: damaged or truncated"):
        load(tmp_path / "a.npy")


def test_a_header_that_promises_more_than_the_file_has(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(3, 8, 8))
    data = (tmp_path / "x.npy").read_bytes().replace(b"(3, 8, 8), }  ", b"(9999999, 8,8)}")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", data)
    with pytest.raises(DataError, match=r"damaged or truncated: x\.npy promises 639999936 bytes"):
        load(tmp_path / "a.npz")


def test_only_an_npz_has_keys(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(3, 8, 8))
    with pytest.raises(DataError, match=r"data\.key: 'x' names an array of an \.npz file"):
        load(tmp_path / "a.npy", key="x")


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("xtrain", "ytrain", "xtest", "ytest"),
        ("trainX", "trainY", "testX", "testY"),
        ("train_x", "train_y", "test_x", "test_y"),
        ("images_train", "labels_train", "images_test", "labels_test"),
        ("train", "train_labels", "test", "test_labels"),
        ("X_tr", "y_tr", "X_te", "y_te"),
        ("train.data", "train.targets", "test.data", "test.targets"),
    ],
)
def test_arrays_are_parts_by_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = (
        noise(6, 8, 8),
        np.eye(3)[[0, 1, 2] * 2],
        noise(3, 8, 8, seed=1),
        np.eye(3)[[2, 1, 0]],
    )
    np.savez(tmp_path / "a.npz", **dict(zip(names, arrays, strict=True)))  # type: ignore[arg-type]
    learned, held_out = load_parts(DataConfig(source=str(tmp_path / "a.npz")))
    assert held_out is not None
    assert np.array_equal(learned.array[:, 0], arrays[0])
    assert np.array_equal(held_out.array[:, 0], arrays[2])
    assert learned.labels is not None and learned.labels.tolist() == [0, 1, 2] * 2
    assert held_out.labels is not None and held_out.labels.tolist() == [2, 1, 0]
    assert f"array {names[0]!r}" in learned.found and "not looked at" not in learned.found
    assert "other parts: test (3) held out to judge by" in learned.found
    chosen = load(tmp_path / "a.npz", split="test")
    assert np.array_equal(chosen.array[:, 0], arrays[2])


def test_three_parts_and_a_lone_one(tmp_path: Path) -> None:
    parts: dict[str, Any] = {f"{part}_images": noise(4, 8, 8) for part in ("train", "val", "test")}
    images = load_npz(tmp_path, **parts)
    assert "other parts: test (4) held out to judge by, val (4) not used" in images.found
    alone = load_npz(tmp_path, x_test=noise(4, 8, 8), y_test=np.arange(4))
    assert "only a test part is there: its array 'x_test' is learned" in alone.found
    assert alone.class_count == 4


def test_a_named_array_has_no_parts(tmp_path: Path) -> None:
    images = load_npz(tmp_path, key="x_test", x_train=noise(4, 8, 8), x_test=noise(2, 8, 8))
    assert len(images) == 2 and "parts" not in images.found


NAMES = np.array(["cat", "dog", "owl"])


@pytest.mark.parametrize(
    ("arrays", "classes", "said"),
    [
        ({"label_names": NAMES}, ("cat", "dog", "owl"), ""),
        ({"class_names": NAMES.astype("S")}, ("cat", "dog", "owl"), ""),
        ({"classes": NAMES}, ("cat", "dog", "owl"), ""),
        ({"animals": NAMES}, ("cat", "dog", "owl"), ""),
        ({"names": np.array(["cat", "dog", "owl", "yak"])}, ("cat", "dog", "owl"), ""),
        ({"animals": np.array(["cat", "dog"])}, ("0", "1", "2"), "1 array not looked at (animals)"),
        ({"names": NAMES[:2]}, ("0", "1", "2"), "warning: names has 2 names, but classes are 0 to"),
        ({"names": NAMES[[0, 0, 1]]}, ("0", "1", "2"), "warning: names names two classes alike"),
        ({"names": NAMES.astype(object)}, ("0", "1", "2"), "names holds Python objects"),
        ({"a_names": NAMES, "b_names": NAMES}, ("0", "1", "2"), "a_names and b_names may both"),
        ({"ids": np.arange(3)}, ("0", "1", "2"), "1 array not looked at (ids)"),
    ],
)
def test_classes_have_the_names_of_an_array(
    tmp_path: Path, arrays: dict[str, Any], classes: tuple[str, ...], said: str
) -> None:
    images = load_npz(tmp_path, data=noise(4, 8, 8), label=np.array([2, 0, 1, 0]), **arrays)
    assert images.classes == classes
    assert images.labels is not None and images.labels.tolist() == [2, 0, 1, 0]
    assert said in images.found and ("warning" in images.found) == ("names" in said)


def test_names_of_more_than_ten_classes_keep_the_order_of_numbers(tmp_path: Path) -> None:
    names = np.array([f"z{20 - n}" for n in range(12)])
    images = load_npz(tmp_path, x=noise(12, 8, 8), y=np.arange(12), label_names=names)
    assert images.classes == tuple(names)


def test_labels_of_two_kinds(tmp_path: Path) -> None:
    both: dict[str, Any] = {"fine_labels": np.arange(4), "coarse_labels": np.arange(4) % 2}
    images = load_npz(tmp_path, data=noise(4, 8, 8), **both)
    assert images.classes == ()
    assert "fine_labels and coarse_labels may both be the labels" in images.found
    one = load_npz(tmp_path, data=noise(4, 8, 8), fine_labels=np.arange(4))
    assert one.class_count == 4


@pytest.mark.parametrize(
    ("array", "step"),
    [
        (np.zeros((3, 8, 8), np.uint16), r"save it as array\.astype\('uint8'\) if its values are"),
        (np.zeros((3, 8, 8, 3), np.int64), r"array / array\.max\(\) \* 255"),
        (np.zeros((3, 8, 8), bool), r"array\.astype\('uint8'\) \* 255"),
        (np.zeros((3, 64), np.uint8), r"array\.reshape\(-1, H, W, C\)"),
        (np.zeros((2, 3, 8, 8, 3), np.uint8), "save the frames alone"),
        (np.zeros((3, 8, 8, 2), np.uint8), "2 channels"),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays_that_are_nearly_images_say_what_to_do(
    tmp_path: Path, array: NDArray[Any], step: str, ending: str
) -> None:
    with pytest.raises(DataError, match=step):
        if ending == "npz":
            load_npz(tmp_path, images=array)
        np.save(tmp_path / "a.npy", array)
        load(tmp_path / "a.npy")
