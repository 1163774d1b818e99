"""The overhead of a trial with the Ray engine and with the local one, with one worker each.

Both engines search the same space, in turns. The clock of a search runs from the end of its first
trial to the end of its last one. The time that the trials did not spend on training and scoring is
the engine's: sending work, exporting and copying checkpoints, writing the study. It is divided by
the number of trials (``overhead_ms_a_trial``). ``start_up_seconds`` is the time from the call to
the end of the first trial, without what that trial took.

    python benchmarks/ray_overhead.py --turns 3 --trials 20
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.publish import RESULTS, Report, describe_machine, table
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchObserver

SPACE = """
study: overhead
budget: {trials: 20}
objective: {samples: 64, rung_samples: 32}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 16, latent: 8}
  kimg: 0.6
  tick_kimg: 0.1
  batch_size: 32
  precision: fp32
  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}
stability: off
pruning: {rule: none, rungs: [50%]}
finalists: {top: 0}
"""

Engine = Literal["local", "ray"]


class Clock(SearchObserver):
    """Records when each trial ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def message(self, text: str) -> None:
        if text.startswith("trials/"):
            self.ends.append(time.perf_counter())

    def refresh(self, state: RunState) -> None:
        """Does nothing: drawing in a terminal is not measured."""


def measure(engine: Engine, trials: int) -> dict[str, float]:
    """Measures one search in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "overhead.yaml"
        space.write_text(SPACE)
        chosen: dict[str, Any] = {
            "engine": engine,
            "workers": 1,
            "trials": trials,
            "out": Path(folder) / "run",
        }
        if engine == "ray":
            chosen["resources"] = f"cpu={torch.get_num_threads()}"
        clock, begun = Clock(), time.perf_counter()
        options = Options(**chosen)
        state = run_search(prepare(space, options, clock), clock)
        ended = time.perf_counter()
    spent = [t.outcome.seconds + t.outcome.scoring_seconds for t in state.trials if t.outcome]
    between = clock.ends[-1] - clock.ends[0]
    return {
        "overhead_ms_a_trial": round(1000 * (between - sum(spent[1:])) / (len(spent) - 1), 1),
        "start_up_seconds": round(clock.ends[0] - begun - spent[0], 1),
        "shut_down_seconds": round(ended - clock.ends[-1], 1),
    }


def main() -> None:
    """Prints each search's numbers; writes their medians to ``results/ray_overhead_cpu``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"local": [], "ray": []}
    for _ in range(arguments.turns):
        for engine, lines in found.items():
            lines.append(measure(engine, arguments.trials))  # type: ignore[arg-type]
            print(engine, lines[-1], flush=True)
    keys = list(found["local"][0])
    medians = {e: {k: statistics.median(x[k] for x in f) for k in keys} for e, f in found.items()}
    device = torch.device("cpu")
    machine = describe_machine(device, 1, torch.get_num_threads())
    heads = ["engine", *(f">{key.replace('_', ' ')}" for key in keys)]
    cells = [[engine, *(f"{one[key]:g}" for key in keys)] for engine, one in medians.items()]
    words = (
        f"Medians of {arguments.turns} searches of {arguments.trials} trials each, in turns, with "
        f"one worker; {machine}."
    )
    report = Report("ray_overhead", device, RESULTS)
    tree = {"machine": machine, "trials": arguments.trials, "searches": found, "medians": medians}
    report.write(tree, "The Ray engine and the local engine", f"{words}\n\n{table(heads, cells)}")


if __name__ == "__main__":
    main()
