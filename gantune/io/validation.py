"""Turns Pydantic's errors into problems that name the place, the value and the remedy."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from gantune.errors import Problem
from gantune.io.yaml_document import KeyPath

_SYNONYMS = {
    "learning_rate": "lr",
    "learningrate": "lr",
    "epochs": "kimg",
    "num_epochs": "kimg",
    "n_epochs": "kimg",
    "iterations": "kimg",
    "max_steps": "kimg",
    "total_kimg": "kimg",
    "bs": "batch_size",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "wd": "weight_decay",
    "opt": "optimizer",
    "arch": "network",
    "z_dim": "latent",
    "nz": "latent",
    "latent_dim": "latent",
    "ngf": "width",
    "ndf": "width",
    "betas": "beta1",
    "img_size": "resolution",
    "image_size": "resolution",
    "imsize": "resolution",
    "dataset": "data",
    "amp": "precision",
    "bce": "vanilla",
    "non_saturating": "vanilla",
    "ns": "vanilla",
    "wgan-gp": "wgan",
    "wgan_gp": "wgan",
    "n_critic": "steps",
    "min": "low",
    "max": "high",
    "values": "choices",
    "options": "choices",
    "parameters": "trial",
    "params": "trial",
    "hyperparameters": "trial",
    "search_space": "trial",
    "metric": "objective",
    "method": "sampler",
    "n_trials": "trials",
    "num_samples": "trials",
    "max_trials": "trials",
    "timeout": "time",
    "program": "trainer",
}
"""What other programs call a setting; no spelling leads from one to the other."""
_OWN_ERROR = "gantune"  # type of the errors that gantune's validators raise


def model_problems(
    error: ValidationError, model: type[BaseModel], report: Callable[[KeyPath, str], Problem]
) -> list[Problem]:
    """The problems in a ``ValidationError`` of ``model``, one for each place.

    ``report`` makes a problem from a place, as seen from the model, and a message.
    """
    found: dict[KeyPath, list[ErrorDetails]] = {}  # a union has one error for each member
    for detail in error.errors():
        path = _document_path(model, detail["loc"])
        if detail["type"] != _OWN_ERROR:
            found.setdefault(path, []).append(detail)
            continue
        for message, place in detail["ctx"]["errors"]:
            inside = (*path, *place.split(".")) if place else path
            found.setdefault(inside, []).append({**detail, "ctx": {"message": message}})
    problems = []
    for path, details in found.items():
        what = _describe_union(details) or _describe(details[-1], model, path)
        text = f"{'.'.join(map(str, path))}: {what}" if path else what
        problems.append(report(path, text))
    return problems


def validation_error(message: str) -> PydanticCustomError:
    """An error for a validator to raise about its own place."""
    return validation_errors((message, ""))


def validation_errors(*found: tuple[str, str]) -> PydanticCustomError:
    """Several errors for a validator to raise at once: pairs of a message and a dotted path,
    relative to the validator's place."""
    text = "; ".join(message for message, _ in found)
    return PydanticCustomError(_OWN_ERROR, "{text}", {"text": text, "errors": found})


def is_conflict(error: ValidationError) -> bool:
    """Whether each value is valid by itself, and only their combination is not."""
    return all(detail["type"] == _OWN_ERROR for detail in error.errors())


def section_of(model: type[BaseModel], path: Iterable[str]) -> type[BaseModel] | None:
    """The model of the section at ``path``: ``model`` itself for no path, ``None`` for a single
    value or an unknown name."""
    path = tuple(path)
    found = find_field(model, path)
    return model if not path else _model_of(found.annotation) if found else None


def find_field(model: type[BaseModel], path: Iterable[str]) -> FieldInfo | None:
    """The field at ``path``, or ``None`` where the model has no such field."""
    found: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in path:
        found = inside.model_fields.get(part) if inside else None
        if found is None:
            return None
        inside = _model_of(found.annotation)
    return found


def nested_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields of nested models, at any depth, without the top-level fields."""
    for name, info in model.model_fields.items():
        if prefix:
            yield prefix + name
        if inside := _model_of(info.annotation):
            yield from nested_names(inside, f"{prefix}{name}.")


def dotted_values(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by dotted path; an empty mapping has none."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from dotted_values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'lr'?)`` where a known name is similar, else an empty string."""
    names = list(known)
    meant = _SYNONYMS.get(word.lower())
    same = next((name for name in names if name.lower() == word.lower()), meant)
    close = [same] if same in names else difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def path_hint(name: str, known: Iterable[str], nested: Iterable[str]) -> str:
    """As ``did_you_mean``; else the paths among ``nested`` that end with the name, or with what is
    called so elsewhere: `` (did you mean 'generator.lr' or 'discriminator.lr'?)``."""
    known, nested, usual = list(known), list(nested), _SYNONYMS.get(name.lower())
    meant = [path for path in nested if path.endswith(f".{name}")]
    if not meant and usual not in known:
        meant = [path for path in nested if path.endswith(f".{usual}")]
    if not meant:
        return did_you_mean(name, known)
    return f" (did you mean {' or '.join(map(repr, meant[:3]))}?)"


def name_hint(word: str, known: Iterable[str]) -> str:
    """``did_you_mean``, or the list of all known names where none is similar."""
    known = list(known)
    return did_you_mean(word, known) or f"; known: {comma_list(known)}"


def explain_wrong_number(text: str) -> str:
    """The message for text where a number belongs."""
    if not _is_number(text):
        meant = _meant_number(text)
        return (
            f"{_short(text)} is text where a number belongs{f' (write {meant})' if meant else ''}"
        )
    if not math.isfinite(float(text)):
        return f"{text} is no finite number"
    remedy = " (remove the quotes)"
    return f"{text!r} is text where a number belongs{remedy}"


def _meant_number(text: str) -> str:
    """The number that ``1,000``, ``0,5``, ``5%``, ``1/4``, ``10^-4`` or ``10**-4`` stands for."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        return text.replace(",", "")
    if re.fullmatch(r"\d{1,9},\d{1,9}", text):
        return text.replace(",", ".")
    if found := re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?%", text):
        return f"{float(found[1]) / 100:.6g}"
    if found := re.fullmatch(r"(\d{1,9}) ?/ ?([1-9]\d{0,8})", text):
        return f"{int(found[1]) / int(found[2]):.6g}"
    if found := re.fullmatch(r"(?:(\d{1,9}) ?[*x] ?)?10 ?(?:\^|\*\*) ?\(?(-?\d{1,3})\)?", text):
        return f"{found[1] or 1}e{found[2]}"
    return ""


def explain_wrong_truth(value: Any) -> str:
    """The message for anything but true or false."""
    true, false = ("yes", "on", "y", "true", "t"), ("no", "off", "n", "false", "f")
    text = str(value).lower() if isinstance(value, str) else ""
    remedy = " (write true)" * (text in true) or " (write false)" * (text in false)
    return f"true or false belongs here, not {_short(value)}{remedy}"


def comma_list(items: Iterable[object]) -> str:
    """``16, 32, 64``."""
    return ", ".join(str(item) for item in items)


def _is_number(value: Any) -> bool:
    """Whether a value is a number or can be parsed as one."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bool)


def _document_path(model: type[BaseModel], loc: tuple[int | str, ...]) -> KeyPath:
    """Pydantic's location without the names of union members that it contains."""
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


def _names_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    inside = section_of(model, map(str, path))
    return list(inside.model_fields) if inside else []


def _describe_union(details: list[ErrorDetails]) -> str:
    """The message for a value that is neither an allowed word nor a number; else empty."""
    given = details[0]["input"]
    words = [word for detail in details for word in _literal_words(detail)]
    if len(details) == 1 or not words:
        return ""
    if any(detail["type"].startswith("bool") for detail in details):
        return f"{', '.join(words)}, {explain_wrong_truth(given)}"
    if _is_number(given):
        return ""
    hint = did_you_mean(given, words) if isinstance(given, str) else ""
    number = "whole number" if any("int" in detail["type"] for detail in details) else "number"
    return f"{' or '.join(words)} or a {number} belongs here, not {_short(given)}{hint}"


def _literal_words(detail: ErrorDetails) -> list[str]:
    """The allowed words of a ``Literal``."""
    if detail["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", (detail.get("ctx") or {}).get("expected", ""))


def _describe(detail: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown name{name_hint(str(path[-1]), _names_at(model, path[:-1]))}"
    if kind == _OWN_ERROR:
        return str(detail["ctx"]["message"])
    if kind == "missing":
        return "is missing"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = _names_at(model, path)
        named = "name" in known and isinstance(given, str) and given.isidentifier()
        way = f" (write {{name: {given}}})" if named else ""
        what = f"a mapping{f' ({comma_list(known)})' * bool(known)} belongs here"
        return f"{what}, not {_short(given)}{way}"
    if isinstance(given, str) and given.lower() in ("none", "nil") and _may_be_none(model, path):
        return f"{given!r} is text (write null)"
    if isinstance(given, str) and ("float" in kind or "int" in kind):
        return explain_wrong_number(given)
    if isinstance(given, dict):
        return f"a single value belongs here, not {_short(given)}; only a space has open values"
    if kind in ("bool_type", "bool_parsing"):
        return explain_wrong_truth(given)
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return f"a whole number belongs here, not {_short(given)} (write {given:.0f})"
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    if kind == "literal_error" and isinstance(given, str):
        return f"{message}, not {_short(given)}{did_you_mean(given, _literal_words(detail))}"
    return f"{message}, not {_short(given)}"


def _may_be_none(model: type[BaseModel], path: KeyPath) -> bool:
    found = find_field(model, map(str, path))
    return found is not None and type(None) in getattr(found.annotation, "__args__", ())


def _short(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    shown = repr(value)
    return shown if len(shown) < 60 else shown[:57] + "..."
