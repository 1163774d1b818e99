"""The available devices."""

from __future__ import annotations

import pytest

from gantune.errors import DeviceError
from gantune.trial.devices import find_devices


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99"])
def test_missing_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="--device"):
        find_devices(name)


def test_cpu_is_always_available() -> None:
    assert find_devices("cpu") == ["cpu"]
