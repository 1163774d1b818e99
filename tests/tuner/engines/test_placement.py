"""How many workers a GPU is worth: with canned measurements, and one real one on the CPU."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import DeviceError, TrainingError
from gantune.events import Observer
from gantune.trial.cores import available_cores
from gantune.tuner.engines import placement as placement_module
from gantune.tuner.engines.placement import (
    Memory,
    Placement,
    Probe,
    Throughputs,
    assign_workers,
    best_count,
    describe,
    largest_config,
    measure,
    next_count,
)
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search, prepare
from tests.tuner.own_trainers import SCORED, write_own

CORES = available_cores()

SPACE = """
study: tiny
budget: {trials: 50}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: {choices: [4, 16]}, latent: 8}
  kimg: 0.3
  batch_size: {choices: [8, 16, 64]}
  precision: fp32
start: [{batch_size: 16, network.width: 4}]
"""


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


def test_a_gpu_of_several_workers_is_shared() -> None:
    placement = assign_workers(["cuda:0", "cuda:1"], 3, 10)
    assert placement.is_shared("cuda:0") and not placement.is_shared("cuda:1")
    assert not assign_workers(["cpu"], 2, 10).is_shared("cpu")


def test_no_worker_is_too_few() -> None:
    with pytest.raises(DeviceError, match="--workers 0"):
        assign_workers(["cpu"], 0, 10)


@pytest.fixture
def search(tmp_path: Path) -> Search:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    return prepare(tmp_path / "tiny.yaml", Options(workers=1, out=tmp_path / "run"), Observer())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Probe, int]]:
    """A canned machine with 32 cores and two kinds of GPU; the probes that were measured on it."""
    probes: list[tuple[Probe, int]] = []

    def canned(probe: Probe, most: int) -> tuple[Throughputs, Memory, str]:
        probes.append((probe, most))
        if probe.device == "cuda:2":  # small and slow
            return {1: 900.0, 2: 1700.0}, Memory(8.0, 7.0, 3.0), ""
        return {1: 9000.0, 2: 14000.0, 4: 14100.0}, Memory(80, 79, 4), ""

    kinds = {"cuda:0": "H100", "cuda:1": "H100", "cuda:2": "T4"}
    monkeypatch.setattr(placement_module, "measure", canned)
    monkeypatch.setattr(placement_module, "device_kind", lambda device: kinds[device])
    monkeypatch.setattr(placement_module, "available_cores", lambda: 32)
    return probes


def on(search: Search, *devices: str, most: int = 50) -> Search:
    return replace(search, placement=assign_workers(list(devices), "auto", most))


def test_gpus_of_one_kind_are_measured_once(
    search: Search, server: list[tuple[Probe, int]]
) -> None:
    placed = on(search, "cuda:0", "cuda:1").measured(None, Observer()).placement
    assert placed.devices == ("cuda:0", "cuda:1", "cuda:0", "cuda:1")
    assert placed.threads == 8
    assert placed.images_per_second == 28000
    assert placed.measured == (
        "2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,000, 4 train 14,100",
    )
    ((probe, most),) = server
    assert (probe.device, most, probe.protocols) == ("cuda:0", 16, None)
    assert probe.config == search.config
    assert probe.largest is not None
    assert (probe.largest.batch_size, probe.largest.network.width) == (64, 16)


def test_gpus_of_two_kinds_are_measured_separately(
    search: Search, server: list[tuple[Probe, int]]
) -> None:
    placed = on(search, "cuda:0", "cuda:2", "cuda:1").measured(None, Observer()).placement
    assert placed.devices == ("cuda:0", "cuda:2", "cuda:1") * 2
    assert len(server) == 2
    assert placed.measured[1].endswith("; memory holds no more (3.0 of 7.0 GiB each)")
    assert placed.images_per_second == 2 * 14000 + 1700


@pytest.mark.parametrize(("cores", "runs", "most"), [(5, 50, 2), (32, 3, 1), (2, 50, 1)])
def test_at_most_as_many_workers_as_cores_and_runs(
    search: Search,
    server: list[tuple[Probe, int]],
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    runs: int,
    most: int,
) -> None:
    monkeypatch.setattr(placement_module, "available_cores", lambda: cores)
    placed = on(search, "cuda:0", "cuda:1", most=runs).measured(None, Observer()).placement
    assert [found for _, found in server] == ([most] if most > 1 else [])
    if most == 1:
        assert placed.devices == ("cuda:0", "cuda:1")


def test_a_failed_measurement_gives_one_worker_a_gpu(
    search: Search, server: list[tuple[Probe, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(probe: Probe, most: int) -> Any:
        raise TrainingError("it died with exit code 3")

    monkeypatch.setattr(placement_module, "measure", broken)
    placed = on(search, "cuda:0").measured(None, Observer()).placement
    assert placed.devices == ("cuda:0",)
    assert placed.images_per_second is None
    assert placed.measured[0].startswith("1 worker a GPU: ") and "exit code 3" in placed.measured[0]


BUSY = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
MEMORY = Memory(80, 79, 4)


class CannedTraining(placement_module._Training):
    """A process of a measurement that answers what the next of ``answers`` holds, then dies."""

    answers: list[list[object]]
    printed: bytes = b""

    def __init__(self, probe: Probe, output: IO[bytes]) -> None:
        self._output, self._is_on_gpu = output, probe.device != "cpu"
        self._output.write(self.printed)
        self.connection, other = Pipe()
        for answer in self.answers.pop(0):
            other.send(answer)
        other.close()

    def terminate(self) -> None:
        """Does nothing: there is no process."""

    def end(self) -> int:
        self.connection.close()
        return 1


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the answers of each process in turn, and what all print."""

    def set_answers(*answers: list[object], printed: str = "") -> None:
        monkeypatch.setattr(CannedTraining, "answers", list(answers), raising=False)
        monkeypatch.setattr(CannedTraining, "printed", printed.encode())

    monkeypatch.setattr(placement_module, "_Training", CannedTraining)
    monkeypatch.setattr(placement_module, "device_kind", lambda device: "H100")
    monkeypatch.setattr(placement_module, "available_cores", lambda: 32)
    return set_answers


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (
            [f"AcceleratorError: {BUSY}\nSearch for `cudaErrorDevicesUnavailable'"],
            f"(AcceleratorError: {BUSY}: the GPU is in exclusive mode, or another program has it "
            "alone; nvidia-smi shows both, and nvidia-smi -c 0 lets several processes use it, "
            "which a search needs)",
        ),
        (
            ["out of memory"],
            "(out of memory: the GPU has too little free memory; nvidia-smi shows whether other "
            "programs take it)",
        ),
        ([], "(it died with exit code 1)"),
        ([MEMORY, "ValueError: odd"], "(ValueError: odd)"),
    ],
)
def test_the_reason_against_a_second_training_is_told(
    search: Search, answer: Any, second: list[object], reason: str
) -> None:
    answer([MEMORY, 9000.0, 5000.0], second)
    placed = on(search, "cuda:0").measured(None, Observer()).placement
    assert (placed.devices, placed.images_per_second) == (("cuda:0",), 9000)
    told = f"1 worker a GPU: 1 trains 9,000 images/s; 2 at once failed {reason}"
    assert placed.measured == (told,)


def test_the_reason_against_the_first_training_is_told(search: Search, answer: Any) -> None:
    answer([f"AcceleratorError: {BUSY}\nmore"])
    (told,) = on(search, "cuda:0").measured(None, Observer()).placement.measured
    assert f"speed failed (AcceleratorError: {BUSY}: the GPU is in exclusive mode" in told
    assert "more" not in told


def test_a_training_that_dies_tells_what_it_has_printed(search: Search, answer: Any) -> None:
    printed = f"Traceback (most recent call last):\n  f()\nRuntimeError: {BUSY}\n"
    answer([], printed=printed)
    (told,) = on(search, "cuda:0").measured(None, Observer()).placement.measured
    assert f"(it died with exit code 1, RuntimeError: {BUSY}: the GPU is in exclusive" in told


def test_more_trainings_that_fail_leave_the_best_number(search: Search, answer: Any) -> None:
    answer([MEMORY, 9000.0, 8000.0], [MEMORY, 8000.0], ["out of memory"], [MEMORY])
    placed = on(search, "cuda:0").measured(None, Observer()).placement
    assert placed.devices == ("cuda:0", "cuda:0") and placed.images_per_second == 16000
    assert "2 train 16,000; 4 at once failed (out of memory: " in placed.measured[0]


def test_a_given_number_and_the_cpu_are_not_measured(
    search: Search, server: list[tuple[Probe, int]]
) -> None:
    assert search.measured(None, Observer()).placement == search.placement
    given = replace(search, placement=assign_workers(["cuda:0"], 3, 50))
    assert given.measured(None, Observer()).placement.devices == ("cuda:0",) * 3
    assert not server


def test_an_external_trainer_gets_one_worker_a_gpu(
    tmp_path: Path, server: list[tuple[Probe, int]]
) -> None:
    own = prepare(write_own(tmp_path, SCORED), Options(out=tmp_path / "run"), Observer())
    assert on(own, "cuda:0", "cuda:1").measured(None, Observer()).placement.devices == (
        "cuda:0",
        "cuda:1",
    )
    assert not server


def test_the_largest_config_has_no_larger_one(search: Search) -> None:
    largest = largest_config(search.space, search.config)  # type: ignore[arg-type]
    assert largest is not None
    assert largest_config(search.space, largest) is None


def test_a_resumed_run_keeps_its_number_of_workers(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def placement(workers: Any = None) -> Placement:
        options = Options(workers=workers, out=tmp_path / "run")
        return prepare(tmp_path / "tiny.yaml", options, Observer()).placement

    def begun(workers: object, *devices: str) -> None:
        info = SimpleNamespace(workers=workers, devices=devices, storage=None, data=None)
        from gantune.run_folder.run import RunFolder

        (tmp_path / "run").mkdir(exist_ok=True)
        RunFolder(tmp_path / "run").info.write_text("{}")
        monkeypatch.setattr(RunFolder, "read_info", lambda self: info)

    everything = placement().devices
    begun(3, "cpu", "cpu", "cpu")
    assert placement().devices == ("cpu",) * 3
    assert placement("auto").devices == everything
    assert placement(5).devices == ("cpu",) * 5
    begun("auto", "cpu", "cpu", "cpu")  # of a shorter search, or of another machine
    assert placement().devices == everything
    monkeypatch.setattr("gantune.tuner.prepare.find_devices", lambda name: ["cuda:0", "cuda:1"])
    monkeypatch.setattr("gantune.tuner.prepare._fallbacks", lambda *_: [])
    begun("auto", *("cuda:0", "cuda:1") * 2)
    assert placement().devices == ("cuda:0", "cuda:1") * 2
    assert placement().open_to == 0
    assert placement("auto").open_to > 0
    begun("auto", "cuda:0", "cuda:0")  # it has more GPUs now
    assert placement().open_to > 0


speeds = st.floats(1.0, 1e6)


def played(curve: list[float], most: int) -> dict[int, float]:
    """The measurements if n trainings together are as fast as the curve's n-th value."""
    measured: dict[int, float] = {}
    while (count := next_count(measured, most)) is not None:
        measured[count] = curve[min(count, len(curve)) - 1]
    return measured


@pytest.mark.parametrize(
    ("speeds", "counts", "best"),
    [
        ([9000, 14100, 14200, 14300], [1, 2, 4], 2),  # the third is never measured
        ([9000, 9100], [1, 2], 1),
        ([9000, 8000, 8000, 30000], [1, 2], 1),  # nothing is measured after a loss
        ([1000, 2000, 3000, 4000, 5000, 6000], [1, 2, 4, 6], 6),
        ([1000, 2000, 3000, 2050], [1, 2, 4], 2),
    ],
)
def test_the_smallest_number_within_5_percent_is_taken(
    speeds: list[float], counts: list[int], best: int
) -> None:
    measured = played(speeds, len(speeds))
    assert list(measured) == counts
    assert best_count(measured) == best


@given(st.lists(speeds, min_size=1, max_size=40), st.integers(1, 40))
def test_a_measurement_always_ends_within_its_limit(curve: list[float], most: int) -> None:
    measured = played(curve, most)
    counts = list(measured)
    assert counts[0] == 1 and counts == sorted(set(counts)) and counts[-1] <= most
    assert all(later <= 2 * earlier for earlier, later in pairwise(counts))
    best, fastest = best_count(measured), max(measured.values())
    assert measured[best] >= 0.95 * fastest
    assert all(measured[count] < 0.95 * fastest for count in counts if count < best)


@given(speeds, st.integers(1, 40))
def test_a_gpu_that_shares_perfectly_gets_all_workers(one: float, most: int) -> None:
    measured = played([one * count for count in range(1, 41)], most)
    assert max(measured) == most
    assert best_count(measured) >= 0.95 * most


@given(st.floats(1, 200), st.floats(0, 1), st.floats(0.01, 300))
def test_the_workers_leave_a_tenth_of_the_memory_free(
    total: float, share: float, one: float
) -> None:
    memory = Memory(total, total * share, one)
    assert memory.max_workers >= 1
    if memory.max_workers > 1:
        assert memory.max_workers * one <= total * share - 0.1 * total + 1e-9
    assert (memory.max_workers + 1) * one > total * share - 0.1 * total


def test_a_measurement_is_described_in_one_line() -> None:
    assert describe({1: 9000.4, 2: 14100, 4: 14300}) == (
        "2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300"
    )
    assert describe({1: 70.0}) == "1 worker a GPU: 1 trains 70 images/s"


@pytest.mark.integration
def test_processes_train_side_by_side(search: Search) -> None:
    assert search.config.data is not None
    probe = Probe(
        config=search.config,  # type: ignore[arg-type]
        largest=largest_config(search.space, search.config),  # type: ignore[arg-type]
        data=search.config.data,
        seconds=0.5,
    )
    measured, memory, failed = measure(probe, 2)
    assert list(measured) == [1, 2] and not failed
    assert all(speed > 10 for speed in measured.values())
    assert 0.05 < memory.one < memory.total
    with pytest.raises(TrainingError, match="digits"):
        broken = probe.config.data.model_copy(update={"source": "no-digits-here"})
        measure(replace(probe, data=broken), 2)
