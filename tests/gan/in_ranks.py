"""Several ranks of a test: forks of its process, connected by gloo."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from gantune.gan.ranks import Ranks


def in_ranks(count: int, call: Callable[[Ranks], Any], folder: Path) -> list[Any]:
    """What ``call`` returns on each rank; ``folder`` is empty."""
    processes = []
    for rank in range(count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of threads, which end in the fork
            process = os.fork()
        if process == 0:
            os._exit(_run(Ranks(rank, count), call, folder))
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert codes == [0] * count
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _run(ranks: Ranks, call: Callable[[Ranks], Any], folder: Path) -> int:
    try:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder / 'store'}",
            rank=ranks.rank,
            world_size=ranks.count,
            timeout=timedelta(seconds=60),
        )
        torch.save(call(ranks), folder / f"{ranks.rank}.pt")
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
