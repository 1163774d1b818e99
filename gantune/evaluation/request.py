"""What an evaluation is asked for, and whether its samples can be ranked together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError

from gantune.config import DataConfig
from gantune.config.extractor import NO_FURTHER, FurtherScores
from gantune.data import ImageSet
from gantune.errors import ConfigError, Problem, ScoreError
from gantune.io.validation import model_problems
from gantune.run_folder.run import RunFolder, read_images, read_protocol, read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores import ExtractorChoice, load_extractor
from gantune.scores.features import Extractor
from gantune.scores.sample_sources import GeneratorSamples, ImageSamples, Samples
from gantune.scores.score import Protocol
from gantune.space.settings import Objective
from gantune.trial.cores import available_cores, thread_count

_SMALLEST, _LARGEST = 4, 1024  # pixels; as in ``DataConfig``


@dataclass(frozen=True)
class EvaluationRequest:
    """How samples are to be scored. A checkpoint in its run's folder is scored as it was there, if
    nothing is asked for."""

    data: str | None = None
    """Source of the real images; ``None``: those that the checkpoint was trained on."""
    extractor: ExtractorChoice | None = None
    """``None``: that of the checkpoint's run, else as ``auto``."""
    count: int | None = None
    """How many samples; ``None``: all images, or the default of a search for checkpoints."""
    colour: Literal["auto", "gray", "rgb"] = "auto"
    """Channels of real images and samples; ``auto``: the real ones' own."""
    held_out: Literal["auto"] | float | None = None
    """Share of held-out real images, as in ``DataConfig``; ``None``: the checkpoint's, or auto."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the real images are read, as in ``DataConfig``, such as ``key`` and ``split``."""
    also: FurtherScores = NO_FURTHER
    """The scores beside the first one."""


def common_count(entries: Sequence[Samples], request: EvaluationRequest) -> int:
    """How many samples of each entry are scored: the same number of all.

    Raises ``ScoreError`` where an entry has too few images, or entries have different numbers.
    """
    images = [entry for entry in entries if isinstance(entry, ImageSamples)]
    if request.count is not None:
        for entry in images:
            if entry.count < request.count:
                raise ScoreError(
                    f"{entry.name}: holds {entry.count} images, and {request.count} of each are to "
                    f"be scored; take --samples {min(each.count for each in images)}"
                )
        return request.count
    if not images:
        return Objective().samples
    fewest = min(images, key=lambda entry: entry.count)
    most = max(images, key=lambda entry: entry.count)
    if fewest.count != most.count:
        raise ScoreError(
            "scores of different counts cannot be ranked together; they differ in\n"
            f"  generated: {fewest.count} ({fewest.name}) against {most.count} ({most.name})\n"
            f"score {fewest.count} of each, chosen at random, with --samples {fewest.count}"
        )
    return fewest.count


def real_config(entries: Sequence[Samples], request: EvaluationRequest) -> DataConfig:
    """The config of the real images, in the samples' resolution.

    Raises ``ScoreError`` where the entries differ, ``ConfigError`` where it is not valid.
    """
    first = entries[0]
    for entry in entries:
        if entry.resolution != first.resolution:
            raise ScoreError(
                f"{first.name}: {_form(first)}, but {entry.name}: {_form(entry)}; only samples "
                "of one size are ranked together"
            )
    if first.colour != "points" and not _SMALLEST <= first.resolution <= _LARGEST:
        raise ScoreError(
            f"{first.name}: {_form(first)}; {_SMALLEST} to {_LARGEST} pixels can be "
            "scored: resize them, and the real images will be resized to match"
        )
    tree: dict[str, Any] = {"source": request.data, "resolution": first.resolution or "auto"}
    if request.data is None:
        tree = learned_data(entries).model_dump()
    tree |= request.settings
    if request.colour != "auto":
        tree["colour"] = request.colour
    if request.held_out is not None:
        tree["held_out"] = request.held_out
    try:
        return DataConfig(**tree)
    except ValidationError as error:
        problems = model_problems(error, DataConfig, lambda path, text: Problem(text, first.name))
        raise ConfigError(problems) from None


def learned_data(entries: Sequence[Samples]) -> DataConfig:
    """The data that all checkpoints were trained on, whatever its augmentation, at the place where
    their runs had it last.

    Raises ``ScoreError`` where these are different images.
    """
    same = [_data_now(entry) for entry in entries if isinstance(entry, GeneratorSamples)]
    for entry, each in zip(entries, same, strict=True):
        if each != same[0]:
            raise ScoreError(
                f"{entries[0].name} and {entry.name} were trained on different images; name "
                "those that both are scored against with --data"
            )
    return same[0]


def _data_now(entry: GeneratorSamples) -> DataConfig:
    images, data = read_images(entry.path.parent), entry.data
    source = data.source if images is None else images.source
    return data.model_copy(update={"source": source, "flip": False, "classes": "auto"})


def check_colour(entries: Sequence[Samples], learned: ImageSet, request: EvaluationRequest) -> None:
    """Raises ``ScoreError`` for fewer than 2 real images, and where their colour is another."""
    if len(learned) < 2:
        raise ScoreError(f"{learned.source}: holds 1 image; a distance needs 2 or more")
    for entry in entries:
        if entry.colour == learned.colour:
            continue
        place = f"{entry.name}: {_form(entry)}, but {learned.source}: "
        if learned.is_points or entry.colour == "points":
            what = "points" if learned.is_points else "images"
            raise ScoreError(f"{place}{what}; name the data that the samples imitate with --data")
        if request.colour == "auto":
            remedy = "score both as gray with --colour gray, or as colour with --colour rgb"
            if isinstance(entry, GeneratorSamples):
                remedy = f"score it against such real images with --colour {entry.colour}"
        else:
            remedy = f"a checkpoint's samples are not converted: take --colour {entry.colour}"
        raise ScoreError(f"{place}{learned.colour}; {remedy}")


def _form(entry: Samples) -> str:
    """``gray images of 28 pixels``."""
    if entry.colour == "points":
        return "points"
    return f"{entry.colour} images of {entry.resolution} pixels"


def find_provenance(checkpoint: Path) -> tuple[Protocol, int] | None:
    """How the search or training of a checkpoint's folder took its final scores.

    A protocol, and the number of CPU threads, which changes the last digits. ``None`` where there
    is no run, and for a training without a final score. Raises ``RunError`` where another version
    wrote the files.
    """
    home = TrialFolder(checkpoint.resolve().parent)
    search = RunFolder(home.path.parent.parent)  # of trials/0007/best.pt
    if search.info.exists() and not home.extractor.exists():
        return read_protocol(search), search.read_info().threads_per_worker
    final = [line for line in home.scores() if line["rung"] is None]
    if not final:
        return None
    return read_score(home.path, final[-1]).protocol, thread_count(None, available_cores())


def common_extractor(
    entries: Sequence[Samples], device: torch.device
) -> tuple[Path, Extractor] | None:
    """The extractor that scored all checkpoints in their runs, with its folder.

    ``None`` where no checkpoint's run has one; checkpoints outside runs are ignored. Raises
    ``ScoreError`` where there are two.
    """
    found: dict[Path, tuple[str, Extractor]] = {}
    for entry in entries:
        if not isinstance(entry, GeneratorSamples):
            continue
        # A training has its own, unless it lies in the folder of the search that it took it from.
        home = entry.path.resolve().parent
        runs = TrialFolder(home), RunFolder(home.parent.parent), RunFolder(home.parent)
        folder = next((run.extractor for run in runs if run.extractor.exists()), None)
        if folder is None or folder in found:
            continue
        extractor = load_extractor(folder, device)
        found[folder] = entry.name, extractor
        first, (whose, common) = next(iter(found.items()))
        ours, theirs = ((each.name, each.weights_hash, each.resize) for each in (common, extractor))
        if ours != theirs:
            raise ScoreError(
                f"{whose} was scored by {common.name} ({first}), {entry.name} by "
                f"{extractor.name} ({folder}); name one for all of them with --extractor"
            )
    return next(((folder, extractor) for folder, (_, extractor) in found.items()), None)
