"""All remedies, by kind and by name."""

from gantune.health.remedies.losses import LOSS_CHANGES
from gantune.health.remedies.pace import PACE
from gantune.health.remedies.penalties import SLOPES
from gantune.health.remedies.rates import OPTIMIZERS, RATES
from gantune.health.remedies.record import promise
from gantune.health.remedies.remedy import Remedy

KINDS: dict[str, tuple[Remedy, ...]] = {
    "rates": RATES,
    "optimizer": OPTIMIZERS,
    "loss": LOSS_CHANGES,
    "slope": SLOPES,
    "pace": PACE,
}
"""The remedies by kind: two of one kind do much the same."""

REMEDIES: dict[str, Remedy] = {
    remedy.name: remedy for remedies in KINDS.values() for remedy in remedies
}
"""All remedies by name."""


def kind_of(remedy: Remedy) -> str:
    """The kind of a remedy; one that a user has declared is a kind of its own."""
    kinds = (kind for kind, remedies in KINDS.items() if remedy in remedies)
    return next(kinds, remedy.name)


def remedies_for(rule: str) -> list[Remedy]:
    """Those that answer a rule's verdict, the most promising first; of equals in their order."""
    answering = [remedy for remedy in REMEDIES.values() if rule in remedy.answers]
    return sorted(answering, key=lambda remedy: -promise(remedy, rule))
