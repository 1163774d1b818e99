from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantune.config import DataConfig, make_config
from gantune.data import load_images, resolve_data, resolved
from gantune.errors import DataError
from tests.data.making import load, noise, write_idx


def test_digits() -> None:
    images = load("digits")
    assert images.array.shape == (1797, 1, 8, 8)
    assert images.array.dtype == np.uint8
    assert (images.array.min(), images.array.max()) == (0, 255)
    assert set(np.unique(images.array)) == {round(level * 255 / 16) for level in range(17)}
    assert images.classes == tuple("0123456789")
    assert images.labels is not None
    assert images.labels[:10].tolist() == list(range(10))
    assert (images.native, images.source) == ((8, 8), "digits")
    # Of what sklearn.datasets.load_digits gives.
    assert images.content_hash.startswith("153f8bc9e76b7125")


@pytest.mark.parametrize(
    ("native", "sizes", "expected"),
    [
        (28, (16, 32, 64), 32),
        (32, (16, 32, 64), 32),
        (33, (16, 32, 64), 64),
        (8, (16, 32), 16),
        (80, (16, 32, 64), 64),
        (28, None, 28),
    ],
)
def test_auto_takes_the_networks_next_size(
    tmp_path: Path, native: int, sizes: tuple[int, ...] | None, expected: int
) -> None:
    np.save(tmp_path / "a.npy", noise(2, native, native))
    images = load_images(DataConfig(source=str(tmp_path / "a.npy")), sizes)
    assert images.resolution == expected
    assert images.native == (native, native)


def test_given_resolution_and_colour_are_used(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(2, 20, 20))
    images = load(tmp_path / "a.npy", resolution=12, colour="rgb")
    assert images.array.shape == (2, 3, 12, 12)
    assert (images.array[:, 0] == images.array[:, 2]).all()


def test_resolve_data_makes_all_concrete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "a", noise(8, 28, 28))
    monkeypatch.chdir(tmp_path)
    config = make_config({"data": {"source": "a"}, "batch_size": 8})
    data = resolve_data(config).data
    assert (data.source, data.resolution, data.colour) == (str(tmp_path / "a"), 32, "gray")
    again = resolve_data(make_config({"data": data.model_dump(), "batch_size": 8}))
    assert again.data == data


def test_resolved_needs_no_reading() -> None:
    config = make_config({"loss": "hinge"})
    images = load("digits", resolution=16)
    found = resolved(config, images)
    assert (found.data.source, found.data.resolution, found.data.colour) == ("digits", 16, "gray")
    assert found.loss == "hinge"


def test_points_keep_their_source_and_have_a_class_for_each_mode() -> None:
    config = make_config({"data": {"source": "gaussians:ring"}, "network": {"name": "mlp"}})
    found = resolve_data(config)
    assert found.data == config.data.model_copy(
        update={"classes": 8, "class_names": tuple("01234567")}
    )
    assert found.network == config.network


@pytest.mark.parametrize(
    ("told", "labelled", "unlabelled"), [("auto", True, False), (False, False, False)]
)
def test_conditional_becomes_what_the_labels_allow(
    told: object, labelled: bool, unlabelled: bool, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", noise(70, 16, 16))
    for source, classes, wanted in (
        ("digits", 10, labelled),
        (str(tmp_path / "a.npy"), 0, unlabelled),
    ):
        config = make_config({"data": {"source": source}, "network": {"conditional": told}})
        found = resolve_data(config)
        assert (found.data.classes, found.network.conditional) == (classes, wanted)
        assert make_config(found.model_dump()) == found  # and it may be settled again
        assert resolve_data(found) == found


def test_conditional_without_labels_is_refused_with_a_remedy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(70, 16, 16))
    data, network = {"source": str(tmp_path / "a.npy")}, {"conditional": True}
    with pytest.raises(DataError, match=r"a\.npy' has no labels.*folder for each class.*false"):
        resolve_data(make_config({"data": data, "network": network}))
    assert resolve_data(make_config({"network": network})).network.conditional is True


@pytest.mark.parametrize(("classes", "own"), [(9, "10 classes"), (0, "10 classes")])
def test_another_number_of_classes_is_refused(classes: int, own: str) -> None:
    with pytest.raises(DataError, match=f"data.classes: {classes}, but 'digits' has {own}"):
        resolve_data(make_config({"data": {"classes": classes}}))


def test_classes_of_data_without_labels_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(70, 16, 16))
    config = make_config({"data": {"source": str(tmp_path / "a.npy"), "classes": 3}})
    with pytest.raises(DataError, match=r"classes: 3, but .* has no labels"):
        resolve_data(config)


def test_a_batch_above_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(7, 16, 16))
    config = make_config({"data": {"source": str(tmp_path / "a.npy")}, "batch_size": 8})
    with pytest.raises(DataError, match=r"batch_size: 8 is more than the 7 images.*batch_size 7$"):
        resolve_data(config)
    with pytest.raises(DataError, match=r"take batch_size 6$"):
        resolve_data(config.model_copy(update={"accumulation": 3}))
    with pytest.raises(DataError, match=r"take more images, or a smaller batch and accumulation$"):
        resolve_data(config.model_copy(update={"accumulation": 4}))
    np.save(tmp_path / "a.npy", noise(1, 16, 16))
    with pytest.raises(DataError, match="one image is too few, as a batch holds 2 or more"):
        resolve_data(config)


def test_the_import_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, gantune.data; print(*{'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
