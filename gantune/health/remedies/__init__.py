"""What may cure a failed run: small changes to a config, one file for each kind of change."""

from gantune.health.remedies.catalogue import REMEDIES, kind_of, remedies_for, remedy_named
from gantune.health.remedies.proposal import Proposal, declared_proposals, proposals
from gantune.health.remedies.record import Record
from gantune.health.remedies.remedy import (
    Change,
    Changes,
    Remedy,
    changed,
    differences,
    plain_values,
    value_text,
    with_values,
)

__all__ = [
    "REMEDIES",
    "Change",
    "Changes",
    "Proposal",
    "Record",
    "Remedy",
    "changed",
    "declared_proposals",
    "differences",
    "kind_of",
    "plain_values",
    "proposals",
    "remedies_for",
    "remedy_named",
    "value_text",
    "with_values",
]
