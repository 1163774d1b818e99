"""What may cure a failed run: small changes to a config, one file for each kind of change."""

from gantune.config import TrialConfig
from gantune.health.remedies.losses import LOSS_CHANGES
from gantune.health.remedies.pace import PACE
from gantune.health.remedies.penalties import SLOPES
from gantune.health.remedies.proposal import Proposal, propose
from gantune.health.remedies.rates import RATES
from gantune.health.remedies.record import Record, ordered, record_of
from gantune.health.remedies.remedy import Change, Remedy, differences, value_text, with_values

__all__ = [
    "KINDS",
    "REMEDIES",
    "Change",
    "Proposal",
    "Record",
    "Remedy",
    "differences",
    "proposals",
    "record_of",
    "remedies_for",
    "value_text",
    "with_values",
]

KINDS: dict[str, tuple[Remedy, ...]] = {
    "rates": RATES,
    "loss": LOSS_CHANGES,
    "slope": SLOPES,
    "pace": PACE,
}
"""The remedies by kind: two of one kind do much the same."""

REMEDIES: dict[str, Remedy] = {
    remedy.name: remedy for remedies in KINDS.values() for remedy in remedies
}
"""All remedies by name."""


def remedies_for(rule: str) -> list[Remedy]:
    """The remedies that answer a rule's verdict, the most promising first."""
    return ordered(tuple(REMEDIES.values()), rule)


def proposals(rule: str, config: TrialConfig | None = None) -> list[Proposal]:
    """The three most promising things to try after a rule's verdict.

    ``config``: that of the run; without it they are advice for any trainer.
    """
    return propose(remedies_for(rule), rule, config)
