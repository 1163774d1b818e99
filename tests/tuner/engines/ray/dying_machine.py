"""A search on a Ray cluster with two nodes on this machine, one of which is killed.

It is a program, as a user's search is: what an earlier Ray leaves in a process would disturb it. It
prints as JSON the killed node, all messages, and the number of trials by ending.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import gantune
from gantune.tuner.engines.ray.connection import isolated
from gantune.tuner.options import Options
from gantune.tuner.state import RunState, SearchObserver


class Killer(SearchObserver):
    """Kills the other node once both train and have passed a rung; keeps all messages."""

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
    with isolated():
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
