"""``gantune evaluate``: scores of samples from any model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from gantune.cli.console import Device, Json, make_console
from gantune.io.files import explain_write_errors

if TYPE_CHECKING:
    from gantune.evaluation.evaluate import Evaluation


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
            help="Whose features are compared: auto, inception, classifier, random, or "
            "package.module:factory.",
            show_default="a checkpoint's run's own, else auto",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="The Inception network's weights.",
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
            help="Score the first N of each, or draw N.",
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
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score images of any model, or checkpoints, against real images.

    Several SAMPLES are ranked. A checkpoint in its run folder is scored as it was there, unless
    options say otherwise.
    """
    from gantune.report.terminal.live import Terminal

    share = _read_share(held_out)
    _check_picture(neighbours, samples)
    with Terminal(make_console(stderr=True)) as terminal:  # before torch, whose import is slow
        from gantune.evaluation.evaluate import evaluate_all, open_samples
        from gantune.evaluation.request import EvaluationRequest
        from gantune.report.terminal.scores import ScoreSheet, ScoreTable, scores_json
        from gantune.scores import ExtractorChoice

        is_asked_for = extractor or weights or resize != "legacy"
        choice = ExtractorChoice(extractor or "auto", weights, resize) if is_asked_for else None
        request = EvaluationRequest(data, choice, count, colour, share)
        entries = [open_samples(_path(name), request, terminal, name, key) for name in samples]
        evaluation = evaluate_all(entries, request, device, terminal)
        if neighbours is not None:
            _draw(evaluation, neighbours)
            terminal.message(f"wrote {neighbours}")
    ranking = [(entry.name, score) for entry, score in evaluation.ranking]
    if as_json:
        print(json.dumps(scores_json(ranking), indent=2))
    elif len(ranking) == 1:
        make_console().print(ScoreSheet(*ranking[0]))
    else:
        make_console().print(ScoreTable(ranking))


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


def _check_picture(path: Path | None, samples: list[str]) -> None:
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise typer.BadParameter(f"--neighbours {path}: give a name that ends in .png")
    if len(samples) > 1:
        raise typer.BadParameter("--neighbours: draws the neighbours of one SAMPLES; name only one")


def _draw(evaluation: Evaluation, path: Path) -> None:
    from gantune.errors import ScoreError
    from gantune.scores.evaluator import draw_neighbours

    shown = evaluation.first_samples()
    if shown.ndim == 2:
        raise ScoreError(f"--neighbours {path}: points have no picture; leave it out")
    with explain_write_errors(path):
        draw_neighbours(evaluation.evaluator, shown, path)
