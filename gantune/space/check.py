"""Checks a whole space before training, so that no trial fails because of a typo.

Each candidate value is checked by itself, and each reference (``times``, ``same``) with the values
that the other setting can have. Then combinations of decisions and choices, with ranges at their
low and high ends, are checked for values that conflict, and for combinations to advise against.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gantune.config import TrialConfig, advice
from gantune.errors import Problem
from gantune.io.validation import (
    find_field,
    is_conflict,
    model_problems,
    nested_names,
    path_hint,
)
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.conditions import Condition, can_meet
from gantune.space.distributions import Choices, Range, Same, explain_call, is_number, plain
from gantune.space.sampling import Sample, combinations, nest
from gantune.space.tree import Leaf, Target, Tree

_MOST_ADVICE = 5
_MOST_NAMES = 300  # settings of a file that a hint looks through
_LONGEST_CHAIN, _MOST_CHAINS = 20, 1000  # of references, each to the next
_LAST = 1 << 30  # sorts values from the command line after all lines of the file
_COMPARABLE = ("source", "key", "split", "folders", "held_out", "resolution", "colour", "classes")


def check_tree(tree: Tree, document: Document) -> tuple[list[Problem], list[str]]:
    """Checks the trial of a space, value by value and then as a whole.

    Returns all problems, and where there are none, advice: a sentence for each setting that is
    valid but unusual.
    """
    problems = [
        problem for leaf in tree.leaves for problem in _value_problems(leaf, tree, document)
    ]
    structure = [*_conflicts(tree, document), *_reference_problems(tree, document)]
    if not structure and not problems:
        problems = list(_reached_problems(tree, document))
    problems += _data_problems(tree, document)
    has_references = any(leaf.reference for leaf in tree.leaves)
    advised: list[str] = []
    if not structure and not (problems and has_references):  # they need valid values
        found, advised = _check_combinations(tree, document)
        problems += found
    problems = list(dict.fromkeys([*problems, *structure]))
    return problems, [] if problems else [*advised, *_texts_to_advise_against(tree)]


def _data_problems(tree: Tree, document: Document) -> Iterator[Problem]:
    """Settings of the data that could differ between trials."""
    for leaf in tree.leaves:
        is_comparable = leaf.target[0] == "data" and leaf.target[-1] in _COMPARABLE
        if is_comparable and (leaf.is_open or leaf.when or leaf.reference):
            what = "cannot be searched: scores on different data are never compared"
            yield document.problem(leaf.path, f"{leaf.dotted}: {what}")


def _texts_to_advise_against(tree: Tree) -> Iterator[str]:
    """Sentences on texts that a user's trainer would get, although they name another setting."""
    for leaf in tree.leaves:
        is_word = isinstance(leaf.value, str) and leaf.value.isidentifier()
        if not is_word and (named := tree.named_by(leaf.value)):
            way = f"for the value of that setting write {{same: {named}}}"
            yield f"advice: {leaf.dotted} is the text {leaf.value!r}; {way}"


def _value_problems(leaf: Leaf, tree: Tree, document: Document) -> Iterator[Problem]:
    """Problems of each value that the leaf can take, by itself."""
    if leaf.reference:
        return  # the value that it leads to is checked instead
    for value, suffix in _candidates(leaf.value):
        places = (*leaf.places[:-1], (*leaf.path, *suffix))

        def report(path: KeyPath, message: str, places: tuple[KeyPath, ...] = places) -> Problem:
            if named := tree.named_by(leaf.value):
                message += f"; write {{same: {named}}} for the value of that setting"
            elif isinstance(leaf.value, str) and (way := explain_call(leaf.value)):
                message += f"; {way}"
            return document.problem(places[min(len(path), len(places)) - 1], message)

        try:
            tree.model.model_validate(nest({leaf.target: value}))
        except ValidationError as error:
            if not is_conflict(error):
                yield from model_problems(error, tree.model, report)


def _candidates(value: Any) -> Iterator[tuple[Any, KeyPath]]:
    """The values to check, with their keys below the leaf."""
    if isinstance(value, Choices):
        yield from ((item, ("choices", i)) for i, item in enumerate(value.values))
    elif isinstance(value, Range):
        yield value.low, ("low",)
        yield value.high, ("high",)
    else:
        yield value, ()


def _conflicts(tree: Tree, document: Document) -> Iterator[Problem]:
    """Pairs of places that would set one value in the same trial."""
    by_target: dict[Target, list[Leaf]] = {}
    for leaf in sorted(tree.leaves, key=lambda leaf: len(leaf.target)):
        for length in range(1, len(leaf.target) + 1):
            for other in by_target.get(leaf.target[:length], []):
                is_inside = length < len(leaf.target)
                is_replaced = other.value == {} and (is_inside or leaf.value == {})
                if can_meet(other.when, leaf.when) and not is_replaced:
                    yield _conflict(other, leaf, document)
        by_target.setdefault(leaf.target, []).append(leaf)


def _conflict(first: Leaf, second: Leaf, document: Document) -> Problem:
    """The problem at the later place; the command line comes after the file."""
    here, there = (document.problem(leaf.path, "") for leaf in (first, second))
    if (here.line or _LAST, here.column) > (there.line or _LAST, there.column):
        first, second, here, there = second, first, there, here
    remedy = "remove one of the two"
    if there.line is None and here.line is not None:
        remedy = f"use --set {'.'.join(map(str, first.path[1:]))}=... to set it there"
    place = f"line {here.line}" if here.line else here.file
    message = f"{second.dotted}: {place} sets this too ({first.dotted}); {remedy}"
    return document.problem(second.path, message)


def _check_combinations(tree: Tree, document: Document) -> tuple[list[Problem], list[str]]:
    """Checks combinations of values. Returns problems, and the most frequent advice."""
    problems: list[Problem] = []
    advised: Counter[str] = Counter()
    count = 0
    for sample in combinations(tree):
        count += 1

        def report(path: KeyPath, message: str, sample: Sample = sample) -> Problem:
            for length in range(len(path), 0, -1):
                leaf = sample.leaves.get(tuple(map(str, path[:length])))
                if leaf is not None:
                    return document.problem(leaf.path, message)
            return document.problem(("trial",), message)

        try:
            config = tree.model.model_validate(sample.tree())
            advised.update(advice(config) if isinstance(config, TrialConfig) else ())
        except ValidationError as error:
            if is_conflict(error):
                problems += model_problems(error, tree.model, report)
    lines = [
        f"{'advice' if times == count else 'advice for some trials'}: {sentence}"
        for sentence, times in advised.most_common(_MOST_ADVICE)
    ]
    if len(advised) > len(lines):
        lines.append(f"advice: {len(advised) - len(lines)} more like this")
    return problems, lines


def _reference_problems(tree: Tree, document: Document) -> list[Problem]:
    """References to no setting, in a circle, or to one that some trials do not have."""
    leaves = [leaf for leaf in tree.leaves if leaf.reference]
    wrong = [(leaf, message) for leaf in leaves if (message := _wrong_reference(leaf, tree))]
    wrong = wrong or list(_missing_settings(leaves, tree))
    words = ["times" if leaf.times else "same" for leaf, _ in wrong]
    return [
        document.problem((*leaf.path, word), f"{leaf.dotted}: {word}: {message}")
        for word, (leaf, message) in zip(words, wrong, strict=True)
    ]


def _wrong_reference(leaf: Leaf, tree: Tree) -> str:
    assert leaf.reference
    other, dotted = leaf.reference, ".".join(leaf.reference)
    setting, is_known = tree.at(other), find_field(tree.model, other) is not None
    if inside := tree.sections.get(other):
        return f"{dotted!r} is a group of settings; name one of them, such as {inside}"
    if not is_known and not (tree.takes_any and setting):
        return f"there is no setting {dotted!r}{_did_you_mean_setting(leaf, tree)}"
    if leaf.times:
        written = [value for each in setting for value in each.written_values()]
        values = [tree.default_of(other)] if is_known else written
        if not all(is_number(value) or isinstance(value, Same) for value in values):
            return f"{dotted!r} is no number"
    if wrong := _wrong_chain(leaf, tree):
        return wrong
    is_elsewhere = bool(setting) and not tree.at(other, leaf.when)
    if is_elsewhere and (not is_known or tree.has_default(other)):
        path, word = setting[0].when[-1]
        return f"{dotted!r} is set only where {path[-1]} is {word}, and this value is elsewhere"
    return ""


def _did_you_mean_setting(leaf: Leaf, tree: Tree) -> str:
    """A hint at a setting of a similar path, or of the same name in another section."""
    assert leaf.reference
    name = ".".join(leaf.reference).removeprefix("trial.")
    usual = [] if tree.takes_any else nested_names(tree.model)
    own = [*tree.model.model_fields, *(each.dotted for each in tree.leaves[:_MOST_NAMES])]
    known = [each for each in dict.fromkeys([*usual, *own]) if each != leaf.dotted]
    return path_hint(name, known, known)


def _wrong_chain(leaf: Leaf, tree: Tree) -> str:
    """Why the settings behind a reference cannot be followed to an end; empty if they can."""
    seen: set[tuple[Target, Condition]] = set()
    ahead = [(leaf.reference, leaf.when, 1)]
    while ahead:
        target, when, length = ahead.pop()
        if target == leaf.target:
            return "this value depends on itself in a circle"
        if length > _LONGEST_CHAIN or len(seen) > _MOST_CHAINS:
            return "leads through too many other settings; name the last of them"
        if target is not None and (target, when) not in seen:
            seen.add((target, when))
            after = tree.at(target, when)
            ahead += [(each.reference, (*when, *each.when), length + 1) for each in after]
    return ""


def _missing_settings(leaves: list[Leaf], tree: Tree) -> Iterator[tuple[Leaf, str]]:
    """References to a setting that does not exist in some trials with the reference."""
    asked = []
    for leaf in leaves:
        assert leaf.reference
        always = any(set(other.when) <= set(leaf.when) for other in tree.at(leaf.reference))
        if not always and not tree.has_default(leaf.reference):
            asked.append(leaf)
    for sample in combinations(tree) if asked else ():
        for leaf in [leaf for leaf in asked if sample.leaves.get(leaf.target) == leaf]:
            if not _exists(leaf.reference or (), sample, tree):
                asked.remove(leaf)
                dotted = ".".join(leaf.reference or ())
                yield leaf, f"some trials that have this value have no {dotted!r}"


def _exists(target: Target, sample: Sample, tree: Tree) -> bool:
    """Whether a sampled config has a setting: given, or a default of a section that it has."""
    if target in sample.leaves:
        return True
    section = target[:-1]
    is_there = any(other[: len(section)] == section for other in sample.leaves)
    return bool(section) and is_there and find_field(tree.model, target) is not None


def _reached_problems(tree: Tree, document: Document) -> Iterator[Problem]:
    """Values that are not valid where a reference leads to them."""
    for leaf in [leaf for leaf in tree.leaves if leaf.reference]:
        for value in tree.values_of(leaf):
            other = ".".join(leaf.reference or ())
            way = f"reaches {plain(value)} (ratio times {other})"
            if leaf.same:
                way = f"takes {plain(value)} from {other}"

            def report(path: KeyPath, message: str, leaf: Leaf = leaf, way: str = way) -> Problem:
                what = message.removeprefix(leaf.dotted + ": ")
                return document.problem(leaf.path, f"{leaf.dotted}: {way}; {what}")

            try:
                tree.model.model_validate(nest({leaf.target: value}))
            except ValidationError as error:
                if not is_conflict(error):
                    yield from model_problems(error, tree.model, report)
                    break  # the others are wrong for the same reason
