"""What may stand in one ranking. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from gantune.errors import ScoreError
from gantune.scores.score import Protocol, Score

__all__ = ["check_comparable", "differing_fields", "differing_text"]


def differing_fields(first: Protocol, second: Protocol) -> list[str]:
    """The fields in which two protocols differ: ``generated: 1000 against 2000``, and the like."""
    pairs = ((f.name, getattr(first, f.name), getattr(second, f.name)) for f in fields(Protocol))
    return [f"{name}: {one} against {other}" for name, one, other in pairs if one != other]


def differing_text(first: Protocol, second: Protocol) -> str:
    """The same for an error: a line each, indented by two."""
    return "\n".join(f"  {named}" for named in differing_fields(first, second))


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
