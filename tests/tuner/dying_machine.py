"""A search on a Ray cluster of two machines, both of them this one, of which one dies.

A program of its own, as a user's search is: what an earlier Ray has left in a process disturbs the
next one there. Prints as JSON which machine was killed, what was said, and how the trials ended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import gantune
from gantune.tuner.engines.ray.connection import silence
from gantune.tuner.options import Options
from gantune.tuner.state import RunState, SearchObserver


class Killer(SearchObserver):
    """Ends the other machine once both of them train and are past a rung; keeps what is said."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.killed: list[str] = []
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def refresh(self, state: RunState) -> None:
        here = ray.get_runtime_context().get_node_id()
        busy = [record for record in state.running if record.rungs]
        if not self.killed and len(state.running) == 2 and len(busy) == 2:
            (other,) = [n for n in self._cluster.list_all_nodes() if n.node_id != here]
            self.killed.append(other.node_id)
            self._cluster.remove_node(other, allow_graceful=False)


def main(space: Path) -> None:
    with silence():
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            cluster.add_node(num_cpus=1)
            observer = Killer(cluster)
            out, address = space.parent / "run", cluster.address
            options = Options(engine="ray", address=address, workers=2, out=out)
            state = gantune.search(space, options, observer)
        finally:
            cluster.shutdown()
    told = {
        "killed": observer.killed,
        "lines": observer.lines,
        "endings": dict(state.outcome_counts),
    }
    print(json.dumps(told | {"finalists": len(state.finalists)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
