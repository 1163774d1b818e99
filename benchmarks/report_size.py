"""How long the page of a search takes to write, and how large it is, by the number of trials.

The runs are synthetic (``synthetic_run.py``): settings of the shipped ``dcgan`` space, and noisy
pictures, which compress badly. A new process writes each page, so its imports count. The goals:
under 10 MB at 200 trials; under 25 MB and 30 s at 1,000.

    python -m benchmarks.report_size --trials 200 1000
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.publish import Report, describe_machine, table
from benchmarks.synthetic_run import make_run

__all__ = ["main", "measure"]

_WRITE = "import sys, gantune; gantune.load_run(sys.argv[1]).report()"


def measure(trials: int, folder: Path) -> dict[str, float]:
    """One page: wall and CPU seconds, megabytes, and the machine's load before."""
    run = make_run(folder / f"run-{trials}", trials)
    load = os.getloadavg()[0]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", _WRITE, str(run.path)], check=True)
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "trials": trials,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "megabytes": round(run.report.stat().st_size / 1e6, 2),
        "load_before": round(load, 1),
    }


def main() -> None:
    """Measures and writes the results."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--trials", type=int, nargs="+", default=[200, 1000])
    chosen = reader.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(trials, Path(folder)) for trials in chosen.trials]
    device = torch.device("cpu")
    tree = {"machine": describe_machine(device, 1, 2), "rows": rows}
    columns = ("trials", ">seconds", ">CPU seconds", ">MB", ">load before")
    keys = ("trials", "seconds", "cpu_seconds", "megabytes", "load_before")
    text = table(columns, [[f"{row[key]:,}" for key in keys] for row in rows])
    words = f"{text}\n\n{tree['machine']}"
    Report("report_size", device).write(tree, "The page of a search", words)


if __name__ == "__main__":
    main()
