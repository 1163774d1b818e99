from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantune.config import DataConfig, make_config
from gantune.data import load_images, resolve_data, settled
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


def test_a_resolution_and_colour_that_are_named_are_obeyed(tmp_path: Path) -> None:
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


def test_settled_needs_no_reading() -> None:
    config = make_config({"loss": "hinge"})
    images = load("digits", resolution=16)
    found = settled(config, images)
    assert (found.data.source, found.data.resolution, found.data.colour) == ("digits", 16, "gray")
    assert found.loss == "hinge"


def test_points_stay_as_they_are() -> None:
    config = make_config({"data": {"source": "gaussians:ring"}, "network": {"name": "mlp"}})
    assert resolve_data(config) == config


def test_a_batch_above_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(7, 16, 16))
    config = make_config({"data": {"source": str(tmp_path / "a.npy")}, "batch_size": 8})
    with pytest.raises(DataError, match="batch_size: 8 is more than the 7 images"):
        resolve_data(config)


def test_importing_the_room_needs_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, gantune.data; print(*{'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
