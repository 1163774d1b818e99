"""Loads a space: finds the file, applies overrides, checks everything, reports all problems."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from gantune.config import TrialConfig, absolute_source
from gantune.config.external import (
    ExternalFields,
    absolute_path,
    absolute_trainer,
    absolute_weights,
    names_trainer,
)
from gantune.errors import ConfigError, Problem, SpaceError
from gantune.io.validation import comma_list, did_you_mean, model_problems
from gantune.io.yaml_document import Document, read_document
from gantune.space.check import check_tree
from gantune.space.command import check_command
from gantune.space.overrides import Source, with_overrides
from gantune.space.prior import Prior, is_prior, read_priors
from gantune.space.rungs import check_rungs
from gantune.space.settings import SpaceFile
from gantune.space.space import SearchSpace
from gantune.space.start_points import StartPoints, read_start
from gantune.space.tree import Tree, read_tree

_NOTHING_OPEN = "no value of trial is open to search: every trial is the same run"
_FILES = {
    ("trial", "data", "source"): absolute_source,
    ("objective", "weights"): absolute_source,
    ("objective", "also"): absolute_weights,
    ("trainer",): absolute_trainer,
    ("working_folder",): absolute_path,
}  # relative to the space file, or to the current folder where an override has set them
_SUFFIXES = ("", ".yaml", ".yml")


def load_space(source: str | Path, overrides: Sequence[str] = ()) -> SearchSpace:
    """Reads a space file, or a shipped space by its name.

    A path that does not exist, but whose stem names a shipped space, loads that one; ``note`` says
    so. ``overrides``: texts ``path=value``, the value in YAML, such as ``generator.lr=2e-4``.
    Raises ``SpaceError`` with every problem found, each as ``file:line:column: what``.
    """
    path, note = _find(source)
    document = _read(path)
    changed, problems = with_overrides(document, overrides)
    _complete(changed, path)
    tree, start, parts = Tree(), StartPoints(), None
    priors: tuple[Prior, ...] = ()
    advice: list[str] = []
    try:
        parts = SpaceFile.model_validate(changed.tree)
    except ValidationError as error:
        problems += model_problems(error, SpaceFile, changed.problem)
    problems += _stability_problems(changed)

    trial, entries = changed.tree.get("trial"), changed.tree.get("start")
    if isinstance(trial, dict):
        model = ExternalFields if names_trainer(changed.tree) else TrialConfig
        tree, found = read_tree(trial, changed, model)
        wrong, advice = check_tree(tree, changed)
        found += wrong
        if parts is not None and parts.command is not None and not found:
            found, advised = check_command(parts, tree, changed)
            advice += advised
        if parts is not None and not found:
            pruning, found, on_rungs = check_rungs(parts.pruning, tree, changed)
            parts = parts.model_copy(update={"pruning": pruning})
            advice = [*filter(None, [on_rungs]), *advice]
        if isinstance(entries, list):
            priors, wrong = read_priors(entries, trial, changed)
            found += wrong
        if not found and isinstance(entries, list):
            start = read_start([e for e in entries if isinstance(e, dict)], tree, changed)
        problems += [*found, *start.problems]
    if problems or parts is None:
        raise SpaceError(problems)

    changed.tree["start"] = [dict(entry) for entry in start.entries]
    fields = {**dict(parts), "start": changed.tree["start"], "tree": tree, "points": start.points}
    fields["priors"] = priors
    notes = [note, *start.notes, *([] if tree.open else [_NOTHING_OPEN]), *advice]
    note = "\n".join(filter(None, notes))
    return SearchSpace.model_construct(**fields, document=changed, note=note)


def _find(source: str | Path) -> tuple[Path, str]:
    """The file to load, and a note where it is not the file that was named."""
    path = Path(source)
    try:
        is_there = path.exists()
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from None
    if is_there and not (path.is_dir() and str(source) in shipped_spaces()):
        return path, ""
    shipped = shipped_path(path.stem) if path.suffix in _SUFFIXES else None
    if shipped is None:
        known = [*shipped_spaces(), *sorted(found.stem for found in path.parent.glob("*.yaml"))]
        near = did_you_mean(path.stem, known) or f"; shipped spaces: {comma_list(shipped_spaces())}"
        raise SpaceError(f"{source}: no such file{near}")
    if str(source) == path.stem:
        return shipped, ""
    return shipped, f"{source} does not exist; using the shipped space {path.stem!r}"


def _read(path: Path) -> Document:
    document = read_document(path)
    if not isinstance(document.tree, dict):
        raise SpaceError([document.problem((), "not a space: a mapping with 'trial' belongs here")])
    has_fields = any(map(TrialConfig.model_fields.get, document.tree))
    is_one = has_fields or names_trainer(document.tree)
    if "trial" not in document.tree and is_one:
        message = (
            "this is a training configuration, not a space: train it with `gantune train`, "
            "or put all of it under 'trial:' and open some of its values"
        )
        raise SpaceError([document.problem((), message)])
    return document


def _complete(source: Source, path: Path) -> None:
    """Removes empty sections, names the study after the file, and makes file names absolute."""
    tree = source.tree
    for name in [name for name in tree if tree[name] is None and name in SpaceFile.model_fields]:
        if name != "trial":
            del tree[name]  # all of its lines are commented out
    if is_prior(tree.get("start"), tree.get("trial")):
        tree["start"] = [tree["start"]]
    tree.setdefault("study", path.stem)
    if "command" in tree:
        tree.setdefault("working_folder", str(Path.cwd()))
    for place, absolute in _FILES.items():
        part = tree
        for name in place[:-1]:
            part = part.get(name) if isinstance(part, dict) else None
        value = part.get(place[-1]) if isinstance(part, dict) else None
        is_typed = any(place[: len(own)] == own for own in source.overrides)
        folder = Path.cwd() if is_typed else path.parent
        if isinstance(part, dict) and isinstance(value, str):
            part[place[-1]] = absolute(value, folder)
        elif isinstance(part, dict) and isinstance(value, list):
            part[place[-1]] = [absolute(t, folder) if isinstance(t, str) else t for t in value]


def _stability_problems(source: Source) -> list[Problem]:
    """Problems of rules by name; the name of a preset is checked with the other sections."""
    from gantune.health import read_stability

    rules = source.tree.get("stability")
    if not isinstance(rules, dict):
        return []
    try:
        read_stability(rules, source)
    except ConfigError as error:
        return list(error.problems)
    return []


def shipped_spaces() -> dict[str, str]:
    """Names of the shipped spaces, each with its title: the file's first comment line."""
    first_lines = {
        path.stem: path.read_text(encoding="utf-8").split("\n", 1)[0]
        for path in sorted(_spaces_folder().glob("*.yaml"))
    }
    return {name: line.removeprefix("#").strip() for name, line in first_lines.items()}


def shipped_path(name: str) -> Path | None:
    """The file of a shipped space, or ``None`` for an unknown name."""
    path = _spaces_folder() / f"{name}.yaml"
    return path if name in {found.stem for found in _spaces_folder().glob("*.yaml")} else None


def shipped_text(name: str) -> str:
    """The text of a shipped space with its comments. Raises ``SpaceError`` for an unknown name."""
    path = shipped_path(name)
    if path is None:
        names = list(shipped_spaces())
        near = did_you_mean(name, names) or f"; shipped spaces: {comma_list(names)}"
        raise SpaceError(f"no shipped space is named {name!r}{near}")
    return path.read_text(encoding="utf-8")


def shipped_trainer(name: str) -> Path | None:
    """The file of the trainer beside a shipped space that names one, if any."""
    path = _spaces_folder() / f"{name}.py"
    return path if shipped_path(name) is not None and path.exists() else None


def _spaces_folder() -> Path:
    """In the package where it is installed, beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"
