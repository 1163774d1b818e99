"""A search by halving on a Ray cluster whose only worker is on another node than the driver's.

It is a program, as a user's search is. It prints as JSON each pause as it is stored: the trial, and
whether the checkpoint to go on from is in the run folder by then.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ray.cluster_utils import Cluster

import gantune
from gantune.run_folder.run import RunFolder
from gantune.tuner.engines.ray.connection import isolated
from gantune.tuner.options import Options
from gantune.tuner.study import Study


def main(space: Path) -> None:
    folder = RunFolder(space.parent / "run")
    pauses: list[tuple[str, bool]] = []
    pause = Study.pause

    def seen(study: Study, number: int, outcome: Any) -> None:
        name = f"trials/{number:04d}"
        pauses.append((name, folder.trial(name).last.exists()))
        pause(study, number, outcome)

    with isolated(), patch.object(Study, "pause", seen):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            cluster.add_node(num_cpus=1)
            options = Options(engine="ray", address=cluster.address, workers=1, out=folder.path)
            state = gantune.search(space, options)
        finally:
            cluster.shutdown()
    endings = dict(state.outcome_counts)
    print(json.dumps({"pauses": pauses, "endings": endings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
