"""The time between two trials of one warm worker, and whether memory grows over many trials.

Runs a search of very short trials on one worker. ``turnaround`` is the time from the call of
``finish`` for one trial to the first step of the next, without building the networks and scoring
the untrained generator. It covers writing the study, asking the sampler, the messages and the
worker's files. Memory is the resident set of driver and worker, read from ``/proc`` at every
trial's end.

    python -m benchmarks.engine_cost --trials 500
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import torch

import gantune.tuner.run as run_module
from benchmarks.publish import RESULTS, describe_machine, table
from gantune.io.files import write_text
from gantune.trial.records import Outcome
from gantune.tuner.driver import Driver
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.run import run_search
from gantune.tuner.state import SearchObserver

SPACE = """
study: cost
budget: {trials: 500}
objective: {samples: 64, rung_samples: 32}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 4, latent: 8}
  kimg: 0.3
  tick_kimg: 0.1
  batch_size: {choices: [8, 16]}
  precision: fp32
  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}
stability: off
pruning: {rule: none, rungs: []}
finalists: {top: 0}
"""

_IN_WORKER = """
import json, os, sys, time
if any("engines.worker" in argument for argument in sys.orig_argv):
    import gantune.trial.builtin as builtin
    from gantune.trial.session import Session

    stamps = {}

    class Timed(builtin.Trainer):
        def __init__(self, *arguments):
            begun = time.monotonic()
            super().__init__(*arguments)
            stamps["building"] = time.monotonic() - begun

    def score_start(self, sample, generator, score_start=Session.score_start):
        score_start(self, sample, generator)
        stamps.update(first_step=time.monotonic(), scoring=self._clock.scoring)
        with open(os.environ["ENGINE_COST_STAMPS"], "a") as file:
            file.write(json.dumps(stamps) + "\\n")

    builtin.Trainer, Session.score_start = Timed, score_start
"""
"""Python executes it as ``sitecustomize`` before the worker's code."""


class TimedDriver(Driver):
    """Records when each trial finished, and the memory in use at that moment."""

    ends: ClassVar[list[float]] = []
    memory: ClassVar[list[tuple[float, float]]] = []

    def finish(self, name: str, outcome: Outcome) -> Outcome:
        """Records the time and the memory."""
        self.ends.append(time.monotonic())
        stored = super().finish(name, outcome)
        self.memory.append((_resident(os.getpid()), sum(map(_resident, _workers()))))
        return stored


def _resident(process: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _workers() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(c) for c in children if "engines.worker" in _command(int(c))]


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


def measure(trials: int) -> dict[str, Any]:
    """The figures of one search."""
    TimedDriver.ends, TimedDriver.memory = [], []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "sitecustomize.py").write_text(_IN_WORKER)
        (home / "space.yaml").write_text(SPACE)
        stamps = home / "stamps"
        os.environ["ENGINE_COST_STAMPS"] = str(stamps)
        os.environ["PYTHONPATH"] = os.pathsep.join([name, os.environ.get("PYTHONPATH", "")])
        setattr(run_module, "Driver", TimedDriver)  # noqa: B010
        options = Options(trials=trials, workers=1, out=home / "run")
        run_search(prepare(home / "space.yaml", options, SearchObserver()), SearchObserver())
        lines = [json.loads(line) for line in stamps.read_text().splitlines()]
    gaps = [
        1000 * (line["first_step"] - end - line["building"] - line["scoring"])
        for end, line in zip(TimedDriver.ends, lines[1:], strict=False)
    ]
    assert len(gaps) == trials - 1 and min(gaps) > 0
    early, late = _average(TimedDriver.memory, trials // 5), _average(TimedDriver.memory, trials)
    return {
        "trials": trials,
        "turnaround_ms": round(statistics.median(gaps), 1),
        "turnaround_ms_p90": round(statistics.quantiles(gaps, n=10)[-1], 1),
        "turnaround_ms_last_tenth": round(statistics.median(gaps[-trials // 10 :]), 1),
        "building_ms": round(1000 * statistics.median(line["building"] for line in lines), 1),
        "driver_mib_after_a_fifth": early[0],
        "driver_mib_at_the_end": late[0],
        "worker_mib_after_a_fifth": early[1],
        "worker_mib_at_the_end": late[1],
    }


def _average(memory: list[tuple[float, float]], until: int, over: int = 10) -> tuple[float, float]:
    """Average memory of driver and worker over the last ``over`` trials before ``until``."""
    part = memory[max(until - over, 0) : until]
    driver, worker = (statistics.fmean(column) for column in zip(*part, strict=True))
    return round(driver, 1), round(worker, 1)


def main() -> None:
    """Prints the figures, and writes them to the results if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--write", action="store_true", help="write the results")
    arguments = parser.parse_args()
    found = measure(arguments.trials)
    print(json.dumps(found, indent=2))
    if arguments.write:
        machine = describe_machine(torch.device("cpu"), 1)
        rows = [[name.replace("_", " "), f"{value:g}"] for name, value in found.items()]
        text = f"# Between two trials\n\n{table(['figure', '>value'], rows)}\n\n{machine}\n"
        write_text(RESULTS / "engine_cost_cpu.md", text)
        tree = {"machine": machine, **found}
        write_text(RESULTS / "engine_cost_cpu.json", json.dumps(tree, indent=2) + "\n")


if __name__ == "__main__":
    main()
