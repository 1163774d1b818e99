"""``gantune search`` tries the settings of a space; ``gantune init`` writes such a space."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from gantune.cli.console import (
    Also,
    Device,
    check_unused,
    interrupt_on_signals,
    make_console,
    spaces_beginning_with,
    typed_command,
)
from gantune.cli.engine_options import (
    Address,
    Checkpoints,
    Engine,
    Resources,
    Storage,
    Workers,
    read_workers,
)
from gantune.io.files import explain_write_errors

_OF_SPACE = "the space's"


def search(
    space: Annotated[
        str,
        Argument(
            metavar="SPACE",
            help="A space file, or a shipped space's name.",
            autocompletion=spaces_beginning_with,
        ),
    ],
    trials: Annotated[
        int | None, Option(min=1, metavar="N", help="Trials in all.", show_default=_OF_SPACE)
    ] = None,
    kimg: Annotated[
        float | None, Option(metavar="K", help="Length of a trial, kimg.", show_default=_OF_SPACE)
    ] = None,
    time: Annotated[
        str | None,
        Option(
            metavar="2h", help="Time for trials and finals: 2h, 90m, 1h30m.", show_default=_OF_SPACE
        ),
    ] = None,
    workers: Workers = None,
    device: Device = "auto",
    data: Annotated[
        str | None, Option(metavar="SOURCE", help="Images to learn.", show_default=_OF_SPACE)
    ] = None,
    storage: Storage = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="The run folder itself.",
            show_default="runs/STUDY, or runs/STUDY-HASH with overrides",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        Option(
            min=0,
            max=2**31 - 1,
            metavar="S",
            help="Seed of sampler and training.",
            show_default=_OF_SPACE,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        Option("--set", metavar="PATH=VALUE", help="Override a value; may be repeated."),
    ] = None,
    prior: Annotated[
        list[str] | None,
        Option(
            "--prior",
            metavar="RUN",
            help="Try the best 3 settings of an earlier search first; may be repeated.",
        ),
    ] = None,
    also: Also = None,
    track: Annotated[
        list[str] | None,
        Option(
            "--track",
            metavar="NAME",
            help="Show the runs in tensorboard, wandb or mlflow; may be repeated.",
            show_default=_OF_SPACE,
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    resources: Resources = None,
    checkpoints: Checkpoints = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the first config and the cost; train nothing.")
    ] = False,
) -> None:
    """Search a space, or resume a search.

    The same command resumes it where it stopped; more --trials extend it.
    """
    from gantune.report.terminal.live import Terminal

    count, console = read_workers(workers), make_console()
    # The terminal comes before torch, whose import is slow.
    with interrupt_on_signals() as received, Terminal(console) as terminal:
        from gantune.tuner.options import Options
        from gantune.tuner.prepare import prepare

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
            prior=tuple(prior or ()),
            also=tuple(also or ()),
            track=tuple(track or ()),
            engine=engine,
            address=address,
            resources=resources,
            checkpoints=checkpoints,
            command=typed_command(),
        )
        prepared = prepare(space, options, terminal)

        from gantune.report.page.background import PageWriter
        from gantune.report.terminal.summary import print_plan, print_summary
        from gantune.tuner.state import read_run
        from gantune.tuner.variants.margins import search_with_margins

        if dry_run:
            print_plan(console, prepared.measured(None, terminal))
            return
        with PageWriter(terminal) as observer:
            try:
                state, code = search_with_margins(prepared, options, observer), 0
            except KeyboardInterrupt:
                if not prepared.folder.info.exists():
                    raise
                state, code = read_run(prepared.folder, prepared.storage), received.exit_code
    print_summary(console, state, interrupted=code != 0)
    if code:
        raise typer.Exit(code)


def init(
    name: Annotated[str, Argument(metavar="NAME", help="A shipped space.")] = "dcgan",
    out: Annotated[
        Path | None,
        Option(
            "--out", "-o", metavar="FILE", help="File to write.", show_default="spaces/NAME.yaml"
        ),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite a file that exists.")] = False,
    names: Annotated[bool, Option("--list", help="List the shipped spaces.")] = False,
) -> None:
    """Write a commented search space to start from."""
    from gantune.io.files import write_text
    from gantune.space import shipped_spaces, shipped_text, shipped_trainer

    if names:
        for known, title in shipped_spaces().items():
            print(f"{known:<14}{title}")
        return
    text = shipped_text(name)
    path = out or Path("spaces") / f"{name}.yaml"
    trainer = shipped_trainer(name)
    files = [(path, text)]
    if trainer is not None:
        files.insert(0, (path.with_name(trainer.name), trainer.read_text(encoding="utf-8")))
    for file, _ in files:
        check_unused(file, force)
    for file, content in files:
        with explain_write_errors(file):
            write_text(file, content)
    if trainer is not None:
        print(f"wrote {files[0][0]}, its trainer")
    print(f"wrote {path}; search it with: gantune search {path}")
