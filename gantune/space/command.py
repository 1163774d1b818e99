"""Checks the space of a trainer that is started by its command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gantune.config import CommandFields
from gantune.config.command import (
    LENGTHS,
    OWN,
    PLACES,
    RESUMED,
    SETTINGS_FILES,
    UNITS,
)
from gantune.config.loss_families import LOSSES, known_loss
from gantune.errors import LogError, Problem
from gantune.health.logs import Columns
from gantune.io.validation import comma_list, name_hint
from gantune.io.yaml_document import Document
from gantune.space.settings import SpaceFile
from gantune.space.tree import Tree


def check_command(
    parts: SpaceFile, tree: Tree, document: Document
) -> tuple[list[Problem], list[str]]:
    """Problems and advice on the settings of a command and on the placeholders in it."""
    names = list(dict.fromkeys(leaf.dotted for leaf in tree.leaves))
    problems = [
        document.problem(tuple(place.split(".")), f"{place}: {what}")
        for what, place in unknown_placeholders(parts, names)
    ]
    for name in dict.fromkeys(name.partition(".")[0] for name in names):
        if name in CommandFields.model_fields:
            what = f"{name}: a config names its trainer with this word; rename this setting"
            problems.append(document.problem(("trial", name), what))
    for name in unpassed_settings(parts, names):
        what = f"{name}: the command is not told; write {{{name}}} into command:"
        problems.append(document.problem(("trial", *name.split(".")), what))
    if parts.score is not None and parts.score.images and "data.source" not in names:
        what = "score.images: no real images to compare with; name them as trial.data.source"
        problems.append(document.problem(("score", "images"), what))
    try:
        Columns(parts.columns)
    except LogError as error:
        what = f"columns: {str(error).removeprefix('--columns: ')}"
        problems.append(document.problem(("columns",), what))
    advice = []
    if "seed" not in parts.passed and parts.finalists.top > 0 and parts.finalists.seeds > 1:
        advice.append(
            "the command is told no {seed}: the finals differ only as far as the trainer's own do"
        )
    known = [value for value in tree.values_at(("loss",)) if isinstance(value, str)]
    if unknown := [value for value in known if known_loss(value) is None]:
        advice.append(
            f"loss: health does not know {unknown[0]!r}, and judges its runs by what holds for "
            f"every loss; it knows {comma_list(LOSSES)}"
        )
    is_compared = parts.score is not None and parts.score.images
    if "data.source" in names and not is_compared and "data.source" not in parts.passed:
        advice.append("the command is not told {data.source}: which images it learns is its own")
    return problems, advice


def unknown_placeholders(command: CommandFields, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with placeholders, each with its key, where ``names`` are the settings'."""
    known = list(dict.fromkeys((*names, *PLACES, *LENGTHS, "kimg", "seed", "device")))
    for name, place in command.placeholders:
        if name in LENGTHS and name not in names:
            key = f"images_per_{name[:-1]}"
            if getattr(command, key) is None:
                yield f"{{{name}}} needs {key}: the run's length is in kimg", place
        elif name in RESUMED and name not in names:
            unit = name.rpartition("_")[2].rstrip("s")
            if unit in UNITS and getattr(command, f"images_per_{unit}") is None:
                yield f"{{{name}}} needs images_per_{unit}: the run's length is in kimg", place
            elif place not in ("resume", "environment"):
                yield f"{{{name}}} belongs in resume:, which is added where a run resumes", place
        elif name not in known and any(other.startswith(f"{name}.") for other in names):
            inner = next(other for other in names if other.startswith(f"{name}."))
            yield f"{{{name}}} is a section; name one of its settings, such as {{{inner}}}", place
        elif name not in known:
            more = RESUMED if place == "resume" else ()
            yield (
                f"no setting of trial is named {{{name}}}{name_hint(name, [*known, *more])}",
                place,
            )


def unpassed_settings(command: CommandFields, names: Sequence[str]) -> list[str]:
    """The settings that the command is not told."""
    passed = command.passed
    if passed & {*SETTINGS_FILES}:
        return []
    return [n for n in names if n not in passed and n.partition(".")[0] not in OWN]
