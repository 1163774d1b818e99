"""Which devices there are."""

from __future__ import annotations

import pytest

from gantune.errors import DeviceError
from gantune.trial.devices import find_devices


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="--device"):
        find_devices(name)


def test_the_cpu_is_always_there() -> None:
    assert find_devices("cpu") == ["cpu"]
