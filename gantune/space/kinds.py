"""Of what kind a value is: as the config's model says, or as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gantune.io.validation import find_field

__all__ = ["apparent_kind", "known_kind"]

_BOUNDS = ("low", "high", "step")


def known_kind(model: type[BaseModel], target: Iterable[str]) -> type:
    """``int``, ``float`` or another type of the value at ``target``; ``float`` for no such place,
    where the unknown name is what is worth reporting."""
    found = find_field(model, target)
    if found is None:
        return float
    members = _members(found.annotation)
    return next((kind for kind in (int, float, bool) if kind in members), str)


def apparent_kind(value: Any) -> type:
    """The kind of a value of which nothing is known but how it is written.

    Numbers are whole where all that is written is; a multiple of another value never is.
    """
    if not isinstance(value, Mapping):
        return type(value)
    choices = value.get("choices")
    written = choices if isinstance(choices, list) else [value.get(key) for key in _BOUNDS]
    numbers = [item for item in written if isinstance(item, int | float)]
    if not numbers:
        return str
    is_whole = all(isinstance(item, int) for item in numbers)
    return int if is_whole and not value.get("times") else float


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows, out of their unions and constraints."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) for kind in _members(member)]
    return [annotation]
