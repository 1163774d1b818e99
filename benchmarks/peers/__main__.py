"""Makes the environments of other libraries' searches, and measures them on a recorded table; or
any program that speaks the line protocol of ``docs/benchmark.md``.

    python -m benchmarks.peers setup [LIBRARY ...]
    python -m benchmarks.peers measure TABLE [--orders 50] [--peer NAME ...] [--processes 2]
    python -m benchmarks.peers run TABLE "python mine.py" [--orders 10]

Each library has an environment of its own below ``.venv-peers``, with the versions of
``benchmarks/peers/LIBRARY.txt``. What was measured is kept in ``benchmarks/results``, so an
interrupted measurement resumes; ``python -m benchmarks.search_efficiency`` shows it beside
gantune's searches.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import subprocess
import sys
import venv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import optuna

from benchmarks.peers.host import PEERS, Peer, PeerError, by_command
from benchmarks.peers.measured import measure
from benchmarks.replay import recorded, replayed
from benchmarks.searches import STRATEGIES
from benchmarks.sweep import TABLES

_RANDOM = "random"
_LIBRARIES = list(dict.fromkeys(peer.package for peer in PEERS.values()))


def set_up(library: str) -> str:
    """Makes an environment; says what came of it."""
    peer = Peer(library, "")
    folder = peer.python.parent.parent
    venv.create(folder, with_pip=True, clear=True)
    requirements = Path(__file__).with_name(f"{library}.txt")
    command = [str(peer.python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return f"{library}: {folder}"
    shutil.rmtree(folder)
    return f"{library} cannot be installed here: {_error(done.stderr)}"


def _error(text: str) -> str:
    """The last error of pip's messages."""
    lines = text.splitlines()
    return "".join([line for line in lines if line.startswith("ERROR")][-1:] or lines[-1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Sets up or measures."""
    given = _parser().parse_args(arguments)
    if given.action == "setup":
        for library in given.libraries or _LIBRARIES:
            print(set_up(library), flush=True)
        return 0
    if given.action == "run":
        print(_beside_random(given.table, given.command, given.orders, given.processes))
        return 0
    chosen = [name for name in PEERS if name in (given.peer or PEERS)]
    missing = sorted({PEERS[name].package for name in chosen if not PEERS[name].is_installed})
    for library in missing:
        print(f"{library} is missing; run: python -m benchmarks.peers setup {library}")
    installed = [name for name in chosen if PEERS[name].is_installed]
    measure(given.table, installed, given.orders, given.processes)
    return 1 if missing else 0


def _beside_random(table: str, command: str, orders: int, processes: int) -> str:
    """The figure of a program, and that of random search on the same seeds."""
    jobs = [(table, name, seed) for name in (command, _RANDOM) for seed in range(orders)]
    with ProcessPoolExecutor(processes) as pool:
        found = list(pool.map(_spent, *zip(*jobs, strict=True)))
    whole = len(recorded(table).runs) * recorded(table).kimg
    spent = [min(kimg, whole) for kimg in found]
    missed = found[:orders].count(math.inf)
    own, random = statistics.fmean(spent[:orders]), statistics.fmean(spent[orders:])
    return (
        f"{command}: {own:,.0f} kimg on average until one of the best, {own / random:.3f} of what "
        f"random search trains ({random:,.0f}); {orders} seeds, {missed} missed"
    )


def _spent(table: str, name: str, seed: int) -> float:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = STRATEGIES[_RANDOM] if name == _RANDOM else by_command(name)
    return replayed(table, search, seed).kimg


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    setup = actions.add_parser("setup", help="make environments")
    setup.add_argument("libraries", nargs="*", metavar="LIBRARY", help=", ".join(_LIBRARIES))
    run = actions.add_parser("run", help="measure a program of one's own")
    run.add_argument("table", choices=TABLES)
    run.add_argument("command", help="such as 'python mine.py'")
    run.add_argument("--orders", type=int, default=10)
    run.add_argument("--processes", type=int, default=2)
    measured = actions.add_parser("measure", help="measure the missing searches")
    measured.add_argument("table", choices=TABLES)
    measured.add_argument("--orders", type=int, default=50)
    measured.add_argument("--peer", action="append", choices=PEERS, help="default: all")
    measured.add_argument("--processes", type=int, default=2)
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PeerError as error:
        sys.exit(str(error))
