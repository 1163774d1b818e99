"""``evaluate``: scores samples of any model, and checkpoints, under one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.config import DataConfig
from gantune.config.extractor import NO_FURTHER, FurtherScores
from gantune.data import ImageSet, load_samples
from gantune.errors import DataError, MissingSourceError, ScoreError
from gantune.evaluation.request import (
    EvaluationRequest,
    check_colour,
    common_count,
    common_extractor,
    find_provenance,
    learned_data,
    real_config,
)
from gantune.events import LoggingBridge, Observer
from gantune.gan.device_support import torch_threads
from gantune.run_folder.run import read_images
from gantune.scores import ExtractorChoice, Protocol, Protocols, RealImages, Score
from gantune.scores.evaluator import Evaluator, make_protocols
from gantune.scores.extractors.store import cached_extractor
from gantune.scores.feature_statistics import BATCH
from gantune.scores.features import Extractor
from gantune.scores.sample_sources import GeneratorSamples, ImageSamples, Samples
from gantune.scores.score import differing_text
from gantune.scores.text import few_samples_text, few_to_extrapolate_text
from gantune.trial.devices import find_devices
from gantune.trial.scoring import Further, load_real_images, make_evaluator

_MOST_SHOWN = 1000

Images = Path | str | NDArray[Any] | Tensor


@dataclass(frozen=True)
class Evaluation:
    """Samples and their scores under one protocol, the best first, with the evaluator."""

    ranking: tuple[tuple[Samples, Score], ...]
    evaluator: Evaluator
    device: torch.device

    def first_samples(self) -> Tensor:
        """The first of the best entry's scored samples, at most 1,000: uint8 [N, C, H, W]."""
        protocol = self.evaluator.protocols.full
        rng = torch.Generator(self.device).manual_seed(protocol.latent_seed or 0)
        sample = self.ranking[0][0].sampler(self.device)
        count = min(protocol.generated, _MOST_SHOWN)
        return torch.cat([sample(min(BATCH, count - at), rng) for at in range(0, count, BATCH)])


def evaluate(
    samples: Images,
    data: Path | str | None = None,
    *,
    extractor: str | ExtractorChoice | None = None,
    count: int | None = None,
    colour: Literal["auto", "gray", "rgb"] = "auto",
    held_out: Literal["auto"] | float | None = None,
    key: str | None = None,
    also: Sequence[str] = (),
    device: str = "auto",
) -> Score:
    """Scores images of any model, or a checkpoint, as ``gantune evaluate`` does.

    ``samples``: a folder, zip, ``.npy`` or ``.npz`` file of images, a ``best.pt`` or ``last.pt``,
    or an array or tensor of images, uint8 or float, [N, C, H, W], [N, H, W, C] or [N, H, W]; floats
    lie in [0, 1], or in [-1, 1] where any is below -0.001. ``key``: the array of an ``.npz`` file
    that holds the samples. ``data``: source of the real images, which are brought to the samples'
    resolution; a checkpoint knows its own. ``extractor``: a name, or an ``ExtractorChoice`` with
    the weights' file; by default that of the checkpoint's run, else ``auto``. ``count``: how many
    images are scored, a random subset or as many drawn by a checkpoint. ``colour``: gray or rgb
    converts both sides. ``held_out``: share of the real images that is set aside to detect copies;
    by default the test part, where there is one. ``also``: names of scores that are taken beside
    the first one, such as ``fd_dinov2`` and ``fd_inf`` (``Score.also``). A checkpoint in its run's
    folder, given without other arguments, gets the score that it got there.

    Raises a ``GantuneError`` that says why the samples cannot be scored.
    """
    choice = ExtractorChoice(extractor) if isinstance(extractor, str) else extractor
    if choice is not None:
        choice.remember()
    further = FurtherScores.of(also)
    further.remember()
    source, observer = None if data is None else str(data), Observer()
    request = EvaluationRequest(source, choice, count, colour, held_out, also=further)
    opened = open_samples(samples, request, observer, key=key)
    return evaluate_all([opened], request, device, observer).ranking[0][1]


def open_samples(
    given: Images,
    request: EvaluationRequest,
    observer: Observer,
    name: str | None = None,
    key: str | None = None,
) -> Samples:
    """Opens what is to be scored: reads all images, or what a checkpoint was trained on.

    ``name``: its name in tables and messages. ``key``: the array of an ``.npz`` file. Raises
    ``DataError`` for images that cannot be scored, ``CheckpointError``, and ``ScoreError`` for
    images without ``request.data`` and for a ``key`` without an ``.npz`` file.
    """
    name = name or (str(given) if isinstance(given, str | Path) else "samples")
    is_npz = isinstance(given, str | Path) and Path(given).suffix.lower() == ".npz"
    if key is not None and not is_npz:
        raise ScoreError(f"{name}: --key {key} names an array of an .npz file, but it is not one")
    if isinstance(given, str | Path) and Path(given).suffix == ".pt":
        return GeneratorSamples.read(name, Path(given))
    if request.data is None:
        raise ScoreError(
            f"{name}: images are scored against real ones; name those with --data, such as "
            "--data digits or --data FOLDER"
        )
    if isinstance(given, Tensor):
        given = (given.float() if given.is_floating_point() else given).detach().cpu().numpy()
    show = partial(observer.progress, f"reading {name}")
    images = load_samples(given, colour=request.colour, key=key, most=request.count, progress=show)
    if images.notes:
        observer.message(images.found)
    return ImageSamples(name, images)


def evaluate_all(
    entries: Sequence[Samples], request: EvaluationRequest, device: str, observer: Observer
) -> Evaluation:
    """Scores all entries under one protocol and ranks them.

    Raises ``ScoreError`` where they cannot be ranked together, or compared with the real images.
    """
    place = torch.device(find_devices(device)[0])
    with LoggingBridge(observer):
        terms = _terms_of_run(entries, request, place, observer)
        terms = terms or _terms_asked_for(entries, request, place, observer)
        count = terms.protocols.full.generated
        if text := few_samples_text(count, terms.extractor.features):
            observer.message(text)
        features = terms.extractor.features
        if request.also.extrapolates and (text := few_to_extrapolate_text(count, features)):
            observer.message(text)
        with torch_threads(terms.threads):
            evaluator = make_evaluator(
                terms.extractor, terms.real, terms.protocols, place, observer
            )
            first = terms.protocols.full
            load = partial(_load_further, request.also, terms.real.learned, place)
            further = Further(request.also, load, first, terms.real, place, observer)
            _ = further.evaluators  # what is wrong with them is told before hours of scoring
            scored = [
                (entry, _score(entry, evaluator, further, place, observer)) for entry in entries
            ]
    return Evaluation(tuple(sorted(scored, key=lambda one: one[1].value)), evaluator, place)


@dataclass(frozen=True)
class _Terms:
    """What all entries are compared with, and how."""

    real: RealImages
    extractor: Extractor
    protocols: Protocols
    threads: int


def _terms_asked_for(
    entries: Sequence[Samples], request: EvaluationRequest, device: torch.device, observer: Observer
) -> _Terms:
    count = common_count(entries, request)
    real = _real_images(entries, real_config(entries, request), request, observer)
    _say_resized(entries[0], real.learned, observer)
    extractor = _extractor(entries, request, real, device, observer)
    protocols = make_protocols(extractor, real, rung_samples=count, samples=count)
    if any(isinstance(entry, ImageSamples) for entry in entries):
        protocols = replace(protocols, full=replace(protocols.full, latent_seed=None))
    return _Terms(real, extractor, protocols, torch.get_num_threads())


def _terms_of_run(
    entries: Sequence[Samples], request: EvaluationRequest, device: torch.device, observer: Observer
) -> _Terms | None:
    """The terms under which the checkpoints were scored in their runs, where ``request`` asks for
    no others. ``--data`` may name the images of the run at another place.

    ``None`` where there is no such run, and for other images that ``--data`` names. Raises
    ``ScoreError`` where images or extractor have changed.
    """
    if replace(request, data=None, also=NO_FURTHER) != EvaluationRequest():
        return None
    try:
        if (own := _common_provenance(entries, request)) is None:
            return None
        earlier, threads = own
        config = learned_data(entries)
        if request.data is not None:
            config = config.model_copy(update={"source": request.data})
        real = _real_images(entries, config, request, observer)
        _check_images(entries[0], real, request)
        with torch_threads(threads):
            extractor = _extractor(entries, request, real, device, observer)
        count = earlier.generated
        protocols = make_protocols(extractor, real, rung_samples=count, samples=count)
        if differing := differing_text(earlier, protocols.full):
            raise ScoreError(
                f"{entries[0].name}: cannot be scored as in its run; then and now:\n{differing}"
                + _unless_named(request, "\nrestore images and extractor, or score it again with")
            )
    except MissingSourceError:
        raise
    except (DataError, ScoreError) as error:
        if request.data is None:
            raise
        observer.message(f"not scored as in the run: {error}")
        return None
    return _Terms(real, extractor, protocols, threads)


def _real_images(
    entries: Sequence[Samples], config: DataConfig, request: EvaluationRequest, observer: Observer
) -> RealImages:
    """Reads the real images. Raises ``DataError``, and ``ScoreError`` for another colour."""
    show = partial(observer.progress, "reading real images")
    try:
        real = load_real_images(config, progress=show)
    except MissingSourceError as error:
        if request.data is not None:
            raise
        raise MissingSourceError(
            f"{entries[0].name}: the images that it learned: {error}; name the place where they "
            "are now with --data"
        ) from None
    check_colour(entries, real.learned, request)
    observer.message(f"real: {real.found}")
    return real


def _unless_named(request: EvaluationRequest, remedy: str) -> str:
    """A remedy that names ``--data``, unless that was given."""
    return f"{remedy} --data" if request.data is None else ""


def _check_images(entry: Samples, real: RealImages, request: EvaluationRequest) -> None:
    """Raises ``ScoreError`` where a checkpoint's run had other images, before any is looked at."""
    assert isinstance(entry, GeneratorSamples)
    began = read_images(entry.path.parent)
    if began is not None and (changes := real.changes_since(began.model_dump())):
        raise ScoreError(
            f"{entry.name}: its run had other images: {changes}"
            + _unless_named(request, "; bring them back, or score it against those of now with")
        )


def _say_resized(first: Samples, learned: ImageSet, observer: Observer) -> None:
    """Says that real images are resized to the samples' size; for a checkpoint that is known."""
    if not isinstance(first, ImageSamples) or learned.native is None:
        return
    height, width = learned.native
    if first.resolution != min(height, width):
        observer.message(
            f"real images of {width}x{height} pixels (width x height) are resized to "
            f"{first.resolution}, the samples' size"
        )


def _extractor(
    entries: Sequence[Samples],
    request: EvaluationRequest,
    real: RealImages,
    device: torch.device,
    observer: Observer,
) -> Extractor:
    """The one that is asked for, else the checkpoints' own, else the first that is available."""
    own = common_extractor(entries, device) if request.extractor is None else None
    if own is not None:
        folder, extractor = own
        observer.message(
            f"scores by {extractor.name}, the run's own ({folder}): {extractor.reason}"
        )
        return extractor
    choice = request.extractor or ExtractorChoice()
    extractor = cached_extractor(choice, real.learned, device)
    observer.message(f"scores by {extractor.name}: {extractor.reason}")
    return extractor


def _common_provenance(
    entries: Sequence[Samples], request: EvaluationRequest
) -> tuple[Protocol, int] | None:
    """How all checkpoints were scored in their runs, if they were and it is the same."""
    found = [
        find_provenance(entry.path) if isinstance(entry, GeneratorSamples) else None
        for entry in entries
    ]
    first = found[0]
    if first is None or None in found:
        return None
    for entry, other in zip(entries, found, strict=True):
        if other is not None and other[0] != first[0]:
            raise ScoreError(
                f"{entries[0].name} and {entry.name} were scored under two protocols and cannot be "
                f"ranked together; they differ in\n{differing_text(first[0], other[0])}"
                + _unless_named(request, "\nscore them again under one with")
            )
    return first


def _load_further(scores: FurtherScores, images: ImageSet, device: torch.device) -> list[Extractor]:
    return [cached_extractor(choice, images, device) for choice in scores.extractors]


def _score(
    entry: Samples,
    evaluator: Evaluator,
    further: Further,
    device: torch.device,
    observer: Observer,
) -> Score:
    compare = partial(observer.progress, f"comparing {entry.name} with the real images", total=0)
    sample, done = entry.sampler(device), 0
    total = evaluator.protocols.full.generated

    def counted_sample(number: int, rng: torch.Generator) -> Tensor:
        nonlocal done
        images = sample(number, rng)
        done += number
        observer.progress(f"scoring {entry.name}", done, total)
        if done >= total:  # distances, KID and the four shares can take longer than the samples
            compare(done=0)
        return images

    score = evaluator.score(counted_sample, full=True, extrapolate=further.extrapolates)
    compare(done=1)
    return further.add_to(score, entry.sampler(device))
