"""Where workers are placed."""

from __future__ import annotations

import os

import pytest

from gantune.errors import DeviceError
from gantune.trial.devices import Placement, assign_workers, find_devices

CORES = len(os.sched_getaffinity(0))


def test_the_cpu_gets_a_worker_a_core_and_no_more_than_runs() -> None:
    assert assign_workers(["cpu"], "auto", 100) == Placement(("cpu",) * CORES, 1)
    assert assign_workers(["cpu"], "auto", 1) == Placement(("cpu",), CORES)


def test_threads_are_divided_between_workers() -> None:
    assert assign_workers(["cpu"], 1, 10).threads == CORES
    assert assign_workers(["cpu"], 10 * CORES, 100).threads == 1


def test_workers_go_round_the_devices() -> None:
    gpus = ["cuda:0", "cuda:1"]
    assert assign_workers(gpus, "auto", 10).devices == ("cuda:0", "cuda:1")
    assert assign_workers(gpus, 3, 10).devices == ("cuda:0", "cuda:1", "cuda:0")


def test_no_worker_is_too_few() -> None:
    with pytest.raises(DeviceError, match="--workers 0"):
        assign_workers(["cpu"], 0, 10)


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:0,99"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="--device"):
        find_devices(name)


def test_the_cpu_is_always_there() -> None:
    assert find_devices("cpu") == ["cpu"]
