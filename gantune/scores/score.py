"""``Protocol``: how a score was taken, and ``Score``: the number with all that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

__all__ = ["HeldOut", "Protocol", "Score"]


_OWN = "own:"  # before the name of a score that a trainer gives itself


@dataclass(frozen=True)
class Protocol:
    """All that a score depends on beside the generator. Scores of two hashes are not compared."""

    data: str
    """Content hash of the real images, as they are learned."""
    resolution: int
    """Side of the images, pixels; 0 for points."""
    colour: Literal["gray", "rgb", "points", ""]
    """Channels of the images; ``points`` for points in the plane."""
    split: str
    """The part of the source, ``train`` or ``test``."""
    extractor: str
    """Name of the feature extractor, such as ``classifier-digits``."""
    weights: str
    """SHA-256 of the extractor's weights; of a trainer's own score the trainer."""
    accuracy: float | None
    """Share of held-out real images that the extractor classifies rightly; ``None`` without
    classes."""
    resize: str
    """How images are brought to the extractor's size."""
    dtype: str
    """Number format in which features are computed."""
    real: int
    """Count of real images."""
    generated: int
    """Count of generated images."""
    latent_seed: int | None
    """Seed of the latents; ``None`` for images that somebody else drew."""
    kept: int
    """Count of images of either side that enter the companions of the Frechet distance."""
    recall_neighbours: int
    """Which nearest neighbour gives the radius in precision and recall."""
    coverage_neighbours: int
    """The same for density and coverage."""
    held_out_data: str
    """Content hash of the real images that were never trained on; empty without any."""

    @classmethod
    def own(cls, name: str, trainer: str) -> Protocol:
        """Of a score that a trainer of one's own gives and calls ``name``: nothing else is known.

        Two trainers' scores are never compared, whatever they call them.
        """
        return cls(
            data="",
            resolution=0,
            colour="",
            split="",
            extractor=f"{_OWN}{name}",
            weights=trainer,
            accuracy=None,
            resize="",
            dtype="",
            real=0,
            generated=0,
            latent_seed=None,
            kept=0,
            recall_neighbours=0,
            coverage_neighbours=0,
            held_out_data="",
        )

    @property
    def is_own(self) -> bool:
        """Whether the user's own trainer gave the score."""
        return self.extractor.startswith(_OWN)

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        return _hash(self)

    @property
    def score_name(self) -> str:
        """``fid`` for the Inception network alone, else ``fid[classifier-digits]`` and the like; of
        a trainer's own score its name."""
        if self.is_own:
            return self.extractor.removeprefix(_OWN)
        return "fid" if self.extractor == "inception" else f"fid[{self.extractor}]"


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
    def own(cls, value: float, protocol: Protocol) -> Score:
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


@lru_cache(maxsize=256)
def _hash(protocol: Protocol) -> str:
    text = json.dumps(asdict(protocol), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _protocol(fields: tuple[tuple[str, Any], ...]) -> Protocol:
    """One object for all scores of one protocol: a study has thousands of them."""
    return Protocol(**dict(fields))
