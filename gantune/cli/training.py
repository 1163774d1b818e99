"""``train``: one config, outside any search."""

from __future__ import annotations

import typer

from gantune.cli import options
from gantune.cli.console import make_console, typed_command

__all__ = ["train"]


def train(
    config: options.Config,
    kimg: options.TrainKimg = None,
    resume: options.Resume = False,
    out: options.TrainFolder = None,
    device: options.Device = "auto",
) -> None:
    """Train one config, guarded and scored as in a search."""
    from gantune.config import load_config, make_config
    from gantune.report.live import Terminal
    from gantune.report.picks import find_config
    from gantune.search.training import train as train_config

    path, default = find_config(config)
    chosen = load_config(path)
    if kimg is not None:
        chosen = make_config({**chosen.model_dump(), "kimg": kimg})
    folder = out or default
    try:
        with Terminal(make_console()) as terminal:
            outcome = train_config(
                chosen,
                out=folder,
                resume=resume,
                device=device,
                run=default.parent if (default.parent / "run.json").exists() else None,
                watcher=terminal,
            )
    except KeyboardInterrupt:
        again = typed_command().removesuffix(" --resume")
        has_checkpoint = (folder / "last.pt").exists()
        print(f"stopped; {f'go on with: {again} --resume' if has_checkpoint else 'nothing kept'}")
        raise typer.Exit(130) from None
    if outcome.ending != "completed":
        raise typer.Exit(1)
    print(f"sample it with: gantune sample {folder / 'best.pt'} -n 64 -o grid.png")
