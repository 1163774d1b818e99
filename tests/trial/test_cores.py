"""CPU cores: how many threads a training takes, and where other processes use the cores too."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from gantune.errors import DeviceError
from gantune.events import Observer
from gantune.trial import cores as module
from gantune.trial.cores import (
    SharedCores,
    available_cores,
    may_change_threads,
    thread_count,
)


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(("cores", "limits"), [(1, "give 1, .* 1 core$"), (3, "give 1 to 3, .* 3")])
def test_threads_are_from_one_to_the_number_of_cores(cores: int, limits: str) -> None:
    assert thread_count(None, cores) == thread_count(cores, cores) == cores
    for wanted in (-1, 0, cores + 1):
        with pytest.raises(DeviceError, match=f"--threads {wanted}: {limits}"):
            thread_count(wanted, cores)


def test_devices_share_the_cores() -> None:
    assert thread_count(None, 5, 2) == 2
    assert thread_count(None, 2, 3) == 1
    with pytest.raises(DeviceError, match=r"^--threads 2: give 1, as 2 devices share 3 cores$"):
        thread_count(2, 3, 2)


@pytest.mark.parametrize(
    ("text", "threads"), [("2", 2), ("3,1", 3), ("9", 4), ("", 4), ("0", 4), ("-1", 4), ("all", 4)]
)
def test_the_usual_variable_names_the_threads(
    monkeypatch: pytest.MonkeyPatch, text: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert thread_count(None, 4) == threads
    assert thread_count(1, 4) == 1
    assert may_change_threads(None) == (text not in ("2", "3,1", "9"))
    assert not may_change_threads(1)


def test_a_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib knows the limits of containers; this is its own."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert available_cores() == 1


class Listener(Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(
    ("seconds", "threads"),
    [
        ([(0.5, 0.0)], [3]),  # another process is on one core: one thread less
        ([(1.6, 0.0)], [2]),
        ([(9.0, 0.0)], [1]),  # never none
        ([(0.1, 0.0)], [4]),  # no thread really waits
        ([(1.6, 0.0), (0.0, 0.5)], [2, 2]),  # a core is free at times
        ([(1.6, 0.0), (0.0, 1.1)], [2, 3]),
        ([(1.6, 0.0), (0.0, 1.1), (0.4, 0.0)], [2, 3, 2]),
        ([(1.6, 0.0), (0.0, 7.9)], [2, 4]),  # never more than at first
    ],
)
def test_threads_follow_what_other_processes_leave(
    monkeypatch: pytest.MonkeyPatch, seconds: list[tuple[float, float]], threads: list[int]
) -> None:
    """``seconds``: for which threads waited, and cores were idle, in one second each."""
    spent = module._Spent(0.0, 0.0, 0.0)
    monkeypatch.setattr(module._Spent, "so_far", lambda: spent)
    monkeypatch.setattr("time.monotonic", lambda: spent.now)
    torch.set_num_threads(4)
    listener, found = Listener(), list[int]()
    cores = SharedCores(4, listener)
    spent = module._Spent(0.9, 9.0, 0.0)
    cores.look()
    assert torch.get_num_threads() == 4  # it is too early to say
    spent = module._Spent(0.0, 0.0, 0.0)
    for waiting, idle in seconds:
        spent = module._Spent(spent.now + 1, spent.waiting + waiting, spent.idle + idle)
        cores.look()
        found.append(torch.get_num_threads())
    assert found == threads
    told = f"training goes on with {threads[0]} of 4 threads"
    assert [told in line for line in listener.lines] == [True] * (threads[0] < 4)


@pytest.mark.parametrize("threads", [1, 2])
def test_where_the_system_tells_nothing_the_threads_stay(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    def missing() -> float:
        raise FileNotFoundError("/proc/stat")

    monkeypatch.setattr(module, "_PERIOD", 0.0)
    monkeypatch.setattr(module, "_seconds_idle", missing)
    torch.set_num_threads(threads)
    cores = SharedCores(threads, Listener())
    cores.look()
    assert torch.get_num_threads() == threads


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    context = multiprocessing.get_context("spawn")
    loads = [context.Process(target=spin, daemon=True) for _ in range(count)]
    for load in loads:
        load.start()
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.join()


def spin() -> None:
    while True:
        pass


@pytest.mark.integration
@pytest.mark.skipif(available_cores() < 2, reason="needs two cores")
def test_a_training_beside_other_programs_takes_one_thread() -> None:
    listener, image = Listener(), torch.randn(64, 32, 32, 32)
    with busy(available_cores()):
        torch.set_num_threads(2)
        cores = SharedCores(2, listener)
        deadline = time.monotonic() + 60
        while torch.get_num_threads() > 1 and time.monotonic() < deadline:
            image.mul(2).sum()
            cores.look()
    assert torch.get_num_threads() == 1
    assert len(listener.lines) == 1 and "1 of 2 threads" in listener.lines[0]
