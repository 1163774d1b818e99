"""``Score``: a distance, the metrics beside it, and its ``Protocol``: how it was computed.

Does not import torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from gantune.config.extractor import DINOV2, ScoreDtype
from gantune.errors import RunError, ScoreError
from gantune.io.formatting import first_names

MOST_REAL = 50_000
"""The most real images that enter the statistics, a random subset of larger sets."""

MOST_KEPT = 10_000
"""The most images of either side for the metrics from pairs of images, whose cost is quadratic.
Naeem et al. 2020 use as many."""

_WITHOUT_SAMPLES: dict[str, Any] = {
    "generated": 0,
    "latent_seed": None,
    "kept": 0,
    "recall_neighbours": 0,
    "coverage_neighbours": 0,
    "held_out_data": "",
}

_EXTERNAL = "own:"  # before the name of a score that an external trainer computes


@dataclass(frozen=True)
class Protocol:
    """How a score was computed. Scores of protocols with different hashes are not compared."""

    data: str
    """Content hash of the real images used for training."""
    resolution: int
    """Side of the images, pixels; 0 for points."""
    colour: Literal["gray", "rgb", "points", ""]
    """Channels of the images; ``points`` for points in the plane."""
    split: str
    """The part of the source, ``train`` or ``test``."""
    extractor: str
    """Name of the feature extractor, such as ``classifier-digits``."""
    weights: str
    """SHA-256 of the extractor's weights; the trainer's name for an external trainer's score."""
    accuracy: float | None
    """Share of held-out real images that the extractor classifies correctly; ``None`` without
    classes."""
    resize: str
    """How images are resized for the extractor."""
    dtype: ScoreDtype | Literal[""]
    """Number format in which the features of samples are computed; those of real images always in
    float32. Empty for an external trainer's score."""
    real: int
    """Number of real images."""
    generated: int
    """Number of generated images."""
    latent_seed: int | None
    """Seed of the latents; ``None`` for given images."""
    kept: int
    """Number of images of either side for the metrics from pairs of images."""
    recall_neighbours: int
    """The neighbour whose distance is the radius in precision and recall."""
    coverage_neighbours: int
    """The same for density and coverage."""
    held_out_data: str
    """Content hash of the held-out real images; empty without any."""
    subset_seed: int | None
    """Seed of the random subsets: of real images above ``MOST_REAL``, and of ``kept`` images;
    ``None`` for an external trainer's score."""

    @classmethod
    def external(cls, name: str, trainer: str) -> Protocol:
        """The protocol of a score ``name`` that an external trainer computes itself.

        Scores of two trainers are never compared, whatever their names are.
        """
        return cls(
            data="",
            resolution=0,
            colour="",
            split="",
            extractor=f"{_EXTERNAL}{name}",
            weights=trainer,
            accuracy=None,
            resize="",
            dtype="",
            real=0,
            subset_seed=None,
            **_WITHOUT_SAMPLES,
        )

    @classmethod
    def from_dict(cls, tree: Any) -> Protocol:
        """Reads ``asdict`` of a protocol. Raises ``ValueError`` for anything else."""
        try:
            found = cls(**tree)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if _protocols().validate_python(vars(found)) != found:
            raise ValueError("a field of another type")
        return found

    def of_real_images(self) -> Protocol:
        """The same protocol without the fields that do not concern features of the real images."""
        return replace(self, **_WITHOUT_SAMPLES)

    @property
    def is_external(self) -> bool:
        """Whether an external trainer computed the score."""
        return self.extractor.startswith(_EXTERNAL)

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        return _hash(self)

    @property
    def score_name(self) -> str:
        """``fid`` only for the Inception network, ``fd[dinov2-l14]`` for DINOv2 as in Stein et al.
        2023, else for instance ``fid[classifier-digits]``; the given name for an external trainer's
        score."""
        if self.is_external:
            return self.extractor.removeprefix(_EXTERNAL)
        if self.extractor == "inception":
            return "fid"
        return f"{'fd' if self.extractor in DINOV2 else 'fid'}[{self.extractor}]"


def extrapolated_name(name: str) -> str:
    """The name of a score that is extrapolated to infinitely many samples: ``fid_inf[random]``."""
    head, bracket, extractor = name.partition("[")
    return f"{head}_inf{bracket}{extractor}"


def differing_fields(first: Protocol, second: Protocol) -> list[str]:
    """The fields in which two protocols differ, such as ``generated: 1000 against 2000``."""
    pairs = ((f.name, getattr(first, f.name), getattr(second, f.name)) for f in fields(Protocol))
    return [
        f"{name}: {_short(one)} against {_short(other)}"
        for name, one, other in pairs
        if one != other
    ]


def _short(value: object) -> object:
    """The value, or the first 12 digits of a hash."""
    is_hash = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40,}", value)
    return f"{str(value)[:12]}..." if is_hash else value


def differing_text(first: Protocol, second: Protocol) -> str:
    """``differing_fields`` for an error message: one line each, indented by two spaces."""
    return "\n".join(f"  {named}" for named in differing_fields(first, second))


@lru_cache(maxsize=256)
def _hash(protocol: Protocol) -> str:
    text = json.dumps(asdict(protocol), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def shared_protocol(fields: tuple[tuple[str, Any], ...]) -> Protocol:
    """Shares one object among all scores of a protocol: a study has thousands of scores."""
    return Protocol.from_dict(dict(fields))


# They check the types of the fields; made once, as that takes a millisecond.
@lru_cache(maxsize=1)
def _protocols() -> TypeAdapter[Protocol]:
    return TypeAdapter(Protocol)


@lru_cache(maxsize=1)
def _scores() -> TypeAdapter[Score]:
    return TypeAdapter(Score)


def check_same_protocol(path: Path, earlier: Protocol, now: Protocol) -> None:
    """Raises ``RunError``, naming what differs, unless both are one protocol."""
    if earlier == now:
        return
    raise RunError(
        f"{path}: its scores were taken under another protocol; then against now:\n"
        f"{differing_text(earlier, now)}\n"
        "they cannot be compared; resume with the same images and extractor, or choose another "
        "folder with --out"
    )


# ---- Scores --------------------------------------------------------------------------------------

COPIES = 3.0
"""Value of ``HeldOut.copying`` above which samples count as copies."""

_LOST = 0.1  # share of a class's real share, below which the class is lost
_EXPECTED = 20  # samples of a class; of fewer, chance could leave none (2e-9 at 20)
_LEAST_SPREAD = 0.3


@dataclass(frozen=True)
class HeldOut:
    """Compares samples with held-out real images, which were never trained on.

    Frechet distances depend on the number of images, so all three are between sets of ``count``
    images: held-out images, training images and samples.
    """

    count: int
    value: float
    """Distance between the samples and the held-out images."""
    training: float
    """Distance between the samples and the training images."""
    between: float
    """Distance between the held-out and the training images: the value of real images."""
    nearer_training: float
    """Share, in [0, 1], of pairs of a sample and a held-out image in which the sample is nearer to
    its nearest training image than the held-out image to its nearest one. 1 for copies, around 0.5
    for images as good as real ones, 0 for images that do not resemble them."""
    copying: float
    """Standard deviations of ``nearer_training`` above 1/2: the test of Meehan et al. 2020 (section
    4, with one cell and the opposite sign). Above 3 the samples are copies."""


@dataclass(frozen=True)
class FurtherScore:
    """A distance that was taken beside the first one. It never ranks."""

    name: str
    """Such as ``fd[dinov2-l14]``, or ``fid_inf`` where extrapolated to infinitely many samples."""
    value: float
    error: float | None
    """Standard error of ``value`` from drawing the samples."""
    protocol: Protocol
    """How it was computed."""


@dataclass(frozen=True)
class Score:
    """A Frechet distance (Heusel et al. 2017, eq. 6; lower is better) and further metrics.

    An external trainer's score has only a value and a protocol; the rest is ``None``.
    """

    value: float
    """The distance, in squared units of the features; 0 for equal distributions."""
    protocol: Protocol
    """How the score was computed."""
    error: float | None
    """Standard error of ``value`` from drawing the samples, with fixed real images. Up to 1.5 times
    too large for fewer samples than twice the number of features."""
    kid: float | None
    """Kernel distance (Binkowski et al. 2018, eq. 4): unbiased, so it may be negative."""
    kid_error: float | None
    """Standard error of ``kid``, from drawing both sides."""
    precision: float | None
    """Share of samples in the manifold of real images (Kynkaanniemi et al. 2019, eq. 2)."""
    recall: float | None
    """Share of real images in the manifold of samples (ibid., eq. 2)."""
    density: float | None
    """Number of neighbourhoods of real images that contain a sample, over the expected number
    (Naeem et al. 2020, eq. 4). Around 1 for real images, and may be larger."""
    coverage: float | None
    """Share of real images whose neighbourhood contains a sample (ibid., eq. 5)."""
    spread: float | None
    """Spread of generated features relative to real ones: square root of the ratio of the traces of
    their covariances. Near 0 when all samples look alike."""
    classes: Mapping[str, float] | None = None
    """Share of samples in each class, where the extractor knows classes."""
    real_classes: Mapping[str, float] | None = None
    """Share of real images in each class."""
    held_out: HeldOut | None = None
    """Only under the full protocol, and where real images were held out."""
    also: tuple[FurtherScore, ...] = ()
    """Only of finals, and where they are asked for (``objective.also``)."""

    @property
    def name(self) -> str:
        """Name of the score: ``Protocol.score_name``."""
        return self.protocol.score_name

    @property
    def generated(self) -> int:
        """Number of generated images."""
        return self.protocol.generated

    @property
    def balance(self) -> float | None:
        """Similarity of the class shares, in [0, 1]: 1 minus the total variation distance between
        samples and real images; ``None`` where the extractor knows no classes."""
        if self.classes is None or self.real_classes is None:
            return None
        shares = self.classes
        apart = sum(abs(shares.get(name, 0.0) - real) for name, real in self.real_classes.items())
        return 1 - apart / 2

    @classmethod
    def external(cls, value: float, protocol: Protocol) -> Score:
        """A score that an external trainer computed."""
        return cls(value, protocol, None, None, None, None, None, None, None, None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the protocol includes its hash."""
        tree = {"name": self.name, **asdict(self)}
        protocols = (self.protocol, *(one.protocol for one in self.also))
        for one, protocol in zip((tree, *tree["also"]), protocols, strict=True):
            one["protocol"] = {"hash": protocol.hash, **one["protocol"]}
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Score:
        """Reads a score from ``to_dict``. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for
        anything else."""
        fields = {name: value for name, value in tree.items() if name != "name"}
        fields["protocol"] = _protocol_of(tree)
        fields["also"] = tuple(
            FurtherScore(**{**one, "protocol": _protocol_of(one)}) for one in tree.get("also", ())
        )
        if fields.get("held_out") is not None:
            fields["held_out"] = HeldOut(**fields["held_out"])
        return _scores().validate_python(vars(cls(**fields)))


def _protocol_of(tree: Mapping[str, Any]) -> Protocol:
    fields = {name: value for name, value in tree["protocol"].items() if name != "hash"}
    return shared_protocol(tuple(fields.items()))


def missing_classes(score: Score) -> list[str]:
    """Names of the classes with less than a tenth of their real share among the samples.

    Classes with fewer than 20 expected samples are skipped, because chance could hide them.
    """
    if score.classes is None or score.real_classes is None:
        return []
    return [
        name
        for name, real in score.real_classes.items()
        if real * score.generated >= _EXPECTED and score.classes.get(name, 0.0) < _LOST * real
    ]


def warnings(score: Score) -> list[str]:
    """Warnings about lost classes, lost spread and copies, one sentence each."""
    found = []
    missing = missing_classes(score)
    if missing:
        names = first_names(missing, 8)
        total = len(score.real_classes or ())
        found.append(f"lost {len(missing)} of {total} classes: {names}")
    if score.spread is not None and score.spread < _LEAST_SPREAD:
        found.append(
            f"lost spread: generated features vary {score.spread:.2f} times as much as real ones"
        )
    if score.held_out is not None and score.held_out.copying > COPIES:
        found.append(
            "copies: samples lie nearer to training images than held-out images do in "
            f"{score.held_out.nearer_training:.0%} of the pairs"
        )
    return found


def check_comparable(scores: Iterable[Score]) -> None:
    """Raises ``ScoreError``, naming the differing fields, unless all have one protocol."""
    found = {id(score.protocol): score.protocol for score in scores}  # most scores share one object
    protocols = list(dict.fromkeys(found.values()))
    for other in protocols[1:]:
        raise ScoreError(
            f"scores of two protocols, {protocols[0].hash} and {other.hash}, cannot be ranked "
            f"together; they differ in\n{differing_text(protocols[0], other)}\n"
            "score both again with one protocol"
        )
