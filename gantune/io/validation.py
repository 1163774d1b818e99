"""Pydantic's errors as problems that name place, value and way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from gantune.errors import Problem
from gantune.io.yaml_document import Path_

_COMPLAINT = "complaint"


def model_problems(
    error: ValidationError, model: type[BaseModel], report: Callable[[Path_, str], Problem]
) -> list[Problem]:
    """The error of a ``model`` as problems, one for each place in it.

    ``report`` makes the problem from the place, as seen from the model, and the message.
    """
    found: dict[Path_, list[ErrorDetails]] = {}  # a union has one for each of its members
    for detail in error.errors():
        path = _tree_path(model, detail["loc"])
        if detail["type"] != _COMPLAINT:
            found.setdefault(path, []).append(detail)
            continue
        for message, place in detail["ctx"]["complaints"]:
            inside = (*path, *place.split(".")) if place else path
            found.setdefault(inside, []).append({**detail, "ctx": {"message": message}})
    problems = []
    for path, details in found.items():
        what = _either(details) or _describe(details[-1], model, path)
        text = f"{'.'.join(map(str, path))}: {what}" if path else what
        problems.append(report(path, text))
    return problems


def complaint(message: str) -> PydanticCustomError:
    """An error for a validator to raise of its own place."""
    return validation_errors((message, ""))


def validation_errors(*found: tuple[str, str]) -> PydanticCustomError:
    """An error for a validator to raise: messages, each with the path that leads from the
    validator's place on, with dots."""
    words = "; ".join(message for message, _ in found)
    return PydanticCustomError(_COMPLAINT, "{words}", {"words": words, "complaints": found})


def is_disagreement(error: ValidationError) -> bool:
    """Whether every value is right by itself, and only together they cannot be."""
    return all(detail["type"] == _COMPLAINT for detail in error.errors())


def find_field(model: type[BaseModel], path: Iterable[str]) -> FieldInfo | None:
    """The field that ``path`` leads to, or ``None`` where there is no such field."""
    found: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in path:
        found = inside.model_fields.get(part) if inside else None
        if found is None:
            return None
        inside = _model_of(found.annotation)
    return found


def nested_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields of a model's parts, at any depth; not of its own."""
    for name, info in model.model_fields.items():
        if prefix:
            yield prefix + name
        if inside := _model_of(info.annotation):
            yield from nested_names(inside, f"{prefix}{name}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'lr'?)`` for a near miss, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def explain_wrong_number(text: str) -> str:
    """What to say of a text that stands where a number belongs."""
    way_out = " (remove the quotes)" if _is_number(text) else ""
    return f"{text!r} is text where a number belongs{way_out}"


def comma_list(items: Iterable[object]) -> str:
    """``16, 32, 64``."""
    return ", ".join(str(item) for item in items)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or the text of one."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def _tree_path(model: type[BaseModel], loc: tuple[int | str, ...]) -> Path_:
    """Pydantic's place without the names of the union's members that it puts into it."""
    path: list[str | int] = []
    inside: type[BaseModel] | None = model
    for part in loc:
        if inside is None and not isinstance(part, int):
            break
        path.append(part)
        fields = inside.model_fields if inside else {}
        inside = _model_of(fields[str(part)].annotation) if part in fields else None
    return tuple(path)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _names_at(model: type[BaseModel], path: Path_) -> list[str]:
    if not path:
        return list(model.model_fields)
    field = find_field(model, map(str, path))
    inside = _model_of(field.annotation) if field else None
    return list(inside.model_fields) if inside else []


def _either(details: list[ErrorDetails]) -> str:
    """What to say of what is neither one of the words that may stand here nor a number."""
    given = details[0]["input"]
    words = [word for detail in details for word in _expected(detail)]
    if len(details) == 1 or not words or _is_number(given):
        return ""
    near = nearest(given, words) if isinstance(given, str) else ""
    number = "whole number" if any("int" in detail["type"] for detail in details) else "number"
    return f"{' or '.join(words)} or a {number} belongs here, not {_short(given)}{near}"


def _expected(detail: ErrorDetails) -> list[str]:
    """The words of a ``Literal``."""
    if detail["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", (detail.get("ctx") or {}).get("expected", ""))


def _describe(detail: ErrorDetails, model: type[BaseModel], path: Path_) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = _names_at(model, path[:-1])
        return f"unknown name{nearest(str(path[-1]), known) or f'; known: {comma_list(known)}'}"
    if kind == _COMPLAINT:
        return str(detail["ctx"]["message"])
    if kind == "missing":
        return "is missing"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = _names_at(model, path)
        return (
            f"a mapping{f' ({comma_list(known)})' * bool(known)} belongs here, not {_short(given)}"
        )
    if isinstance(given, str) and ("float" in kind or "int" in kind):
        return explain_wrong_number(given)
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    if kind == "literal_error" and isinstance(given, str):
        return f"{message}, not {_short(given)}{nearest(given, _expected(detail))}"
    return f"{message}, not {_short(given)}"


def _short(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    shown = repr(value)
    return shown if len(shown) < 60 else shown[:57] + "..."
