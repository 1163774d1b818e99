"""Under which alternatives of a space's decisions an item exists."""

from collections.abc import Mapping, Sequence

from gantune.io.yaml_document import KeyPath

Condition = tuple[tuple[KeyPath, str], ...]
"""The decisions, by their place in the file, and alternatives under which an item exists; those
that others depend on come first."""


def can_meet(first: Condition, second: Condition) -> bool:
    """Whether some trial has both: no decision would have to choose two alternatives."""
    chosen = dict(second)
    return all(chosen.get(path, word) == word for path, word in first)


def is_always_met(
    conditions: Sequence[Condition],
    alternatives: Mapping[KeyPath, Sequence[str]],
    when: Condition = (),
) -> bool:
    """Whether every trial in which ``when`` holds meets one of the conditions.

    ``alternatives``: those of each decision.
    """
    possible = [condition for condition in conditions if can_meet(condition, when)]
    if any(set(condition) <= set(when) for condition in possible):
        return True
    if not possible:
        return False
    decided = dict(when)
    decision = next(path for path, _ in possible[0] if path not in decided)
    return all(
        is_always_met(possible, alternatives, (*when, (decision, word)))
        for word in alternatives[decision]
    )
