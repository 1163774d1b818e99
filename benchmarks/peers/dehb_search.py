"""DEHB: differential evolution in Hyperband's brackets, with its defaults.

Loss-dependent parameters are conditions of its ConfigSpace.
"""

from __future__ import annotations

import tempfile

from dehb import DEHB

from benchmarks.peers.client import Search
from benchmarks.peers.configspace import make_space


def main() -> None:
    """Searches until the benchmark ends it."""
    search = Search()
    space = make_space(search.parameters, search.seed)
    with tempfile.TemporaryDirectory() as folder:
        optimizer = DEHB(
            cs=space,
            min_fidelity=search.percents[0],
            max_fidelity=search.percents[-1],
            n_workers=1,
            seed=search.seed,
            output_path=folder,
            save_freq="end",
            log_level="ERROR",
        )
        numbers: dict[frozenset[tuple[str, object]], int] = {}
        while True:
            job = optimizer.ask()
            values = dict(job["config"])
            number = numbers.setdefault(frozenset(values.items()), len(numbers))
            score = search.train(number, values, job["fidelity"])
            optimizer.tell(job, {"fitness": score, "cost": job["fidelity"]})


if __name__ == "__main__":
    main()
