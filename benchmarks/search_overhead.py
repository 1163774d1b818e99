"""The shares of a search's wall time that are training, scoring, and neither.

Runs a whole search with its finals and adds up what its trials spent on training and on scoring,
where checkpoints and sample grids count as scoring. The clock starts with the first trial, so the
start-up of the processes is not included. With more than one worker, the end of the search, where
some workers are idle, counts as neither. ``whole_scoring_share`` is the share in the search's
summary, which includes the extractor and the real images' features before the first trial.

    python benchmarks/search_overhead.py --space search_spaces/dcgan.yaml --workers 1 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from gantune.report.analysis.spending import scoring_share
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from gantune.tuner.run import run_search
from gantune.tuner.state import RunState, SearchObserver


class Clock(SearchObserver):
    """Records when the first trial started."""

    def __init__(self) -> None:
        self.made = time.perf_counter()
        self.begun: float | None = None

    def refresh(self, state: RunState) -> None:
        if self.begun is None and state.trials:
            self.begun = time.perf_counter()


def measure(space: str, workers: int, overrides: tuple[str, ...]) -> dict[str, float]:
    """The shares of one search in a temporary folder, over all workers."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(workers=workers, out=Path(folder) / "run", overrides=overrides)
        clock = Clock()
        state = run_search(prepare(space, options, clock), clock)
        ended = time.perf_counter()
    whole = scoring_share(state)
    assert clock.begun is not None and whole is not None
    outcomes = [r.outcome for r in (*state.trials, *state.finalists) if r.outcome]
    wall = workers * (ended - clock.begun)
    training = sum(outcome.seconds for outcome in outcomes)
    scoring = sum(outcome.scoring_seconds for outcome in outcomes)
    return {
        "workers": workers,
        "runs": len(outcomes),
        "start_up_seconds": round(clock.begun - clock.made, 2),
        "wall_seconds": round(ended - clock.begun, 2),
        "training_share": round(training / wall, 4),
        "scoring_share": round(scoring / wall, 4),
        "neither_share": round(1 - (training + scoring) / wall, 4),
        "whole_scoring_share": round(whole.total, 4),
    }


def main() -> None:
    """Prints a line of JSON for each number of workers, and writes them to ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="search_spaces/dcgan.yaml")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", nargs="*", default=[], dest="overrides")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = []
    for workers in arguments.workers:
        lines.append(json.dumps(measure(arguments.space, workers, tuple(arguments.overrides))))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
