"""Scores as text, for all tables, summaries, logs and ``best.yaml``. Does not import torch."""

from collections.abc import Mapping
from dataclasses import fields

from gantune.io.formatting import format_value
from gantune.scores.score import COPIES, HeldOut, Protocol, Score

_SAME_NAMES = (
    *("recall", "coverage", "precision", "density"),
    *("kid", "kid_error", "balance", "spread"),
)
_SCORE_FIELDS = {"sampling_error": "error", **{name: name for name in _SAME_NAMES}}
_HELD_OUT_FIELDS = {
    "held_out": "value",
    "held_out_training": "training",
    "held_out_between": "between",
    "nearer_training": "nearer_training",
    "copying": "copying",
}
"""Names in tables, with the fields of ``Score`` and of ``HeldOut``."""


def score_text(score: Score) -> str:
    """The score of one training: ``fid 8.10 (sampling error 0.12)``."""
    return f"{score.name} {format_value(score.value)}{sampling_error_text(score.error)}"


def few_samples_text(samples: int, features: int, what: str = "the score") -> str:
    """A warning where a Frechet distance rests on fewer samples than features; else empty.

    The covariance of the samples is then singular, and the distance is too large: its bias falls
    with the number of samples (Binkowski et al. 2018; Chong and Forsyth 2020).
    """
    if samples >= features:
        return ""
    return (
        f"{what} rests on {samples:,} samples, fewer than the {features:,} features: the distance "
        "is too large, and the more so the fewer samples; compare it only with scores of as many"
    )


def few_to_extrapolate_text(samples: int, features: int) -> str:
    """A warning where an extrapolation rests on halves with fewer samples than features."""
    if samples // 2 >= features:
        return ""
    return (
        f"half of {samples:,} samples are fewer than the {features:,} features: the extrapolation "
        f"to infinitely many is not to be trusted; take {2 * features:,} samples or more"
    )


def extra_metrics_text(recall: float | None, coverage: float | None) -> str:
    """The metrics beside a score: ``recall 0.61, coverage 0.70``, or that there are none."""
    if recall is None or coverage is None:
        return "no recall or coverage"
    return f"recall {recall:.2f}, coverage {coverage:.2f}"


def held_out_text(name: str, held_out: HeldOut) -> str:
    """Whether samples copy training images, and their distance from held-out images.

    ``name``: the name of the score.
    """
    verdict = "the samples copy" if held_out.copying > COPIES else "no sign of copying"
    return (
        f"held-out images: {verdict}; samples lie nearer to training images than held-out ones do "
        f"in {held_out.nearer_training:.0%} of pairs (copies: 100%); {name} of {held_out.count:,} "
        f"images each: samples to held-out {format_value(held_out.value)}, samples to training "
        f"{format_value(held_out.training)}, held-out to training {format_value(held_out.between)}"
    )


def protocol_line(protocol: Protocol) -> str:
    """A protocol in short: ``protocol 0123456789ab, 2,000 samples``; with the number format of the
    features where it is not float32."""
    what = "the trainer's own score" if protocol.is_external else f"{protocol.generated:,} samples"
    if protocol.dtype not in ("", "float32"):
        what += f" in {protocol.dtype}"
    return f"protocol {protocol.hash}, {what}"


def protocol_text(protocol: Protocol) -> str:
    """All fields of a protocol that are set, one line each, under its hash."""
    if protocol.is_external:
        what = f"{protocol.score_name}, computed by the trainer ({protocol.weights})"
        return f"protocol {protocol.hash}: {what}"
    values = ((field.name, getattr(protocol, field.name)) for field in fields(protocol))
    lines = [
        f"  {name}: {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in values
        if value not in (None, "")
    ]
    return "\n".join([f"protocol {protocol.hash}:", *lines])


def extra_metrics(score: Score | None) -> Mapping[str, float | None]:
    """All metrics of a score beside its value, by their names in tables; ``None`` where missing."""
    held_out = getattr(score, "held_out", None)
    found = {name: getattr(score, field, None) for name, field in _SCORE_FIELDS.items()}
    return found | {
        name: getattr(held_out, field, None) for name, field in _HELD_OUT_FIELDS.items()
    }


def sampling_error_text(error: float | None) -> str:
    """`` (sampling error 0.12)``, or nothing where the error is not known."""
    return "" if error is None else f" (sampling error {format_value(error, digits=2)})"
