"""The available devices."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from gantune.errors import DeviceError
from gantune.trial.devices import find_devices, thread_count, training_devices


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99", "cpu:one,two"])
def test_missing_device_is_refused(name: str) -> None:
    for find in (find_devices, training_devices):
        with pytest.raises(DeviceError, match="--device"):
            find(name)


def test_cpu_is_always_available() -> None:
    assert find_devices("cpu") == training_devices("cpu") == ["cpu"]


@pytest.fixture
def _three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["H200", "H200", "T4"]
    found = {
        f"cuda:{i}": SimpleNamespace(name=name, total_memory=len(name) << 34)
        for i, name in enumerate(names)
    }
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found[device])


@pytest.mark.usefixtures("_three_gpus")
def test_one_training_takes_several_devices_only_where_they_are_listed() -> None:
    assert training_devices("auto") == training_devices("cuda") == ["cuda:0"]
    assert training_devices("cuda:1") == ["cuda:1"]
    assert training_devices("cuda:0, 1") == ["cuda:0", "cuda:1"]
    assert training_devices("cpu:0,1,2") == ["cpu"] * 3


@pytest.mark.usefixtures("_three_gpus")
def test_gpus_of_different_kinds_share_no_training() -> None:
    with pytest.raises(DeviceError, match=r"cuda:1: H200, 64.0 GiB; cuda:2: T4, 32.0 GiB"):
        training_devices("cuda:1,2")

    assert find_devices("cpu") == ["cpu"]


@pytest.mark.parametrize(("cores", "limits"), [(1, "give 1, .* 1 core$"), (3, "give 1 to 3, .* 3")])
def test_threads_are_from_one_to_the_number_of_cores(cores: int, limits: str) -> None:
    assert thread_count(None, cores) == thread_count(cores, cores) == cores
    for wanted in (-1, 0, cores + 1):
        with pytest.raises(DeviceError, match=f"--threads {wanted}: {limits}"):
            thread_count(wanted, cores)


@pytest.mark.parametrize("name", ["cpu:0,0", "cuda:1,1"])
def test_no_device_shares_a_batch_with_itself(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}: a device is named twice"):
        training_devices(name)
