"""Commands on a search: ``watch``, ``status``, ``report``, ``dashboard``, ``track``, ``best`` and
``next``."""

import json
import sys
import warnings
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from gantune.cli.console import Json, Run, Trust, check_unused, make_console
from gantune.io.files import explain_write_errors
from gantune.io.formatting import count


def watch(run: Run, trust: Trust = False) -> None:
    """Watch a search that runs elsewhere.

    The search continues when the watching ends. Exit code 1: it stopped before it was done.
    """
    from gantune.report.terminal.live import watch_run

    try:
        is_over = watch_run(run, make_console())
    except KeyboardInterrupt:
        print("\nno longer watched; the search continues")
        raise typer.Exit(130) from None
    if not is_over:
        raise typer.Exit(1)


def status(
    run: Run,
    as_json: Json = False,
    whole: Annotated[
        bool, Option("--all", help="All tables, remarks and files of the search.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Show how far a search is.

    RUN may name one trial of it, as in: gantune status dcgan#7
    """
    from gantune.report.selection import find_record, find_run_or_trial
    from gantune.report.status import status_json
    from gantune.report.terminal.live import print_status
    from gantune.report.terminal.trial import trial_sheet
    from gantune.tuner.state import read_run

    folder, number = find_run_or_trial(run)
    state = read_run(folder)
    if as_json:
        print(json.dumps(status_json(state), indent=2))
    elif number is not None:
        make_console().print(trial_sheet(state, find_record(state, number)))
    else:
        print_status(make_console(), state, whole=whole)


def report(
    runs: Annotated[
        list[str], Argument(metavar="RUN...", help="Run folders, or studies' names under runs/.")
    ],
    out: Annotated[
        Path | None,
        Option(
            "--out",
            "-o",
            metavar="FILE.html",
            help="The page.",
            show_default="report.html in the run folder; with --compare comparison.html here",
        ),
    ] = None,
    compare: Annotated[
        bool, Option("--compare", help="One page for several runs, scored under one protocol.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Write a search as one page that needs no network.

    By default it is report.html in the run folder. A running search rewrites its page by itself.
    With --compare several runs of one protocol stand side by side on one page.
    """
    if out is not None and out.suffix.lower() != ".html":
        raise typer.BadParameter(f"-o {out}: give a name that ends in .html")
    if compare and len(runs) < 2:
        raise typer.BadParameter("--compare: name two runs or more")
    if out is not None and len(runs) > 1 and not compare:
        raise typer.BadParameter("-o: is for one page; leave it out, or compare with --compare")
    from gantune.report.run import load_run

    found = [load_run(name) for name in runs]
    if compare:
        from gantune.report.page.comparison import write_comparison

        path = out or Path("comparison.html")
        write_comparison(found, path)
        print(f"wrote {path}")
        return
    for run in found:
        print(f"wrote {run.report(out)}")


def dashboard(
    run: Run,
    port: Annotated[
        int, Option(min=0, max=65535, metavar="N", help="Its port; 0: any free one.")
    ] = 8080,
    host: Annotated[
        str,
        Option(metavar="ADDRESS", help="Who can reach it: 127.0.0.1 this machine, 0.0.0.0 all."),
    ] = "127.0.0.1",
    trust: Trust = False,
) -> None:
    """Show a search in the browser.

    While it runs or after; Ctrl-C ends the server.
    """
    from gantune.report.dashboard.server import is_loopback, served
    from gantune.run_folder.run import find_run

    folder = find_run(run)
    with served(folder, host, port) as (server, url):
        try:
            print(f"{folder.path}: {url}")
            if not is_loopback(host):
                print("anyone who reaches this address can see the run: there is no password")
            print("Ctrl-C ends it", flush=True)
            warnings.simplefilter("ignore")  # Optuna's plots warn, and nobody reads it here
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def track(
    run: Run,
    to: Annotated[
        list[str] | None,
        Option(
            "--to",
            metavar="NAME",
            help="tensorboard, wandb or mlflow; may be repeated.",
            show_default="those of its space",
        ),
    ] = None,
) -> None:
    """Show the runs of a search in TensorBoard, W&B or MLflow: what was not sent yet."""
    from gantune.io.validation import comma_list
    from gantune.report.selection import find_run_or_trial
    from gantune.space import load_space
    from gantune.tracking.publisher import Publisher
    from gantune.tracking.tracker import TRACKERS

    folder, _ = find_run_or_trial(run)
    asked = to or load_space(folder.space).track
    wrong = [name for name in asked if name not in TRACKERS]
    if wrong or not asked:
        known = comma_list(TRACKERS)
        raise typer.BadParameter(f"--to {wrong[0]}: one of {known}" if wrong else f"--to: {known}")
    names = [name for name in TRACKERS if name in asked]
    publisher = Publisher(folder, folder.read_info().study, names)
    publisher.publish()
    places = publisher.places
    publisher.close()
    for name, place in places.items():
        print(f"{name}: {place}")
    for name, why in publisher.problems.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    if publisher.problems:
        raise typer.Exit(1)


def best(
    run: Run,
    trial: Annotated[
        int | None,
        Option(min=0, metavar="N", help="A trial's config.", show_default="the winner's"),
    ] = None,
    top: Annotated[
        int | None, Option(min=1, metavar="K", help="Configs of the K best trials.")
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "--out",
            "-o",
            metavar="FILE",
            help="File to write; with --top FILE-1, FILE-2, ...",
            show_default="print it",
        ),
    ] = None,
    form: Annotated[
        Literal["yaml", "json", "python", "safetensors"] | None,
        Option(
            "--format",
            help="python: for pasting into a script; safetensors: the generator's weights.",
            show_default="what FILE's name says, else yaml",
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Print or write the winner's training config, or write its generator's weights."""
    from gantune.io.files import write_text
    from gantune.report.export import format_of, in_format
    from gantune.report.selection import best_config, find_run_or_trial, pick_trial, top_configs
    from gantune.tuner.state import read_run

    folder, number = find_run_or_trial(run)
    if sum(choice is not None for choice in (number, trial, top)) > 1:
        raise typer.BadParameter("one of RUN#NUMBER, --trial and --top is enough")
    number = number if trial is None else trial
    state = read_run(folder)
    if top is not None:
        texts = top_configs(state, top)
    else:
        texts = [best_config(state) if number is None else pick_trial(state, number)]
    form = form or format_of(out)
    if form == "safetensors":
        if out is None or top is not None:
            raise typer.BadParameter("--format safetensors writes one file: name it with -o FILE")
        _write_weights(run if number is None else f"{folder.path}#{number}", out)
        return
    if out is None:
        print(in_format(texts, form, is_list=top is not None), end="")
        return
    for rank, text in enumerate(texts, start=1):
        path = out if top is None else out.with_stem(f"{out.stem}-{rank}")
        with explain_write_errors(path):
            write_text(path, in_format([text], form, is_list=False))
        print(f"wrote {path}")


def _write_weights(run: str, out: Path) -> None:
    """Writes the average generator of a run's best checkpoint, with its config as metadata."""
    from gantune.report.selection import find_winning_checkpoint
    from gantune.report.weights import write_safetensors

    checkpoint = find_winning_checkpoint(run)
    with explain_write_errors(out):
        write_safetensors(checkpoint, out)
    print(f"wrote {out} from {checkpoint}")


def next_space(
    run: Run,
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="File to write.", show_default="print it"),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite a file that exists.")] = False,
    top: Annotated[
        int,
        Option(min=1, max=1000, metavar="K", help="How many of its best settings are tried early."),
    ] = 3,
    trust: Trust = False,
) -> None:
    """Write the space to search next.

    Ranges, choices and lengths follow from the results, and the search is its prior. Each line that
    differs says why.
    """
    from gantune.io.files import write_text
    from gantune.report.next_search import next_space as text_of
    from gantune.report.next_search import suggestions
    from gantune.run_folder.run import find_run
    from gantune.tuner.state import read_run

    if out is not None:
        check_unused(out, force)
    state = read_run(find_run(run))
    found = suggestions(state)
    text = text_of(state, found, top)
    if out is None:
        print(text, end="")
        return
    with explain_write_errors(out):
        write_text(out, text)
    if not found:
        why = "it has not ended"
        if state.is_over:
            trials = state.outcome_counts.total()
            why = f"the results of {count(trials, 'trial')} suggest no change"
        print(f"the same space with the best settings as a prior: {why}")
    print(f"wrote {out}")
    print(f"search it: gantune search {quote(str(out))}")
