"""What to try after a verdict, for a known config or for any trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gantune.config import TrialConfig, make_config
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
    are advice for any trainer. ``loss``: that of such a trainer, if it is known: changes of the
    loss that do not apply to it are left out.
    """
    found: list[Proposal] = []
    like = None if loss is None or config is not None else make_config({"loss": loss})
    for remedy in remedies_for(rule, config):
        if like is not None and remedy in LOSS_CHANGES and remedy.applied(like) is None:
            continue
        changes: tuple[Change, ...] = ()
        if config is not None:
            if (changed := remedy.applied(config)) is None:
                continue
            changes = tuple(differences(config, changed))
        record = record_of(remedy, rule)
        is_hopeless = record.tried >= _ENOUGH and not record.cured
        if not is_hopeless and kind_of(remedy) not in {kind_of(one.remedy) for one in found}:
            found.append(Proposal(remedy, changes, record))
    return found[:_MOST]
