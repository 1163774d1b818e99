"""On what terms samples are scored, and whether they and the real images go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError

from gantune.config import DataConfig
from gantune.data import ImageSet
from gantune.errors import ConfigError, Problem, ScoreError
from gantune.io.validation import model_problems
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_protocol, read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores import ExtractorChoice, load_extractor
from gantune.scores.features import Extractor
from gantune.scores.protocol import Protocol
from gantune.scores.sample_sources import GeneratorSamples, ImageSamples, Samples
from gantune.space import Objective
from gantune.trial.devices import all_cores

_SMALLEST, _LARGEST = 4, 1024  # pixels; as in ``DataConfig``


@dataclass(frozen=True)
class Terms:
    """Under which terms samples are scored. With none of them given, a checkpoint that lies where
    it was trained is scored as it was there."""

    data: str | None = None
    """Source of the real images; ``None``: what the checkpoint learned."""
    extractor: ExtractorChoice | None = None
    """``None``: that of the run in which a checkpoint lies, else as ``auto``."""
    count: int | None = None
    """How many samples; ``None``: all images, or as many as a search takes by default."""
    colour: Literal["auto", "gray", "rgb"] = "auto"
    """Channels of real images and samples; ``auto``: the real ones' own."""
    held_out: Literal["auto"] | float | None = None
    """Real images that are held out, as in ``DataConfig``; ``None``: the checkpoint's, or auto."""


def common_count(entries: Sequence[Samples], terms: Terms) -> int:
    """How many samples of each are scored: as many of every one.

    Raises ``ScoreError`` for images of which there are too few, or of one more than of another.
    """
    images = [entry for entry in entries if isinstance(entry, ImageSamples)]
    if terms.count is not None:
        for entry in images:
            if entry.count < terms.count:
                raise ScoreError(
                    f"{entry.name}: holds {entry.count} images, and {terms.count} of each are to "
                    f"be scored; take --samples {min(each.count for each in images)}"
                )
        return terms.count
    fewest = min(images, key=lambda entry: entry.count, default=None)
    most = max(images, key=lambda entry: entry.count, default=None)
    if fewest is None or most is None:
        return Objective().samples
    if fewest.count != most.count:
        raise ScoreError(
            "scores of different counts cannot be ranked together; they differ in\n"
            f"  generated: {fewest.count} ({fewest.name}) against {most.count} ({most.name})\n"
            f"score the first {fewest.count} of each with --samples {fewest.count}"
        )
    return fewest.count


def real_data(entries: Sequence[Samples], terms: Terms) -> DataConfig:
    """Which real images they are scored against, in the samples' resolution.

    Raises ``ScoreError`` where the entries agree on none, ``ConfigError`` where there can be none.
    """
    first = entries[0]
    for entry in entries:
        if entry.resolution != first.resolution:
            raise ScoreError(
                f"{first.name}: {_form(first)}, but {entry.name}: {_form(entry)}; samples of one "
                "size alone are ranked together"
            )
    if first.colour != "points" and not _SMALLEST <= first.resolution <= _LARGEST:
        raise ScoreError(
            f"{first.name}: {_form(first)}; those of {_SMALLEST} to {_LARGEST} pixels are scored: "
            "resize them, and the real images will be brought to their size"
        )
    changes: dict[str, Any] = {}
    if terms.data is None:
        tree = _learned_data(entries).model_dump()
    else:
        tree = {"source": terms.data, "resolution": first.resolution or "auto"}
    if terms.colour != "auto":
        changes["colour"] = terms.colour
    if terms.held_out is not None:
        changes["held_out"] = terms.held_out
    try:
        return DataConfig(**tree | changes)
    except ValidationError as error:
        problems = model_problems(error, DataConfig, lambda path, text: Problem(text, first.name))
        raise ConfigError(problems) from None


def _learned_data(entries: Sequence[Samples]) -> DataConfig:
    """What all checkpoints were trained on; how it was augmented is no matter here."""
    data = [entry.data for entry in entries if isinstance(entry, GeneratorSamples)]
    same = [each.model_copy(update={"flip": False, "classes": "auto"}) for each in data]
    for entry, each in zip(entries, same, strict=True):
        if each != same[0]:
            raise ScoreError(
                f"{entries[0].name} and {entry.name} have learned different images; name those "
                "that both are scored against with --data"
            )
    return same[0]


def check_form(entries: Sequence[Samples], learned: ImageSet, terms: Terms) -> None:
    """Raises ``ScoreError`` unless there are real images enough, of the samples' colour."""
    if len(learned) < 2:
        raise ScoreError(f"{learned.source}: holds 1 image; a distance needs 2 or more")
    for entry in entries:
        if entry.colour == learned.colour:
            continue
        place = f"{entry.name}: {_form(entry)}, but {learned.source}: "
        if learned.is_points or entry.colour == "points":
            what = "points" if learned.is_points else "images"
            raise ScoreError(f"{place}{what}; name with --data what the samples imitate")
        if terms.colour == "auto":
            remedy = "score both as gray with --colour gray, or as colour with --colour rgb"
            if isinstance(entry, GeneratorSamples):
                remedy = f"score it beside such real images with --colour {entry.colour}"
        else:
            remedy = f"what a checkpoint draws is not converted: take --colour {entry.colour}"
        raise ScoreError(f"{place}{learned.colour}; {remedy}")


def _form(entry: Samples) -> str:
    """``gray images of 28 pixels``."""
    if entry.colour == "points":
        return "points"
    return f"{entry.colour} images of {entry.resolution} pixels"


# How a checkpoint was scored where it was trained, so that it can be scored so again.


@dataclass(frozen=True)
class Provenance:
    """How the final scores of one search, or of one training, were taken."""

    protocol: Protocol
    threads: int
    """Of the CPU: with another number the last digits are others."""


def find_origin(checkpoint: Path) -> Provenance | None:
    """That of the search or training in whose folder a checkpoint lies.

    ``None`` where it lies in none, and for a training that has no final score yet. Raises
    ``RunError`` where another version wrote what is there.
    """
    home = TrialFolder(checkpoint.resolve().parent)
    search = RunFolder(home.path.parent.parent)  # of trials/0007/best.pt
    if search.info.exists() and not home.extractor.exists():
        protocol = read_protocol(search)
        return Provenance(protocol, search.read_info()["threads_per_worker"])
    final = [line for line in home.scores() if line["rung"] is None]
    if not final:
        return None
    return Provenance(read_score(home.path, final[-1]).protocol, all_cores())


def common_extractor(
    entries: Sequence[Samples], device: torch.device
) -> tuple[Path, Extractor] | None:
    """The extractor by which all checkpoints were scored where they were trained, with its folder.

    ``None`` where none of them lies in a run that has one; those that lie in none have no say.
    Raises ``ScoreError`` where they were scored by two.
    """
    common: tuple[Path, Extractor] | None = None
    whose, seen = "", set()
    for entry in entries:
        folder = _find_extractor(entry.path) if isinstance(entry, GeneratorSamples) else None
        if folder is None or folder in seen:
            continue
        seen.add(folder)
        extractor = load_extractor(folder, device)
        if common is None:
            common, whose = (folder, extractor), entry.name
        elif _identity(common[1]) != _identity(extractor):
            raise ScoreError(
                f"{whose} was scored by {common[1].name} ({common[0]}), {entry.name} by "
                f"{extractor.name} ({folder}); name one for all of them with --extractor"
            )
    return common


def _find_extractor(checkpoint: Path) -> Path | None:
    """The folder of the extractor by which the run scored that a checkpoint lies in.

    A training has its own, unless it lies in the folder of the search whose it took.
    """
    home = checkpoint.resolve().parent
    runs = TrialFolder(home), RunFolder(home.parent.parent), RunFolder(home.parent)
    return next((run.extractor for run in runs if run.extractor.exists()), None)


def _identity(extractor: Extractor) -> tuple[str, str, str]:
    return extractor.name, extractor.weights_hash, extractor.resize
