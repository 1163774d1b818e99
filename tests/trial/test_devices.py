"""The available devices."""

from __future__ import annotations

import pytest

from gantune.errors import DeviceError
from gantune.trial.devices import find_devices, thread_count


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99"])
def test_missing_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="--device"):
        find_devices(name)


def test_cpu_is_always_available() -> None:
    assert find_devices("cpu") == ["cpu"]


@pytest.mark.parametrize(("cores", "limits"), [(1, "give 1, .* 1 core$"), (3, "give 1 to 3, .* 3")])
def test_threads_are_from_one_to_the_number_of_cores(cores: int, limits: str) -> None:
    assert thread_count(None, cores) == thread_count(cores, cores) == cores
    for wanted in (-1, 0, cores + 1):
        with pytest.raises(DeviceError, match=f"--threads {wanted}: {limits}"):
            thread_count(wanted, cores)
