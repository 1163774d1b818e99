"""Workers on GPUs that are not there: what is measured of them is canned."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gantune.errors import TrainingError
from gantune.events import Observer
from gantune.trial.devices import Placement, assign_workers
from gantune.tuner.engines import placement as placing
from gantune.tuner.engines.placement import largest_config, place
from gantune.tuner.engines.probe import Measured, Memory, Probe, measure
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search, prepare
from tests.tuner.own_trainers import SCORED, write_own

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


@pytest.fixture
def search(tmp_path: Path) -> Search:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    return prepare(tmp_path / "tiny.yaml", Options(workers=1, out=tmp_path / "run"), Observer())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Probe, int]]:
    """A machine of 32 cores and GPUs of two kinds; what was measured on it."""
    probes: list[tuple[Probe, int]] = []

    def canned(probe: Probe, most: int) -> tuple[list[Measured], Memory]:
        probes.append((probe, most))
        if probe.device == "cuda:2":  # small and slow
            return [Measured(1, 900.0), Measured(2, 1700.0)], Memory(8.0, 7.0, 3.0)
        return [Measured(1, 9000.0), Measured(2, 14000.0), Measured(4, 14100.0)], Memory(80, 79, 4)

    kinds = {"cuda:0": "H100", "cuda:1": "H100", "cuda:2": "T4"}
    monkeypatch.setattr(placing, "measure", canned)
    monkeypatch.setattr(placing, "_kind", lambda device: kinds[device])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(32)))
    return probes


def on(search: Search, *devices: str, most: int = 50) -> Search:
    return replace(search, placement=assign_workers(list(devices), "auto", most))


def test_alike_gpus_are_measured_once(search: Search, server: list[tuple[Probe, int]]) -> None:
    placed = place(on(search, "cuda:0", "cuda:1"), None, Observer())
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


def test_gpus_of_two_kinds_get_numbers_of_their_own(
    search: Search, server: list[tuple[Probe, int]]
) -> None:
    placed = place(on(search, "cuda:0", "cuda:2", "cuda:1"), None, Observer())
    assert placed.devices == ("cuda:0", "cuda:2", "cuda:1") * 2
    assert len(server) == 2
    assert placed.measured[1].endswith("; memory holds no more (3.0 of 7.0 GiB each)")
    assert placed.images_per_second == 2 * 14000 + 1700


@pytest.mark.parametrize(("cores", "runs", "most"), [(5, 50, 2), (32, 3, 1), (2, 50, 1)])
def test_no_more_than_cores_and_runs(
    search: Search,
    server: list[tuple[Probe, int]],
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    runs: int,
    most: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    placed = place(on(search, "cuda:0", "cuda:1", most=runs), None, Observer())
    assert [found for _, found in server] == ([most] if most > 1 else [])
    if most == 1:
        assert placed.devices == ("cuda:0", "cuda:1")


def test_what_cannot_be_measured_is_one_worker_a_gpu(
    search: Search, server: list[tuple[Probe, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(probe: Probe, most: int) -> Any:
        raise TrainingError("it died with exit code 3")

    monkeypatch.setattr(placing, "measure", broken)
    placed = place(on(search, "cuda:0"), None, Observer())
    assert placed.devices == ("cuda:0",)
    assert placed.images_per_second is None
    assert placed.measured[0].startswith("1 worker a GPU: ") and "exit code 3" in placed.measured[0]


def test_a_given_number_and_the_cpu_are_not_measured(
    search: Search, server: list[tuple[Probe, int]]
) -> None:
    assert place(search, None, Observer()) == search.placement
    given = replace(search, placement=assign_workers(["cuda:0"], 3, 50))
    assert place(given, None, Observer()).devices == ("cuda:0",) * 3
    assert not server


def test_a_trainer_of_the_users_own_is_one_worker_a_gpu(
    tmp_path: Path, server: list[tuple[Probe, int]]
) -> None:
    own = prepare(write_own(tmp_path, SCORED), Options(out=tmp_path / "run"), Observer())
    assert place(on(own, "cuda:0", "cuda:1"), None, Observer()).devices == ("cuda:0", "cuda:1")
    assert not server


def test_what_begins_largest_has_no_larger(search: Search) -> None:
    largest = largest_config(search.space, search.config)  # type: ignore[arg-type]
    assert largest is not None
    assert largest_config(search.space, largest) is None


def test_a_run_keeps_its_number(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def placement(workers: Any = None) -> Placement:
        options = Options(workers=workers, out=tmp_path / "run")
        return prepare(tmp_path / "tiny.yaml", options, Observer()).placement

    def begun(workers: object, *devices: str) -> None:
        info = SimpleNamespace(workers=workers, devices=devices)
        from gantune.run_folder.run import RunFolder

        (tmp_path / "run").mkdir(exist_ok=True)
        RunFolder(tmp_path / "run").info.write_text("{}")
        monkeypatch.setattr(RunFolder, "read_info", lambda self: {**vars(info), "storage": None})

    everything = placement().devices
    begun(3, "cpu", "cpu", "cpu")
    assert placement().devices == ("cpu",) * 3
    assert placement("auto").devices == everything
    assert placement(5).devices == ("cpu",) * 5
    begun("auto", "cpu", "cpu", "cpu")  # of a shorter search, or on another machine
    assert placement().devices == everything
    monkeypatch.setattr("gantune.tuner.prepare.find_devices", lambda name: ["cuda:0", "cuda:1"])
    monkeypatch.setattr("gantune.tuner.prepare._fallbacks", lambda *_: [])
    begun("auto", *("cuda:0", "cuda:1") * 2)
    assert placement().devices == ("cuda:0", "cuda:1") * 2
    assert placement().open_to == 0
    assert placement("auto").open_to > 0
    begun("auto", "cuda:0", "cuda:0")  # it has more GPUs now
    assert placement().open_to > 0


@pytest.mark.integration
def test_processes_train_side_by_side(search: Search) -> None:
    assert search.config.data is not None
    probe = Probe(
        config=search.config,  # type: ignore[arg-type]
        largest=largest_config(search.space, search.config),  # type: ignore[arg-type]
        data=search.config.data,
        device="cpu",
        threads=1,
        extractor=None,
        protocols=None,
        seconds=0.5,
    )
    measured, memory = measure(probe, 2)
    assert [m.workers for m in measured] == [1, 2]
    assert all(m.images_per_second > 10 for m in measured)
    assert 0.05 < memory.one < memory.total
    with pytest.raises(TrainingError, match="digits"):
        broken = probe.config.data.model_copy(update={"source": "no-digits-here"})
        measure(replace(probe, data=broken), 2)
