"""What other libraries' searches have spent on each table, kept in a file.

A replay is deterministic, so a search is measured once for each seed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.peers.host import PEERS
from benchmarks.publish import RESULTS
from benchmarks.replay import Trace, replayed
from benchmarks.sweep import TABLES
from gantune.io.files import write_text

__all__ = ["measure", "measured"]


def measured(table: str, folder: Path = RESULTS) -> dict[str, list[Trace]]:
    """The searches of each peer on a table; empty if none was measured on the table as it is."""
    return {
        peer: [
            Trace(
                math.inf if one["kimg"] is None else one["kimg"],
                tuple((kimg, rank) for kimg, rank in one["progress"]),
            )
            for one in searches.values()
        ]
        for peer, searches in _read(table, folder).items()
    }


def measure(
    table: str, peers: Sequence[str], orders: int, processes: int, folder: Path = RESULTS
) -> None:
    """Measures the missing searches; each is written when it ends."""
    known = _read(table, folder)
    jobs = [
        (peer, seed)
        for seed in range(orders)
        for peer in peers
        if str(seed) not in known.get(peer, {})
    ]
    with ProcessPoolExecutor(processes) as pool:
        waiting = {pool.submit(_search, table, *job): job for job in jobs}
        for future in as_completed(waiting):
            peer, seed = waiting[future]
            known.setdefault(peer, {})[str(seed)] = future.result()
            ordered = {
                name: dict(sorted(known[name].items(), key=lambda item: int(item[0])))
                for name in PEERS
                if name in known
            }
            write_text(_path(table, folder), _text({"table": _digest(table), "peers": ordered}))


def _search(table: str, peer: str, seed: int) -> dict[str, Any]:
    found = replayed(table, PEERS[peer], seed)
    return {"kimg": None if math.isinf(found.kimg) else found.kimg, "progress": found.progress}


def _text(tree: dict[str, Any]) -> str:
    """JSON with a line for each search."""
    text = json.dumps(tree, indent=1)
    return re.sub(r'("\d+": )(\{[^}]*\})', lambda one: one[1] + _joined(one[2]), text) + "\n"


def _joined(text: str) -> str:
    return json.dumps(json.loads(text))


def _read(table: str, folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """By peer and seed."""
    path = _path(table, folder)
    if not path.exists():
        return {}
    tree = json.loads(path.read_text(encoding="utf-8"))
    return tree["peers"] if tree["table"] == _digest(table) else {}


def _path(table: str, folder: Path) -> Path:
    return folder / f"search_peers_{table}.json"


def _digest(table: str) -> str:
    """Of the table's file: another table was not measured."""
    return hashlib.sha256(TABLES[table].path.read_bytes()).hexdigest()[:12]
