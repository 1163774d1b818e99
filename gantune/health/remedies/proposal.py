"""What to try after a verdict, for a known config or for any trainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gantune.config import AnyConfig, ExternalConfig, TrialConfig, make_config
from gantune.health.remedies.catalogue import kind_of, remedies_for
from gantune.health.remedies.losses import LOSS_CHANGES
from gantune.health.remedies.record import Record, record_of
from gantune.health.remedies.remedy import Change, Remedy, differences

_MOST = 3
_FEWEST = 3  # configs that a remedy was tried on, before its record is told
_ENOUGH = 10  # configs, before it is left out


@dataclass(frozen=True)
class Proposal:
    """One remedy for one verdict."""

    remedy: Remedy
    changes: tuple[Change, ...]
    """What it changes in the config; empty where the config is not known."""
    record: Record
    """What it did to other configs that failed so."""

    def __str__(self) -> str:
        """``discriminator.lr 2e-4 → 5e-5``, and in brackets what it did, where that is known."""
        what = ", ".join(map(str, self.changes)) if self.changes else self.remedy.advice
        return f"{what} ({self.record})" if self.record.tried >= _FEWEST else what

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = self.record
        return {
            "remedy": self.remedy.name,
            "advice": self.remedy.advice,
            "changes": {change.path: change.after for change in self.changes},
            "why": self.remedy.why,
            "source": self.remedy.source,
            "tried": record.tried,
            "saved": record.saved,
            "cured": record.cured,
        }


def proposals(
    rule: str, config: TrialConfig | None = None, loss: str | None = None
) -> list[Proposal]:
    """The most promising things to try after a rule's verdict: at most three, each of another kind.
    What was tried on ten configs or more and made none train well is left out.

    ``config``: that of the run, of which only remedies that change it are named; without it they
    are advice for any trainer, and begin with what saved runs that failed so. ``loss``: that
    of such a trainer, if it is known: changes of the loss that do not apply to it are left out.
    """
    like = None if loss is None or config is not None else make_config({"loss": loss})
    fitting = [
        remedy
        for remedy in remedies_for(rule, config)
        if like is None or remedy not in LOSS_CHANGES or remedy.applied(like) is not None
    ]
    found = [
        Proposal(one, changes, record_of(one, rule)) for one, changes in _changes(fitting, config)
    ]
    if config is None:
        found.sort(key=lambda one: not one.record.saved)
    return _of_different_kinds(
        one for one in found if one.record.tried < _ENOUGH or one.record.cured
    )


def declared_proposals(remedies: Iterable[Remedy], config: ExternalConfig) -> list[Proposal]:
    """The first remedies that a space declares and that change ``config``, of a trainer of the
    user's own: at most three, each of another kind. None has a record."""
    return _of_different_kinds(
        Proposal(one, changes, Record()) for one, changes in _changes(remedies, config)
    )


def _changes(
    remedies: Iterable[Remedy], config: AnyConfig | None
) -> Iterator[tuple[Remedy, tuple[Change, ...]]]:
    """The remedies that apply, each with what it changes in a config that is known."""
    for remedy in remedies:
        if config is None:
            yield remedy, ()
        elif (changed := remedy.applied(config)) is not None:
            yield remedy, tuple(differences(config, changed))


def _of_different_kinds(found: Iterable[Proposal]) -> list[Proposal]:
    first: dict[str, Proposal] = {}
    for one in found:
        first.setdefault(kind_of(one.remedy), one)
    return list(first.values())[:_MOST]
