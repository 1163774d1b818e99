"""The process of one rank: ``python -m gantune.trial.rank_process FD``."""

import os
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

from gantune.errors import GantuneError, TrainingError
from gantune.events import LogFileObserver
from gantune.gan.device_support import is_out_of_memory, out_of_memory_text
from gantune.gan.precision import used_precision
from gantune.io.trust import adopt
from gantune.run_folder.trial import TrialFolder
from gantune.trial import builtin
from gantune.trial.process import WorkerConnection, connect
from gantune.trial.rank_group import LOOPBACK, PATIENCE, Failed, RankTask
from gantune.trial.records import Outcome, describe_outcome
from gantune.trial.train import train_here


def main() -> None:
    """Trains what the first message says, and waits to be ended."""
    connection = connect()
    task: RankTask = connection.receive()
    adopt(task.allowed)
    device = torch.device(task.device)
    try:
        _train(task, device, connection)
    except (GantuneError, OSError) as error:
        connection.send(Failed(error))
    except Exception as error:
        if is_out_of_memory(error):
            _send_out_of_memory(task, device, connection)
        else:
            told = f"rank {task.ranks.rank} on {device} failed:\n{traceback.format_exc()}"
            connection.send(Failed(TrainingError(told)))
    connection.receive()


def _train(task: RankTask, device: torch.device, connection: WorkerConnection) -> None:
    """Joins the others. The first rank trains in its session, the others follow."""
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    backend, ranks = "gloo", task.ranks
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    store = dist.TCPStore(LOOPBACK, task.port, timeout=PATIENCE)  # type: ignore[attr-defined]
    dist.init_process_group(
        backend,
        store=store,
        rank=ranks.rank,
        world_size=ranks.count,
        timeout=PATIENCE,
    )
    if ranks.rank:
        builtin.follow(device, ranks, connection.heartbeat)
        return
    outcome = train_here(
        **task.arguments,
        device=device,
        observer=connection,
        ranks=ranks,
        heartbeat=connection.heartbeat,
    )
    connection.send(outcome)


def _send_out_of_memory(task: RankTask, device: torch.device, connection: WorkerConnection) -> None:
    """Sends the outcome, at which all ranks are ended, and notes it in the training's log."""
    config, folder = task.arguments["config"], TrialFolder(Path(task.arguments["out"]))
    tick = folder.last_tick() or {"kimg": 0.0, "step": 0, "seconds": 0.0}
    outcome = Outcome(
        "out_of_memory",
        kimg=tick["kimg"],
        step=tick["step"],
        seconds=tick["seconds"],
        computed_in=used_precision(config, device),
        error=out_of_memory_text(config, device),
    )
    log = LogFileObserver(connection, folder.log) if folder.path.exists() else connection
    log.message(describe_outcome(str(folder.path), outcome))
    connection.send(outcome)


if __name__ == "__main__":
    main()
