"""The measurement of a GPU, tried on the CPU with the smallest numbers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import NO_TIME, Cells, Job
from benchmarks.ways import Ours, Plain, Sizes, Unrecorded, compiled
from gantune.trial.process import WorkerConnection

LEAST = Sizes(
    device=torch.device("cpu"),
    seconds=0.01,
    rounds=2,
    cases=((32, 4),),
    batch=8,
    workers=(1, 2),
    networks=("random",),
    scored=(2, 3),
    search=(
        *("budget.trials=1", "kimg=0.5", "finalists.top=0"),
        *("objective.samples=64", "objective.rung_samples=32"),
    ),
)


def good(sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    others.send(None)
    others.receive()
    yield {"speed": 2.0}


def raises(sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    raise ValueError("no such kernel")


def dies_before(mark: str, sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    """The first process dies, and the other waits for it."""
    try:
        Path(mark).mkdir()
    except FileExistsError:
        Path(mark, str(os.getpid())).touch()
        others.send(None)
        others.receive()
    os._exit(3)
    yield {}


def dies_after(sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    yield {"speed": 1.0}
    os._exit(3)


def hangs(sizes: Sizes, others: WorkerConnection) -> Iterator[Cells]:
    yield {"speed": 1.0}
    time.sleep(60)


def run(folder: Path, *more: str) -> dict[str, Any]:
    gpu.main(["--device", "cpu", "--out", str(folder), *more], LEAST)
    return written(folder)


def written(folder: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / "gpu_cpu.json").read_text())
    return tree


def jobs(monkeypatch: pytest.MonkeyPatch, **parts: Job) -> None:
    monkeypatch.setattr(gpu, "all_jobs", lambda _: {name: [job] for name, job in parts.items()})


@pytest.mark.integration
def test_steps_workers_and_scoring_are_measured_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = run(tmp_path, "--parts", "steps", "workers", "rungs", "scoring")
    (steps,) = tree["steps"]["rows"]
    assert min(steps[way] for way in ("plain loop", "each, fp32", "each, bf16")) > 0
    unrecorded = "not recorded: the device has no CUDA graphs"
    assert steps["recorded, fp32"] == steps["recorded, bf16"] == unrecorded
    assert steps["recorded, fp32 ÷ each, fp32"] == "-"
    plain, *ours = tree["workers"]["rows"]
    assert [row["processes"] for row in (plain, *ours)] == [1, 1, 2]
    assert plain["steps"] == "each" and all(row["steps"] == unrecorded for row in ours)
    assert plain["trials an hour"] == pytest.approx(plain["images a second"] * 3.6 / 40)
    ratio = ours[1]["images a second"] / plain["images a second"]
    assert ours[1]["÷ the first row"] == pytest.approx(ratio)
    (rungs,) = tree["rungs"]["rows"]
    assert min(rungs["rungs waited for"], rungs["files beside"]) > 0
    assert rungs["scores and files beside"] == unrecorded
    assert [row["images at a time"] for row in tree["scoring"]["rows"]] == [2, 3]
    for random in tree["scoring"]["rows"]:
        assert min(random["fp32"], random["bf16"]) > 0
        assert random["tf32"] == "the device has none"
    text, printed = (tmp_path / "gpu_cpu.md").read_text(), capsys.readouterr()
    assert "one after another in eager PyTorch" in text and "no GPU" in text
    for part in ("steps", "workers", "rungs", "scoring"):
        assert gpu.section(part, tree[part], tree["machine"]) in text
        assert gpu.section(part, tree[part], tree["machine"]) in printed.out
        assert f"{part}: begins after " in printed.err


@pytest.mark.integration
def test_the_search_is_measured(tmp_path: Path) -> None:
    (row,) = run(tmp_path, "--parts", "search")["search"]["rows"]
    assert sum(row[name] for name in gpu.SHARES) == pytest.approx(1, abs=1e-3)


def test_a_row_for_which_no_time_is_left_keeps_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(monkeypatch, scoring=Job({"network": "one"}, good, ["speed"]))
    rows = [{"network": "one", "speed": 5.0}, {"network": "two", "speed": 6.0}]
    tree = {"machine": gpu.describe(torch.device("cpu")), "seconds": 1.0, "rows": rows}
    (tmp_path / "gpu_cpu.json").write_text(json.dumps({"scoring": tree}))
    assert run(tmp_path, "--minutes", "0", "--parts", "scoring")["scoring"]["rows"] == rows[:1]
    tree["machine"] = "another"
    (tmp_path / "gpu_cpu.json").write_text(json.dumps({"scoring": tree}))
    (row,) = run(tmp_path, "--minutes", "0", "--parts", "scoring")["scoring"]["rows"]
    assert row == {"network": "one", "speed": NO_TIME}


def test_an_unknown_device_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--device gpu: unknown"):
        gpu.main(["--device", "gpu", "--out", str(tmp_path)])


@pytest.mark.integration
def test_a_part_that_raises_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs(
        monkeypatch,
        scoring=Job({"network": "one"}, raises, ["speed"]),
        search=Job({"workers": 2}, good, ["speed"], 2),
    )
    with pytest.raises(SystemExit, match=r"^scoring: failed: ValueError: no such kernel$"):
        run(tmp_path, "--parts", "scoring", "search")
    tree = written(tmp_path)
    assert tree["scoring"]["rows"][0]["speed"] == "failed: ValueError: no such kernel"
    assert tree["search"]["rows"] == [{"workers": 2, "speed": 4.0}]
    assert "| one | failed: ValueError: no such kernel |" in (tmp_path / "gpu_cpu.md").read_text()


@pytest.mark.integration
def test_where_a_process_dies_the_others_are_ended_at_once(tmp_path: Path) -> None:
    mark, begun = tmp_path / "mark", time.monotonic()
    job = Job({"workers": 2}, partial(dies_before, str(mark)), ["speed"], 2)
    row, why = gpu.measure(job, LEAST, begun + 100)
    assert row == {"workers": 2, "speed": why}
    assert why == "failed: a process ended with exit code 3"
    assert time.monotonic() - begun < 60
    for other in mark.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(other.name), 0)


@pytest.mark.integration
def test_figures_from_before_a_death_stay_and_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(monkeypatch, scoring=Job({"network": "one"}, dies_after, ["speed", "more"]))
    with pytest.raises(SystemExit, match=r"^scoring: failed: a process ended with exit code 3$"):
        run(tmp_path, "--parts", "scoring")
    died = "failed: a process ended with exit code 3"
    (row,) = written(tmp_path)["scoring"]["rows"]
    assert row == {"network": "one", "speed": 1.0, "more": died}


@pytest.mark.integration
def test_at_the_deadline_a_process_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    job = Job({"workers": 1}, hangs, ["speed", "more"])
    row, why = gpu.measure(job, LEAST, begun + 12)
    assert why == row["more"] == NO_TIME and row["speed"] in (1.0, NO_TIME)
    assert time.monotonic() - begun < 40


@pytest.mark.integration
def test_a_row_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "LIMIT", 0.1)
    _, why = gpu.measure(Job({}, hangs, ["speed"]), LEAST, time.monotonic() + 100)
    assert why == gpu.TOO_LONG


def test_after_the_deadline_nothing_starts_and_other_parts_keep_their_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(gpu, "Process", never)
    kept = {"machine": "A GPU.", "seconds": 3, "rows": [{"network": "random", "fp32": 5.0}]}
    before = {"machine": "A GPU.", "scoring": kept}
    (tmp_path / "gpu_cpu.json").write_text(json.dumps(before))
    tree = run(tmp_path, "--minutes", "0", "--parts", "workers", "compile")
    assert tree["scoring"] == kept
    assert {row["images a second"] for row in tree["workers"]["rows"]} == {NO_TIME}
    (row,) = tree["compile"]["rows"]
    assert row["compiled"] == row["plain loop"] == NO_TIME
    text = (tmp_path / "gpu_cpu.md").read_text()
    assert NO_TIME in text and "This is another machine: A GPU." in text
    assert text.index("| random | 5 |") < text.index("| pixels |")


def test_compiled_networks_come_last() -> None:
    assert list(gpu.all_jobs(LEAST)) == list(gpu.TITLES)
    assert list(gpu.TITLES)[-1] == "compile"


def test_a_way_that_fails_has_the_reason_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(way: str, *_: Any) -> Callable[[], int]:
        if way == "no":
            raise MemoryError("too large")
        return lambda: 8

    monkeypatch.setattr(gpu, "make", make)
    cells: Cells = {}
    for found in gpu.in_turns(("no", "yes"), 32, 4, LEAST, None):
        cells |= found
    assert cells["no"] == "failed: MemoryError: too large" and cells["yes"] > 0


def test_a_recording_that_fails_is_told_with_its_reason() -> None:
    for _ in range(2):  # others are told once in a process
        train = Ours(32, 4, "fp32", LEAST, Unrecorded())
        train()
        assert train.unrecorded() == "not recorded: left out for comparison"


def test_the_compiled_loop_trains_as_the_plain_one_and_adds_to_no_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a gradient is there already, its memory may be that of an earlier run."""
    added: list[bool] = []
    marked: list[bool] = []
    loop: Any = None

    def backward(loss: torch.Tensor, before: Any = torch.Tensor.backward) -> None:
        player = loop.d if len(added) % 2 == 0 else loop.g
        added.append(any(p.grad is not None for net in (player, loop.d) for p in net.parameters()))
        before(loss)

    def mark() -> None:
        both = (*loop.d.parameters(), *loop.g.parameters())
        marked.append(any(parameter.grad is not None for parameter in both))

    monkeypatch.setattr(torch, "compile", lambda network, mode: network)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", mark)
    plain = Plain(32, 4, LEAST)
    plain.run(3)
    assert not marked
    loop = Plain(32, 4, LEAST, compiled=True)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    loop.run(3)
    assert added == 6 * [False] and marked == 3 * [False]
    assert torch.allclose(torch.tensor(loop.losses), torch.tensor(plain.losses), atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, which imports its compiler
def test_a_loop_that_is_not_compiled_or_trains_otherwise_is_no_baseline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, mode: network)
    with pytest.raises(ValueError, match="nothing was compiled"):
        compiled(32, 4, LEAST)

    def other(network: torch.nn.Module, mode: str) -> torch.nn.Module:
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(10)
        return network

    monkeypatch.setattr(torch, "compile", other)
    with pytest.raises(ValueError, match="losses differ by"):
        compiled(32, 4, LEAST)


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_a_compiler_compiles_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", lambda network, mode: compiler(network))
    assert compiled(32, 4, LEAST)() == 20 * LEAST.batch


def test_a_failed_measurement_does_not_keep_the_gpu_tests_from_running(tmp_path: Path) -> None:
    """The recipe of the Makefile, with a program in the place of Python that fails for one."""
    makefile = Path(__file__).parents[2] / "Makefile"
    recipe = makefile.read_text().partition("\nbench-gpu: setup\n")[2].partition("\n\n")[0]
    python = tmp_path / "python"
    for failing in ("benchmarks.gpu", "pytest", "neither"):
        python.write_text(f'#!/bin/sh\necho "$2" >>{tmp_path}/ran\ntest "$2" != {failing}\n')
        python.chmod(0o755)
        (tmp_path / "ran").unlink(missing_ok=True)
        shell = recipe.replace("$(BIN)", str(tmp_path)).replace("$$", "$")
        assert (os.system(f"{shell}") == 0) == (failing == "neither")
        assert (tmp_path / "ran").read_text() == "benchmarks.gpu\npytest\n"


def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(SystemExit, match="no CUDA device here"):
        gpu.main([])
