"""``evaluate``: scores of samples that any model drew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from gantune.cli.console import make_console
from gantune.cli.options import Device, Json
from gantune.cli.options import evaluating as options
from gantune.io.files import writing

if TYPE_CHECKING:
    from gantune.evaluation.evaluate import Evaluation

__all__ = ["evaluate"]


def evaluate(
    samples: options.SampleSets,
    data: options.RealData = None,
    key: options.Key = None,
    extractor: options.ExtractorName = None,
    weights: options.WeightsFile = None,
    resize: options.Resize = "legacy",
    count: options.SampleCount = None,
    colour: options.Colour = "auto",
    held_out: options.HeldOutShare = None,
    neighbours: options.NeighboursFile = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score images of any model, or checkpoints, against real images.

    Several SAMPLES are ranked. A checkpoint that lies in its run is scored as it was there, unless
    options say otherwise.
    """
    from gantune.report.terminal.live import Terminal

    share = _share(held_out)
    _check_picture(neighbours, samples)
    with Terminal(make_console(stderr=True)) as terminal:  # stands while torch is imported
        from gantune.evaluation.evaluate import evaluate_all, open_samples
        from gantune.evaluation.request import Terms
        from gantune.report.terminal.scores import ScoreSheet, ScoreTable, scores_json
        from gantune.scores import ExtractorChoice

        is_asked_for = extractor or weights or resize != "legacy"
        choice = ExtractorChoice(extractor or "auto", weights, resize) if is_asked_for else None
        terms = Terms(data, choice, count, colour, share)
        entries = [open_samples(_path(name), terms, terminal, name, key) for name in samples]
        evaluation = evaluate_all(entries, terms, device, terminal)
        if neighbours is not None:
            _draw(evaluation, neighbours)
            terminal.say(f"wrote {neighbours}")
    ranking = [(rated.samples.name, rated.score) for rated in evaluation.ranking]
    if as_json:
        print(json.dumps(scores_json(ranking), indent=2))
    elif len(ranking) == 1:
        make_console().print(ScoreSheet(*ranking[0]))
    else:
        make_console().print(ScoreTable(ranking))


def _path(name: str) -> Path:
    """What a name means: images or a checkpoint, the latter also by RUN#NUMBER or its folder."""
    from gantune.report.selection import find_checkpoint

    path = Path(name)
    is_run = any((path / file).exists() for file in ("best.pt", "run.json"))
    return find_checkpoint(name) if is_run or ("#" in name and not path.exists()) else path


def _share(text: str | None) -> float | Literal["auto"] | None:
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
        raise typer.BadParameter("--neighbours: draws those of one SAMPLES; name one alone")


def _draw(evaluation: Evaluation, path: Path) -> None:
    from gantune.errors import ScoreError
    from gantune.scores.memorization import draw_neighbours

    shown = evaluation.first_samples()
    if shown.ndim == 2:
        raise ScoreError(f"--neighbours {path}: points have no picture; leave it out")
    with writing(path):
        draw_neighbours(evaluation.evaluator, shown, path)
