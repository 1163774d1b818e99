"""``train``: one config, outside any search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gantune.cli.console import make_console, typed_command
from gantune.cli.options import Device
from gantune.cli.options import training as options

if TYPE_CHECKING:
    from gantune.config import AnyConfig, TrialConfig

__all__ = ["train"]


def train(
    config: options.Config = None,
    start_from: options.From = None,
    kimg: options.TrainKimg = None,
    resume: options.Resume = False,
    out: options.TrainFolder = None,
    device: Device = "auto",
) -> None:
    """Train one config, guarded and scored as in a search."""
    from gantune.config import OwnConfig, load_any_config, make_config
    from gantune.report.selection import find_checkpoint, find_config, start_folder
    from gantune.report.terminal.live import Terminal
    from gantune.trial.external.train import train_own
    from gantune.trial.train import train as train_config

    # What goes on needs no start any more; it may be gone.
    start = find_checkpoint(start_from, must_exist=not resume) if start_from else None
    if config is not None:
        path, default = find_config(config)
        chosen: AnyConfig = load_any_config(path)
    elif start is not None:
        default = start_folder(start)
        chosen = _own_config(start, out or default, resume)
    else:
        raise typer.BadParameter("a CONFIG is needed, or a checkpoint to start --from")
    is_own = isinstance(chosen, OwnConfig)
    if is_own and start is not None:
        raise typer.BadParameter("--from: a trainer of one's own begins as it likes; leave it out")
    if isinstance(chosen, OwnConfig):
        chosen = chosen.replaced(kimg=kimg)
    elif kimg is not None:
        chosen = make_config({**chosen.model_dump(), "kimg": kimg})
    folder = out or default
    run = default.parent if (default.parent / "run.json").exists() else None
    try:
        with Terminal(make_console()) as terminal:
            if isinstance(chosen, OwnConfig):
                outcome = train_own(
                    chosen, out=folder, resume=resume, device=device, run=run, watcher=terminal
                )
            else:
                outcome = train_config(
                    chosen,
                    out=folder,
                    resume=resume,
                    start_from=start,
                    device=device,
                    run=run,
                    watcher=terminal,
                )
    except KeyboardInterrupt:
        again = typed_command().removesuffix(" --resume")
        has_checkpoint = (folder / ("last" if is_own else "last.pt")).exists()
        print(f"stopped; {f'go on with: {again} --resume' if has_checkpoint else 'nothing kept'}")
        raise typer.Exit(130) from None
    if outcome.ending != "completed":
        raise typer.Exit(1)
    if is_own:
        print(f"what its trainer saved at the best rung: {folder / 'best'}")
    else:
        _say_next(folder)


def _say_next(folder: Path) -> None:
    neighbours = folder / "neighbours.png"
    if neighbours.exists():
        print(f"its samples beside the nearest training images: {neighbours}")
    print(f"sample it with: gantune sample {folder / 'best.pt'} -n 64 -o grid.png")


def _own_config(start: Path, folder: Path, resume: bool) -> TrialConfig:
    """The config that a checkpoint was trained with; of a training that goes on, its own."""
    from gantune.gan.checkpoint import load_checkpoint, load_weights

    return load_checkpoint(folder / "last.pt").config if resume else load_weights(start).config
