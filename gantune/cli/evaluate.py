"""What any trainer made: ``evaluate`` scores its samples, ``diagnose`` judges its log."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from gantune.cli.console import Also, Device, Json, Trust, make_console
from gantune.cli.data_settings import DataSettings, read_settings
from gantune.errors import ScoreError
from gantune.io.files import explain_write_errors

_STOPPED = 3  # exit code for a verdict on a run that is still training


def evaluate(
    samples: Annotated[
        list[str],
        Argument(
            metavar="SAMPLES",
            help="A folder, zip, .npy or .npz of images, a checkpoint, or RUN#NUMBER.",
        ),
    ],
    data: Annotated[
        str | None,
        Option(
            "--data",
            metavar="SOURCE",
            help="The real images: digits, a folder, zip or file.",
            show_default="what a checkpoint learned",
        ),
    ] = None,
    settings: DataSettings = None,
    key: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="The array that holds the SAMPLES of an .npz.",
            show_default="the one that looks like images",
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Whose features are compared: auto, inception, dinov2, dinov2-b14, classifier, "
            "random, or package.module:factory.",
            show_default="a checkpoint's run's own, else auto",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="The weights of Inception or DINOv2.",
            show_default="their own download",
        ),
    ] = None,
    resize: Annotated[
        Literal["legacy", "antialias"],
        Option(help="How images are resized for Inception; published FIDs: legacy."),
    ] = "legacy",
    count: Annotated[
        int | None,
        Option(
            "--samples",
            min=2,
            metavar="N",
            help="Score N of each, chosen at random, or draw N.",
            show_default="all images; of a checkpoint as in its run where scored as there, "
            "else 2000",
        ),
    ] = None,
    colour: Annotated[
        Literal["auto", "gray", "rgb"],
        Option(help="What both sides are converted to; auto: the real images' own."),
    ] = "auto",
    held_out: Annotated[
        str | None,
        Option(
            "--held-out",
            metavar="auto|0|SHARE",
            help="Real images held out to show copying: auto (the test part), none, or a share.",
            show_default="the checkpoint's, else auto",
        ),
    ] = None,
    neighbours: Annotated[
        Path | None,
        Option(
            metavar="FILE.png",
            help="Draw the samples nearest to training images beside those.",
            show_default="no picture",
        ),
    ] = None,
    also: Also = None,
    device: Device = "auto",
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Score images of any model, or checkpoints, against real images.

    Several SAMPLES are ranked. A checkpoint in its run folder is scored as it was there, unless
    options say otherwise.
    """
    from gantune.report.terminal.live import Terminal

    share = _read_share(held_out)
    if neighbours is not None and neighbours.suffix.lower() != ".png":
        raise typer.BadParameter(f"--neighbours {neighbours}: give a name that ends in .png")
    if neighbours is not None and len(samples) > 1:
        raise typer.BadParameter("--neighbours: draws the neighbours of one SAMPLES; name only one")
    with Terminal(make_console(stderr=True)) as terminal:  # before torch, whose import is slow
        from gantune.config.extractor import FurtherScores
        from gantune.evaluation.evaluate import evaluate_all, open_samples
        from gantune.evaluation.request import EvaluationRequest
        from gantune.report.terminal.scores import score_sheet, score_table, scores_json
        from gantune.scores import ExtractorChoice
        from gantune.scores.evaluator import draw_neighbours

        is_asked_for = extractor or weights or resize != "legacy"
        choice = ExtractorChoice(extractor or "auto", weights, resize) if is_asked_for else None
        if choice is not None:
            choice.remember()
        how = read_settings(settings)
        further = FurtherScores.of(also or ())
        further.remember()
        request = EvaluationRequest(data, choice, count, colour, share, how, further)
        entries = [open_samples(_path(name), request, terminal, name, key) for name in samples]
        evaluation = evaluate_all(entries, request, device, terminal)
        if neighbours is not None:
            shown = evaluation.first_samples()
            if shown.ndim == 2:
                raise ScoreError(f"--neighbours {neighbours}: points have no picture; leave it out")
            with explain_write_errors(neighbours, "--neighbours"):
                draw_neighbours(evaluation.evaluator, shown, neighbours)
            terminal.message(f"wrote {neighbours}")
    ranking = [(entry.name, score) for entry, score in evaluation.ranking]
    if as_json:
        print(json.dumps(scores_json(ranking), indent=2))
    elif len(ranking) == 1:
        make_console().print(score_sheet(*ranking[0]))
    else:
        make_console().print(score_table(ranking))


def _path(name: str) -> Path:
    """The path of images, or of a checkpoint, which RUN#NUMBER or its folder may name."""
    from gantune.report.selection import find_checkpoint

    path = Path(name)
    is_run = any((path / file).exists() for file in ("best.pt", "run.json"))
    return find_checkpoint(name) if is_run or ("#" in name and not path.exists()) else path


def _read_share(text: str | None) -> float | Literal["auto"] | None:
    if text is None or text == "auto":
        return None if text is None else "auto"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 0.5:
        raise typer.BadParameter(f"--held-out {text}: neither auto nor a share from 0 to 0.5")
    return share


def diagnose(
    log: Annotated[
        str, Argument(metavar="LOG", help="CSV, TSV or JSON lines; - reads standard input.")
    ],
    loss: Annotated[
        str | None,
        Option(
            metavar="FAMILY",
            help="The loss: minimax, vanilla, wgan, hinge, lsgan, relativistic.",
            show_default="the log's own loss if it names one, else unknown",
        ),
    ] = None,
    auxiliary: Annotated[
        bool, Option("--auxiliary", help="The losses contain other terms too, or are scaled.")
    ] = False,
    preset: Annotated[
        Literal["default", "strict", "lenient", "off"], Option(help="Thresholds of the rules.")
    ] = "default",
    columns: Annotated[
        list[str] | None,
        Option(
            "--columns",
            metavar="SIGNAL=COLUMN,...",
            help="The log's own names, such as d_loss=Loss/D; may be repeated.",
            show_default="common names",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        Option(
            "--plot", metavar="FILE.html", help="Draw the log as a page.", show_default="no page"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the log of any trainer.

    Reads tables, JSON, printed losses and TensorBoard's files. With - it judges standard input,
    line by line, and exits with code 3 on a verdict, which stops the trainer: python train.py |
    gantune diagnose -
    """
    if plot is not None and plot.suffix.lower() != ".html":
        raise typer.BadParameter(f"--plot {plot}: give a name that ends in .html")
    from gantune.health.diagnosis import diagnose_log
    from gantune.health.logs import open_log, open_stream, read_columns
    from gantune.report.analysis.curves import Curve, add_record
    from gantune.report.terminal.diagnosis import diagnosis_sheet

    judge = partial(diagnose_log, loss=loss, auxiliary=auxiliary, preset=preset)
    named = read_columns(columns or [])
    curves: dict[str, Curve] = {}
    sees = partial(add_record, curves) if plot is not None else None
    is_pipe = log == "-"
    if is_pipe:
        stream = open_stream(sys.stdin.buffer, named)
        stream.warn_early(lambda text: print(f"warning: {text}", file=sys.stderr, flush=True))
        found = judge(stream, stop_at_verdict=True, on_record=sees)
    else:
        with open_log(log, named) as file:
            found = judge(file, on_record=sees)
    name = "stdin" if is_pipe else log
    is_stopped = is_pipe and found.verdict is not None
    if as_json:
        print(json.dumps(found.to_dict(), allow_nan=False, indent=2), flush=True)
    else:
        make_console().print(diagnosis_sheet(name, found, is_stopped))
        sys.stdout.flush()
    if plot is not None:
        from gantune.report.page.diagnosis import write_page

        write_page(plot, name if is_pipe else Path(name).name, found, curves)
        print(f"wrote {plot}", file=sys.stderr)
    if is_stopped:
        raise typer.Exit(_STOPPED)
