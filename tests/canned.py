"""Canned scores for the tests of all who read them."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from gantune.scores import Protocol, Score

PROTOCOL = Protocol(
    data="d" * 64,
    resolution=32,
    colour="gray",
    split="train",
    extractor="classifier-digits",
    weights="e" * 64,
    accuracy=0.98,
    resize="32 gray, bilinear, antialiased",
    dtype="float32",
    real=1797,
    generated=2000,
    latent_seed=2,
    kept=1797,
    recall_neighbours=3,
    coverage_neighbours=5,
    held_out_data="",
    subset_seed=0,
)

_OF_PROTOCOL = {field.name for field in fields(Protocol)}


def run_info(**changes: Any) -> dict[str, Any]:
    """The content of a ``run.json``."""
    info = {
        "study": "toy",
        "storage": None,
        "command": "gantune search toy",
        "begun": 0.0,
        "seconds_before": 0.0,
        "preparing_seconds": 0.0,
        "workers": 1,
        "devices": ["cpu"],
        "threads_per_worker": 1,
        "data": None,
        "protocol": asdict(PROTOCOL),
        "rung_protocol": asdict(PROTOCOL),
    }
    return info | changes


def make_score(value: float, **changes: Any) -> Score:
    """A sound score; ``changes`` are fields of the score or of its protocol."""
    protocol = {name: changes.pop(name) for name in list(changes) if name in _OF_PROTOCOL}
    made = {
        "value": value,
        "protocol": Protocol(**(vars(PROTOCOL) | protocol)),
        "error": 0.1,
        "kid": 0.01,
        "kid_error": 0.001,
        "precision": 0.8,
        "recall": 0.6,
        "density": 0.9,
        "coverage": 0.7,
        "spread": 1.0,
    }
    return Score(**(made | changes))
