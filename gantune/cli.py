"""The command line. What is heavy is imported inside the command that needs it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gantune import cli_options
from gantune.errors import RunError
from gantune.report.exits import reported, writing

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "main"]

_LOG_WIDTH = 100  # columns of tables where the output is no terminal

app = typer.Typer(
    name="gantune",
    help="Hyperparameter search for GANs: stops the runs that come apart, ranks the survivors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 for a run that failed, 2 for the user's errors."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with reported():
        try:
            app()
        finally:
            sys.stdout.flush()  # here a reader that has gone is noticed, not at Python's end


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number above 0")
    return int(text)


def _version(wanted: bool) -> None:
    if wanted:
        from gantune import __version__

        print(f"gantune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    name: cli_options.Name = "dcgan",
    out: cli_options.SpaceFile = None,
    force: cli_options.Force = False,
    names: cli_options.ListNames = False,
) -> None:
    """Write a commented search space to start from."""
    from gantune.files import write_text
    from gantune.space import shipped_spaces, shipped_text

    if names:
        for known, title in shipped_spaces().items():
            print(f"{known:<14}{title}")
        return
    text = shipped_text(name)
    path = out or Path("spaces") / f"{name}.yaml"
    if path.exists() and not force:
        raise RunError(
            f"{path}: is there already; write over it with --force, or choose another -o"
        )
    with writing(path):
        write_text(path, text)
    print(f"wrote {path}; search it with: gantune search {path}")


@app.command()
def search(
    space: cli_options.Space,
    trials: cli_options.Trials = None,
    kimg: cli_options.Kimg = None,
    time: cli_options.Time = None,
    workers: cli_options.Workers = "auto",
    device: cli_options.Device = "auto",
    data: cli_options.Data = None,
    storage: cli_options.Storage = None,
    out: cli_options.RunFolder = None,
    seed: cli_options.Seed = None,
    overrides: cli_options.Overrides = None,
    dry_run: cli_options.DryRun = False,
) -> None:
    """Search a space, or go on with a search.

    The same command goes on where it stopped; more --trials extend it.
    """
    from gantune.report.live import Terminal

    count, console = _workers(workers), _console()
    with Terminal(console) as terminal:  # stands already while torch is imported
        from gantune.report.plan import print_plan
        from gantune.report.summary import print_summary
        from gantune.search.prepare import Options, prepare
        from gantune.search.reading import read_run
        from gantune.search.run import run_search

        options = Options(
            trials=trials,
            kimg=kimg,
            time=time,
            workers=count,
            device=device,
            data=data,
            storage=storage,
            out=out,
            seed=seed,
            overrides=tuple(overrides or ()),
            command=_command(),
        )
        prepared = prepare(space, options, terminal)
        if dry_run:
            print_plan(console, prepared)
            return
        try:
            state, is_interrupted = run_search(prepared, terminal), False
        except KeyboardInterrupt:
            if not prepared.folder.info.exists():
                raise
            state, is_interrupted = read_run(prepared.folder), True
    print_summary(console, state, interrupted=is_interrupted)
    if is_interrupted:
        raise typer.Exit(130)


@app.command()
def status(run: cli_options.Run, as_json: cli_options.Json = False) -> None:
    """Show how far a search is.

    RUN may name one trial of it, as in: gantune status dcgan#7
    """
    from gantune.report.detail import Detail
    from gantune.report.leaderboard import Finals, Leaderboard
    from gantune.report.picks import find_any, find_record
    from gantune.report.status import status_json
    from gantune.report.summary import print_summary
    from gantune.report.view import ProgressView
    from gantune.search.reading import read_run

    folder, number = find_any(run)
    state = read_run(folder)
    if as_json:
        print(json.dumps(status_json(state), indent=2))
    elif number is not None:
        _console().print(Detail(state, find_record(state, number)))
    elif state.is_over:
        print_summary(_console(), state)
    else:
        console = _console()
        for part in (ProgressView(state), "", Leaderboard(state), "", Finals(state)):
            console.print(part)
        if not folder.is_running:
            print(f"\nstopped; go on with: {folder.read_info()['command']}")


@app.command()
def best(
    run: cli_options.Run,
    trial: cli_options.OneTrial = None,
    top: cli_options.Top = None,
    out: cli_options.ConfigFile = None,
) -> None:
    """Print or write the winner's training config."""
    from gantune.files import write_text
    from gantune.report.picks import find_any, pick_best, pick_top, pick_trial
    from gantune.search.reading import read_run

    folder, number = find_any(run)
    if sum(wish is not None for wish in (number, trial, top)) > 1:
        raise typer.BadParameter("one of RUN#NUMBER, --trial and --top is enough")
    number = number if trial is None else trial
    state = read_run(folder)
    if top is not None:
        texts = pick_top(state, top)
    else:
        texts = [pick_best(state) if number is None else pick_trial(state, number)]
    if out is None:
        print("---\n".join(texts), end="")
        return
    for rank, text in enumerate(texts, start=1):
        path = out if top is None else out.with_stem(f"{out.stem}-{rank}")
        with writing(path):
            write_text(path, text)
        print(f"wrote {path}")


@app.command()
def train(
    config: cli_options.Config,
    kimg: cli_options.TrainKimg = None,
    resume: cli_options.Resume = False,
    out: cli_options.TrainFolder = None,
    device: cli_options.Device = "auto",
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
        with Terminal(_console()) as terminal:
            outcome = train_config(
                chosen,
                out=folder,
                resume=resume,
                device=device,
                run=default.parent if (default.parent / "run.json").exists() else None,
                watcher=terminal,
            )
    except KeyboardInterrupt:
        again = _command().removesuffix(" --resume")
        has_checkpoint = (folder / "last.pt").exists()
        print(f"stopped; {f'go on with: {again} --resume' if has_checkpoint else 'nothing kept'}")
        raise typer.Exit(130) from None
    if outcome.ending != "completed":
        raise typer.Exit(1)
    print(f"sample it with: gantune sample {folder / 'best.pt'} -n 64 -o grid.png")


@app.command()
def sample(
    checkpoint: cli_options.Checkpoint,
    number: cli_options.Count = 64,
    out: cli_options.GridFile = Path("grid.png"),
    seed: cli_options.LatentSeed = 0,
) -> None:
    """Draw a grid of samples from a trained generator."""
    import torch

    from gantune.gan.checkpoint import load_generator
    from gantune.gan.grid import save_grid
    from gantune.gan.sampling import sample_images
    from gantune.report.picks import find_checkpoint

    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"-o {out}: the picture is a PNG; give a name that ends in .png")
    generator = load_generator(find_checkpoint(checkpoint))
    images = sample_images(generator, number, torch.Generator().manual_seed(seed))
    with writing(out):
        save_grid(images, out)
    print(f"wrote {out}")


@app.command()
def doctor() -> None:
    """Check versions, devices and folders.

    The exit code is 1 where something is broken.
    """
    from gantune.report.doctor import examine, print_findings

    findings = examine()
    print_findings(_console(), findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _command() -> str:
    """The command as it was typed."""
    return shlex.join(["gantune", *sys.argv[1:]])


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_WIDTH
    return console
