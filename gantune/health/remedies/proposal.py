"""What to try after a verdict, for a known config or for any trainer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gantune.config import TrialConfig
from gantune.health.remedies.record import Record, record_of
from gantune.health.remedies.remedy import Change, Remedy, differences

_MOST = 3


@dataclass(frozen=True)
class Proposal:
    """One remedy for one verdict."""

    remedy: Remedy
    changes: tuple[Change, ...]
    """What it changes in the config; empty where the config is not known."""
    record: Record
    """What it did to other configs that failed so."""

    def __str__(self) -> str:
        """``discriminator.lr 2e-4 → 5e-5 (cured 7 of 12, saved 9)``."""
        what = ", ".join(map(str, self.changes)) if self.changes else self.remedy.advice
        return f"{what} ({self.record})" if self.record.tried else what

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


def propose(
    remedies: Iterable[Remedy], rule: str, config: TrialConfig | None, most: int = _MOST
) -> list[Proposal]:
    """The first ``most`` of ``remedies`` that change the config, or all where it is not known."""
    found: list[Proposal] = []
    for remedy in remedies:
        changed = remedy.applied(config) if config is not None else None
        if config is not None and changed is None:
            continue
        changes = tuple(differences(config, changed)) if config and changed else ()
        found.append(Proposal(remedy, changes, record_of(remedy, rule)))
        if len(found) == most:
            break
    return found
