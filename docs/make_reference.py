"""Fills the tables of docs/space-file.md and docs/command-trainer.md from the models that read a
space file, and those of docs/stabilize.md and docs/health.md from the remedies.

    python docs/make_reference.py

The tables between ``<!-- name -->`` and ``<!-- end -->`` come from the fields of the models, their
ranges and their docstrings. The rest of the pages is written by hand.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gantune.config import RESOLUTIONS, CommandFields, TrialConfig
from gantune.config.command import CommandScore
from gantune.config.external import ExternalFields
from gantune.config.loss_families import LOSSES
from gantune.config.sections import DISCRIMINATOR_NORMS, GENERATOR_NORMS
from gantune.health.presets import PRESETS
from gantune.health.remedies import REMEDIES, proposals, remedies_for
from gantune.health.remedies.record import record_of
from gantune.health.rules import RULES
from gantune.io.files import write_text
from gantune.space.settings import Budget, Finalists, Objective, Pruning, Sampler, SpaceFile

_NAMES = ("space-file.md", "command-trainer.md", "stabilize.md", "health.md")
PAGES = [Path(__file__).with_name(name) for name in _NAMES]

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

_PARTS: dict[str, type[BaseModel]] = {
    "budget": Budget,
    "objective": Objective,
    "pruning": Pruning,
    "finalists": Finalists,
    "sampler": Sampler,
}
_COLUMNS = ("key", "value", "default", "meaning")
_NULL = "`null`"
_WORDS = {str: ["text"], bool: ["`true`", "`false`"], type(None): [_NULL], dict: ["mapping"]}
_NAMED_DEFAULTS = {
    (SpaceFile, "study"): "the file's name",
    (ExternalFields, "kimg"): "must be given",
}


def fill_tables(page: str) -> str:
    """The page with new tables. Those of benchmarks stay as they are.

    Raises ``KeyError`` for a name that has no table.
    """
    tables = dict(_tables())

    def fill(found: re.Match[str]) -> str:
        if (_RESULTS / f"{found[2]}.md").exists():
            return found[0]
        return f"{found[1]}{tables[found[2]]}\n{found[3]}"

    return re.sub(r"(<!-- (?!end)([\w.]+) -->\n).*?(<!-- end -->)", fill, page, flags=re.DOTALL)


def _tables() -> Iterator[tuple[str, str]]:
    of_command = [name for name in CommandFields.model_fields if name != "score"]
    elsewhere = {*_PARTS, *of_command[1:], "score"}
    top = [name for name in SpaceFile.model_fields if name not in elsewhere]
    yield "top", _fields(SpaceFile, "", top)
    yield "command", _fields(CommandFields, "", of_command)
    yield "score", _fields(CommandScore, "score.")
    yield from ((name, _fields(model, f"{name}.")) for name, model in _PARTS.items())
    yield "trial", _trial()
    yield (
        "own",
        _fields(
            ExternalFields, "", [name for name in ExternalFields.model_fields if name != "data"]
        ),
    )
    yield "networks", _networks()
    yield "losses", _losses()
    yield "stability", _thresholds()
    yield "remedies", _remedies()
    yield "record", _record()
    yield "proposals", _proposals()


def _trial() -> str:
    """The fields of ``TrialConfig``: first its plain ones, then a section for each part."""
    own = [name for name, field in TrialConfig.model_fields.items() if _part_of(field) is None]
    return "\n\n".join(["### The run", _fields(TrialConfig, "", own), *_sections(TrialConfig, "")])


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        part = _part_of(field)
        if part is None:
            continue
        path = prefix + name
        yield f"### `{path}`"
        yield _sentence(part.__doc__ or "")
        own = [key for key, inside in part.model_fields.items() if _part_of(inside) is None]
        if own:
            yield _fields(part, f"{path}.", own)
        yield from _sections(part, f"{path}.")


def _fields(model: type[BaseModel], prefix: str, names: Iterable[str] = ()) -> str:
    """A row for each field of a model."""
    rows = [
        (f"`{prefix}{name}`", _value(field), _default(model, name), _meaning(model, name))
        for name, field in model.model_fields.items()
        if name in (names or model.model_fields)
    ]
    return _table(_COLUMNS, rows)


def _meaning(model: type[BaseModel], name: str) -> str:
    text = model.model_fields[name].description
    if not text:
        raise ValueError(f"{model.__name__}.{name} has no docstring: the reference needs one")
    return _sentence(text)


def _part_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a mapping of its own."""
    for member in (field.annotation, *get_args(field.annotation)):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return member
    return None


def _value(field: FieldInfo) -> str:
    """The allowed values: words, and numbers with their range."""
    found = list(dict.fromkeys(_members(field.annotation, field.metadata)))
    words = ", ".join(text for text in found if text.startswith("`") and text != _NULL)
    others = [text for text in found if not text.startswith("`") or text == _NULL]
    return " or ".join(filter(None, [words, *others]))


def _members(annotation: Any, limits: Iterable[Any] = ()) -> Iterator[str]:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        for member in inside:
            yield from _members(member, limits)
    elif origin is Annotated:
        yield from _members(inside[0], [*_limits(inside[1:]), *limits])
    elif origin is Literal:
        yield from (f"`{word}`" for word in inside)
    elif origin in (tuple, list):
        yield f"list of {next(_members(inside[0]))}s"
    elif annotation in (int, float):
        yield ("whole number" if annotation is int else "number") + _range(limits)
    else:
        yield from _WORDS[origin or annotation]


def _limits(metadata: Iterable[Any]) -> Iterator[Any]:
    """The limits of ``Annotated``, including those of a ``Field`` in it."""
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else [item]


def _range(limits: Iterable[Any]) -> str:
    found: dict[type, Any] = {
        type(limit): limit for limit in limits if isinstance(limit, Ge | Gt | Le | Lt)
    }
    if not found:
        return ""
    low = f"[{_number(found[Ge].ge)}" if Ge in found else f"({_number(found[Gt].gt)}"
    high = f"{_number(found[Le].le)}]" if Le in found else f"{_number(found[Lt].lt)})"
    return f" in {low}, {high}"


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if (model, name) in _NAMED_DEFAULTS:
        return _NAMED_DEFAULTS[model, name]
    if field.is_required():
        return "must be given"
    return f"`{_plain(field.default)}`"


def _plain(value: Any) -> str:
    """A value as it is written in a space file."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    return _number(value).replace(",", "") if isinstance(value, int | float) else str(value)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}".replace("e-0", "e-")


def _networks() -> str:
    rows = [
        (
            f"`{name}`",
            ", ".join(map(str, sizes)) if sizes else "points",
            ", ".join(f"`{norm}`" for norm in GENERATOR_NORMS[name]),
            ", ".join(f"`{norm}`" for norm in DISCRIMINATOR_NORMS[name]),
        )
        for name, sizes in RESOLUTIONS.items()
    ]
    return _table(("network", "pixels", "`generator.norm`", "`discriminator.norm`"), rows)


def _losses() -> str:
    rows = [
        (f"`{name}`", facts.family, f"{facts.discriminator_neutral:.4g}")
        for name, facts in LOSSES.items()
    ]
    return _table(("loss", "family", "D's neutral loss"), rows)


def _thresholds() -> str:
    default, strict, lenient = (
        {rule.name: rule for rule in PRESETS[name]} for name in ("default", "strict", "lenient")
    )
    rows = [
        (
            f"`{name}.{threshold}`",
            *(_number(getattr(of[name], threshold)) for of in (default, strict, lenient)),
            _meaning(type(rule), threshold),
        )
        for name, rule in default.items()
        for threshold in type(rule).model_fields
    ]
    return _table(("threshold", "`default`", "`strict`", "`lenient`", "meaning"), rows)


def _record() -> str:
    """A row for each rule whose remedies were tried: those that saved a config, best first."""
    rows = []
    for rule in RULES:
        known = [(remedy, record_of(remedy, rule)) for remedy in remedies_for(rule)]
        tried = [(remedy, record) for remedy, record in known if record.tried]
        saving = [(remedy, record) for remedy, record in tried if record.saved]
        if not tried:
            continue
        best = [
            f"`{remedy.name}` {record.saved} of {record.tried}"
            + (f", cured {record.cured}" if record.cured else "")
            for remedy, record in saving
        ]
        none = [f"`{remedy.name}`" for remedy, record in tried if not record.saved]
        rows.append((f"`{rule}`", "; ".join(best), ", ".join(none) or "-"))
    return _table(("verdict", "saved", "saved none"), rows)


def _remedies() -> str:
    rows = [
        (
            f"`{remedy.name}`",
            f"{remedy.advice}. {remedy.why} {remedy.source}",
            ", ".join(f"`{rule}`" for rule in RULES if rule in remedy.answers),
        )
        for remedy in REMEDIES.values()
    ]
    return _table(("remedy", "what it does, why, and who proposed it", "after"), rows)


def _proposals() -> str:
    """A row for each rule: what is proposed after its verdict for any trainer."""
    columns = ("after", *(f"try {place}" for place in ("first", "next", "then")))
    return _table(columns, ((f"`{rule}`", *map(str, proposals(rule))) for rule in RULES))


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(columns)
    return "\n".join(map(_row, [head, (":--",) * len(head), *rows]))


def _row(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _sentence(text: str) -> str:
    """A docstring as one line of Markdown."""
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    for path in PAGES:
        write_text(path, fill_tables(path.read_text(encoding="utf-8")))
        print(f"wrote {path}")
