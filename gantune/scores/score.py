"""``Protocol``: how a score was taken, and ``Score``: the number with all that it depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gantune.errors import ScoreError
from gantune.scores.protocol import Protocol, _protocol, differing_text


@dataclass(frozen=True)
class HeldOut:
    """Samples beside real images that were never trained on.

    Frechet distances depend on the count of images, so all three are between ``count`` images and
    as many others: held-out images, training images and samples.
    """

    count: int
    value: float
    """Distance of the samples to the held-out images."""
    training: float
    """Distance of the samples to the training images."""
    between: float
    """Distance of the held-out images to the training images: what real images have."""
    nearer_training: float
    """Share of the pairs of a sample and a held-out image in which the sample is nearer to its
    nearest training image than the held-out image to its own, in [0, 1]; 1 for copies, around 0.5
    for images as good as real ones, 0 for images that are nothing like them."""
    copying: float
    """Standard deviations by which that lies above one half: the test of Meehan et al. 2020
    (section 4, with one cell; there with the sign turned). Above 3 the samples copy."""


@dataclass(frozen=True)
class Score:
    """A Frechet distance (Heusel et al. 2017, eq. 6) and what stands beside it; lower is better.

    A trainer's own score has a value and a protocol alone; the rest is ``None``.
    """

    value: float
    """The distance, in squared units of the features: 0 where both sides are alike."""
    protocol: Protocol
    """How it was taken."""
    error: float | None
    """Standard error of ``value`` from the drawing of the samples, the real images being given;
    of fewer samples than twice the features up to 1.5 times too large."""
    kid: float | None
    """Kernel distance (Binkowski et al. 2018, eq. 4): unbiased, so it may be negative."""
    kid_error: float | None
    """Standard error of ``kid``, from the drawing of both sides."""
    precision: float | None
    """Share of the samples within the real images' manifold (Kynkaanniemi et al. 2019, eq. 2)."""
    recall: float | None
    """Share of the real images within the samples' manifold (eq. 2 there)."""
    density: float | None
    """How many real images' neighbourhoods hold a sample, by what is expected (Naeem et al. 2020,
    eq. 4); around 1 for real images, and not bounded by it."""
    coverage: float | None
    """Share of the real images whose neighbourhood holds a sample (eq. 5 there)."""
    spread: float | None
    """Spread of generated features as a share of the real ones': root of the ratio of the traces of
    their covariances. Near 0 when all samples look alike."""
    classes: Mapping[str, float] | None = None
    """Share of the samples that the extractor takes for each class, where it knows classes."""
    real_classes: Mapping[str, float] | None = None
    """The same shares of the real images."""
    held_out: HeldOut | None = None
    """Under the full protocol, where real images were held out."""

    @property
    def name(self) -> str:
        """What the number is called: ``Protocol.score_name``."""
        return self.protocol.score_name

    @property
    def generated(self) -> int:
        """Count of generated images."""
        return self.protocol.generated

    @property
    def balance(self) -> float | None:
        """Likeness of the classes' shares, in [0, 1]: 1 minus the total variation distance between
        those of the samples and of the real images; ``None`` where no classes are known."""
        if self.classes is None or self.real_classes is None:
            return None
        shares = self.classes
        apart = sum(abs(shares.get(name, 0.0) - real) for name, real in self.real_classes.items())
        return 1 - apart / 2

    @classmethod
    def external(cls, value: float, protocol: Protocol) -> Score:
        """The number that a trainer of one's own gives."""
        return cls(value, protocol, None, None, None, None, None, None, None, None)

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping for JSON; the protocol in it carries its hash."""
        tree = {"name": self.name, **asdict(self)}
        return tree | {"protocol": {"hash": self.protocol.hash, **tree["protocol"]}}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Score:
        """Reads back what ``to_dict`` gave."""
        fields = {name: value for name, value in tree.items() if name != "name"}
        protocol = {name: value for name, value in tree["protocol"].items() if name != "hash"}
        fields["protocol"] = _protocol(tuple(protocol.items()))
        if fields.get("held_out") is not None:
            fields["held_out"] = HeldOut(**fields["held_out"])
        return cls(**fields)


# What a score's companions say against a finalist. No torch here.


COPIES = 3.0
"""Standard deviations of ``HeldOut.copying`` above which the samples are said to be copies."""


_LOST = 0.1  # of a class's real share


_EXPECTED = 20  # samples; of fewer, chance alone could leave none (2e-9 at 20)


_LEAST_SPREAD = 0.3


def missing_classes(score: Score) -> list[str]:
    """Names of the classes with less than a tenth of their real share among the samples.

    A class of which fewer than 20 samples were to be expected is left out: chance could hide it.
    """
    if score.classes is None or score.real_classes is None:
        return []
    return [
        name
        for name, real in score.real_classes.items()
        if real * score.generated >= _EXPECTED and score.classes.get(name, 0.0) < _LOST * real
    ]


def warnings(score: Score) -> list[str]:
    """Sentences on lost classes, lost spread and copies, for a finalist; none for a sound one."""
    found = []
    missing = missing_classes(score)
    if missing:
        names = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
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
    """Raises ``ScoreError``, naming the differing fields, unless all are of one protocol."""
    found = {id(score.protocol): score.protocol for score in scores}  # most are one object
    protocols = list(dict.fromkeys(found.values()))
    for other in protocols[1:]:
        raise ScoreError(
            f"scores of two protocols, {protocols[0].hash} and {other.hash}, cannot be ranked "
            f"together; they differ in\n{differing_text(protocols[0], other)}\n"
            "score both again under one protocol"
        )
