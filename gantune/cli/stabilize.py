"""``gantune stabilize`` finds a small change that makes a failing config train."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from gantune.cli.console import Device, Trust, interrupt_on_signals, make_console, typed_command
from gantune.cli.data_settings import DataSettings, found_again, read_settings, with_data
from gantune.cli.engine_options import (
    Address,
    Checkpoints,
    Engine,
    Resources,
    Storage,
    Workers,
    read_workers,
)

_SEEDS = 3


def stabilize(
    config: Annotated[
        str, Argument(metavar="CONFIG", help="A config such as best.yaml, or RUN#NUMBER.")
    ],
    data: Annotated[
        str | None,
        Option(metavar="SOURCE", help="Images to learn.", show_default="the config's"),
    ] = None,
    settings: DataSettings = None,
    kimg: Annotated[
        float | None,
        Option(metavar="K", help="Length of a training, kimg.", show_default="the config's"),
    ] = None,
    keep: Annotated[
        list[str] | None,
        Option(
            "--keep",
            metavar="PATH",
            help="A setting or section that stays, such as generator.lr; may be repeated.",
            show_default="none",
        ),
    ] = None,
    seeds: Annotated[
        int, Option(min=2, max=20, metavar="N", help="Trainings of the config as it is.")
    ] = _SEEDS,
    trials: Annotated[
        int | None,
        Option(
            min=1,
            metavar="N",
            help="Changes to try, besides the config as it is.",
            show_default="all",
        ),
    ] = None,
    time: Annotated[
        str | None,
        Option(metavar="20m", help="Begin no training after 20m or 1h30m.", show_default="none"),
    ] = None,
    workers: Workers = None,
    device: Device = "auto",
    storage: Storage = None,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", help="The run folder.", show_default="runs/stabilize-CONFIG"),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    resources: Resources = None,
    checkpoints: Checkpoints = None,
    trust: Trust = False,
) -> None:
    """Find a small change that makes a config train.

    It trains the config on several seeds, then tries remedies for what failed, and pairs of them.
    The same command resumes it.
    """
    from gantune.report.terminal.live import Terminal

    count, console = read_workers(workers), make_console()
    with interrupt_on_signals() as received, Terminal(console) as terminal:
        from gantune.config import ExternalConfig, load_any_config, make_config
        from gantune.errors import ConfigError, DataError, RunError
        from gantune.health.remedies import Remedy
        from gantune.io.yaml_document import read_document
        from gantune.report.page.background import PageWriter
        from gantune.report.selection import check_failed, find_config
        from gantune.report.terminal.stabilization import stabilization_view
        from gantune.space import load_space
        from gantune.space.remedies import declared_remedies
        from gantune.tuner.options import Options
        from gantune.tuner.variants.search import study_name
        from gantune.tuner.variants.stabilize import stabilize as run

        check_failed(config)
        path, default = find_config(config)
        chosen = load_any_config(path)
        if data is None:
            chosen = found_again(chosen, path if path.name == "config.yaml" else None, None)
        if data is not None or settings:
            chosen = with_data(chosen, data, read_settings(settings))
        run_space, name = default.parent / "space.yaml", default.name
        tree = read_document(run_space).tree if run_space.exists() else {}
        remedies: list[Remedy] = []
        if isinstance(chosen, ExternalConfig):
            space = load_space(run_space) if tree else None
            if space is None or not space.remedies:
                raise RunError(
                    f"{path}: is of your own trainer {chosen.trainer}; declare what may be tried "
                    "in the space of its search, such as remedies: {lower_lr: {lr: 0.25x}}, and "
                    "name one of its trials, RUN#NUMBER"
                )
            remedies = declared_remedies(space.remedies, chosen, space.document)
            chosen = chosen if kimg is None else chosen.replaced(kimg=kimg)
        elif kimg is not None:
            chosen = make_config({**chosen.model_dump(), "kimg": kimg})
        name = f"{default.parent.name}-{name}" if tree else name
        asked = [sorted(keep or ()), seeds, list(settings or ()), kimg]
        if asked != [[], _SEEDS, [], None]:  # another question gets another folder
            name += f"-{sha256(json.dumps(asked).encode()).hexdigest()[:6]}"
        options = Options(
            trials=trials,
            time=time,
            workers=count,
            device=device,
            storage=storage,
            out=out or Path("runs") / study_name(f"stabilize-{name}"),
            engine=engine,
            address=address,
            resources=resources,
            checkpoints=checkpoints,
            command=typed_command(),
        )
        with PageWriter(terminal) as observer:
            try:
                result = run(
                    chosen,
                    options,
                    keep=keep or (),
                    seeds=seeds,
                    sections={k: tree[k] for k in ("objective", "stability") if k in tree},
                    remedies=remedies,
                    observer=observer,
                )
            except (ConfigError, DataError) as error:  # of a file that nobody has written
                raise RunError(f"{path}: {error}") from None
            except KeyboardInterrupt:
                print("stopped; the same command resumes it")
                raise typer.Exit(received.exit_code) from None
    console.print()
    console.print(stabilization_view(result))
    if not result.is_healthy and result.best is None:
        raise typer.Exit(1)
